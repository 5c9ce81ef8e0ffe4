//! Wires the actor tree: who knocks at whose door, on which thread, in which order all start and end.

use std::{collections::BTreeMap, sync::Arc};

use actix::prelude::*;
use arc_swap::ArcSwap;

use crate::{
    actors::{
        db::{Db, DbKeeper, DbReader},
        delivery::Delivery,
        event_hub::{EventHub, messages::Publish},
        kernel::{Door, Life, Registry, Role},
        llm_pool::LlmPool,
        outbox::{Hand, Outbox, OutboxDoors},
        root::{ChildHandle, ChildSpec, RootKit},
        router::{Router, RouterKit, SessionHandle},
        session::{Session, SessionDoors, SessionKit, SessionSettings},
        skill_host::{SkillHost, ToolDoors, messages::Shelf},
    },
    channels::StreamChannel,
    domain::{
        outbound::{CALLBACK_CHANNEL, LiveEvent, STREAM_CHANNELS, is_stream},
        skill::ToolBook,
    },
    llm,
    ports::channel::{Channel, Resend},
};

use super::{
    bots, chats, incoming, jobs,
    parts::{Base, Doors, Parts},
    receptions,
};

/// Connections that read the store.
const READERS: usize = 2;
/// Threads for them, and one for the keeper: a backup holds up no reader.
pub(super) const STORE_THREADS: usize = READERS + 1;
/// Stages of the drain: what takes work in, what works, what works use, what sends, and from here the store.
pub(super) const STAGE_IN: u8 = 1;
pub(super) const STAGE_WORK: u8 = 2;
const STAGE_TOOLS: u8 = 3;
const STAGE_OUTBOX: u8 = 4;
pub(super) const STAGE_DELIVERY: u8 = 5;
const STAGE_HUB: u8 = 6;
const STAGE_READERS: u8 = 7;
const STAGE_STORE: u8 = 8;

/// The tree, ready to be started by a root, and the doors to it.
pub struct Assembled {
    /// For the root.
    pub root: RootKit,
    /// For those outside.
    pub doors: Doors,
    /// All actors.
    pub registry: Registry,
}

/// Wires everything, and opens these doors as the actors behind them start. Whatever is made before may hold them already.
pub fn assemble(parts: Parts, doors: Doors) -> Assembled {
    let registry = Registry::default();
    let parts = Arc::new(parts);
    let mut children = store_children(&parts.base, &doors);
    children.extend(outgoing_children(&parts, &doors));
    children.extend(working_children(&parts, &doors, &registry));
    children.extend(jobs::children(&parts, &doors, &registry));
    children.extend(bots::children(&parts, &doors, &registry));
    children.extend(incoming::children(&parts, &doors));
    children.extend(receptions::children(&parts, &doors));
    let root = root_kit(&parts.base, children, &doors, &registry);
    Assembled { root, doors, registry }
}

/// The actors of the store alone: for the command line.
pub fn assemble_store(base: &Base) -> Assembled {
    let (doors, registry) = (Doors::closed(), Registry::default());
    let root = root_kit(base, store_children(base, &doors), &doors, &registry);
    Assembled { root, doors, registry }
}

fn root_kit(base: &Base, children: Vec<ChildSpec>, doors: &Doors, registry: &Registry) -> RootKit {
    RootKit {
        children,
        store_stage: STAGE_HUB,
        sessions: doors.restart_session.clone(),
        clock: Arc::clone(&base.clock),
        registry: registry.clone(),
        metrics: base.metrics.clone(),
    }
}

pub(super) fn spec(
    name: &'static str,
    kind: &'static str,
    stage: u8,
    start: impl Fn(Life) -> ChildHandle + 'static,
) -> ChildSpec {
    let replace_frozen = stage < STAGE_READERS;
    ChildSpec { name, kind, stage, replace_frozen, start: Box::new(start) }
}

