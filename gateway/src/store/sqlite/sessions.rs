//! Sessions and invitations, in SQLite.
//!
//! Invariant: both are found by the hash of what was sent (a session also by its id, of somebody who was let in), and one that has expired isn't found, whether it was removed or not.

use super::{
    actors,
    rows::{blob, digest, role, time, uuid},
    writer::Writer,
};
use crate::{
    model::{Error, OrganizationId, Role, Timestamp},
    store::{Actor, InvitationRecord, Measured, SessionRecord},
};
use sqlx::{Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use uuid::Uuid;

fn read(row: &SqliteRow) -> Result<SessionRecord, Error> {
    Ok(SessionRecord {
        id: uuid(row, "id")?,
        user: uuid(row, "user")?,
        organization: OrganizationId(uuid(row, "organization")?),
        hash: digest(row, "hash")?,
        created_at: time(row, "created_at")?,
        seen_at: time(row, "seen_at")?,
        expires_at: time(row, "expires_at")?,
    })
}

/// Beyond `most` of one user, the oldest ends.
pub async fn insert(writer: &Writer, session: SessionRecord, password: String, most: u32) -> Result<bool, Error> {
    let still = sqlx::query(
        "SELECT 1 FROM users u JOIN members m ON m.user = u.id WHERE u.id = ? AND u.password = ? AND m.organization = ?",
    )
    .bind(blob(session.user))
    .bind(password)
    .bind(blob(session.organization.0));
    let insert = sqlx::query(
        "INSERT INTO sessions (id, organization, user, hash, created_at, seen_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(blob(session.id))
    .bind(blob(session.organization.0))
    .bind(blob(session.user))
    .bind(session.hash.to_vec())
    .bind(session.created_at.as_millis())
    .bind(session.seen_at.as_millis())
    .bind(session.expires_at.as_millis());
    let trim = sqlx::query(
        "DELETE FROM sessions WHERE user = ?1 AND id NOT IN (SELECT id FROM sessions WHERE user = ?1 \
         ORDER BY created_at DESC, id DESC LIMIT ?2)",
    )
    .bind(blob(session.user))
    .bind(most);
    writer
        .write(move |c| {
            Box::pin(async move {
                if still.fetch_optional(&mut *c).await?.is_none() {
                    return Ok(false);
                }
                insert.execute(&mut *c).await?;
                trim.execute(c).await?;
                Ok(true)
            })
        })
        .await
}

/// With the role that its user has in its organization now.
macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT s.id, s.organization, s.user, s.hash, s.created_at, s.seen_at, s.expires_at, m.role FROM sessions s ",
            "JOIN members m ON m.organization = s.organization AND m.user = s.user WHERE ",
            $which
        )
    };
}

pub async fn by_hash(readers: &SqlitePool, hash: &[u8; 32]) -> Result<Option<(SessionRecord, Role)>, Error> {
    found(sqlx::query(select!("s.hash = ?")).bind(hash.to_vec()).fetch_optional(readers).await?)
}

pub async fn by_id(readers: &SqlitePool, id: Uuid) -> Result<Option<(SessionRecord, Role)>, Error> {
    found(sqlx::query(select!("s.id = ?")).bind(blob(id)).fetch_optional(readers).await?)
}

fn found(row: Option<SqliteRow>) -> Result<Option<(SessionRecord, Role)>, Error> {
    row.as_ref().map(|row| Ok((read(row)?, role(row, "role")?))).transpose()
}

pub async fn touch(writer: &Writer, id: Uuid, now: Timestamp) -> Result<(), Error> {
    let update = sqlx::query("UPDATE sessions SET seen_at = max(seen_at, ?) WHERE id = ?").bind(now.as_millis()).bind(blob(id));
    writer.write(move |c| Box::pin(async move { Ok(update.execute(c).await.map(drop)?) })).await
}

/// False: the old hash opens nothing any more.
pub async fn rotate(
    writer: &Writer,
    (old, new): ([u8; 32], [u8; 32]),
    organization: OrganizationId,
    now: Timestamp,
) -> Result<bool, Error> {
    let update = sqlx::query("UPDATE sessions SET hash = ?, organization = ?, seen_at = ? WHERE hash = ?")
        .bind(new.to_vec())
        .bind(blob(organization.0))
        .bind(now.as_millis())
        .bind(old.to_vec());
    writer.write(move |c| Box::pin(async move { Ok(update.execute(c).await?.rows_affected() > 0) })).await
}

/// By its id, which it keeps when its hash is another one.
pub async fn end(writer: &Writer, id: Uuid) -> Result<(), Error> {
    let delete = sqlx::query("DELETE FROM sessions WHERE id = ?").bind(blob(id));
    writer.write(move |c| Box::pin(async move { Ok(delete.execute(c).await.map(drop)?) })).await
}

/// Forgets sessions that ended by age or idleness, and invitations that nobody accepted.
pub async fn expire(writer: &Writer, now: Timestamp, idle_before: Timestamp) -> Result<(), Error> {
    let sessions = sqlx::query("DELETE FROM sessions WHERE expires_at <= ? OR seen_at <= ?")
        .bind(now.as_millis())
        .bind(idle_before.as_millis());
    let invitations = sqlx::query("DELETE FROM invitations WHERE expires_at <= ?").bind(now.as_millis());
    writer
        .write(move |c| {
            Box::pin(async move {
                sessions.execute(&mut *c).await?;
                invitations.execute(c).await?;
                Ok(())
            })
        })
        .await
}

