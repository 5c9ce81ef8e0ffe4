-- Owners are asked about strangers with buttons, too: where these messages are.
ALTER TABLE posts ADD COLUMN pairing_id TEXT;
CREATE INDEX posts_pairing ON posts (pairing_id) WHERE pairing_id IS NOT NULL;

-- A pairing that is not open any more loses its buttons wherever it was posted, however it was closed.
CREATE TRIGGER pairing_closed AFTER UPDATE OF state ON pairings
WHEN OLD.state = 'open' AND NEW.state <> 'open'
BEGIN
    INSERT INTO outbox (channel, user_id, conversation_id, turn_id, answers, body, state, claim, due_at, created_at)
    SELECT asked.channel, asked.user_id, posts.conversation_id, NULL, '[]',
           json_object('kind', 'pairing_over', 'message', posts.message, 'name', NEW.name, 'external', NEW.external_id,
                       'channel', NEW.channel, 'state', NEW.state, 'by', NEW.decided_by),
           'due', 0, 0, coalesce(NEW.decided_at, NEW.created_at)
    FROM posts JOIN outbox AS asked ON asked.id = posts.outbox_id
    WHERE posts.pairing_id = NEW.id AND posts.message IS NOT NULL;
END;

-- The same for one that was closed while it was being posted.
CREATE TRIGGER pairing_posted_late AFTER UPDATE OF message ON posts
WHEN NEW.pairing_id IS NOT NULL AND NEW.message IS NOT NULL
BEGIN
    INSERT INTO outbox (channel, user_id, conversation_id, turn_id, answers, body, state, claim, due_at, created_at)
    SELECT asked.channel, asked.user_id, NEW.conversation_id, NULL, '[]',
           json_object('kind', 'pairing_over', 'message', NEW.message, 'name', pairings.name,
                       'external', pairings.external_id, 'channel', pairings.channel, 'state', pairings.state,
                       'by', pairings.decided_by),
           'due', 0, 0, NEW.at
    FROM pairings JOIN outbox AS asked ON asked.id = NEW.outbox_id
    WHERE pairings.id = NEW.pairing_id AND pairings.state <> 'open';
END;

-- Asked for with each message: a thread belongs to the chat under which it was opened.
CREATE INDEX threads_chat ON threads (chat);