pub(super) fn handle<A>(addr: Addr<A>) -> ChildHandle
where
    A: Actor<Context = Context<A>>
        + Handler<crate::actors::kernel::Mail<crate::actors::kernel::messages::Observe>>
        + Handler<crate::actors::kernel::Mail<crate::actors::kernel::messages::Stop>>,
{
    ChildHandle { observe: addr.clone().recipient(), stop: addr.recipient() }
}

fn store_children(base: &Base, doors: &Doors) -> Vec<ChildSpec> {
    const READER_NAMES: [&str; READERS] = ["db_reader_1", "db_reader_2"];
    let mut children = Vec::new();
    let (kit, open) = (base.clone(), doors.db.write.clone());
    children.push(spec("db", "db", STAGE_STORE, move |life| {
        let vitals = Arc::clone(life.vitals());
        let Base { store, boot, clock, metrics, told, .. } = kit.clone();
        let writer = move |_: &mut _| Db::new(life, store, boot, clock, metrics).telling(told);
        let addr = kit.placement.start(Role::Db, writer);
        open.open(&addr, &vitals);
        handle(addr)
    }));
    let (kit, open) = (base.clone(), doors.db.backup.clone());
    children.push(spec("db_keeper", "db_keeper", STAGE_READERS, move |life| {
        let vitals = Arc::clone(life.vitals());
        let path = kit.store.clone();
        let addr = kit.placement.start(Role::Reader(READERS), move |_| DbKeeper::new(life, path));
        open.open(addr.clone().recipient(), vitals);
        handle(addr)
    }));
    for (at, name) in READER_NAMES.into_iter().enumerate() {
        let (kit, open) = (base.clone(), doors.db.read.clone());
        children.push(spec(name, "db_reader", STAGE_READERS, move |life| {
            let vitals = Arc::clone(life.vitals());
            let path = kit.store.clone();
            let addr = kit.placement.start(Role::Reader(at), move |_| DbReader::new(life, path));
            open.open(&addr, &vitals);
            handle(addr)
        }));
    }
    children
}

