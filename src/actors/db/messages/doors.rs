//! The doors through which the store is reached.

use actix::prelude::*;

use crate::actors::kernel::Door;

use super::{board::*, chats::*, jobs::*, posts::*, reads::*, schedules::*, writes::*};

macro_rules! doors {
    ($(#[$doc:meta])* $name:ident, $label:literal, $open:ident { $($field:ident: $message:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name {
            $(#[doc = concat!("For [`", stringify!($message), "`].")] pub $field: Door<$message>),*
        }

        impl $name {
            /// Doors with nobody behind them.
            pub fn closed() -> Self {
                Self { $($field: Door::closed($label)),* }
            }

            /// Puts an actor behind all of them.
            pub fn $open<A>(&self, actor: &Addr<A>, vitals: &std::sync::Arc<crate::actors::kernel::Vitals>)
            where
                A: Actor<Context = Context<A>>
                    $(+ Handler<crate::actors::kernel::Mail<$message>>)*,
            {
                $(self.$field.open(actor.clone().recipient(), std::sync::Arc::clone(vitals));)*
            }
        }
    };
}

doors!(
    /// The doors of the actor that writes.
    WriteDoors, "the store", open {
        write_turn: WriteTurn,
        accept: Accept,
        answer_direct: AnswerDirect,
        cancel_queued: CancelQueued,
        clear: ClearConversation,
        take_over: TakeOver,
        decide: Decide,
        expire: Expire,
        claim_outbox: ClaimOutbox,
        held_outbox: HeldOutbox,
        settle_outbox: SettleOutbox,
        resend_outbox: ResendOutbox,
        expire_pairings: ExpirePairings,
        record_post: RecordPost,
        record_draft: RecordDraft,
        drop_draft: DropDraft,
        open_topic: OpenTopic,
        store_memory: StoreMemory,
        prepay: Prepay,
        keep_facts: KeepFacts,
        update_memory: UpdateMemory,
        delete_memory: DeleteMemory,
        used_memories: UsedMemories,
        put_user: PutUser,
        create_key: CreateKey,
        revoke_key: RevokeKey,
        touch_key: TouchKey,
        audit: Audit,
        put_file: PutFile,
        wakeups_done: WakeupsDone,
        prune: Prune,
        create_project: CreateProject,
        change_project: ChangeProject,
        set_member: SetMember,
        remove_project: RemoveProject,
        change_board: ChangeBoard,
        create_story: CreateStory,
        change_story: ChangeStory,
        remove_story: RemoveStory,
        create_bot: CreateBot,
        change_bot: ChangeBot,
        remove_bot: RemoveBot,
        claim_story: ClaimStory,
        renew_claim: RenewClaim,
        release_claim: ReleaseClaim,
        add_entry: AddEntry,
        create_job: CreateJob,
        write_job: WriteJob,
        prepay_job: PrepayJob,
        settle_job: SettleJob,
        add_egress: AddEgress,
        expire_jobs: ExpireJobs,
        note_request: NoteRequest,
        create_schedule: CreateSchedule,
        change_schedule: ChangeSchedule,
        remove_schedule: RemoveSchedule,
        schedule_ran: ScheduleRan,
        see_identity: SeeIdentity,
        ask_to_pair: AskToPair,
        answer_pairing: AnswerPairing,
        refuse_identity: RefuseIdentity,
        issue_code: IssueCode,
        redeem_code: RedeemCode,
        change_identity: ChangeIdentity,
        remove_identity: RemoveIdentity,
        post_notice: PostNotice,
        set_position: SetPosition,
        set_preference: SetPreference,
    }
);
doors!(
    /// The doors of the actors that read.
    ReadDoors, "the store's reader", open {
        load: LoadConversation,
        unfinished: Unfinished,
        search_memories: SearchMemories,
        list_memories: ListMemories,
        memory_categories: MemoryCategories,
        get_memory: GetMemory,
        list_approvals: ListApprovals,
        before_post: BeforePost,
        stale_drafts: StaleDrafts,
        topic_of: TopicOf,
        costs: Costs,
        today: Today,
        list_users: ListUsers,
        list_keys: ListKeys,
        find_key: FindKey,
        list_audit: ListAudit,
        verify_audit: VerifyAudit,
        replay: Replay,
        list_outbox: ListOutbox,
        last_event: LastEvent,
        known: Known,
        fate: FateOf,
        under_way: UnderWay,
        due_wakeups: DueWakeups,
        pairings_over: PairingsOver,
        get_file: GetFile,
        health: Health,
        find_project: FindProject,
        list_projects: ListProjects,
        get_board: GetBoard,
        get_story: GetStory,
        list_stories: ListStories,
        story_history: StoryHistory,
        get_bot: GetBot,
        list_bots: ListBots,
        list_entries: ListEntries,
        recall: Recall,
        load_job: LoadJob,
        open_jobs: OpenJobs,
        get_task: GetTask,
        list_tasks: ListTasks,
        list_egress: ListEgress,
        watched_requests: WatchedRequests,
        bot_day: BotDay,
        waiting_proposals: WaitingProposals,
        get_schedule: GetSchedule,
        list_schedules: ListSchedules,
        due_schedules: DueSchedules,
        recognise: Recognise,
        position: GetPosition,
        list_pairings: ListPairings,
        list_identities: ListIdentities,
        get_user: GetUser,
        channel_queues: ChannelQueues,
    }
);

/// All doors to the store.
#[derive(Clone)]
pub struct DbDoors {
    /// To the actor that writes.
    pub write: WriteDoors,
    /// To the actors that read.
    pub read: ReadDoors,
    /// To the one that keeps house.
    pub backup: Door<Backup>,
}

impl DbDoors {
    /// Doors with nobody behind them.
    pub fn closed() -> Self {
        Self {
            write: WriteDoors::closed(),
            read: ReadDoors::closed(),
            backup: Door::closed("the store's keeper"),
        }
    }
}
