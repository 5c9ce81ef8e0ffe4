-- The platform's id of the message that was written, so that its answer can be a reply to it.
ALTER TABLE inbound ADD COLUMN message TEXT;