fn outgoing_children(parts: &Arc<Parts>, doors: &Doors) -> Vec<ChildSpec> {
    const NAMES: [&str; STREAM_CHANNELS.len()] = ["delivery_api", "delivery_terminal"];
    let mut children = Vec::new();
    let (kit, publish, subscribe) = (Arc::clone(parts), doors.publish.clone(), doors.subscribe.clone());
    children.push(spec("event_hub", "event_hub", STAGE_HUB, move |life| {
        let vitals = Arc::clone(life.vitals());
        let addr = kit.base.placement.start(Role::Here, move |_| EventHub::new(life));
        publish.open(addr.clone().recipient(), Arc::clone(&vitals));
        subscribe.open(addr.clone().recipient(), vitals);
        handle(addr)
    }));
    for (name, channel) in NAMES.into_iter().zip(STREAM_CHANNELS) {
        let (kit, publish) = (Arc::clone(parts), doors.publish.clone());
        let open = doors.deliveries[channel].clone();
        children.push(spec(name, "delivery", STAGE_DELIVERY, move |life| {
            let vitals = Arc::clone(life.vitals());
            let channel = stream_channel(channel, publish.clone());
            let addr = kit.base.placement.start(Role::Here, move |_| Delivery::new(life, channel));
            open.open(addr.clone().recipient(), vitals);
            handle(addr)
        }));
    }
    let (kit, open) = (Arc::clone(parts), doors.fresh.clone());
    children.push(callback_child(parts, doors));
    children.extend(chats::deliveries(parts, doors));
    let resend = |name: &str| match parts.platforms.iter().find(|platform| platform.name() == name) {
        Some(platform) => Some(platform.abilities().resend),
        None if is_stream(name) => Some(Resend::Never),
        None => (name == CALLBACK_CHANNEL).then_some(Resend::Safe),
    };
    let known = |(name, door): (&&'static str, &Door<_>)| Some((*name, (door.clone(), resend(name)?)));
    let deliveries = doors.deliveries.iter().filter_map(known).collect();
    let outbox = OutboxDoors {
        claim: doors.db.write.claim_outbox.clone(),
        held: doors.db.write.held_outbox.clone(),
        settle: doors.db.write.settle_outbox.clone(),
        deliveries,
        ending: doors.ending.clone(),
    };
    let hand = Arc::new(Hand::default());
    children.push(spec("outbox", "outbox", STAGE_OUTBOX, move |life| {
        let vitals = Arc::clone(life.vitals());
        let (outbox, hand) = (outbox.clone(), Arc::clone(&hand));
        let (clock, metrics) = (Arc::clone(&kit.base.clock), kit.base.metrics.clone());
        let addr =
            kit.base.placement.start(Role::Here, move |_| Outbox::new(life, outbox, hand, clock, metrics));
        open.open(addr.clone().recipient(), vitals);
        handle(addr)
    }));
    children
}

/// The delivery of what is posted to addresses that were given with tasks.
fn callback_child(parts: &Arc<Parts>, doors: &Doors) -> ChildSpec {
    let (kit, open) = (Arc::clone(parts), doors.deliveries[CALLBACK_CHANNEL].clone());
    spec("delivery_callback", "delivery", STAGE_DELIVERY, move |life| {
        let vitals = Arc::clone(life.vitals());
        let channel = Arc::clone(&kit.callbacks) as Arc<dyn Channel>;
        let addr = kit.base.placement.start(Role::Here, move |_| Delivery::new(life, channel));
        open.open(addr.clone().recipient(), vitals);
        handle(addr)
    })
}

fn stream_channel(name: &'static str, publish: Door<Publish>) -> Arc<dyn Channel> {
    Arc::new(StreamChannel::new(
        name,
        Arc::new(move |row| {
            let told = publish.send(Publish(Arc::new(LiveEvent::Sent(row))));
            // Nobody may be listening, or the hub be down: the row is stored, and read from there.
            Box::pin(async move {
                let _ = told.await;
            })
        }),
    ))
}

fn working_children(parts: &Arc<Parts>, doors: &Doors, registry: &Registry) -> Vec<ChildSpec> {
    let shelf: Shelf = Arc::new(ArcSwap::from_pointee(ToolBook::default()));
    let mut children = Vec::new();
    let (kit, complete, providers) = (Arc::clone(parts), doors.complete.clone(), doors.providers.clone());
    children.push(spec("llm_pool", "llm_pool", STAGE_TOOLS, move |life| {
        let vitals = Arc::clone(life.vitals());
        let (models, bounds) = (kit.models.clone(), kit.config.answer_bounds);
        let (clock, metrics) = (Arc::clone(&kit.base.clock), kit.base.metrics.clone());
        let addr = kit
            .base
            .placement
            .start(Role::Models, move |_| LlmPool::new(life, models, bounds, clock, metrics));
        complete.open(addr.clone().recipient(), Arc::clone(&vitals));
        providers.open(addr.clone().recipient(), vitals);
        handle(addr)
    }));
    let (kit, tool, skills) = (Arc::clone(parts), doors.tool.clone(), doors.skills.clone());
    let (tool_doors, on_shelf) = (tool_doors(doors), Arc::clone(&shelf));
    children.push(spec("skill_host", "skill_host", STAGE_TOOLS, move |life| {
        let vitals = Arc::clone(life.vitals());
        let (shelf, doors, shared) = (Arc::clone(&on_shelf), tool_doors.clone(), Arc::clone(&kit.skills));
        let (clock, metrics) = (Arc::clone(&kit.base.clock), kit.base.metrics.clone());
        let addr = kit
            .base
            .placement
            .start(Role::Here, move |_| SkillHost::new(life, shelf, doors, shared, clock, metrics));
        tool.open(addr.clone().recipient(), Arc::clone(&vitals));
        skills.open(addr.clone().recipient(), vitals);
        handle(addr)
    }));
    let router = router_kit(parts, doors, shelf, registry.clone());
    let (kit, route, command) = (Arc::clone(parts), doors.route.clone(), doors.command.clone());
    let restart = doors.restart_session.clone();
    children.push(spec("router", "router", STAGE_WORK, move |life| {
        let vitals = Arc::clone(life.vitals());
        let router = router.clone();
        let addr = kit.base.placement.start(Role::Here, move |_| Router::new(life, router));
        route.open(addr.clone().recipient(), Arc::clone(&vitals));
        command.open(addr.clone().recipient(), Arc::clone(&vitals));
        restart.open(addr.clone().recipient(), vitals);
        handle(addr)
    }));
    children
}

fn tool_doors(doors: &Doors) -> ToolDoors {
    let (read, write) = (&doors.db.read, &doors.db.write);
    ToolDoors {
        store: write.store_memory.clone(),
        update: write.update_memory.clone(),
        delete: write.delete_memory.clone(),
        used: write.used_memories.clone(),
        search: read.search_memories.clone(),
        list: read.list_memories.clone(),
        put_file: write.put_file.clone(),
    }
}

fn router_kit(parts: &Arc<Parts>, doors: &Doors, shelf: Shelf, registry: Registry) -> RouterKit {
    let session = Arc::new(SessionKit {
        doors: session_doors(doors),
        settings: session_settings(parts),
        shelf,
        personas: Arc::clone(&parts.personas),
        clock: Arc::clone(&parts.base.clock),
        metrics: parts.base.metrics.clone(),
    });
    let placement = parts.base.placement.clone();
    RouterKit {
        start: Arc::new(move |id, thread, life| {
            let kit = Arc::clone(&session);
            let addr = placement.start(Role::Session(thread), move |_| Session::new(life, id, kit));
            SessionHandle {
                deliver: addr.clone().recipient(),
                tell: addr.clone().recipient(),
                observe: addr.clone().recipient(),
                stop: addr.recipient(),
            }
        }),
        unfinished: doors.db.read.unfinished.clone(),
        idle_ms: parts.config.agent.session_idle_ms,
        clock: Arc::clone(&parts.base.clock),
        registry,
        metrics: parts.base.metrics.clone(),
    }
}

fn session_doors(doors: &Doors) -> SessionDoors {
    let (read, write) = (&doors.db.read, &doors.db.write);
    SessionDoors {
        load: read.load.clone(),
        take_over: write.take_over.clone(),
        write: write.write_turn.clone(),
        accept: write.accept.clone(),
        cancel_queued: write.cancel_queued.clone(),
        clear: write.clear.clone(),
        expire: write.expire.clone(),
        search: read.search_memories.clone(),
        prepay: write.prepay.clone(),
        keep_facts: write.keep_facts.clone(),
        complete: doors.complete.clone(),
        tool: doors.tool.clone(),
        fresh: doors.fresh.clone(),
        publish: doors.publish.clone(),
    }
}

fn session_settings(parts: &Parts) -> SessionSettings {
    let (config, (worst_price, max_output)) = (&parts.config, llm::worst(&parts.models));
    let while_busy: BTreeMap<_, _> =
        config.channels.iter().map(|(name, channel)| (name.clone(), channel.while_busy)).collect();
    SessionSettings {
        limits: config.agent.limits.clone(),
        user_caps: config.user_caps,
        retrieval_limit: config.agent.retrieval_limit,
        auto_extraction: config.agent.auto_extraction,
        queue_limit: config.agent.queue_limit,
        tool_timeout_ms: config.agent.tool_timeout_ms,
        while_busy,
        models: llm_names(parts),
        worst_price,
        max_output,
        answer_ms: config.answer_bounds.total_ms.unsigned_abs(),
    }
}

/// What the models are called that may answer.
fn llm_names(parts: &Parts) -> Vec<String> {
    parts.models.iter().flat_map(|model| [model.name().to_owned(), model.model().to_owned()]).collect()
}
