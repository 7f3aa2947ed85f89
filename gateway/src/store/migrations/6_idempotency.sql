-- A key names an operation, or the sealed answer of a change that Portico made itself. Neither: it is being carried out, or
-- was when its process ended.
ALTER TABLE idempotency RENAME TO idempotency_before;

CREATE TABLE idempotency (
    organization BLOB NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    operation TEXT REFERENCES operations (id) ON DELETE CASCADE,
    -- The process that carries it out.
    owner BLOB,
    -- Set in the transaction of the first change that was made under the key.
    changed INTEGER NOT NULL DEFAULT 0,
    -- Sealed: the answer, or what an answer under this key took out of an operation's secrets.
    answer BLOB,
    bytes INTEGER NOT NULL DEFAULT 0,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (organization, scope, key)
) STRICT, WITHOUT ROWID;

INSERT INTO idempotency (organization, scope, key, fingerprint, operation, expires_at)
SELECT organization, scope, key, fingerprint, operation, expires_at FROM idempotency_before;

DROP TABLE idempotency_before;

CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);
CREATE INDEX idempotency_by_operation ON idempotency (operation) WHERE operation IS NOT NULL;
-- How much is kept for an organization.
CREATE INDEX idempotency_kept ON idempotency (organization, bytes) WHERE operation IS NULL;
