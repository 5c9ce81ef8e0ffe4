-- What was posted at chat platforms of a message on its way out: what need not be posted again, and where the
-- questions are that people can still press buttons at.
CREATE TABLE posts (
    outbox_id       INTEGER NOT NULL,
    part            INTEGER NOT NULL,
    conversation_id TEXT NOT NULL,
    -- the platform's id of it; NULL while it is posted a second time because nobody knows whether the first one arrived
    message         TEXT,
    approval_id     TEXT,
    at              INTEGER NOT NULL,
    PRIMARY KEY (outbox_id, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX posts_approval ON posts (approval_id) WHERE approval_id IS NOT NULL;

-- Answers that are shown while they grow, by the first message that they answer.
CREATE TABLE drafts (
    inbound_id      TEXT PRIMARY KEY,
    conversation_id TEXT NOT NULL,
    message         TEXT NOT NULL,
    at              INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Where long things are told of, by what they are about: in threads, so that a channel is not full of them. `head` is the
-- message in the conversation's own chat that shows where the thing stands.
CREATE TABLE threads (
    conversation_id TEXT NOT NULL,
    topic           TEXT NOT NULL,
    chat            TEXT NOT NULL,
    thread          TEXT,
    head            TEXT,
    PRIMARY KEY (conversation_id, topic)
) STRICT, WITHOUT ROWID;

-- A question that is not open any more loses its buttons wherever it was posted, whoever closed it and how. It is due
-- at once: the outbox finds it at its next look.
CREATE TRIGGER approval_closed AFTER UPDATE OF status ON approvals
WHEN OLD.status = 'pending' AND NEW.status <> 'pending'
BEGIN
    INSERT INTO outbox (channel, user_id, conversation_id, turn_id, answers, body, state, claim, due_at, created_at)
    SELECT substr(posts.conversation_id, 1, instr(posts.conversation_id, '/') - 1), NEW.user_id, posts.conversation_id,
           NULL, '[]',
           json_object('kind', 'decided', 'approval', NEW.id, 'message', posts.message, 'preview', NEW.preview,
                       'status', NEW.status, 'by', NEW.decided_by, 'reason', NEW.reason),
           'due', 0, 0, coalesce(NEW.decided_at, NEW.asked_at)
    FROM posts WHERE posts.approval_id = NEW.id AND posts.message IS NOT NULL;
END;

-- The same for one that was closed while it was being posted.
CREATE TRIGGER approval_posted_late AFTER UPDATE OF message ON posts
WHEN NEW.approval_id IS NOT NULL AND NEW.message IS NOT NULL
BEGIN
    INSERT INTO outbox (channel, user_id, conversation_id, turn_id, answers, body, state, claim, due_at, created_at)
    SELECT substr(NEW.conversation_id, 1, instr(NEW.conversation_id, '/') - 1), approvals.user_id, NEW.conversation_id,
           NULL, '[]',
           json_object('kind', 'decided', 'approval', approvals.id, 'message', NEW.message, 'preview', approvals.preview,
                       'status', approvals.status, 'by', approvals.decided_by, 'reason', approvals.reason),
           'due', 0, 0, NEW.at
    FROM approvals WHERE approvals.id = NEW.approval_id AND approvals.status <> 'pending';
END;
