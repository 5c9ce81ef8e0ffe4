-- What bots work on. Settings hold names of environment variables, never a secret.
CREATE TABLE projects (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    settings   TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id    TEXT NOT NULL,
    role       TEXT NOT NULL,
    PRIMARY KEY (project_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_user ON members (user_id);

CREATE TABLE boards (
    id         TEXT PRIMARY KEY,
    project_id TEXT NOT NULL UNIQUE REFERENCES projects (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    version    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a column means is its role; its name is for people.
CREATE TABLE board_columns (
    id        TEXT PRIMARY KEY,
    board_id  TEXT NOT NULL REFERENCES boards (id) ON DELETE CASCADE,
    place     INTEGER NOT NULL,
    name      TEXT NOT NULL,
    role      TEXT NOT NULL,
    wip_limit INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX board_columns_board ON board_columns (board_id, place);

CREATE TABLE bots (
    id         TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    settings   TEXT NOT NULL,
    state      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX bots_name ON bots (project_id, name);

CREATE TABLE stories (
    id                  TEXT PRIMARY KEY,
    project_id          TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    column_id           TEXT NOT NULL REFERENCES board_columns (id),
    -- sorts as text, byte by byte; there is room between any two
    place               TEXT NOT NULL,
    title               TEXT NOT NULL,
    description         TEXT NOT NULL,
    acceptance_criteria TEXT NOT NULL,
    priority            TEXT NOT NULL,
    points              INTEGER,
    labels              TEXT NOT NULL,
    attachments         TEXT NOT NULL,
    assignee            TEXT,
    assignee_type       TEXT,
    blocked             TEXT,
    failures            INTEGER NOT NULL DEFAULT 0,
    claim_bot           TEXT,
    claim_until         INTEGER,
    -- how often it was claimed: the fencing token of the claim that stands
    token               INTEGER NOT NULL DEFAULT 0,
    job_id              TEXT,
    version             INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX stories_place ON stories (column_id, place);
CREATE INDEX stories_project ON stories (project_id);
CREATE INDEX stories_claimed ON stories (claim_bot) WHERE claim_bot IS NOT NULL;

CREATE TABLE story_dependencies (
    story_id   TEXT NOT NULL REFERENCES stories (id) ON DELETE CASCADE,
    depends_on TEXT NOT NULL REFERENCES stories (id) ON DELETE CASCADE,
    PRIMARY KEY (story_id, depends_on)
) STRICT, WITHOUT ROWID;
CREATE INDEX story_dependencies_back ON story_dependencies (depends_on);

-- Every change of a story, one row for each version.
CREATE TABLE story_changes (
    id       INTEGER PRIMARY KEY,
    story_id TEXT NOT NULL REFERENCES stories (id) ON DELETE CASCADE,
    version  INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    action   TEXT NOT NULL,
    changes  TEXT NOT NULL,
    UNIQUE (story_id, version)
) STRICT;

-- What bots did, saw, decided and learned. Ids begin with the time.
CREATE TABLE bot_journal (
    rank       INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    bot_id     TEXT NOT NULL REFERENCES bots (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL,
    summary    TEXT NOT NULL,
    details    TEXT NOT NULL,
    story_id   TEXT,
    job_id     TEXT,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX bot_journal_bot ON bot_journal (bot_id, id);

-- Words of summary and details; rowids are those of bot_journal.
CREATE VIRTUAL TABLE bot_journal_words USING fts5 (
    summary, details,
    content = '', contentless_delete = 1,
    tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE TRIGGER bot_journal_gone AFTER DELETE ON bot_journal BEGIN
    DELETE FROM bot_journal_words WHERE rowid = old.rank;
END;
