//! What takes work in, put together: the intakes of clients that read what is stored, and the scheduler.

use std::sync::Arc;

use crate::{
    actors::{
        intake::{Intake, IntakeDoors, IntakeSettings},
        kernel::Role,
        root::ChildSpec,
        scheduler::{Scheduler, SchedulerDoors},
    },
    domain::outbound::STREAM_CHANNELS,
};

use super::{
    actors::{STAGE_IN, handle, spec},
    parts::{Doors, Parts},
};

/// The intakes of those channels, and the scheduler.
pub(super) fn children(parts: &Arc<Parts>, doors: &Doors) -> Vec<ChildSpec> {
    const NAMES: [&str; STREAM_CHANNELS.len()] = ["intake_api", "intake_terminal"];
    let mut children: Vec<ChildSpec> = NAMES
        .into_iter()
        .zip(STREAM_CHANNELS)
        .map(|(name, channel)| {
            let pace = parts.config.channels.get(channel).map_or(0, |channel| channel.messages_per_minute);
            intake(parts, doors, name, channel, pace)
        })
        .collect();
    children.push(scheduler(parts, doors));
    children
}

/// The intake of a channel, which takes so many messages a minute of each user.
pub(super) fn intake(
    parts: &Arc<Parts>,
    doors: &Doors,
    name: &'static str,
    channel: &'static str,
    messages_per_minute: u32,
) -> ChildSpec {
    let (kit, intake) = (Arc::clone(parts), intake_doors(doors));
    let (offer, order) = (doors.offer[channel].clone(), doors.order[channel].clone());
    let suggest = doors.suggest[channel].clone();
    let max_input_length = parts.config.agent.max_input_length;
    let settings = IntakeSettings { channel, max_input_length, messages_per_minute };
    spec(name, "intake", STAGE_IN, move |life| {
        let vitals = Arc::clone(life.vitals());
        let (settings, intake, clock) = (settings.clone(), intake.clone(), Arc::clone(&kit.base.clock));
        let addr = kit.base.placement.start(Role::Here, move |_| Intake::new(life, settings, intake, clock));
        offer.open(addr.clone().recipient(), Arc::clone(&vitals));
        order.open(addr.clone().recipient(), Arc::clone(&vitals));
        suggest.open(addr.clone().recipient(), vitals);
        handle(addr)
    })
}

fn scheduler(parts: &Arc<Parts>, doors: &Doors) -> ChildSpec {
    let (kit, tick) = (Arc::clone(parts), doors.tick.clone());
    let scheduler = SchedulerDoors {
        due: doors.db.read.due_wakeups.clone(),
        done: doors.db.write.wakeups_done.clone(),
        command: doors.command.clone(),
        pairings_over: doors.db.read.pairings_over.clone(),
        expire_pairings: doors.db.write.expire_pairings.clone(),
        prune: doors.db.write.prune.clone(),
    };
    spec("scheduler", "scheduler", STAGE_IN, move |life| {
        let vitals = Arc::clone(life.vitals());
        let (doors, clock) = (scheduler.clone(), Arc::clone(&kit.base.clock));
        let retention = kit.config.store.retention_ms;
        let addr =
            kit.base.placement.start(Role::Here, move |_| Scheduler::new(life, doors, clock, retention));
        tick.open(addr.clone().recipient(), vitals);
        handle(addr)
    })
}

fn intake_doors(doors: &Doors) -> IntakeDoors {
    IntakeDoors {
        route: doors.route.clone(),
        command: doors.command.clone(),
        known: doors.db.read.known.clone(),
        answer: doors.db.write.answer_direct.clone(),
        answers: doors.answers(),
        memories: doors.db.read.list_memories.clone(),
        categories: doors.db.read.memory_categories.clone(),
        under_way: doors.db.read.under_way.clone(),
        today: doors.db.read.today.clone(),
        skills: doors.skills.clone(),
        user: doors.db.read.get_user.clone(),
        prefer: doors.db.write.set_preference.clone(),
        issue_code: doors.db.write.issue_code.clone(),
        providers: doors.providers.clone(),
        approvals: doors.db.read.list_approvals.clone(),
        projects: doors.db.read.list_projects.clone(),
        project: doors.db.read.find_project.clone(),
        list_tasks: doors.db.read.list_tasks.clone(),
        schedules: doors.db.read.list_schedules.clone(),
        task: doors.db.read.get_task.clone(),
        submit: doors.submit.clone(),
        fresh: doors.fresh.clone(),
    }
}
