//! The audit log in SQLite: rows in a chain, and the record of where the chain begins and ends.
//!
//! In go entries; out come rows of one organization. Invariant: a row, its hash and the head record are one transaction, ids have
//! no gaps, and a head that was altered is never sealed anew without a row that says so. Checking the chain is in
//! [`super::verify`], taking old rows away in [`super::prune`].

use super::{
    rows::{blob, time},
    writer::Writer,
};
use crate::{
    model::{Error, OrganizationId, Timestamp},
    seal::ChainKey,
    store::{AuditEntry, AuditFilter, AuditRow},
};
use sqlx::{Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow};

/// The row that stands where an altered log was found and went on.
pub const ALTERED: &str = "audit.altered";
/// What the first row of a chain is hashed with.
pub const BEGINNING: [u8; 32] = [0; 32];

/// The head record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The chain begins after this row, whose hash was `base_mac`.
    pub base_id: i64,
    pub base_mac: Vec<u8>,
    pub last_id: i64,
    pub last_mac: Vec<u8>,
    pub seal: Vec<u8>,
}

impl Head {
    /// What stands at this number or below was put in. Only a chain that began after other rows, such as those of an older version,
    /// has rows before it: they are numbered from 1, and are gone when the first row of the chain goes.
    pub fn floor(&self) -> i64 {
        if self.base_mac == BEGINNING { 0 } else { self.base_id }
    }

    pub fn is_sealed(&self, key: &ChainKey) -> bool {
        let (base, last) = (self.base_id.to_le_bytes(), self.last_id.to_le_bytes());
        key.verifies(&[b"head", &base, &self.base_mac, &last, &self.last_mac], &self.seal)
    }

    pub fn sealed(mut self, key: &ChainKey) -> Self {
        let (base, last) = (self.base_id.to_le_bytes(), self.last_id.to_le_bytes());
        self.seal = key.tag(&[b"head", &base, &self.base_mac, &last, &self.last_mac]).to_vec();
        self
    }
}

/// The columns of a row as they are hashed: bytes, whatever stands in the file.
pub struct Canonical {
    pub id: i64,
    pub at: i64,
    pub status: Option<i64>,
    /// organization, principal, client, action, target, outcome, request id, operation
    pub texts: [Option<Vec<u8>>; 8],
}

/// The columns for [`Canonical::read`], whether each is of the type that the schema gives it, and the hash. The type isn't hashed:
/// a text and a blob are the same bytes, and differ by one bit of the file.
pub const COLUMNS: &str = "id, at, status, organization, CAST(principal AS BLOB) AS principal, CAST(client AS BLOB) AS client, \
    CAST(action AS BLOB) AS action, CAST(target AS BLOB) AS target, CAST(outcome AS BLOB) AS outcome, \
    CAST(request_id AS BLOB) AS request_id, CAST(operation AS BLOB) AS operation, \
    typeof(id) = 'integer' AND typeof(at) = 'integer' AND typeof(organization) IN ('blob', 'null') \
    AND typeof(principal) = 'text' AND typeof(client) IN ('text', 'null') AND typeof(action) = 'text' \
    AND typeof(target) IN ('text', 'null') AND typeof(outcome) = 'text' AND typeof(status) IN ('integer', 'null') \
    AND typeof(request_id) IN ('text', 'null') AND typeof(operation) IN ('text', 'null') \
    AND typeof(mac) IN ('blob', 'null') AS typed, mac";

impl Canonical {
    pub fn read(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let bytes = |column: &str| row.try_get::<Option<Vec<u8>>, _>(column);
        Ok(Self {
            id: row.try_get("id")?,
            at: row.try_get("at")?,
            status: row.try_get("status")?,
            texts: [
                bytes("organization")?,
                bytes("principal")?,
                bytes("client")?,
                bytes("action")?,
                bytes("target")?,
                bytes("outcome")?,
                bytes("request_id")?,
                bytes("operation")?,
            ],
        })
    }

