-- What an organization says of its sites. A site is named by the host's own id, since hosts keep the sites themselves.
CREATE TABLE labels (
    connection BLOB NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    site TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (connection, site, key)
) STRICT, WITHOUT ROWID;
