-- The job only looks around and proposes stories.
ALTER TABLE jobs ADD COLUMN discovery INTEGER NOT NULL DEFAULT 0;

-- Pull requests of jobs: where each stands, and what of it was seen.
CREATE TABLE job_requests (
    job_id    TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    url       TEXT NOT NULL,
    -- open, merged or closed
    state     TEXT NOT NULL,
    looked_at INTEGER NOT NULL,
    -- comments since this moment are asked for; those that were seen are named in `seen`
    since     INTEGER NOT NULL,
    seen      TEXT NOT NULL,
    -- the instruction that the job goes on with, until it did
    pending   TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX job_requests_open ON job_requests (looked_at) WHERE state = 'open';
