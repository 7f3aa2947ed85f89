-- The audit log becomes a chain: each row has the keyed hash over the row before and itself. Rows from before have none.
ALTER TABLE audit RENAME TO audit_before;

-- No foreign keys: what an organization did outlives it, and nothing but age takes a row away.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    organization BLOB,
    principal TEXT NOT NULL,
    client TEXT,
    action TEXT NOT NULL,
    target TEXT,
    outcome TEXT NOT NULL,
    -- Of the answer, where it was known.
    status INTEGER,
    request_id TEXT,
    operation TEXT,
    mac BLOB
) STRICT;

-- Ids of the chain have no gaps, so neither may these.
INSERT INTO audit (id, at, organization, principal, action, target, outcome, operation)
SELECT ROW_NUMBER() OVER (ORDER BY id), at, organization, principal, action, '/connections/' || connection_slug, outcome, operation
FROM audit_before;

DROP TABLE audit_before;

CREATE INDEX audit_by_organization ON audit (organization, id);

-- Where the chain begins (after `base_id`, whose hash is `base_mac`) and where it ends, under a keyed hash of its own.
CREATE TABLE audit_head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    base_id INTEGER NOT NULL,
    base_mac BLOB NOT NULL,
    last_id INTEGER NOT NULL,
    last_mac BLOB NOT NULL,
    seal BLOB NOT NULL
) STRICT;

-- Against mistakes of ours. Against others there is the chain.
CREATE TRIGGER audit_stays_as_it_is BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_goes_by_age BEFORE DELETE ON audit
WHEN NOT EXISTS (SELECT 1 FROM audit_head WHERE OLD.id <= base_id) BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