    fn of(id: i64, entry: &AuditEntry) -> Self {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        let optional = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
        Self {
            id,
            at: entry.at.as_millis(),
            status: entry.status.map(i64::from),
            texts: [
                entry.organization.map(|id| blob(id.0)),
                text(&entry.principal),
                entry.client.map(|client| client.to_string().into_bytes()),
                text(&entry.action),
                optional(&entry.target),
                text(&entry.outcome),
                optional(&entry.request_id),
                optional(&entry.operation),
            ],
        }
    }

    pub fn mac(&self, key: &ChainKey, previous: &[u8]) -> [u8; 32] {
        let (id, at) = (self.id.to_le_bytes(), self.at.to_le_bytes());
        let status = self.status.map(i64::to_le_bytes);
        let mut parts: Vec<&[u8]> = vec![b"row", previous, &id, &at];
        let status = status.as_ref().map(<[u8; 8]>::as_slice);
        for part in std::iter::once(status).chain(self.texts.iter().map(Option::as_deref)) {
            // What is there has a mark before it, so that an empty text and none are different.
            parts.extend(part.map_or([b"-".as_slice(), b""], |part| [b"+", part]));
        }
        key.tag(&parts)
    }
}

pub async fn head(executor: impl sqlx::SqliteExecutor<'_>) -> Result<Option<Head>, sqlx::Error> {
    let query = sqlx::query("SELECT base_id, base_mac, last_id, last_mac, seal FROM audit_head");
    let Some(row) = query.fetch_optional(executor).await? else { return Ok(None) };
    Ok(Some(Head {
        base_id: row.try_get("base_id")?,
        base_mac: row.try_get("base_mac")?,
        last_id: row.try_get("last_id")?,
        last_mac: row.try_get("last_mac")?,
        seal: row.try_get("seal")?,
    }))
}

pub async fn set_head(c: &mut SqliteConnection, head: &Head) -> Result<(), Error> {
    sqlx::query(
        "INSERT OR REPLACE INTO audit_head (one, base_id, base_mac, last_id, last_mac, seal) VALUES (1, ?, ?, ?, ?, ?)",
    )
    .bind(head.base_id)
    .bind(&head.base_mac)
    .bind(head.last_id)
    .bind(&head.last_mac)
    .bind(&head.seal)
    .execute(c)
    .await?;
    Ok(())
}

async fn last_row(c: &mut SqliteConnection) -> Result<i64, Error> {
    let last: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) FROM audit").fetch_one(c).await?;
    // Below 1 there is none of ours.
    Ok(last.max(0))
}

/// Begins the chain, unless it began before.
pub async fn begin(writer: &Writer) -> Result<(), Error> {
    let Some(key) = writer.chain() else { return Ok(()) };
    writer.write_aside(move |c| Box::pin(async move { present_head(c, &key).await.map(drop) })).await
}

/// The head to go on from. One that is missing or altered is told by a row, which is then part of the chain for good.
async fn present_head(c: &mut SqliteConnection, key: &ChainKey) -> Result<Head, Error> {
    let found = head(&mut *c).await?;
    // The chain begins with the database, before there is anybody whose doings it could tell: later there is always a head.
    let is_used = "SELECT EXISTS (SELECT 1 FROM organizations) OR EXISTS (SELECT 1 FROM audit)";
    let (head, altered) = match found {
        Some(head) if head.is_sealed(key) => return Ok(head),
        Some(head) => (head, true),
        None => {
            let altered = sqlx::query_scalar::<_, bool>(is_used).fetch_one(&mut *c).await?;
            let (base, mac) = (last_row(c).await?, BEGINNING.to_vec());
            (Head { base_id: base, base_mac: mac.clone(), last_id: base, last_mac: mac, seal: Vec::new() }, altered)
        }
    };
    if !altered {
        let head = head.sealed(key);
        set_head(c, &head).await?;
        return Ok(head);
    }
    tracing::error!(
        row = head.last_id,
        "the head record of the audit log was altered or taken away: see `portico audit verify`"
    );
    let entry = AuditEntry {
        at: crate::clock::now(),
        organization: None,
        principal: "gateway".to_owned(),
        client: None,
        action: ALTERED.to_owned(),
        target: None,
        outcome: "done".to_owned(),
        status: None,
        request_id: None,
        operation: None,
    };
    chained_after(c, key, head, &entry).await
}

