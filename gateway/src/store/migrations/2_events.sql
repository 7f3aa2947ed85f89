-- The log of events tells how an operation was at each change, and how connections fare. Nobody could read the log before,
-- so it begins anew.
DROP TABLE events;

-- An event is of an operation (what changes while it runs; the rest is read from the operation) or of a connection's health.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    organization BLOB NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    connection TEXT NOT NULL,
    operation TEXT REFERENCES operations (id) ON DELETE CASCADE,
    status TEXT,
    progress INTEGER,
    message TEXT,
    target_id TEXT,
    estimated_completion_at INTEGER,
    health TEXT,
    CHECK ((operation IS NULL) = (status IS NULL) AND (operation IS NULL) = (health IS NOT NULL))
) STRICT;

CREATE INDEX events_by_organization ON events (organization, id);
CREATE INDEX events_by_operation ON events (operation, id) WHERE operation IS NOT NULL;
