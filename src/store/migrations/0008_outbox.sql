-- Messages that stay until a person does something: few, and looked for by those who do.
CREATE INDEX outbox_stuck ON outbox (state) WHERE state IN ('parked', 'unknown', 'dead');
-- Asked for with each message that is accepted on a platform.
CREATE INDEX outbox_parked ON outbox (conversation_id) WHERE state = 'parked';
