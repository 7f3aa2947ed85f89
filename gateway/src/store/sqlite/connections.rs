//! Organizations, connections and the state that guests keep, in SQLite.
//!
//! Invariant: a slug that a connection ever had stays taken, and a connection's state goes with it; what keeps a connection from
//! being deleted is looked at in the transaction that deletes it, and how many there are in the one that makes one more. Secrets
//! arrive sealed.

use super::{
    keys,
    rows::{blob, json, slug, time, to_json, uuid},
    writer::Writer,
};
use crate::{
    model::{ConnectionId, Error, Kind, OrganizationId, ResourceId, Slug},
    store::{ConnectionRecord, MAX_CONNECTIONS, MAX_SLUGS, Organization, PROTECTED},
};
use sqlx::{Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow};

/// Ids that a refusal names; it counts the rest.
const NAMED: u32 = 3;

/// Turns a broken UNIQUE into `taken`.
pub fn unless_taken(error: sqlx::Error, taken: &str) -> Error {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => Error::new(Kind::Conflict, taken),
        _ => error.into(),
    }
}

pub async fn insert_organization(writer: &Writer, organization: Organization) -> Result<(), Error> {
    writer.write(move |c| Box::pin(insert_organization_in(c, organization))).await
}

pub async fn insert_organization_in(c: &mut SqliteConnection, organization: Organization) -> Result<(), Error> {
    let insert = sqlx::query("INSERT INTO organizations (id, slug, name, created_at) VALUES (?, ?, ?, ?)")
        .bind(blob(organization.id.0))
        .bind(organization.slug.as_str().to_owned())
        .bind(organization.name)
        .bind(organization.created_at.as_millis());
    let taken = "an organization of this name exists";
    insert.execute(c).await.map(drop).map_err(|error| unless_taken(error, taken).with_field("organization"))
}

fn read_organization(row: &SqliteRow) -> Result<Organization, Error> {
    Ok(Organization {
        id: OrganizationId(uuid(row, "id")?),
        slug: slug(row, "slug")?,
        name: row.try_get("name")?,
        created_at: time(row, "created_at")?,
    })
}

pub async fn slug_used(readers: &SqlitePool, organization: OrganizationId, slug: &Slug) -> Result<bool, Error> {
    let query = sqlx::query("SELECT 1 FROM connection_slugs WHERE organization = ? AND slug = ?");
    Ok(query.bind(blob(organization.0)).bind(slug.as_str()).fetch_optional(readers).await?.is_some())
}

pub async fn organization_by_slug(readers: &SqlitePool, slug: &Slug) -> Result<Option<Organization>, Error> {
    let query = sqlx::query("SELECT id, slug, name, created_at FROM organizations WHERE slug = ?").bind(slug.as_str());
    query.fetch_optional(readers).await?.as_ref().map(read_organization).transpose()
}

pub async fn organization(readers: &SqlitePool, id: OrganizationId) -> Result<Option<Organization>, Error> {
    let query = sqlx::query("SELECT id, slug, name, created_at FROM organizations WHERE id = ?").bind(blob(id.0));
    query.fetch_optional(readers).await?.as_ref().map(read_organization).transpose()
}

