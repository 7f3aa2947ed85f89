//! Holds the index by which the log is listed against the log itself.
//!
//! In goes a connection in the transaction of a check, after the table was read; out come findings. Invariant: where nothing is
//! found, each row has one entry, under its organization and in its place, and there are no others, so that lists show what the
//! table has. Entries are looked at one by one, however many there are. Lists and checks read by no other index.

use super::{Findings, is_of_the_moment};
use crate::model::Error;
use futures_util::TryStreamExt as _;
use sqlx::SqliteConnection;

/// The text of the migration, and what SQLite makes of it when the table gets another name and its own again. Another one could
/// leave rows out by its own words, and agree with the table.
const KNOWN: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'index' AND sql IN \
    ('CREATE INDEX audit_by_organization ON audit (organization, id)', \
    'CREATE INDEX audit_by_organization ON \"audit\" (organization, id)'))";
/// As many as are told.
const MISSING: &str = "SELECT t.id FROM audit AS t NOT INDEXED WHERE NOT EXISTS \
    (SELECT 1 FROM audit AS i INDEXED BY audit_by_organization WHERE i.organization IS t.organization AND i.id = t.id) \
    ORDER BY t.id LIMIT 20";
/// In the order of the index, since nothing else is asked for.
const ENTRIES: &str = "SELECT i.organization, i.id, EXISTS (SELECT 1 FROM audit AS t NOT INDEXED WHERE t.id = i.id \
    AND t.organization IS i.organization) FROM audit AS i INDEXED BY audit_by_organization";

/// Organization, row, and whether that row is this organization's.
type Entry = (Option<Vec<u8>>, i64, bool);

pub(super) async fn compare(c: &mut SqliteConnection, findings: &mut Findings) -> Result<(), Error> {
    match read(c, findings).await {
        Err(error) if is_of_the_moment(&error) => return Err(error.into()),
        Err(error) => findings.add(None, format!("the index for lists can't be read: {error}")),
        Ok(()) => {}
    }
    Ok(())
}

async fn read(c: &mut SqliteConnection, findings: &mut Findings) -> Result<(), sqlx::Error> {
    if !sqlx::query_scalar::<_, bool>(KNOWN).fetch_one(&mut *c).await? {
        findings.add(None, "the index for lists is missing, or was altered so that they may leave rows out");
        return Ok(());
    }
    for id in sqlx::query_scalar::<_, i64>(MISSING).fetch_all(&mut *c).await? {
        findings.add_unnamed(id, "it isn't in the index for lists, which leave it out");
    }
    entries(c, findings).await
}

async fn entries(c: &mut SqliteConnection, findings: &mut Findings) -> Result<(), sqlx::Error> {
    let mut entries = sqlx::query_as::<_, Entry>(ENTRIES).fetch(c);
    let mut last: Option<(Option<Vec<u8>>, i64)> = None;
    while let Some((organization, id, stands)) = entries.try_next().await? {
        if !stands {
            findings.add_unnamed(id, "the index for lists has it under another organization, or without a row");
        }
        let place = Some((organization, id));
        if last >= place {
            findings.add_unnamed(id, "it stands in a wrong place of the index for lists, which may leave rows out");
        }
        last = place;
    }
    Ok(())
}
