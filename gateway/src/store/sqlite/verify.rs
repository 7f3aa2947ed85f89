//! Checks the audit log of a database file, row by row, beside a gateway that may be running.
//!
//! In go the file, the key and, if it was noted, a row with its hash; out comes what was found. Invariant: nothing is written, and
//! everything is read in one transaction, so that a log that grows meanwhile is seen whole.

use super::audit::{ALTERED, COLUMNS, Canonical, Head, head};
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
    moment.rollback().await?;
    connection.close().await?;
    Ok(report)
}

async fn check(c: &mut SqliteConnection, key: &ChainKey, noted: Option<&AuditMark>) -> Result<AuditReport, Error> {
    let mut findings = Findings::default();
    let head = head(&mut *c).await?.unwrap_or_else(|| {
        findings.add(None, "the head record is missing");
        Head { base_id: 0, base_mac: vec![0; 32], last_id: 0, last_mac: vec![0; 32], seal: Vec::new() }
    });
    if !head.seal.is_empty() && !head.is_sealed(key) {
        findings.add(None, "the head record was altered, or another key sealed it");
    }
    let mut walk = Walk { key, base: head.base_id, id: head.base_id, mac: head.base_mac.clone(), rows: 0, unchained: 0, noted };
    let all = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM audit ORDER BY id"));
    let mut rows = sqlx::query(all).fetch(c);
    while let Some(row) = rows.try_next().await? {
        walk.step(&row, &mut findings)?;
    }
    walk.end(&head, &mut findings);
    let mac = <[u8; 32]>::try_from(head.last_mac.as_slice()).unwrap_or_default();
    Ok(AuditReport {
        unchained: walk.unchained,
        rows: walk.rows,
        first: head.base_id + 1,
        head: AuditMark { id: head.last_id, mac },
        findings: findings.0,
    })
}

#[derive(Default)]
struct Findings(Vec<AuditFinding>);

impl Findings {
    fn add(&mut self, row: impl Into<Option<i64>>, what: impl Into<String>) {
        if self.0.len() < FINDINGS {
            self.0.push(AuditFinding { row: row.into(), what: what.into() });
        }
    }
}

struct Walk<'a> {
    key: &'a ChainKey,
    base: i64,
    /// The row before the one that is looked at, and its hash as it stands.
    id: i64,
    mac: Vec<u8>,
    rows: u64,
    unchained: u64,
    noted: Option<&'a AuditMark>,
}

impl Walk<'_> {
    fn step(&mut self, row: &SqliteRow, findings: &mut Findings) -> Result<(), Error> {
        let (canonical, mac) = (Canonical::read(row)?, row.try_get::<Option<Vec<u8>>, _>("mac")?);
        let id = canonical.id;
        if id <= self.base {
            self.unchained += 1;
            if mac.is_some() {
                findings.add(id, "it is part of a chain that the head record doesn't know");
            }
            return Ok(());
        }
        match id - self.id {
            1 => {}
            2 => findings.add(id - 1, "it is missing"),
            _ => findings.add(self.id + 1, format!("it is missing, and all up to {}", id - 1)),
        }
        let whole = mac.as_ref().is_some_and(|mac| canonical.mac(self.key, &self.mac) == mac.as_slice());
        if !whole {
            let text =
                "it was altered, put in, or moved, or one before it is missing: its hash isn't the one of this row after";
            findings.add(id, format!("{text} row {}", self.id));
        } else if canonical.texts[3].as_deref() == Some(ALTERED.as_bytes()) {
            findings.add(id, "the gateway found the head record altered, or none, when it wrote this row (none also in a database that is older than the chain)");
        }
        if let Some(noted) = self.noted.filter(|noted| noted.id == id)
            && mac.as_deref() != Some(noted.mac.as_slice())
        {
            findings.add(id, "its hash isn't the one that was noted: the log was put back to an older or another one");
        }
        (self.id, self.rows) = (id, self.rows + 1);
        self.mac = mac.unwrap_or_default();
        Ok(())
    }

    fn end(&self, head: &Head, findings: &mut Findings) {
        if self.id < head.last_id {
            let text = format!("it is missing at the end: the head record tells of rows up to {}", head.last_id);
            findings.add(self.id + 1, text);
        } else if !head.seal.is_empty() && (self.id > head.last_id || self.mac != head.last_mac) {
            findings.add(self.id, "the head record doesn't tell of it as the last row");
        }
        if let Some(noted) = self.noted {
            if noted.id > self.id {
                findings.add(noted.id, "it was noted, and the log ends before it: the log was put back to an older one");
            } else if noted.id <= self.base && !(noted.id == self.base && noted.mac.as_slice() == head.base_mac) {
                findings.add(noted.id, "it was noted, and went by its age: note a newer one");
            }
        }
    }
}
