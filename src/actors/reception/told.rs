//! What people are told of what they wrote: stored first, as all that goes out.

use crate::{
    actors::{
        db::messages::{DbError, PostNotice},
        outbox::messages::Fresh,
    },
    domain::{
        chat::{Event, Incoming, Receipt},
        identity,
        outbound::OutboxRow,
    },
    ports::platform::NotNow,
};

use super::kit::Desk;

/// Sends what was stored. If the outbox is down it finds the rows when it is up again.
pub(super) async fn hand_over(desk: &Desk, rows: Vec<OutboxRow>) {
    if !rows.is_empty() {
        let _ = desk.kit.doors.fresh.send(Fresh(rows)).await;
    }
}

/// Says why something is not taken, once for each thing that comes in.
pub(super) async fn turn_away(desk: &Desk, incoming: &Incoming, why: &str) -> Result<Receipt, NotNow> {
    if let Event::Command { token: Some(_), .. } = &incoming.event {
        return Ok(Receipt::Said(format!("Not taken: {why}.")));
    }
    let channel = desk.channel();
    let user = match incoming.group {
        true => identity::group_user(channel, &incoming.place.chat),
        false => identity::own_user(channel, &incoming.sender.id),
    };
    let to = user
        .and_then(|user| identity::notice(channel, &incoming.place, &user, "Not taken", &format!("{why}.")));
    let Ok(notice) = to else { return Ok(Receipt::Ignored) };
    let once = Some((channel.to_owned(), incoming.id.clone()));
    let post = PostNotice { notices: vec![notice], once, now: desk.kit.clock.now() };
    let rows = desk.kit.doors.post.ask(post).await.map_err(|error: DbError| NotNow(error.to_string()))?;
    hand_over(desk, rows).await;
    Ok(Receipt::Ignored)
}
