-- Keys that outlive the master key, each sealed under it.
CREATE TABLE data_keys (
    name TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Ids of the master keys that the running gateway has, the one that seals first.
CREATE TABLE held_keys (
    position INTEGER PRIMARY KEY,
    id BLOB NOT NULL
) STRICT;

-- Ids of master keys that may seal nothing any more: what a slow writer has sealed under one of them is refused.
CREATE TABLE retired_keys (
    id BLOB PRIMARY KEY,
    retired_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Most operations are finished and keep nothing sealed.
CREATE INDEX operations_sealed ON operations (id)
WHERE arguments IS NOT NULL OR completion IS NOT NULL OR secrets IS NOT NULL;
