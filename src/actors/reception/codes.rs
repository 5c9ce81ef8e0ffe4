//! Codes that join an account to a user, shown in a chat with us alone.

use crate::{
    actors::db::messages::{DbError, PostNotice, RedeemCode},
    domain::{
        chat::{Event, Incoming, Receipt},
        gate,
        identity::{self, Redeemed, Redemption, TRIES},
        ids::UserId,
    },
    ports::platform::NotNow,
};

use super::{
    kit::Desk,
    told::{hand_over, turn_away},
};

/// The code that somebody shows us, alone; the error is what to tell them.
pub(super) fn shown(incoming: &Incoming) -> Option<Result<String, &'static str>> {
    let words = match &incoming.event {
        Event::Message { text, .. } => text,
        Event::Command { line, .. } => line,
        Event::Edited { .. } | Event::Tap { .. } => return None,
    };
    gate::code_in(words).filter(|_| !incoming.group)
}

/// Joins the account to the user whose code it is.
pub(super) async fn redeem(
    desk: &Desk,
    incoming: &Incoming,
    code: Result<String, &'static str>,
) -> Result<Receipt, NotNow> {
    let code = match code {
        Ok(code) => code,
        Err(why) => return turn_away(desk, incoming, why.trim_end_matches('.')).await,
    };
    let sender = &incoming.sender;
    let shown = Redemption {
        code,
        channel: desk.channel().to_owned(),
        external: sender.id.clone(),
        name: sender.name.clone(),
        place: incoming.place.clone(),
        now: desk.kit.clock.now(),
    };
    let redeemed = desk.kit.doors.redeem.ask(RedeemCode { shown }).await;
    match redeemed.map_err(|error: DbError| NotNow(error.to_string()))? {
        Redeemed::Joined { identity, moved } => {
            let text = joined(&identity.user, identity.role.as_str(), moved);
            tell(desk, incoming, &identity.user, &text).await
        }
        Redeemed::Already(identity) => {
            let text = format!("This account is {} already.", identity.user);
            tell(desk, incoming, &identity.user, &text).await
        }
        Redeemed::Wrong => {
            let why =
                "there is no such code any more: codes hold for 10 minutes and work once; ask for a new one";
            turn_away(desk, incoming, why).await
        }
        Redeemed::Locked { wait_ms, now: true } => {
            let minutes = wait_ms.div_ceil(60_000);
            let why = format!("{TRIES} codes were wrong; codes of yours are read again in {minutes} minutes");
            turn_away(desk, incoming, &why).await
        }
        Redeemed::Locked { .. } => Ok(Receipt::Ignored),
    }
}

fn joined(user: &UserId, role: &str, (memories, schedules): (usize, usize)) -> String {
    let mut text = format!(
        "This account is {user} from now on, as {role}: one memory and one set of schedules, wherever you write. \
         Conversations stay apart."
    );
    if memories + schedules > 0 {
        text.push_str(&format!(" {memories} memories and {schedules} schedules came along."));
    }
    text
}

/// Tells what came of a code: a platform that waits for an answer at once, others with a message.
async fn tell(desk: &Desk, incoming: &Incoming, user: &UserId, text: &str) -> Result<Receipt, NotNow> {
    let is_waited_for = matches!(incoming.event, Event::Command { token: Some(_), .. });
    let notice = identity::notice(desk.channel(), &incoming.place, user, "Linked", text);
    let Ok(notice) = notice else { return Ok(Receipt::Ignored) };
    let once = Some((desk.channel().to_owned(), incoming.id.clone()));
    let notices = if is_waited_for { Vec::new() } else { vec![notice] };
    let post = PostNotice { notices, once, now: desk.kit.clock.now() };
    let rows = desk.kit.doors.post.ask(post).await.map_err(|error: DbError| NotNow(error.to_string()))?;
    hand_over(desk, rows).await;
    Ok(if is_waited_for { Receipt::Said(text.to_owned()) } else { Receipt::Taken })
}
