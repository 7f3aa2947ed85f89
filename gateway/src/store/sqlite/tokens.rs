//! API tokens, in SQLite.
//!
//! Invariant: a token is found by its hash through an index, whether it is the present one or the one before.

use super::{
    SqliteStore, actors, audit,
    connections::unless_taken,
    rows::{blob, digest, json, optional_json, optional_time, role, time, to_json, uuid},
    runner::Teller,
};
use crate::{
    model::{Error, Kind, Network, OrganizationId, Role, Timestamp},
    store::{Actor, AuditEntry, MAX_TOKENS, Measured, TokenRecord, TokenRotation, TokenStore},
};
use async_trait::async_trait;
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};
use uuid::Uuid;

/// What the audit log calls it that one was revoked.
const REVOKED: &str = "tokens.delete";

macro_rules! select {
    ($tail:literal) => {
        concat!(
            "SELECT id, organization, name, hash, prefix, role, scopes, connections, networks, created_by, created_at, ",
            "expires_at, last_used_at, previous_hash, previous_until FROM tokens ",
            $tail
        )
    };
}

#[async_trait]
impl TokenStore for SqliteStore {
    async fn token_insert(&self, token: &TokenRecord) -> Result<(), Error> {
        let token = token.clone();
        self.writer.write(move |c| Box::pin(insert(c, token))).await
    }

    async fn token_make(&self, token: &TokenRecord, by: &Actor) -> Measured<()> {
        let (token, by) = (token.clone(), by.clone());
        self.writer.write(move |c| Box::pin(make(c, token, by))).await
    }

    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, Error> {
        let query = sqlx::query(select!("WHERE hash = ?1 OR previous_hash = ?1")).bind(hash.to_vec());
        query.fetch_optional(&self.readers).await?.as_ref().map(read).transpose()
    }

    async fn token(&self, organization: OrganizationId, id: Uuid) -> Result<Option<TokenRecord>, Error> {
        let query = sqlx::query(select!("WHERE organization = ? AND id = ?")).bind(blob(organization.0)).bind(blob(id));
        query.fetch_optional(&self.readers).await?.as_ref().map(read).transpose()
    }

