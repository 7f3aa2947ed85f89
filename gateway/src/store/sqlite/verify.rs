//! Checks the audit log of a database file, row by row, beside a gateway that may be running.
//!
//! In go the file, the key and, if it was noted, a row with its hash; out comes what was found. Invariant: nothing is written, and
//! everything is read in one transaction, so that a log that grows meanwhile is seen whole. What can't be read is a finding with
//! its row, and takes nothing away that was found before it. Rows are read from the table itself; the index is held against it
//! in [`index`].

mod index;

use super::audit::{ALTERED, BEGINNING, COLUMNS, Canonical, Head, head};
use crate::{
    model::Error,
    seal::ChainKey,
    store::{AuditFinding, AuditMark, AuditReport},
};
use futures_util::TryStreamExt as _;
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions, sqlite::SqliteRow};
use std::path::Path;

/// More than that are counted by nobody: the first one says where to look.
const FINDINGS: usize = 20;

pub async fn audit(path: &Path, key: &ChainKey, noted: Option<&AuditMark>) -> Result<AuditReport, Error> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(super::BUSY);
    let mut connection = options.connect().await?;
    let known = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'audit_head')";
    if !sqlx::query_scalar::<_, bool>(known).fetch_one(&mut connection).await? {
        let text = "this database is older than the chain of the audit log: start the gateway once, which begins it";
        return Err(Error { message: text.to_owned(), ..Error::gateway(text) });
    }
    let mut moment = connection.begin().await?;
    let report = check(&mut moment, key, noted).await?;
    // Nothing was written. Where SQLite gave up itself, for what it couldn't read, there may be nothing left to end.
    drop(moment.rollback().await);
    drop(connection.close().await);
    Ok(report)
}

/// The same over a connection, which is in a transaction when others write.
pub async fn check(c: &mut SqliteConnection, key: &ChainKey, noted: Option<&AuditMark>) -> Result<AuditReport, Error> {
    let mut findings = Findings::default();
    let head = known_head(&mut *c, key, &mut findings).await?;
    let mut walk = Walk::from(head.as_ref(), key, noted);
    if walk.over(&mut *c, &mut findings).await? {
        walk.end(head.as_ref(), &mut findings);
        index::compare(c, &mut findings).await?;
    }
    let (id, mac) = head.as_ref().map_or((0, BEGINNING.as_slice()), |head| (head.last_id, head.last_mac.as_slice()));
    Ok(AuditReport {
        unchained: walk.unchained,
        rows: walk.rows,
        first: walk.base.saturating_add(1),
        head: AuditMark { id, mac: mac.try_into().unwrap_or_default() },
        findings: findings.in_order(),
    })
}

/// What says nothing of the log: it is busy, or the machine has no memory or can't read its disk.
fn is_of_the_moment(error: &sqlx::Error) -> bool {
    // SQLITE_BUSY, LOCKED, NOMEM, INTERRUPT, IOERR and CANTOPEN; the upper bits tell more of each.
    const CODES: [u32; 6] = [5, 6, 7, 9, 10, 14];
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    matches!(error, sqlx::Error::Io(_)) || code.is_some_and(|code| CODES.contains(&(code & 0xff)))
}

/// The head record, whatever its seal says of it: only that it stands there is known.
async fn known_head(c: &mut SqliteConnection, key: &ChainKey, findings: &mut Findings) -> Result<Option<Head>, Error> {
    let found = match head(c).await {
        Err(error) if is_of_the_moment(&error) => return Err(error.into()),
        found => found,
    };
    match &found {
        Ok(Some(head)) if head.is_sealed(key) => {}
        // An empty seal is none: whoever writes the file can write that, too.
        Ok(Some(_)) => findings.add(None, "the head record was altered, or another key sealed it"),
        Ok(None) => findings.add(None, "the head record is missing"),
        Err(error) => findings.add(None, format!("the head record can't be read: {error}")),
    }
    Ok(found.ok().flatten())
}

#[derive(Default)]
struct Findings(Vec<AuditFinding>);

impl Findings {
    fn add(&mut self, row: impl Into<Option<i64>>, what: impl Into<String>) {
        if self.0.len() < FINDINGS {
            self.0.push(AuditFinding { row: row.into(), what: what.into() });
        }
    }

    /// A row that was named already is bad anyway.
    fn add_unnamed(&mut self, row: i64, what: &str) {
        if self.0.iter().all(|finding| finding.row != Some(row)) {
            self.add(row, what);
        }
    }

    fn in_order(mut self) -> Vec<AuditFinding> {
        self.0.sort_by_key(|finding| finding.row);
        self.0
    }
}

struct Walk<'a> {
    key: &'a ChainKey,
    base: i64,
    /// See [`Head::floor`].
    floor: i64,
    /// The row before the one that is looked at, and its hash as it stands.
    id: i64,
    mac: Vec<u8>,
    rows: u64,
    unchained: u64,
    noted: Option<&'a AuditMark>,
}

