//! What the store is asked about people on chat platforms.

use crate::domain::{
    Millis,
    audit::Act,
    chat::Place,
    identity::{
        Identity, IdentityChange, NewCode, NewPairing, Pairing, PairingAnswer, Recognised, Redeemed,
        Redemption,
    },
    ids::UserId,
    outbound::{NewOutbox, OutboxRow},
    records::{ChannelQueue, Preference, User},
};

use super::message;

message!(
    /// Notes that somebody wrote.
    SeeIdentity { /// On which platform.
        channel: String, /// The platform's id of them.
        external: String, /// What they call themselves.
        name: String, /// Where, when they were alone with us.
        direct: Option<Place>, /// When.
        now: Millis } -> Identity
);
message!(
    /// Gives a stranger a code, and tells them and the owners; nothing when they are to be left alone.
    AskToPair { /// Who.
        pairing: NewPairing, /// The platforms on which owners can be told.
        platforms: Vec<String> } -> Vec<OutboxRow>
);
message!(
    /// Lets a stranger in, or sends them away.
    AnswerPairing { /// The answer.
        answer: PairingAnswer } -> (Pairing, Option<Identity>, Vec<OutboxRow>)
);
message!(
    /// Closes the pairings that nobody decided in time.
    ExpirePairings { /// When.
        now: Millis } -> ()
);
message!(
    /// Whether there are any.
    PairingsOver { /// When.
        now: Millis } -> bool
);
message!(
    /// Tells somebody, once, that they may not write.
    RefuseIdentity { /// On which platform.
        channel: String, /// The platform's id of them.
        external: String, /// What they call themselves.
        name: String, /// What they are told.
        notice: NewOutbox, /// When.
        now: Millis } -> Option<OutboxRow>
);
message!(
    /// Stores a code that joins an account to a user.
    IssueCode { /// The code.
        code: NewCode } -> ()
);
message!(
    /// Joins an account to the user whose code it shows.
    RedeemCode { /// What was shown.
        shown: Redemption } -> Redeemed
);
message!(
    /// Changes what an account may do and who it is.
    ChangeIdentity { /// On which platform.
        channel: String, /// The platform's id of it.
        external: String, /// What.
        change: IdentityChange, /// For the audit log.
        act: Act } -> Identity
);
message!(
    /// Forgets an account.
    RemoveIdentity { /// On which platform.
        channel: String, /// The platform's id of it.
        external: String, /// For the audit log.
        act: Act } -> ()
);
message!(
    /// Stores messages of ours.
    PostNotice { /// The messages.
        notices: Vec<NewOutbox>, /// Channel and id of what came in and is answered with them instead of being taken.
        once: Option<(String, String)>, /// When.
        now: Millis } -> Vec<OutboxRow>
);
message!(
    /// Notes where listening at a platform goes on from.
    SetPosition { /// At which.
        channel: String, /// Where.
        position: String } -> ()
);
message!(
    /// Notes what a person chose for themselves.
    SetPreference { /// Who.
        user: UserId, /// What.
        preference: Preference, /// When.
        now: Millis } -> User
);

message!(
    /// What is known of somebody who writes.
    Recognise { /// On which platform.
        channel: String, /// The platform's id of them.
        external: String, /// What they call themselves.
        name: String, /// The platform's id of the chat.
        chat: String, /// The platform's name of what came in.
        incoming: String } -> Recognised
);
message!(
    /// Where listening at a platform goes on from.
    GetPosition { /// At which.
        channel: String } -> Option<String>
);
message!(
    /// Strangers who wait, the oldest first.
    ListPairings { /// When.
        now: Millis } -> Vec<Pairing>
);
message!(
    /// Accounts, and how many there are.
    ListIdentities { /// How many at most.
        limit: usize, /// How many to skip.
        offset: usize } -> (Vec<Identity>, u64)
);
message!(
    /// One person.
    GetUser { /// Who.
        user: UserId } -> Option<User>
);
message!(
    /// How the messages of each channel are doing that did not arrive yet.
    ChannelQueues {} -> Vec<ChannelQueue>
);
