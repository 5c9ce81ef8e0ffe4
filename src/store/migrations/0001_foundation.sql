-- Facts about this store itself.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    while_busy TEXT,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- API keys: only their hashes.
CREATE TABLE keys (
    id              TEXT PRIMARY KEY,
    name            TEXT NOT NULL,
    hash            BLOB NOT NULL UNIQUE,
    role            TEXT NOT NULL,
    user_id         TEXT NOT NULL,
    acts_for_others INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    last_used_at    INTEGER,
    revoked_at      INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE conversations (
    id           TEXT PRIMARY KEY,
    user_id      TEXT NOT NULL,
    last_seq     INTEGER NOT NULL DEFAULT 0,
    cleared_seq  INTEGER NOT NULL DEFAULT 0,
    summary      TEXT,
    -- the place in the history up to which the summary reaches
    summary_through INTEGER,
    activated    TEXT NOT NULL DEFAULT '[]',
    updated_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Accepted messages. Ids begin with the time: their order is the order of arrival.
CREATE TABLE inbound (
    id              TEXT PRIMARY KEY,
    channel         TEXT NOT NULL,
    external_id     TEXT,
    user_id         TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    text            TEXT NOT NULL,
    attachments     TEXT,
    state           TEXT NOT NULL,
    turn_id         TEXT,
    -- the outgoing message that answers it
    answer_id       INTEGER,
    received_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX inbound_once ON inbound (channel, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX inbound_waiting ON inbound (conversation_id, id) WHERE state = 'queued';

CREATE TABLE turns (
    id              TEXT PRIMARY KEY,
    conversation_id TEXT NOT NULL,
    user_id         TEXT NOT NULL,
    seq             INTEGER NOT NULL,
    inbound_id      TEXT NOT NULL,
    state           TEXT NOT NULL,
    lease           INTEGER NOT NULL,
    resumes         INTEGER NOT NULL DEFAULT 0,
    outcome         TEXT,
    started_at      INTEGER NOT NULL,
    ended_at        INTEGER,
    -- the day whose budget it draws on, and what it holds of it now
    budget_window       INTEGER NOT NULL,
    reserved_tokens     INTEGER NOT NULL DEFAULT 0,
    reserved_micros     INTEGER NOT NULL DEFAULT 0,
    reserved_tool_calls INTEGER NOT NULL DEFAULT 0,
    reserved_time_ms    INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX turns_open ON turns (conversation_id, seq) WHERE state <> 'over';

-- One row a write; `n` is the place of its first entry.
CREATE TABLE journal (
    turn_id TEXT NOT NULL,
    n       INTEGER NOT NULL,
    entries TEXT NOT NULL,
    PRIMARY KEY (turn_id, n)
) STRICT, WITHOUT ROWID;

-- Finished turns, as later turns see them, in the order in which they ended: by the place of their first
-- message.
CREATE TABLE history (
    conversation_id TEXT NOT NULL,
    first           INTEGER NOT NULL,
    count           INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    turn_id         TEXT NOT NULL,
    messages        TEXT NOT NULL,
    PRIMARY KEY (conversation_id, first)
) STRICT, WITHOUT ROWID;

-- What models cost, by UTC day (counted from the epoch). Single calls are in the journal.
CREATE TABLE costs (
    day             INTEGER NOT NULL,
    user_id         TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    provider        TEXT NOT NULL,
    model           TEXT NOT NULL,
    calls           INTEGER NOT NULL,
    input           INTEGER NOT NULL,
    cached          INTEGER NOT NULL,
    output          INTEGER NOT NULL,
    micros          INTEGER NOT NULL,
    time_ms         INTEGER NOT NULL,
    PRIMARY KEY (day, user_id, conversation_id, provider, model)
) STRICT, WITHOUT ROWID;

-- What a user spent and holds reserved in one UTC day, and what owners added to the caps.
CREATE TABLE spend (
    user_id             TEXT NOT NULL,
    budget_window       INTEGER NOT NULL,
    spent_tokens        INTEGER NOT NULL DEFAULT 0,
    spent_micros        INTEGER NOT NULL DEFAULT 0,
    spent_tool_calls    INTEGER NOT NULL DEFAULT 0,
    spent_time_ms       INTEGER NOT NULL DEFAULT 0,
    reserved_tokens     INTEGER NOT NULL DEFAULT 0,
    reserved_micros     INTEGER NOT NULL DEFAULT 0,
    reserved_tool_calls INTEGER NOT NULL DEFAULT 0,
    reserved_time_ms    INTEGER NOT NULL DEFAULT 0,
    raised_tokens       INTEGER NOT NULL DEFAULT 0,
    raised_micros       INTEGER NOT NULL DEFAULT 0,
    raised_tool_calls   INTEGER NOT NULL DEFAULT 0,
    raised_time_ms      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, budget_window)
) STRICT, WITHOUT ROWID;

CREATE TABLE approvals (
    id              TEXT PRIMARY KEY,
    turn_id         TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    user_id         TEXT NOT NULL,
    subject         TEXT NOT NULL,
    preview         TEXT NOT NULL,
    status          TEXT NOT NULL,
    asked_at        INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    decided_by      TEXT,
    decided_at      INTEGER,
    reason          TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX approvals_turn ON approvals (turn_id);
CREATE INDEX approvals_pending ON approvals (expires_at) WHERE status = 'pending';

-- Messages on their way out; the numbers are the event ids that clients resume from. The newest row is never
-- deleted, so that numbers only grow.
CREATE TABLE outbox (
    id              INTEGER PRIMARY KEY,
    channel         TEXT NOT NULL,
    user_id         TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    turn_id         TEXT,
    answers         TEXT NOT NULL,
    body            TEXT NOT NULL,
    state           TEXT NOT NULL,
    -- the run of the process that holds it
    claim           INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    due_at          INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    sent_at         INTEGER,
    error           TEXT
) STRICT;
CREATE INDEX outbox_open ON outbox (state, due_at) WHERE state IN ('due', 'claimed');

-- Moments at which a conversation is to look at itself again.
CREATE TABLE wakeups (
    id              INTEGER PRIMARY KEY,
    conversation_id TEXT NOT NULL,
    due_at          INTEGER NOT NULL,
    reason          TEXT NOT NULL
) STRICT;
CREATE INDEX wakeups_due ON wakeups (due_at);

CREATE TABLE memories (
    rank       INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    user_id    TEXT NOT NULL,
    content    TEXT NOT NULL,
    category   TEXT NOT NULL,
    tags       TEXT NOT NULL,
    importance REAL NOT NULL,
    uses       INTEGER NOT NULL DEFAULT 0,
    source     TEXT NOT NULL,
    origin     TEXT UNIQUE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX memories_user ON memories (user_id, updated_at);

-- Words of content, tags and category; rowids are those of memories.
CREATE VIRTUAL TABLE memory_words USING fts5 (
    content, tags, category,
    content = '', contentless_delete = 1,
    tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE memory_terms USING fts5vocab (memory_words, 'row');

CREATE TABLE files (
    id         TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL,
    name       TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size       INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    details TEXT NOT NULL,
    prev    TEXT NOT NULL,
    hash    TEXT NOT NULL
) STRICT;
