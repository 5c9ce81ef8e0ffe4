//! The chat platforms that are switched on, and the actors that deliver to them.

use std::sync::Arc;

use crate::{
    actors::{
        delivery::chat::{ChatDelivery, ChatDoors, ChatKit},
        kernel::Role,
        root::ChildSpec,
    },
    domain::{
        chat::{DISCORD, TELEGRAM},
        markup::Flavor,
        pace::{self, Pace},
    },
};

use super::{
    actors::{STAGE_DELIVERY, handle, spec},
    parts::{Doors, Parts},
};

/// One delivery a platform.
pub(super) fn deliveries(parts: &Arc<Parts>, doors: &Doors) -> Vec<ChildSpec> {
    let mut children = Vec::new();
    for platform in &parts.platforms {
        let (name, flavor, limits) = match platform.name() {
            TELEGRAM => ("delivery_telegram", Flavor::Telegram, pace::TELEGRAM),
            DISCORD => ("delivery_discord", Flavor::Discord, pace::DISCORD),
            _ => continue,
        };
        let Some(open) = doors.deliveries.get(platform.name()).cloned() else { continue };
        let (kit, platform, doors) = (Arc::clone(parts), Arc::clone(platform), doors.clone());
        children.push(spec(name, "delivery", STAGE_DELIVERY, move |life| {
            let vitals = Arc::clone(life.vitals());
            let chat = ChatKit {
                platform: Arc::clone(&platform),
                flavor,
                pace: Pace::new(limits),
                links: kit.base.links.clone(),
                doors: chat_doors(&doors),
                subscribe: doors.subscribe.clone(),
                clock: Arc::clone(&kit.base.clock),
                ending: doors.ending.clone(),
            };
            let addr = kit.base.placement.start(Role::Here, move |_| ChatDelivery::new(life, chat));
            open.open(addr.clone().recipient(), vitals);
            handle(addr)
        }));
    }
    children
}

fn chat_doors(doors: &Doors) -> ChatDoors {
    let (read, write) = (&doors.db.read, &doors.db.write);
    ChatDoors {
        record_post: write.record_post.clone(),
        record_draft: write.record_draft.clone(),
        drop_draft: write.drop_draft.clone(),
        before: read.before_post.clone(),
        stale_drafts: read.stale_drafts.clone(),
        user: read.get_user.clone(),
        topic_of: read.topic_of.clone(),
        open_topic: write.open_topic.clone(),
    }
}