impl<'a> Walk<'a> {
    /// Without a head record, from the first row that there can be.
    fn from(head: Option<&Head>, key: &'a ChainKey, noted: Option<&'a AuditMark>) -> Self {
        let (base, mac) = head.map_or((0, BEGINNING.to_vec()), |head| (head.base_id, head.base_mac.clone()));
        Self { key, base, floor: head.map_or(0, Head::floor), id: base, mac, rows: 0, unchained: 0, noted }
    }

    /// Over all rows that can be read. False: SQLite reads no further, and the rows behind that may well be there.
    async fn over(&mut self, c: &mut SqliteConnection, findings: &mut Findings) -> Result<bool, Error> {
        // An index may have been made to show other rows than the table has.
        let all = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM audit NOT INDEXED ORDER BY id"));
        let mut rows = sqlx::query(all).fetch(c);
        loop {
            match rows.try_next().await {
                Ok(Some(row)) => self.step(&row, findings),
                Ok(None) => return Ok(true),
                Err(error) if is_of_the_moment(&error) => return Err(error.into()),
                Err(error) => {
                    findings.add(self.id.saturating_add(1), format!("can't be read: {error}; nor can the rows after it"));
                    return Ok(false);
                }
            }
        }
    }

    fn step(&mut self, row: &SqliteRow, findings: &mut Findings) {
        // SQLite keeps it beside the record, so that it is known whatever became of the rest.
        let id = row.try_get("id").unwrap_or(self.id.saturating_add(1));
        let read = Canonical::read(row);
        // One that can't be read as bytes is of another type, which is told.
        let mac = row.try_get::<Option<Vec<u8>>, _>("mac").ok().flatten();
        match &read {
            Ok(_) if row.try_get("typed").unwrap_or(false) => {}
            Ok(_) => findings.add(id, "a value in it was altered: it isn't of its column's type"),
            Err(error) => findings.add(id, format!("can't be read: {error}")),
        }
        if id <= self.base {
            self.before(id, mac.as_deref(), findings);
            return;
        }
        self.order(id, findings);
        if let Ok(canonical) = &read {
            self.compare(canonical, mac.as_deref(), findings);
        }
        if let Some(noted) = self.noted.filter(|noted| noted.id == id)
            && mac.as_deref() != Some(noted.mac.as_slice())
        {
            findings.add(id, "its hash isn't the one that was noted: the log was put back to an older or another one");
        }
        (self.id, self.rows) = (id, self.rows + 1);
        self.mac = mac.unwrap_or_default();
    }

    /// A row that the chain doesn't hold.
    fn before(&mut self, id: i64, mac: Option<&[u8]>, findings: &mut Findings) {
        if id <= self.floor {
            findings.add(id, "it stands before the beginning of the chain, where no row may stand: it was put in");
            return;
        }
        self.unchained += 1;
        if mac.is_some() {
            findings.add(id, "it is part of a chain that the head record doesn't know");
        }
    }

    /// Rows come one after the other; only a file that was altered below SQL has them in another order.
    fn order(&self, id: i64, findings: &mut Findings) {
        match id.saturating_sub(self.id) {
            ..=0 => findings.add(id, format!("it stands after row {}", self.id)),
            1 => {}
            2 => findings.add(id - 1, "it is missing"),
            _ => findings.add(self.id + 1, format!("it is missing, and all up to {}", id - 1)),
        }
    }

    fn compare(&self, row: &Canonical, mac: Option<&[u8]>, findings: &mut Findings) {
        let whole = mac.is_some_and(|mac| row.mac(self.key, &self.mac) == mac);
        if !whole {
            let text =
                "it was altered, put in, or moved, or one before it is missing: its hash isn't the one of this row after";
            findings.add(row.id, format!("{text} row {}", self.id));
        } else if row.texts[3].as_deref() == Some(ALTERED.as_bytes()) {
            findings.add(row.id, "the gateway found the head record altered, or none, when it wrote this row (none also in a database that is older than the chain)");
        }
    }

    /// After the last row, where all could be read.
    fn end(&self, head: Option<&Head>, findings: &mut Findings) {
        if let Some(head) = head {
            if self.id < head.last_id {
                let text = format!("it is missing at the end: the head record tells of rows up to {}", head.last_id);
                findings.add(self.id + 1, text);
            } else if self.id > head.last_id || self.mac != head.last_mac {
                findings.add(self.id, "the head record doesn't tell of it as the last row");
            }
        }
        let Some(noted) = self.noted else { return };
        let base_mac = head.map_or(BEGINNING.as_slice(), |head| head.base_mac.as_slice());
        if noted.id > self.id {
            findings.add(noted.id, "it was noted, and the log ends before it: the log was put back to an older one");
        } else if noted.id <= self.base && !(noted.id == self.base && noted.mac.as_slice() == base_mac) {
            findings.add(noted.id, "it was noted, and went by its age: note a newer one");
        }
    }
}
