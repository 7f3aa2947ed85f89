//! Takes the oldest rows of the audit log away, by their age.
//!
//! In goes a time; out comes how many rows went. Invariant: the head moves in the transaction in which the rows go, and nothing goes
//! that a check would name: neither while the head is altered, nor a row that isn't whole, nor what comes after it, nor what stands
//! where no row may, before the beginning of the chain, which stops nothing either.

use super::{
    audit::{COLUMNS, Canonical, Head, head, set_head},
    writer::Writer,
};
use crate::{
    model::{Error, Timestamp},
    seal::ChainKey,
};
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

pub async fn prune(writer: &Writer, before: Timestamp, batch: u32) -> Result<u64, Error> {
    let Some(key) = writer.chain() else { return Ok(0) };
    writer.write_aside(move |c| Box::pin(async move { prune_in(c, &key, before, batch).await })).await
}

async fn prune_in(c: &mut SqliteConnection, key: &ChainKey, before: Timestamp, batch: u32) -> Result<u64, Error> {
    let Some(present) = head(&mut *c).await?.filter(|head| head.is_sealed(key)) else { return Ok(0) };
    let floor = present.floor();
    let (last, head) = oldest(c, key, before, batch, present).await?;
    if last == floor {
        return Ok(0);
    }
    set_head(c, &head.sealed(key)).await?;
    let delete = sqlx::query("DELETE FROM audit WHERE id > ? AND id <= ?").bind(floor).bind(last);
    Ok(delete.execute(c).await?.rows_affected())
}

/// The last of the oldest rows that may go, or the head's floor, and the head behind it.
async fn oldest(
    c: &mut SqliteConnection,
    key: &ChainKey,
    before: Timestamp,
    batch: u32,
    mut head: Head,
) -> Result<(i64, Head), Error> {
    let query = AssertSqlSafe(format!("SELECT {COLUMNS} FROM audit NOT INDEXED WHERE id > ? ORDER BY id LIMIT ?"));
    let mut last = head.floor();
    for row in sqlx::query(query).bind(last).bind(batch).fetch_all(c).await? {
        let (canonical, mac) = (Canonical::read(&row)?, row.try_get::<Option<Vec<u8>>, _>("mac")?.unwrap_or_default());
        // What lies before a chain that began anew is told by the chain's first row.
        let outside = canonical.id <= head.base_id;
        // An age is believed only under the row's hash: whoever writes it into the file could have the row taken away.
        let whole = canonical.id == head.base_id + 1 && canonical.mac(key, &head.base_mac) == mac.as_slice();
        if canonical.at >= before.as_millis() || !(outside || whole) {
            break;
        }
        last = canonical.id;
        if whole {
            (head.base_id, head.base_mac) = (canonical.id, mac);
        }
    }
    Ok((last, head))
}
