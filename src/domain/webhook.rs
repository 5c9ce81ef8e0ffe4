//! What the outbound webhook tells: which things that happen are posted to the configured receiver, and in which words.
//!
//! Every body has `userId` and `type` first; `message` has `text`, `notification` has `title` and `body`, `file` has
//! `filePath`. Receivers of older assistants know these; what else stands there is new to them.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    Millis,
    approval::{Approval, Status},
    ids::{JobId, UserId},
    job::{Task, facts},
    message::FileRef,
    outbound::{Body, OutboxRow, Words},
    turn,
};

/// The name of the conversations in which the webhook's posts are kept: no job is called so.
pub const WEBHOOK: &str = "webhook";

/// A kind of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Answers to people.
    Message,
    /// What nobody asked for.
    Notification,
    /// Files that go with answers.
    File,
    /// Questions to people: asked, and closed.
    Approval,
    /// Coding jobs: started, asking, over.
    Job,
}

impl Kind {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Message, "message"),
        (Self::Notification, "notification"),
        (Self::File, "file"),
        (Self::Approval, "approval"),
        (Self::Job, "job"),
    ];

    /// All kinds.
    pub fn all() -> BTreeSet<Self> {
        Self::ALL.iter().map(|(kind, _)| *kind).collect()
    }

    /// All words, for people who mistyped one.
    pub fn words() -> String {
        Self::ALL.map(|(_, word)| word).join(", ")
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, word)| *word == text).map(|(kind, _)| *kind)
    }
}

/// What a job does that others want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobEvent {
    /// A worker took it up.
    Started,
    /// It asks a person.
    Question,
    /// It is over.
    Ended,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    /// A message was stored that goes out.
    Out(OutboxRow),
    /// A question came to stand so.
    Approval(Approval, Status),
    /// A job went on.
    Job(Box<Task>, JobEvent, Option<Approval>),
}

/// A file, as a receiver can fetch it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Link<'a> {
    id: &'a str,
    name: &'a str,
    media_type: &'a str,
    size: u64,
    /// The path at this server; it takes a key of the user.
    url: String,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum Event<'a> {
    Message {
        text: &'a str,
        channel: &'a str,
        conversation_id: &'a str,
        outcome: turn::Outcome,
        files: Vec<Link<'a>>,
    },
    Notification {
        title: &'a str,
        body: &'a str,
        channel: &'a str,
        conversation_id: &'a str,
    },
    File {
        file_path: String,
        channel: &'a str,
        conversation_id: &'a str,
        file: Link<'a>,
    },
    Approval {
        approval_id: &'a str,
        status: Status,
        preview: &'a str,
        channel: &'a str,
        conversation_id: &'a str,
        job_id: Option<JobId>,
        expires_at: Millis,
        decided_by: Option<&'a str>,
        reason: Option<&'a str>,
    },
    Job {
        event: JobEvent,
        #[serde(flatten)]
        facts: serde_json::Value,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    user_id: &'a str,
    #[serde(flatten)]
    event: Event<'a>,
    timestamp: Millis,
}

/// What is posted about something that happened: whose it is, and the bodies.
pub fn payloads(wanted: &BTreeSet<Kind>, happened: &Happened, at: Millis) -> (UserId, Vec<String>) {
    let (user, events) = match happened {
        Happened::Out(row) => (&row.message.user, of_row(row)),
        Happened::Approval(approval, status) => {
            (&approval.user, vec![(Kind::Approval, of_approval(approval, *status))])
        }
        Happened::Job(task, event, approval) => {
            let text = approval.as_ref().map_or(task.head.text.as_str(), |approval| &approval.preview);
            let facts = facts(task, &task.head, approval.as_ref().map(|approval| &approval.id), text);
            (&task.asked.user, vec![(Kind::Job, Event::Job { event: *event, facts })])
        }
    };
    let bodies = events.into_iter().filter(|(kind, _)| wanted.contains(kind)).filter_map(|(_, event)| {
        serde_json::to_string(&Payload { user_id: user.as_str(), event, timestamp: at }).ok()
    });
    (user.clone(), bodies.collect())
}

fn of_row(row: &OutboxRow) -> Vec<(Kind, Event<'_>)> {
    let conversation = &row.message.conversation;
    let (channel, conversation_id) = (conversation.channel(), conversation.name());
    match &row.message.body {
        // A code makes whoever shows it somebody: it is for the chat that it goes to.
        Body::Answer { words: Words::Secret, .. } => Vec::new(),
        Body::Answer { text, files, outcome, words: Words::Markup | Words::Plain } => {
            let links = files.iter().map(link).collect();
            let message = Event::Message { text, channel, conversation_id, outcome: *outcome, files: links };
            let file = |file| {
                let file = link(file);
                (Kind::File, Event::File { file_path: file.url.clone(), channel, conversation_id, file })
            };
            std::iter::once((Kind::Message, message)).chain(files.iter().map(file)).collect()
        }
        Body::Notice { title, body, .. } => {
            vec![(Kind::Notification, Event::Notification { title, body, channel, conversation_id })]
        }
        // Questions are told as such, wherever and however often they are shown; owners are shown a stranger's code.
        Body::Approval { .. }
        | Body::Decided { .. }
        | Body::Standing { .. }
        | Body::Pairing { .. }
        | Body::PairingOver { .. }
        | Body::Callback { .. } => Vec::new(),
    }
}

fn of_approval(approval: &Approval, status: Status) -> Event<'_> {
    let conversation = &approval.conversation;
    Event::Approval {
        approval_id: approval.id.as_str(),
        status,
        preview: &approval.preview,
        channel: conversation.channel(),
        conversation_id: conversation.name(),
        job_id: approval.job(),
        expires_at: approval.expires_at,
        decided_by: approval.decided_by.as_deref(),
        reason: approval.reason.as_deref(),
    }
}

