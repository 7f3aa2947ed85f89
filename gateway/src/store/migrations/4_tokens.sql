-- A token has a role and limits. Those that there were could do everything.
ALTER TABLE tokens ADD COLUMN role TEXT NOT NULL DEFAULT 'owner' CHECK (role IN ('viewer', 'operator', 'admin', 'owner'));
-- JSON lists: words of scopes, slugs of connections (NULL: all), networks of clients (empty: all).
ALTER TABLE tokens ADD COLUMN scopes TEXT NOT NULL DEFAULT '["read","write"]';
ALTER TABLE tokens ADD COLUMN connections TEXT;
ALTER TABLE tokens ADD COLUMN networks TEXT NOT NULL DEFAULT '[]';
-- A principal's name, or 'operator'.
ALTER TABLE tokens ADD COLUMN created_by TEXT NOT NULL DEFAULT 'operator';
ALTER TABLE tokens ADD COLUMN last_used_at INTEGER;
-- The value before the last rotation, as long as it is good.
ALTER TABLE tokens ADD COLUMN previous_hash BLOB;
ALTER TABLE tokens ADD COLUMN previous_until INTEGER;

CREATE UNIQUE INDEX tokens_by_previous_hash ON tokens (previous_hash) WHERE previous_hash IS NOT NULL;
CREATE INDEX tokens_by_organization ON tokens (organization, id);

-- A revoked token is gone.
DELETE FROM tokens WHERE revoked_at IS NOT NULL;
ALTER TABLE tokens DROP COLUMN revoked_at;
