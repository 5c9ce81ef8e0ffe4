//! Pollers and schedules alone, in virtual time: a neighbour stands for the store and for the jobs.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::prelude::*;

use super::{
    messages::{BotChanged, LookAtBot},
    *,
};
use crate::{
    actors::{
        db::messages::*,
        jobs::messages::{JobOrder, JobRefused, Submit, TellJob},
        kernel::{Door, Mail, Registry, Vitals, messages::Stop, testing},
    },
    domain::{
        board::{Board, Changed, Claim, Grant, Outcome, Refusal, Story, story::tests::story},
        bot::{Bot, BotChange, BotState, Idle, instruction::story_job, journal::Entry, requests::Watch},
        budget::Amount,
        ids::*,
        job::{ForStory, Head, NewTask, Spent, Task, test_task},
        message::FileRef,
        project::{ForgeKind, ForgeSettings, Project, ProjectChange},
        task_schedule::{Schedule, ScheduleChange},
    },
    ports::{
        forge::{
            CheckRun, CheckState, Comment, Forge, ForgeError, NewRequest, Opened, Request, RequestState,
        },
        metrics::Metrics,
        origin::Origins,
        repo::Remote,
    },
};

mod forge;
mod pollers;
mod world;

use world::*;
