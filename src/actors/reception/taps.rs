//! Buttons: an answer to a question, a stranger let in or sent away. Whoever may not, or comes too late, is told so.

use crate::{
    actors::db::messages::{AnswerPairing, DbError},
    domain::{
        access::Role,
        approval::{self, Answer, Choice, Status},
        chat::{Press, Receipt, Way},
        identity::{self, PairingAnswer, WhichPairing},
        ids::ApprovalId,
    },
    ports::platform::NotNow,
};

use super::{
    kit::{Desk, Guest},
    told::hand_over,
};

fn said(text: impl Into<String>) -> Result<Receipt, NotNow> {
    Ok(Receipt::Said(text.into()))
}

/// Does what a button stands for.
pub(super) async fn tap(desk: &Desk, guest: &Guest, data: &str) -> Result<Receipt, NotNow> {
    match Press::parse(data) {
        Some(Press::Decide { approval, way }) => decide(desk, guest, approval, way).await,
        Some(Press::Pair { pairing, admit }) => pair(desk, guest, pairing, admit).await,
        None => said("This button does nothing any more."),
    }
}

/// Who decides, for people.
fn by(guest: &Guest) -> String {
    format!("{} ({})", guest.identity.name, guest.identity.user)
}

async fn decide(desk: &Desk, guest: &Guest, approval: String, way: Way) -> Result<Receipt, NotNow> {
    let user = guest.identity.user.clone();
    let choice = match way {
        Way::Approve | Way::Reject => Choice::Plain,
        Way::NoRequest => Choice::NoRequest,
        Way::ForJob => Choice::Job,
        Way::ForProject => Choice::Project,
    };
    let approve = way != Way::Reject;
    let answer = Answer {
        id: ApprovalId::new(approval),
        approve,
        reason: None,
        by: by(guest),
        actor: format!("user:{user}"),
        user,
        owner: guest.role == Role::Owner,
        member: false,
        choice,
        now: desk.kit.clock.now(),
    };
    if guest.role < Role::Developer {
        return said("You may look here, and not decide.");
    }
    match desk.kit.doors.answers.give(answer, guest.role).await {
        Ok(_) if approve => said("Approved."),
        Ok(_) => said("Rejected."),
        Err(DbError::Approval(refusal)) => said(refused(&refusal)),
        Err(error) => Err(NotNow(error.to_string())),
    }
}

fn refused(refusal: &approval::Refusal) -> String {
    match refusal {
        approval::Refusal::Unknown => "This is not for you to decide.".into(),
        approval::Refusal::Settled { status, by: Some(by) } => {
            let how = match status {
                Status::Consumed => Status::Approved.as_str(),
                other => other.as_str(),
            };
            format!("Already {how} by {by}.")
        }
        approval::Refusal::Settled { .. } => "The work that asked this is over.".into(),
        approval::Refusal::Expired => "It was asked too long ago: ask for the work again.".into(),
        approval::Refusal::OwnersOnly => "Only an owner may decide this.".into(),
        approval::Refusal::Choice(_) => "This button does not fit the question any more.".into(),
    }
}

async fn pair(desk: &Desk, guest: &Guest, pairing: String, admit: bool) -> Result<Receipt, NotNow> {
    if guest.role < Role::Owner {
        return said("Only an owner lets people in.");
    }
    let answer = PairingAnswer {
        which: WhichPairing::Id(pairing),
        admit,
        role: Role::Developer,
        user: None,
        // Other owners read it in their chats: a name, and no number where the name tells who it is.
        by: guest.label.clone(),
        actor: format!("user:{}", guest.identity.user),
        now: desk.kit.clock.now(),
    };
    match desk.kit.doors.answer_pairing.ask(AnswerPairing { answer }).await {
        Ok((pairing, _, rows)) => {
            hand_over(desk, rows).await;
            said(if admit {
                format!("{} may write now.", pairing.name)
            } else {
                format!("{} was sent away.", pairing.name)
            })
        }
        Err(DbError::Identity(identity::Refusal::NobodyWaits)) => {
            said("Nobody waits here any more: codes hold for 10 minutes.")
        }
        Err(DbError::Identity(refusal)) => said(format!("{refusal}.")),
        Err(error) => Err(NotNow(error.to_string())),
    }
}