pub async fn append(c: &mut SqliteConnection, key: Option<&ChainKey>, entry: &AuditEntry) -> Result<(), Error> {
    match key {
        Some(key) => {
            let head = present_head(c, key).await?;
            chained_after(c, key, head, entry).await.map(drop)
        }
        None => {
            let id = last_row(c).await? + 1;
            insert(c, id, entry, None).await
        }
    }
}

async fn chained_after(c: &mut SqliteConnection, key: &ChainKey, head: Head, entry: &AuditEntry) -> Result<Head, Error> {
    // After a row that should not be there, the next number is the one after it: the check names it.
    let last = head.last_id.max(last_row(c).await?);
    let id =
        last.checked_add(1).ok_or_else(|| Error::gateway("a row of the audit log has the highest number that there is"))?;
    let mac = Canonical::of(id, entry).mac(key, &head.last_mac);
    insert(c, id, entry, Some(&mac)).await?;
    let head = Head { last_id: id, last_mac: mac.to_vec(), ..head }.sealed(key);
    set_head(c, &head).await?;
    Ok(head)
}

async fn insert(c: &mut SqliteConnection, id: i64, entry: &AuditEntry, mac: Option<&[u8; 32]>) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO audit (id, at, organization, principal, client, action, target, outcome, status, request_id, operation, \
         mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id)
    .bind(entry.at.as_millis())
    .bind(entry.organization.map(|id| blob(id.0)))
    .bind(&entry.principal)
    .bind(entry.client.map(|client| client.to_string()))
    .bind(&entry.action)
    .bind(&entry.target)
    .bind(&entry.outcome)
    .bind(entry.status)
    .bind(&entry.request_id)
    .bind(&entry.operation)
    .bind(mac.map(|mac| mac.to_vec()))
    .execute(c)
    .await?;
    Ok(())
}

pub async fn write(writer: &Writer, entry: AuditEntry) -> Result<(), Error> {
    let key = writer.chain();
    writer.write_aside(move |c| Box::pin(async move { append(c, key.as_ref(), &entry).await })).await
}

pub async fn list(
    readers: &SqlitePool,
    organization: OrganizationId,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<AuditRow>, Error> {
    // By the index that a check holds against the table, whatever others somebody made.
    let query = sqlx::query(
        "SELECT id, at, organization, principal, client, action, target, outcome, status, request_id, operation FROM audit \
         INDEXED BY audit_by_organization WHERE organization = ?1 AND (?2 IS NULL OR id < ?2) AND (?3 IS NULL OR at >= ?3) \
         AND (?4 IS NULL OR at < ?4) AND (?5 IS NULL OR principal = ?5) AND (?6 IS NULL OR action = ?6) \
         ORDER BY id DESC LIMIT ?7",
    )
    .bind(blob(organization.0))
    .bind(before)
    .bind(filter.since.map(Timestamp::as_millis))
    .bind(filter.until.map(Timestamp::as_millis))
    .bind(&filter.principal)
    .bind(&filter.action)
    .bind(limit);
    query.fetch_all(readers).await?.iter().map(|row| read(row, organization)).collect()
}

fn read(row: &SqliteRow, organization: OrganizationId) -> Result<AuditRow, Error> {
    let client: Option<String> = row.try_get("client")?;
    let client = client.map(|text| text.parse()).transpose();
    let entry = AuditEntry {
        at: time(row, "at")?,
        organization: Some(organization),
        principal: row.try_get("principal")?,
        client: client.map_err(|error| Error::gateway(format_args!("the audit log holds an unreadable client: {error}")))?,
        action: row.try_get("action")?,
        target: row.try_get("target")?,
        outcome: row.try_get("outcome")?,
        status: row.try_get("status")?,
        request_id: row.try_get("request_id")?,
        operation: row.try_get("operation")?,
    };
    Ok(AuditRow { id: row.try_get("id")?, entry })
}