fn link(file: &FileRef) -> Link<'_> {
    let FileRef { id, name, media_type, size } = file;
    Link { id: id.as_str(), name, media_type, size: *size, url: format!("/api/files/{id}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        approval::{Choice, Subject},
        ids::*,
        job::{Head, Spent, test_task},
        outbound::NewOutbox,
    };

    fn told(happened: &Happened) -> Vec<String> {
        let (user, bodies) = payloads(&Kind::all(), happened, 7);
        assert_eq!(user.as_str(), "ann");
        bodies
    }

    fn out(body: Body) -> Happened {
        let user = UserId::new("ann");
        let message = NewOutbox {
            conversation: ConversationId::of("telegram", &user, "42").unwrap(),
            user,
            turn: None,
            answers: Vec::new(),
            body,
        };
        Happened::Out(OutboxRow { id: 3, message, attempts: 0, created_at: 1 })
    }

    fn answer() -> Happened {
        let file =
            FileRef { id: FileId::new("f1"), name: "a.png".into(), media_type: "image/png".into(), size: 5 };
        out(Body::Answer {
            text: "hi \"you\"".into(),
            files: vec![file],
            outcome: turn::Outcome::Answered,
            words: Words::Markup,
        })
    }

    fn question(conversation: ConversationId) -> Approval {
        Approval {
            id: ApprovalId::new("q"),
            turn: TurnId::new("j"),
            conversation,
            user: UserId::new("ann"),
            subject: Subject::Tool { tool: "shell".into(), action: "x".into() },
            preview: "rm -r".into(),
            status: Status::Approved,
            asked_at: 1,
            expires_at: 9,
            decided_by: Some("bob".into()),
            decided_at: Some(2),
            reason: None,
            choice: Choice::Plain,
        }
    }

    #[test]
    fn bodies_begin_as_receivers_know_them() {
        let place = r#""channel":"telegram","conversationId":"42""#;
        let link = r#"{"id":"f1","name":"a.png","mediaType":"image/png","size":5,"url":"/api/files/f1"}"#;
        assert_eq!(
            told(&answer()),
            [
                format!(
                    r#"{{"userId":"ann","type":"message","text":"hi \"you\"",{place},"outcome":"answered","files":[{link}],"timestamp":7}}"#
                ),
                format!(
                    r#"{{"userId":"ann","type":"file","filePath":"/api/files/f1",{place},"file":{link},"timestamp":7}}"#
                ),
            ]
        );
        let notice = Body::Notice { title: "T".into(), body: "B".into(), facts: Vec::new() };
        assert_eq!(
            told(&out(notice)),
            [format!(
                r#"{{"userId":"ann","type":"notification","title":"T","body":"B",{place},"timestamp":7}}"#
            )]
        );
    }

    #[test]
    fn questions_and_jobs_are_told_once_each_with_what_they_are_about() {
        let user = UserId::new("ann");
        let asked = question(ConversationId::of("job", &user, "j").unwrap());
        assert_eq!(
            told(&Happened::Approval(asked.clone(), Status::Approved)),
            [
                r#"{"userId":"ann","type":"approval","approvalId":"q","status":"approved","preview":"rm -r","channel":"job","conversationId":"j","jobId":"j","expiresAt":9,"decidedBy":"bob","reason":null,"timestamp":7}"#
            ]
        );
        let of_turn = question(ConversationId::of("api", &user, "home").unwrap());
        assert!(told(&Happened::Approval(of_turn, Status::Pending))[0].contains(r#""jobId":null"#));
        let mut task = Task {
            asked: test_task("j"),
            head: Head { state: "done".into(), text: "it is there".into(), ..Head::default() },
            spent: Spent::default(),
            started_at: None,
            ended_at: None,
            updated_at: 1,
        };
        let job = |task: &Task, event, approval| {
            let told = told(&Happened::Job(Box::new(task.clone()), event, approval));
            assert!(told[0].starts_with(r#"{"userId":"ann","type":"job","event":""#), "{told:?}");
            serde_json::from_str::<serde_json::Value>(&told[0]).unwrap()
        };
        let ended = job(&task, JobEvent::Ended, None);
        assert_eq!((&ended["event"], &ended["text"]), (&"ended".into(), &"it is there".into()));
        task.head.text.clear();
        let asks = job(&task, JobEvent::Question, Some(asked));
        assert_eq!((&asks["text"], &asks["approvalId"]), (&"rm -r".into(), &"q".into()));
        // The same question shown as a message, codes, and a callback are nothing for the webhook.
        let silent = [
            crate::domain::identity::welcome_stranger("C0DE2345"),
            Body::Answer {
                text: "/link C0DE-2345".into(),
                files: Vec::new(),
                outcome: turn::Outcome::Answered,
                words: Words::Secret,
            },
            Body::Approval { approval: ApprovalId::new("q"), preview: "x".into(), expires_at: 9 },
            Body::Pairing { pairing: "p".into(), text: "c0de".into() },
            Body::Callback { url: String::new(), payload: "{}".into() },
        ];
        assert!(silent.into_iter().all(|body| told(&out(body)).is_empty()));
    }

    #[test]
    fn only_what_is_wanted_is_told() {
        for (words, count) in
            [(&["message"][..], 1), (&["file"], 1), (&["file", "message"], 2), (&["job"], 0)]
        {
            let wanted = words.iter().map(|word| Kind::parse(word).unwrap()).collect();
            assert_eq!(payloads(&wanted, &answer(), 7).1.len(), count, "{words:?}");
        }
        assert_eq!(Kind::words(), "message, notification, file, approval, job");
    }
}
