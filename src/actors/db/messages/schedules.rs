//! What the store is asked about schedules of coding jobs.

use crate::domain::{
    Millis,
    audit::Act,
    ids::*,
    task_schedule::{Schedule, ScheduleChange},
};

use super::message;

message!(
    /// Stores a schedule.
    CreateSchedule { /// The schedule.
        schedule: Schedule, /// For the audit log.
        act: Act } -> Schedule
);
message!(
    /// Changes a schedule.
    ChangeSchedule { /// Which.
        id: ScheduleId, /// What.
        change: ScheduleChange, /// For the audit log.
        act: Act } -> Schedule
);
message!(
    /// Removes a schedule; jobs that came of it stay.
    RemoveSchedule { /// Which.
        id: ScheduleId, /// For the audit log.
        act: Act } -> ()
);
message!(
    /// Notes that a schedule came.
    ScheduleRan { /// Which.
        id: ScheduleId, /// When.
        ran_at: Millis, /// When it comes next, unless it was changed meanwhile.
        next: Option<Millis> } -> ()
);

message!(
    /// One schedule.
    GetSchedule { /// Which.
        id: ScheduleId } -> Option<Schedule>
);
message!(
    /// Schedules, the oldest first, and how many fit.
    ListSchedules { /// Only of projects that this person is in.
        member: Option<UserId>, /// Only those that this person set up.
        user: Option<UserId>, /// Of this project.
        project: Option<ProjectId>, /// How many at most.
        limit: usize, /// How many to skip.
        offset: usize } -> (Vec<Schedule>, u64)
);
message!(
    /// Schedules whose time has come, the longest overdue first.
    DueSchedules { /// When.
        now: Millis, /// How many at most.
        limit: usize } -> Vec<Schedule>
);
