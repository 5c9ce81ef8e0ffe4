//! Bots at work, put together: whom they talk to, and their actors.

use std::sync::Arc;

use crate::{
    actors::{
        bots::{Bots, BotsDoors, BotsKit, BotsParts, BotsSettings, Poller, PollerHandle},
        kernel::{Registry, Role},
        root::ChildSpec,
    },
    app::jobs::LEASE_MS,
};

use super::{
    actors::{STAGE_IN, handle, spec},
    parts::{Doors, Parts},
};

/// The actor of all bots.
pub(super) fn children(parts: &Arc<Parts>, doors: &Doors, registry: &Registry) -> Vec<ChildSpec> {
    let kit = Arc::new(BotsKit {
        doors: bots_doors(doors),
        settings: BotsSettings {
            take: parts.config.jobs.bots,
            lease_ms: LEASE_MS,
            request_poll_ms: parts.config.jobs.request_poll_ms,
        },
        origins: Arc::clone(&parts.coding.origins),
        clock: Arc::clone(&parts.base.clock),
        metrics: parts.base.metrics.clone(),
    });
    let (of_pollers, placement) = (Arc::clone(&kit), parts.base.placement.clone());
    let bots = BotsParts {
        // On the thread of their parent: they wait, and that is all.
        start: Arc::new(move |bot, life| {
            let kit = Arc::clone(&of_pollers);
            let addr = placement.start(Role::Here, move |_| Poller::new(life, bot, kit));
            PollerHandle {
                wake: addr.clone().recipient(),
                observe: addr.clone().recipient(),
                stop: addr.recipient(),
            }
        }),
        kit,
        registry: registry.clone(),
    };
    let (placement, doors) = (parts.base.placement.clone(), doors.clone());
    vec![spec("bots", "bots", STAGE_IN, move |life| {
        let vitals = Arc::clone(life.vitals());
        let bots = bots.clone();
        let addr = placement.start(Role::Here, move |_| Bots::new(life, bots));
        doors.bot_changed.open(addr.clone().recipient(), Arc::clone(&vitals));
        doors.look_at_bot.open(addr.clone().recipient(), Arc::clone(&vitals));
        doors.polled.open(addr.clone().recipient(), vitals);
        handle(addr)
    })]
}

fn bots_doors(doors: &Doors) -> BotsDoors {
    let (read, write) = (&doors.db.read, &doors.db.write);
    BotsDoors {
        bot: read.get_bot.clone(),
        bots: read.list_bots.clone(),
        claim: write.claim_story.clone(),
        renew: write.renew_claim.clone(),
        release: write.release_claim.clone(),
        story: read.get_story.clone(),
        stories: read.list_stories.clone(),
        history: read.story_history.clone(),
        board: read.get_board.clone(),
        file: read.get_file.clone(),
        recall: read.recall.clone(),
        add_entry: write.add_entry.clone(),
        day: read.bot_day.clone(),
        proposals: read.waiting_proposals.clone(),
        task: read.get_task.clone(),
        tasks: read.list_tasks.clone(),
        open: read.open_jobs.clone(),
        due: read.due_schedules.clone(),
        ran: write.schedule_ran.clone(),
        project: read.find_project.clone(),
        watched: read.watched_requests.clone(),
        note_request: write.note_request.clone(),
        submit: doors.submit.clone(),
        tell: doors.tell_job.clone(),
        polled: doors.polled.clone(),
    }
}