    async fn tokens(&self, organization: OrganizationId, after: Option<Uuid>, limit: u32) -> Result<Vec<TokenRecord>, Error> {
        let query = sqlx::query(select!("WHERE organization = ? AND id > ? ORDER BY id LIMIT ?"))
            .bind(blob(organization.0))
            .bind(blob(after.unwrap_or_default()))
            .bind(limit);
        query.fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    async fn token_rotate(&self, of: OrganizationId, id: Uuid, rotation: &TokenRotation, by: &Actor) -> Measured<bool> {
        let (rotation, by) = (rotation.clone(), by.clone());
        self.writer.write(move |c| Box::pin(rotate(c, of, id, rotation, by))).await
    }

    async fn token_delete(&self, organization: OrganizationId, id: Uuid) -> Result<bool, Error> {
        self.writer.write(move |c| Box::pin(delete(c, organization, id))).await
    }

    async fn token_revoke(&self, organization: OrganizationId, id: Uuid, by: &Actor) -> Measured<bool> {
        let by = by.clone();
        self.writer.write(move |c| Box::pin(revoke(c, organization, id, by))).await
    }

    async fn tokens_used(&self, uses: &[(Uuid, Timestamp)]) -> Result<(), Error> {
        let uses = uses.to_vec();
        self.writer.write(move |c| Box::pin(note_uses(c, uses))).await
    }
}

async fn insert(c: &mut SqliteConnection, token: TokenRecord) -> Result<(), Error> {
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM tokens WHERE organization = ?")
        .bind(blob(token.organization.0))
        .fetch_one(&mut *c)
        .await?;
    if count >= i64::from(MAX_TOKENS) {
        let text = format!("the organization has {MAX_TOKENS} tokens: delete those that aren't used any more");
        return Err(Error::new(Kind::Conflict, text).with_code("too_many_tokens"));
    }
    let insert = sqlx::query(
        "INSERT INTO tokens (id, organization, name, hash, prefix, role, scopes, connections, networks, created_by, created_at, \
         expires_at, last_used_at, previous_hash, previous_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(blob(token.id))
    .bind(blob(token.organization.0))
    .bind(token.name)
    .bind(token.hash.to_vec())
    .bind(token.prefix)
    .bind(token.role.as_str())
    .bind(to_json(&token.scopes)?)
    .bind(token.connections.as_ref().map(to_json).transpose()?)
    .bind(to_json(&token.networks)?)
    .bind(token.created_by)
    .bind(token.created_at.as_millis())
    .bind(token.expires_at.map(Timestamp::as_millis))
    .bind(token.last_used_at.map(Timestamp::as_millis))
    .bind(token.previous.map(|(hash, _)| hash.to_vec()))
    .bind(token.previous.map(|(_, until)| until.as_millis()));
    insert.execute(c).await.map(drop).map_err(|error| unless_taken(error, "this token exists"))
}

async fn make(c: &mut SqliteConnection, token: TokenRecord, by: Actor) -> Measured<()> {
    match actors::measure(&mut *c, token.organization, &by, Some(token.role)).await? {
        Ok(_) => insert(c, token).await.map(Ok),
        Err(objection) => Ok(Err(objection)),
    }
}

async fn rotate(
    c: &mut SqliteConnection,
    organization: OrganizationId,
    id: Uuid,
    rotation: TokenRotation,
    by: Actor,
) -> Measured<bool> {
    let about = role_of(&mut *c, organization, id).await?;
    if let Err(objection) = actors::measure(&mut *c, organization, &by, about).await? {
        return Ok(Err(objection));
    }
    let update = sqlx::query(
        "UPDATE tokens SET previous_hash = hash, previous_until = ?, hash = ?, prefix = ? WHERE organization = ? AND id = ? \
         AND hash = ?",
    )
    .bind(rotation.previous_until.as_millis())
    .bind(rotation.hash.to_vec())
    .bind(rotation.prefix)
    .bind(blob(organization.0))
    .bind(blob(id))
    .bind(rotation.present.to_vec());
    Ok(Ok(update.execute(c).await?.rows_affected() > 0))
}

async fn role_of(c: &mut SqliteConnection, organization: OrganizationId, id: Uuid) -> Result<Option<Role>, Error> {
    let query = sqlx::query("SELECT role FROM tokens WHERE organization = ? AND id = ?");
    let row = query.bind(blob(organization.0)).bind(blob(id)).fetch_optional(c).await?;
    row.as_ref().map(|row| role(row, "role")).transpose()
}

async fn revoke(c: &mut SqliteConnection, organization: OrganizationId, id: Uuid, by: Actor) -> Measured<bool> {
    let about = role_of(&mut *c, organization, id).await?;
    match actors::measure(&mut *c, organization, &by, about).await? {
        Ok(_) => delete(c, organization, id).await.map(Ok),
        Err(objection) => Ok(Err(objection)),
    }
}

/// What somebody made, what these made, and so on, with their roles.
pub async fn made_by(
    c: &mut SqliteConnection,
    organization: OrganizationId,
    maker: String,
) -> Result<Vec<(Uuid, Role)>, Error> {
    let query = sqlx::query("SELECT id, role, created_by FROM tokens WHERE organization = ?").bind(blob(organization.0));
    let mut others = query.fetch_all(c).await?.iter().map(read_maker).collect::<Result<Vec<_>, Error>>()?;
    let (mut makers, mut made) = (vec![maker], Vec::new());
    while let Some(maker) = makers.pop() {
        for (_, id, role) in others.extract_if(.., |(by, _, _)| *by == maker) {
            makers.push(format!("token:{id}"));
            made.push((id, role));
        }
    }
    Ok(made)
}

fn read_maker(row: &SqliteRow) -> Result<(String, Uuid, Role), Error> {
    Ok((row.try_get("created_by")?, uuid(row, "id")?, role(row, "role")?))
}

/// Whom it invited, it invited for as long as it was trusted.
pub async fn delete(c: &mut SqliteConnection, organization: OrganizationId, id: Uuid) -> Result<bool, Error> {
    let invited = sqlx::query("DELETE FROM invitations WHERE organization = ? AND invited_by = ?");
    invited.bind(blob(organization.0)).bind(format!("token:{id}")).execute(&mut *c).await?;
    let delete = sqlx::query("DELETE FROM tokens WHERE organization = ? AND id = ?");
    Ok(delete.bind(blob(organization.0)).bind(blob(id)).execute(c).await?.rows_affected() > 0)
}

/// Of a token that went with something else, whose own row doesn't name it.
pub async fn tell_revoked(
    c: &mut SqliteConnection,
    organization: OrganizationId,
    id: Uuid,
    teller: &Teller,
) -> Result<(), Error> {
    let Some(cause) = &teller.cause else { return Ok(()) };
    let entry = AuditEntry {
        organization: Some(organization),
        action: REVOKED.to_owned(),
        target: Some(format!("/tokens/{id}")),
        ..cause.entry("done", None)
    };
    audit::append(c, teller.chain.as_ref(), &entry).await
}

async fn note_uses(c: &mut SqliteConnection, uses: Vec<(Uuid, Timestamp)>) -> Result<(), Error> {
    for (id, at) in uses {
        sqlx::query("UPDATE tokens SET last_used_at = ?1 WHERE id = ?2 AND (last_used_at IS NULL OR last_used_at < ?1)")
            .bind(at.as_millis())
            .bind(blob(id))
            .execute(&mut *c)
            .await?;
    }
    Ok(())
}

fn read(row: &SqliteRow) -> Result<TokenRecord, Error> {
    let previous = match optional_time(row, "previous_until")? {
        Some(until) => Some((digest(row, "previous_hash")?, until)),
        None => None,
    };
    Ok(TokenRecord {
        id: uuid(row, "id")?,
        organization: OrganizationId(uuid(row, "organization")?),
        name: row.try_get("name")?,
        hash: digest(row, "hash")?,
        prefix: row.try_get("prefix")?,
        role: role(row, "role")?,
        scopes: json(row, "scopes")?,
        connections: optional_json(row, "connections")?,
        networks: json::<Vec<String>>(row, "networks")?
            .iter()
            .map(|text| Network::kept(text))
            .collect::<Result<_, _>>()
            .map_err(Error::gateway)?,
        created_by: row.try_get("created_by")?,
        created_at: time(row, "created_at")?,
        expires_at: optional_time(row, "expires_at")?,
        last_used_at: optional_time(row, "last_used_at")?,
        previous,
    })
}