fn read_invitation(row: &SqliteRow) -> Result<InvitationRecord, Error> {
    Ok(InvitationRecord {
        id: uuid(row, "id")?,
        organization: OrganizationId(uuid(row, "organization")?),
        email: row.try_get("email")?,
        email_key: row.try_get("email_key")?,
        role: role(row, "role")?,
        hash: digest(row, "hash")?,
        invited_by: row.try_get("invited_by")?,
        created_at: time(row, "created_at")?,
        expires_at: time(row, "expires_at")?,
    })
}

macro_rules! select_invitation {
    ($tail:literal) => {
        concat!(
            "SELECT id, organization, email, email_key, role, hash, invited_by, created_at, expires_at FROM invitations ",
            $tail
        )
    };
}

/// Takes the place of an earlier one to the same address. False: the organization has `most` already.
pub async fn invite(writer: &Writer, invitation: InvitationRecord, by: Actor, most: u32) -> Measured<bool> {
    writer.write(move |c| Box::pin(invite_in(c, invitation, by, most))).await
}

async fn invite_in(c: &mut SqliteConnection, invitation: InvitationRecord, by: Actor, most: u32) -> Measured<bool> {
    let organization = invitation.organization;
    let earlier = sqlx::query(select_invitation!("WHERE organization = ? AND email_key = ?"))
        .bind(blob(organization.0))
        .bind(invitation.email_key.clone());
    let earlier = earlier.fetch_optional(&mut *c).await?.as_ref().map(read_invitation).transpose()?;
    let about = open_role(earlier.as_ref(), by.at).max(Some(invitation.role));
    if let Err(objection) = actors::measure(&mut *c, organization, &by, about).await? {
        return Ok(Err(objection));
    }
    if let Some(earlier) = earlier {
        sqlx::query("DELETE FROM invitations WHERE id = ?").bind(blob(earlier.id)).execute(&mut *c).await?;
    }
    let count = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM invitations WHERE organization = ?");
    if count.bind(blob(organization.0)).fetch_one(&mut *c).await? >= i64::from(most) {
        return Ok(Ok(false));
    }
    insert_invitation(c, invitation).await?;
    Ok(Ok(true))
}

/// The role that an invitation is to, unless it has expired: then it is nobody's any more.
fn open_role(invitation: Option<&InvitationRecord>, now: Timestamp) -> Option<Role> {
    invitation.filter(|invitation| now < invitation.expires_at).map(|invitation| invitation.role)
}

async fn insert_invitation(c: &mut SqliteConnection, invitation: InvitationRecord) -> Result<(), Error> {
    let insert = sqlx::query(
        "INSERT INTO invitations (id, organization, email, email_key, role, hash, invited_by, created_at, expires_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(blob(invitation.id))
    .bind(blob(invitation.organization.0))
    .bind(invitation.email)
    .bind(invitation.email_key)
    .bind(invitation.role.as_str())
    .bind(invitation.hash.to_vec())
    .bind(invitation.invited_by)
    .bind(invitation.created_at.as_millis())
    .bind(invitation.expires_at.as_millis());
    Ok(insert.execute(c).await.map(drop)?)
}

pub async fn invitation_by_hash(
    readers: &SqlitePool,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<InvitationRecord>, Error> {
    let query = sqlx::query(select_invitation!("WHERE hash = ? AND expires_at > ?"));
    let row = query.bind(hash.to_vec()).bind(now.as_millis()).fetch_optional(readers).await?;
    row.as_ref().map(read_invitation).transpose()
}

/// By the order in which they were made.
pub async fn invitations(
    readers: &SqlitePool,
    organization: OrganizationId,
    after: Option<Uuid>,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<InvitationRecord>, Error> {
    let query = sqlx::query(select_invitation!("WHERE organization = ? AND id > ? AND expires_at > ? ORDER BY id LIMIT ?"))
        .bind(blob(organization.0))
        .bind(after.map_or_else(Vec::new, blob))
        .bind(now.as_millis())
        .bind(limit);
    query.fetch_all(readers).await?.iter().map(read_invitation).collect()
}

/// False: there is none.
pub async fn withdraw(writer: &Writer, organization: OrganizationId, id: Uuid, by: Actor) -> Measured<bool> {
    writer.write(move |c| Box::pin(withdraw_in(c, organization, id, by))).await
}

async fn withdraw_in(c: &mut SqliteConnection, organization: OrganizationId, id: Uuid, by: Actor) -> Measured<bool> {
    let present = sqlx::query(select_invitation!("WHERE organization = ? AND id = ?"));
    let present = present.bind(blob(organization.0)).bind(blob(id)).fetch_optional(&mut *c).await?;
    let present = present.as_ref().map(read_invitation).transpose()?;
    let about = open_role(present.as_ref(), by.at);
    if let Err(objection) = actors::measure(&mut *c, organization, &by, about).await? {
        return Ok(Err(objection));
    }
    let delete = sqlx::query("DELETE FROM invitations WHERE organization = ? AND id = ?");
    Ok(Ok(delete.bind(blob(organization.0)).bind(blob(id)).execute(c).await?.rows_affected() > 0))
}
