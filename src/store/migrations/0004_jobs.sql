-- Coding jobs. A bot or a story that goes leaves its jobs behind; a project takes them with it.
CREATE TABLE jobs (
    id           TEXT PRIMARY KEY,
    project_id   TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id      TEXT NOT NULL,
    actor        TEXT NOT NULL,
    title        TEXT NOT NULL,
    instruction  TEXT NOT NULL,
    system       TEXT NOT NULL,
    engine       TEXT NOT NULL,
    model        TEXT,
    priority     TEXT NOT NULL,
    verbosity    TEXT NOT NULL,
    callback_url TEXT,
    bot_id       TEXT,
    story_id     TEXT,
    -- the fencing token of the claim on its story
    story_token  INTEGER,
    attachments  TEXT NOT NULL,
    -- where it stands; what nobody searches by is in `head`
    state        TEXT NOT NULL,
    over         INTEGER NOT NULL,
    outcome      TEXT,
    head         TEXT NOT NULL,
    used_input         INTEGER NOT NULL DEFAULT 0,
    used_cached        INTEGER NOT NULL DEFAULT 0,
    used_cache_written INTEGER NOT NULL DEFAULT 0,
    used_output        INTEGER NOT NULL DEFAULT 0,
    -- what was prepaid and not settled is in it
    spent_tokens      INTEGER NOT NULL DEFAULT 0,
    spent_micros      INTEGER NOT NULL DEFAULT 0,
    spent_tool_calls  INTEGER NOT NULL DEFAULT 0,
    spent_time_ms     INTEGER NOT NULL DEFAULT 0,
    raised_tokens     INTEGER NOT NULL DEFAULT 0,
    raised_micros     INTEGER NOT NULL DEFAULT 0,
    raised_tool_calls INTEGER NOT NULL DEFAULT 0,
    raised_time_ms    INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    started_at   INTEGER,
    ended_at     INTEGER,
    updated_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_open ON jobs (created_at, id) WHERE over = 0;
CREATE INDEX jobs_newest ON jobs (created_at, id);
CREATE INDEX jobs_project ON jobs (project_id, created_at, id);
CREATE INDEX jobs_bot ON jobs (bot_id, created_at, id) WHERE bot_id IS NOT NULL;
CREATE INDEX jobs_story ON jobs (story_id, created_at, id) WHERE story_id IS NOT NULL;
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE over = 1;

CREATE TABLE job_journal (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    idx    INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    kind   TEXT NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (job_id, idx)
) STRICT, WITHOUT ROWID;

-- What sandboxes asked for outside. Later rows have greater numbers.
CREATE TABLE job_egress (
    id     INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    at     INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX job_egress_job ON job_egress (job_id, id);

-- What a bot spent in one UTC day, and what owners added to its cap. A bot that goes leaves them behind: its jobs go on.
CREATE TABLE bot_days (
    bot_id            TEXT NOT NULL,
    budget_window     INTEGER NOT NULL,
    spent_tokens      INTEGER NOT NULL DEFAULT 0,
    spent_micros      INTEGER NOT NULL DEFAULT 0,
    spent_tool_calls  INTEGER NOT NULL DEFAULT 0,
    spent_time_ms     INTEGER NOT NULL DEFAULT 0,
    raised_tokens     INTEGER NOT NULL DEFAULT 0,
    raised_micros     INTEGER NOT NULL DEFAULT 0,
    raised_tool_calls INTEGER NOT NULL DEFAULT 0,
    raised_time_ms    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (bot_id, budget_window)
) STRICT, WITHOUT ROWID;

-- In which way a question was answered.
ALTER TABLE approvals ADD COLUMN choice TEXT NOT NULL DEFAULT 'plain';

-- Jobs that come by the clock.
CREATE TABLE task_schedules (
    id          TEXT PRIMARY KEY,
    project_id  TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    bot_id      TEXT REFERENCES bots (id) ON DELETE SET NULL,
    user_id     TEXT NOT NULL,
    instruction TEXT NOT NULL,
    cron        TEXT NOT NULL,
    timezone    TEXT NOT NULL,
    enabled     INTEGER NOT NULL,
    last_run_at INTEGER,
    next_run_at INTEGER,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX task_schedules_project ON task_schedules (project_id, created_at, id);
CREATE INDEX task_schedules_bot ON task_schedules (bot_id) WHERE bot_id IS NOT NULL;
CREATE INDEX task_schedules_due ON task_schedules (next_run_at) WHERE enabled = 1;
