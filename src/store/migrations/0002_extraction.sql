-- The place in the history up to which a conversation was read for facts.
ALTER TABLE conversations ADD COLUMN extracted_through INTEGER NOT NULL DEFAULT -1;
