-- Times are milliseconds since the Unix epoch; ids of organizations, tokens, connections and runners are 16 bytes.

CREATE TABLE organizations (
    id BLOB PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    id BLOB PRIMARY KEY,
    organization BLOB NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    prefix TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- Every slug that a connection ever had. Rows outlive their connection, so that an old id can't come to name a new site.
CREATE TABLE connection_slugs (
    organization BLOB NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    slug TEXT NOT NULL,
    PRIMARY KEY (organization, slug)
) STRICT, WITHOUT ROWID;

CREATE TABLE connections (
    id BLOB PRIMARY KEY,
    organization BLOB NOT NULL,
    slug TEXT NOT NULL,
    provider TEXT NOT NULL,
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    tls TEXT NOT NULL,
    secrets TEXT NOT NULL,
    revision INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    FOREIGN KEY (organization, slug) REFERENCES connection_slugs (organization, slug)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX connections_by_slug ON connections (organization, slug);

CREATE TABLE connection_state (
    connection BLOB NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (connection, key)
) STRICT, WITHOUT ROWID;

-- Processes that carry out operations; an operation belongs to its owner as long as the owner's lease lasts.
CREATE TABLE runners (
    id BLOB PRIMARY KEY,
    lease_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- An operation outlives its connection: `connection` is no foreign key.
CREATE TABLE operations (
    id TEXT PRIMARY KEY,
    organization BLOB NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    connection BLOB NOT NULL,
    connection_slug TEXT NOT NULL,
    principal TEXT NOT NULL,
    action TEXT NOT NULL,
    target_kind TEXT NOT NULL,
    target_id TEXT,
    target_site TEXT,
    status TEXT NOT NULL,
    progress INTEGER,
    message TEXT,
    result TEXT,
    error TEXT,
    native TEXT,
    estimated_completion_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER,
    -- Who carries it out; `fence` grows with every change of hands, and every later write names it.
    owner BLOB,
    fence INTEGER NOT NULL DEFAULT 0,
    -- Requests that were about to leave, and the last one's time and digest; no time: nothing was sent.
    steps INTEGER NOT NULL DEFAULT 0,
    sent_at INTEGER,
    digest BLOB,
    handle TEXT,
    -- Sealed: the arguments and the provider's completion until the operation ends, its secrets until they are shown.
    arguments BLOB,
    completion BLOB,
    secrets BLOB
) STRICT;

CREATE INDEX operations_by_time ON operations (organization, created_at, id);
CREATE INDEX operations_queued ON operations (organization) WHERE status = 'queued';
CREATE INDEX operations_open ON operations (connection) WHERE status IN ('queued', 'running');
CREATE INDEX operations_unfinished ON operations (id) WHERE status IN ('queued', 'running');

CREATE TABLE idempotency (
    organization BLOB NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    operation TEXT NOT NULL REFERENCES operations (id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (organization, scope, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    organization BLOB NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    principal TEXT NOT NULL,
    action TEXT NOT NULL,
    connection_slug TEXT NOT NULL,
    operation TEXT NOT NULL,
    outcome TEXT NOT NULL
) STRICT;

-- Append-only: what a stream of the organization tells, in order.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    organization BLOB NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    operation TEXT NOT NULL,
    status TEXT NOT NULL
) STRICT;

CREATE INDEX events_by_organization ON events (organization, id);
