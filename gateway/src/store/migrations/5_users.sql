-- People, by the address that they log in with. `email_key` is the address in lower case: two spellings are one person.
CREATE TABLE users (
    id BLOB PRIMARY KEY,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    -- A PHC string: algorithm, parameters, salt and hash.
    password TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who belongs to which organization. A user without a row here doesn't exist: the last one takes the user along.
CREATE TABLE members (
    organization BLOB NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin', 'owner')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (organization, user)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_by_user ON members (user);

-- A session acts in one organization, and ends with the membership in it.
CREATE TABLE sessions (
    id BLOB PRIMARY KEY,
    organization BLOB NOT NULL,
    user BLOB NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    FOREIGN KEY (organization, user) REFERENCES members (organization, user) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_member ON sessions (organization, user);
CREATE INDEX sessions_by_user ON sessions (user, created_at);

-- Open invitations only: one that was accepted or withdrawn is gone.
CREATE TABLE invitations (
    id BLOB PRIMARY KEY,
    organization BLOB NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin', 'owner')),
    hash BLOB NOT NULL UNIQUE,
    invited_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    UNIQUE (organization, email_key)
) STRICT, WITHOUT ROWID;