pub async fn insert(writer: &Writer, connection: ConnectionRecord) -> Result<(), Error> {
    let (settings, tls) = (to_json(&connection.settings)?, to_json(&connection.tls)?);
    let secrets = to_json(&connection.secrets)?;
    let sealed = connection.secrets;
    let reserve = sqlx::query("INSERT INTO connection_slugs (organization, slug) VALUES (?, ?)")
        .bind(blob(connection.organization.0))
        .bind(connection.slug.as_str().to_owned());
    let insert = sqlx::query(
        "INSERT INTO connections (id, organization, slug, provider, name, settings, tls, secrets, revision, created_at, \
         updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(blob(connection.id.0))
    .bind(blob(connection.organization.0))
    .bind(connection.slug.as_str().to_owned())
    .bind(connection.provider)
    .bind(connection.name)
    .bind(settings)
    .bind(tls)
    .bind(secrets)
    .bind(connection.revision)
    .bind(connection.created_at.as_millis())
    .bind(connection.updated_at.as_millis());
    let taken = "a connection of this organization has or had this id, and ids are never reused: choose another";
    let organization = connection.organization;
    writer
        .write(move |c| {
            Box::pin(async move {
                keys::refuse_retired(c, sealed.values().map(|secret| secret.sealed.as_slice())).await?;
                refuse_too_many(&mut *c, organization).await?;
                reserve.execute(&mut *c).await.map_err(|error| unless_taken(error, taken).with_field("id"))?;
                insert.execute(c).await?;
                Ok(())
            })
        })
        .await
}

async fn refuse_too_many(c: &mut SqliteConnection, organization: OrganizationId) -> Result<(), Error> {
    let query = sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM connections WHERE organization = ?1), \
         (SELECT COUNT(*) FROM connection_slugs WHERE organization = ?1)",
    );
    let (present, ever): (i64, i64) = query.bind(blob(organization.0)).fetch_one(c).await?;
    let text = if present >= i64::from(MAX_CONNECTIONS) {
        format!("the organization has {MAX_CONNECTIONS} connections: delete those that aren't used any more")
    } else if ever >= i64::from(MAX_SLUGS) {
        format!(
            "the organization has used {MAX_SLUGS} ids of connections, which are never used again: change connections that there \
             are instead of making others, or make another organization"
        )
    } else {
        return Ok(());
    };
    Err(Error::new(Kind::Conflict, text).with_code("too_many_connections"))
}

pub async fn update(writer: &Writer, connection: ConnectionRecord) -> Result<(), Error> {
    let (settings, tls) = (to_json(&connection.settings)?, to_json(&connection.tls)?);
    let secrets = to_json(&connection.secrets)?;
    let sealed = connection.secrets;
    let update = sqlx::query(
        "UPDATE connections SET name = ?, settings = ?, tls = ?, secrets = ?, revision = ?, updated_at = ? \
         WHERE id = ? AND revision = ? - 1",
    )
    .bind(connection.name)
    .bind(settings)
    .bind(tls)
    .bind(secrets)
    .bind(connection.revision)
    .bind(connection.updated_at.as_millis())
    .bind(blob(connection.id.0))
    .bind(connection.revision);
    writer
        .write(move |c| {
            Box::pin(async move {
                keys::refuse_retired(c, sealed.values().map(|secret| secret.sealed.as_slice())).await?;
                match update.execute(c).await?.rows_affected() {
                    0 => Err(Error::new(Kind::Conflict, "the connection was changed or deleted meanwhile: read it again")),
                    _ => Ok(()),
                }
            })
        })
        .await
}

pub async fn delete(writer: &Writer, id: ConnectionId, force: bool) -> Result<bool, Error> {
    let delete = sqlx::query("DELETE FROM connections WHERE id = ?").bind(blob(id.0));
    writer
        .write(move |c| {
            Box::pin(async move {
                if !force {
                    refuse_needed(&mut *c, id).await?;
                }
                Ok(delete.execute(c).await?.rows_affected() > 0)
            })
        })
        .await
}

/// What is lost by a deletion must be said before it is forced, so the refusal tells of both.
async fn refuse_needed(c: &mut SqliteConnection, id: ConnectionId) -> Result<(), Error> {
    let (protected, operations) = (protected_sites(&mut *c, id).await?, open_operations(&mut *c, id).await?);
    if let Some(sites) = protected {
        let running = operations.map_or_else(String::new, |ids| format!("; operations of it are not finished, too: {ids}"));
        let text = format!(
            "sites of this connection have the label {PROTECTED}: {sites}{running}. Lift the protection first, with \
             PATCH /api/v1/sites/{{site}} and {{\"labels\": {{\"{PROTECTED}\": null}}}}, or send this with ?force=true: all labels of its \
             sites go with it"
        );
        return Err(Error::new(Kind::Conflict, text).with_code("protected"));
    }
    let Some(ids) = operations else { return Ok(()) };
    let text = format!(
        "operations of this connection are not finished: {ids}. Wait for them, cancel them, or send this with ?force=true: what the \
         host makes of them is told to nobody then"
    );
    Err(Error::new(Kind::Conflict, text).with_code("operations_running"))
}

