//! What each write and read about projects, boards, stories and bots does.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::{
    domain::{
        board::{Board, Changed, Grant, Story},
        bot::{Bot, journal::Entry},
        ids::ColumnId,
        project::Project,
    },
    store::{self, boards, bot_journal, bots, claims, projects, stories},
};

use super::{messages::*, reader::ReadOp, reads::read_op, writer::WriteOp, writes::write_op};

write_op!(CreateProject -> Project, |_| "create_project", |op, db, _boot| {
    projects::create(db, &op.project, &op.board, op.act)
});
write_op!(ChangeProject -> Project, |_| "change_project", |op, db, _boot| {
    projects::change(db, &op.id, &op.change, op.act)
});
write_op!(SetMember -> Project, |_| "set_member", |op, db, _boot| {
    projects::set_member(db, &op.id, &op.user, op.role, op.act)
});
write_op!(RemoveProject -> (), |_| "remove_project", |op, db, _boot| projects::remove(db, &op.id, op.act));
write_op!(ChangeBoard -> Board, |_| "change_board", |op, db, _boot| {
    boards::change(db, &op.project, &op.change, op.act)
});
write_op!(CreateStory -> Story, |_| "create_story", |op, db, _boot| stories::create(db, &op.story, &op.by));
write_op!(ChangeStory -> Story, |_| "change_story", |op, db, _boot| {
    stories::change(db, &op.id, &op.change, &op.by)
});
write_op!(RemoveStory -> (), |_| "remove_story", |op, db, _boot| {
    stories::remove(db, &op.id, op.version, op.act)
});
write_op!(CreateBot -> Bot, |_| "create_bot", |op, db, _boot| bots::create(db, &op.bot, op.act));
write_op!(ChangeBot -> Bot, |_| "change_bot", |op, db, _boot| bots::change(db, &op.id, &op.change, op.act));
write_op!(RemoveBot -> (), |_| "remove_bot", |op, db, _boot| bots::remove(db, &op.id, op.act));
write_op!(ClaimStory -> Option<Grant>, |_| "claim_story", |op, db, _boot| {
    claims::next(db, &op.bot, op.lease_ms, &op.by)
});
write_op!(RenewClaim -> Grant, |_| "renew_claim", |op, db, _boot| {
    claims::renew(db, &op.story, op.token, op.lease_ms, op.job.as_ref(), &op.by)
});
write_op!(ReleaseClaim -> Story, |_| "release_claim", |op, db, _boot| {
    claims::release(db, &op.story, op.token, &op.outcome, &op.by)
});
write_op!(AddEntry -> Entry, |_| "add_entry", |op, db, _boot| bot_journal::add(db, &op.entry));

read_op!(FindProject -> Option<Project>, |op, db| match &op.of {
    ProjectOf::Id(id) => projects::get(db, id),
    ProjectOf::Story(story) => projects::of_story(db, story),
    ProjectOf::Bot(bot) => projects::of_bot(db, bot),
    ProjectOf::Job(job) => projects::of_job(db, job),
    ProjectOf::Approval(approval) => projects::of_approval(db, approval),
});
read_op!(ListProjects -> (Vec<Project>, u64), |op, db| {
    projects::list(db, op.member.as_ref(), op.limit, op.offset)
});
read_op!(GetBoard -> (Board, BTreeMap<ColumnId, u64>), |op, db| {
    Ok((boards::of(db, &op.project)?, boards::counts(db, &op.project)?))
});
read_op!(GetStory -> Option<Story>, |op, db| stories::get(db, &op.id));
read_op!(ListStories -> (Vec<Story>, u64), |op, db| {
    stories::list(db, &op.project, &op.filter, op.limit, op.offset)
});
read_op!(StoryHistory -> (Vec<Changed>, u64), |op, db| stories::history(db, &op.id, op.limit, op.offset));
read_op!(GetBot -> Option<Bot>, |op, db| bots::get(db, &op.id));
read_op!(ListBots -> (Vec<Bot>, u64), |op, db| {
    bots::list(db, op.member.as_ref(), op.project.as_ref(), op.state, op.limit, op.offset)
});
read_op!(ListEntries -> Vec<Entry>, |op, db| {
    bot_journal::list(db, &op.bot, op.kind, op.query.as_deref(), op.before.as_ref(), op.limit)
});
read_op!(Recall -> Vec<Entry>, |op, db| bot_journal::recall(db, &op.bot, op.max_tokens));
