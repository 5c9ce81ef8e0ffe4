-- Accounts on chat platforms. `admitted` says that somebody let them in by name; others are there because they wrote
-- where everybody may, or were turned away.
CREATE TABLE identities (
    channel      TEXT NOT NULL,
    external_id  TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    name         TEXT NOT NULL,
    -- the name without all that makes two names look alike
    fold         TEXT NOT NULL,
    role         TEXT NOT NULL,
    admitted     INTEGER NOT NULL,
    blocked      INTEGER NOT NULL DEFAULT 0,
    -- when they were told that they may not write
    told_at      INTEGER,
    -- the last chat with them alone
    direct_place TEXT,
    created_at   INTEGER NOT NULL,
    seen_at      INTEGER NOT NULL,
    PRIMARY KEY (channel, external_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX identities_user ON identities (user_id);
CREATE INDEX identities_fold ON identities (channel, fold);

-- Unknown people who wait for somebody to let them in: only hashes of their codes.
CREATE TABLE pairings (
    id          TEXT PRIMARY KEY,
    hash        BLOB NOT NULL UNIQUE,
    channel     TEXT NOT NULL,
    external_id TEXT NOT NULL,
    name        TEXT NOT NULL,
    place       TEXT NOT NULL,
    -- open, paired, refused or void
    state       TEXT NOT NULL,
    tries_left  INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    decided_by  TEXT,
    decided_at  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX pairings_of ON pairings (channel, external_id, created_at);
CREATE INDEX pairings_open ON pairings (channel, expires_at) WHERE state = 'open';

-- Codes that join an account to a user, once.
CREATE TABLE link_codes (
    hash       BLOB PRIMARY KEY,
    user_id    TEXT NOT NULL,
    role       TEXT NOT NULL,
    issued_by  TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- the account that used it
    used_by    TEXT
) STRICT, WITHOUT ROWID;

-- Accounts that tried codes which are none.
CREATE TABLE guesses (
    channel      TEXT NOT NULL,
    external_id  TEXT NOT NULL,
    wrong        INTEGER NOT NULL,
    since        INTEGER NOT NULL,
    locked_until INTEGER NOT NULL,
    PRIMARY KEY (channel, external_id)
) STRICT, WITHOUT ROWID;

-- What came in and was not taken, but answered: it is not answered again.
CREATE TABLE turned_away (
    channel     TEXT NOT NULL,
    external_id TEXT NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (channel, external_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX turned_away_at ON turned_away (at);

-- Where listening at a platform goes on from.
CREATE TABLE channel_positions (
    channel  TEXT PRIMARY KEY,
    position TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Who spoke in a group; the message itself is the group's.
ALTER TABLE inbound ADD COLUMN speaker TEXT;
CREATE INDEX inbound_spoken ON inbound (turn_id, speaker) WHERE speaker IS NOT NULL;

-- How much people want to see of the work, and which model answers them.
ALTER TABLE users ADD COLUMN verbosity TEXT;
ALTER TABLE users ADD COLUMN model TEXT;

-- The conversation in which a job was asked for.
ALTER TABLE jobs ADD COLUMN conversation TEXT;