async fn protected_sites(c: &mut SqliteConnection, id: ConnectionId) -> Result<Option<String>, Error> {
    let query = sqlx::query(
        "SELECT c.slug, l.site, COUNT(*) OVER () AS total FROM labels l JOIN connections c ON c.id = l.connection \
         WHERE l.connection = ? AND l.key = ? AND l.value <> 'false' ORDER BY l.site LIMIT ?",
    );
    let rows = query.bind(blob(id.0)).bind(PROTECTED).bind(NAMED).fetch_all(c).await?;
    some_of(&rows, |row| Ok(ResourceId::new(slug(row, "slug")?, row.try_get::<String, _>("site")?).to_string()))
}

async fn open_operations(c: &mut SqliteConnection, id: ConnectionId) -> Result<Option<String>, Error> {
    let query = sqlx::query(
        "SELECT id, COUNT(*) OVER () AS total FROM operations WHERE connection = ? AND status IN ('queued', 'running') \
         ORDER BY id LIMIT ?",
    );
    let rows = query.bind(blob(id.0)).bind(NAMED).fetch_all(c).await?;
    some_of(&rows, |row| Ok(row.try_get("id")?))
}

/// The names of rows that know their `total`, as words; none where there are no rows.
fn some_of(rows: &[SqliteRow], name: impl Fn(&SqliteRow) -> Result<String, Error>) -> Result<Option<String>, Error> {
    let Some(first) = rows.first() else { return Ok(None) };
    let names = rows.iter().map(name).collect::<Result<Vec<_>, _>>()?;
    let more = first.try_get::<i64, _>("total")? - i64::try_from(names.len()).unwrap_or(i64::MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Ok(Some(names.join(", ") + &more))
}

fn read(row: &SqliteRow) -> Result<ConnectionRecord, Error> {
    Ok(ConnectionRecord {
        id: ConnectionId(uuid(row, "id")?),
        organization: OrganizationId(uuid(row, "organization")?),
        slug: slug(row, "slug")?,
        provider: row.try_get("provider")?,
        name: row.try_get("name")?,
        settings: json(row, "settings")?,
        tls: json(row, "tls")?,
        secrets: json(row, "secrets")?,
        revision: row.try_get("revision")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

macro_rules! select {
    ($tail:literal) => {
        concat!(
            "SELECT id, organization, slug, provider, name, settings, tls, secrets, revision, created_at, updated_at ",
            "FROM connections ",
            $tail
        )
    };
}

pub async fn get(readers: &SqlitePool, id: ConnectionId) -> Result<Option<ConnectionRecord>, Error> {
    let query = sqlx::query(select!("WHERE id = ?")).bind(blob(id.0));
    query.fetch_optional(readers).await?.as_ref().map(read).transpose()
}

pub async fn list(readers: &SqlitePool, organization: OrganizationId) -> Result<Vec<ConnectionRecord>, Error> {
    let query = sqlx::query(select!("WHERE organization = ? ORDER BY slug")).bind(blob(organization.0));
    query.fetch_all(readers).await?.iter().map(read).collect()
}

pub async fn load_state(readers: &SqlitePool, connection: ConnectionId) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let query = sqlx::query_as("SELECT key, value FROM connection_state WHERE connection = ? ORDER BY key");
    Ok(query.bind(blob(connection.0)).fetch_all(readers).await?)
}

pub async fn set_state(writer: &Writer, connection: ConnectionId, key: String, value: Vec<u8>) -> Result<(), Error> {
    // A connection that was deleted meanwhile has no state any more, so that this writes nothing rather than fail.
    let upsert = sqlx::query(
        "INSERT INTO connection_state (connection, key, value) SELECT id, ?, ? FROM connections WHERE id = ? \
         ON CONFLICT (connection, key) DO UPDATE SET value = excluded.value",
    )
    .bind(key)
    .bind(value)
    .bind(blob(connection.0));
    writer.write(move |c| Box::pin(async move { Ok(upsert.execute(c).await.map(drop)?) })).await
}

pub async fn delete_state(writer: &Writer, connection: ConnectionId, key: String) -> Result<(), Error> {
    let delete =
        sqlx::query("DELETE FROM connection_state WHERE connection = ? AND key = ?").bind(blob(connection.0)).bind(key);
    writer.write(move |c| Box::pin(async move { Ok(delete.execute(c).await.map(drop)?) })).await
}
