//! Sessions and invitations, in SQLite.
//!
//! Invariant: both are found by the hash of what was sent, and one that has expired isn't found, whether it was removed or not.

use super::{
    rows::{blob, digest, role, time, uuid},
    writer::Writer,
};
use crate::{
    model::{Error, Kind, OrganizationId, Role, Timestamp},
    store::{InvitationRecord, SessionRecord},
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
pub async fn by_hash(readers: &SqlitePool, hash: &[u8; 32]) -> Result<Option<(SessionRecord, Role)>, Error> {
    let query = sqlx::query(
        "SELECT s.id, s.organization, s.user, s.hash, s.created_at, s.seen_at, s.expires_at, m.role FROM sessions s \
         JOIN members m ON m.organization = s.organization AND m.user = s.user WHERE s.hash = ?",
    );
    let row = query.bind(hash.to_vec()).fetch_optional(readers).await?;
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

pub async fn end(writer: &Writer, hash: [u8; 32]) -> Result<(), Error> {
    let delete = sqlx::query("DELETE FROM sessions WHERE hash = ?").bind(hash.to_vec());
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
pub async fn invite(writer: &Writer, invitation: InvitationRecord, most: u32) -> Result<bool, Error> {
    let replaced = sqlx::query("DELETE FROM invitations WHERE organization = ? AND email_key = ?")
        .bind(blob(invitation.organization.0))
        .bind(invitation.email_key.clone());
    let count = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM invitations WHERE organization = ?")
        .bind(blob(invitation.organization.0));
    let (organization, role, by) = (invitation.organization, invitation.role, invitation.invited_by.clone());
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
    .bind(invitation.invited_by.clone())
    .bind(invitation.created_at.as_millis())
    .bind(invitation.expires_at.as_millis());
    writer
        .write(move |c| {
            Box::pin(async move {
                if !may_invite(&mut *c, organization, &by, role).await? {
                    let text = "who invites hasn't the role for it any more";
                    return Err(Error::new(Kind::Conflict, text));
                }
                replaced.execute(&mut *c).await?;
                if count.fetch_one(&mut *c).await? >= i64::from(most) {
                    return Ok(false);
                }
                insert.execute(c).await?;
                Ok(true)
            })
        })
        .await
}

/// Whether the inviter is still there, with such a role: what they invited to was withdrawn when they went.
async fn may_invite(c: &mut SqliteConnection, organization: OrganizationId, by: &str, role: Role) -> Result<bool, Error> {
    let (table, id) = match by.split_once(':') {
        Some(("user", id)) => ("SELECT role FROM members WHERE organization = ? AND user = ?", id),
        Some(("token", id)) => ("SELECT role FROM tokens WHERE organization = ? AND id = ?", id),
        _ => return Ok(false),
    };
    let Ok(id) = id.parse::<Uuid>() else { return Ok(false) };
    let query = sqlx::query_scalar::<_, String>(table).bind(blob(organization.0)).bind(blob(id));
    let present = query.fetch_optional(c).await?.and_then(|text| text.parse::<Role>().ok());
    Ok(present.is_some_and(|present| present >= role))
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
pub async fn withdraw(writer: &Writer, organization: OrganizationId, id: Uuid) -> Result<bool, Error> {
    let delete =
        sqlx::query("DELETE FROM invitations WHERE organization = ? AND id = ?").bind(blob(organization.0)).bind(blob(id));
    writer.write(move |c| Box::pin(async move { Ok(delete.execute(c).await?.rows_affected() > 0) })).await
}
