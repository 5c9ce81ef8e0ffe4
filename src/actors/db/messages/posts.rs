//! What is asked about posts at chat platforms.

use super::message;
use crate::domain::{
    Millis,
    ids::{ApprovalId, ConversationId, InboundId},
    outbound::{Before, NewPost},
    posting::TopicPlace,
};

message!(
    /// Notes a part that was posted, or is about to be posted a second time.
    RecordPost { /// The part.
        post: NewPost } -> ()
);
message!(
    /// Notes the message that shows an answer while it grows.
    RecordDraft { /// The first message that it answers.
        inbound: InboundId, /// Where.
        conversation: ConversationId, /// The platform's id of it.
        message: String, /// When.
        now: Millis } -> ()
);
message!(
    /// Forgets the message that showed an answer, and gives it.
    DropDraft { /// The first message that it answered.
        inbound: InboundId } -> Option<String>
);
message!(
    /// What earlier attempts at a message left.
    BeforePost { /// The message.
        outbox: i64, /// What it answers.
        answers: Vec<InboundId>, /// The question that it is.
        approval: Option<ApprovalId> } -> Before
);
message!(
    /// Answers that are shown though their messages are over.
    StaleDrafts { /// At this platform.
        channel: String } -> Vec<(InboundId, ConversationId, String)>
);
message!(
    /// Where a topic of a conversation is told of.
    TopicOf { /// The conversation.
        conversation: ConversationId, /// What it is about.
        topic: String } -> Option<TopicPlace>
);
message!(
    /// Notes where a topic of a conversation is told of.
    OpenTopic { /// The conversation.
        conversation: ConversationId, /// What it is about.
        topic: String, /// Where.
        at: TopicPlace } -> ()
);
