//! What each write and read about schedules of coding jobs does.

use rusqlite::Connection;

use crate::{
    domain::task_schedule::Schedule,
    store::{self, task_schedules},
};

use super::{messages::*, reader::ReadOp, reads::read_op, writer::WriteOp, writes::write_op};

write_op!(CreateSchedule -> Schedule, |_| "create_schedule", |op, db, _boot| {
    task_schedules::create(db, &op.schedule, op.act)
});
write_op!(ChangeSchedule -> Schedule, |_| "change_schedule", |op, db, _boot| {
    task_schedules::change(db, &op.id, &op.change, op.act)
});
write_op!(RemoveSchedule -> (), |_| "remove_schedule", |op, db, _boot| {
    task_schedules::remove(db, &op.id, op.act)
});
write_op!(ScheduleRan -> (), |_| "schedule_ran", |op, db, _boot| {
    task_schedules::ran(db, &op.id, op.ran_at, op.next)
});

read_op!(GetSchedule -> Option<Schedule>, |op, db| task_schedules::get(db, &op.id));
read_op!(ListSchedules -> (Vec<Schedule>, u64), |op, db| {
    task_schedules::list(db, op.member.as_ref(), op.user.as_ref(), op.project.as_ref(), op.limit, op.offset)
});
read_op!(DueSchedules -> Vec<Schedule>, |op, db| task_schedules::due(db, op.now, op.limit));
