//! Values of the model as SQLite keeps them, and back.
//!
//! In go columns, out come model values. Invariant: whatever can't be read is an error that names the column, never a default.

use crate::model::{
    Action, ConnectionId, Error, Operation, OperationId, OperationStatus, OrganizationId, Role, Slug, Target, Timestamp,
};
use crate::store::OperationRecord;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use sqlx::{Row as _, sqlite::SqliteRow};
use uuid::Uuid;

/// The columns that [`record`] reads.
macro_rules! operation_columns {
    () => {
        "id, organization, connection, connection_slug, principal, action, target_kind, target_id, target_site, status, \
         progress, message, result, error, native, estimated_completion_at, created_at, updated_at, finished_at, owner, \
         fence, steps, sent_at, handle, arguments, completion"
    };
}
pub(super) use operation_columns;

pub fn blob(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

pub fn to_json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::gateway(format_args!("could not write JSON for the store: {error}")))
}

fn unreadable(column: &str, why: impl std::fmt::Display) -> Error {
    Error::gateway(format_args!("the database holds an unreadable {column}: {why}"))
}

pub fn json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T, Error> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|error| unreadable(column, error))
}

fn optional_json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<Option<T>, Error> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| unreadable(column, error))
}

/// JSON that is passed along as it is.
pub fn raw_json(column: &str, text: String) -> Result<Box<RawValue>, Error> {
    RawValue::from_string(text).map_err(|error| unreadable(column, error))
}

pub fn uuid(row: &SqliteRow, column: &str) -> Result<Uuid, Error> {
    let bytes: Vec<u8> = row.try_get(column)?;
    Uuid::from_slice(&bytes).map_err(|error| unreadable(column, error))
}

pub fn slug(row: &SqliteRow, column: &str) -> Result<Slug, Error> {
    let text: String = row.try_get(column)?;
    Slug::parse(&text).map_err(|error| unreadable(column, error))
}

pub fn time(row: &SqliteRow, column: &str) -> Result<Timestamp, Error> {
    Ok(Timestamp::from_millis(row.try_get(column)?))
}

pub fn optional_time(row: &SqliteRow, column: &str) -> Result<Option<Timestamp>, Error> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_millis))
}

pub fn digest(row: &SqliteRow, column: &str) -> Result<[u8; 32], Error> {
    let bytes: Vec<u8> = row.try_get(column)?;
    bytes.try_into().map_err(|_| unreadable(column, "not 32 bytes"))
}

pub fn operation_id(row: &SqliteRow) -> Result<OperationId, Error> {
    let text: String = row.try_get("id")?;
    OperationId::parse(&text).ok_or_else(|| unreadable("id", text))
}

fn word<T: Copy>(row: &SqliteRow, column: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, Error> {
    let text: String = row.try_get(column)?;
    all.iter().copied().find(|&value| name(value) == text).ok_or_else(|| unreadable(column, text))
}

pub fn role(row: &SqliteRow, column: &str) -> Result<Role, Error> {
    word(row, column, &Role::ALL, Role::as_str)
}

pub fn status(row: &SqliteRow) -> Result<OperationStatus, Error> {
    word(row, "status", OperationStatus::ALL, OperationStatus::as_str)
}

pub fn operation(row: &SqliteRow) -> Result<Operation, Error> {
    Ok(Operation {
        id: operation_id(row)?,
        action: word(row, "action", Action::ALL, Action::as_str)?,
        connection: row.try_get("connection_slug")?,
        target: Target { kind: row.try_get("target_kind")?, id: row.try_get("target_id")?, site: row.try_get("target_site")? },
        status: status(row)?,
        progress: row.try_get::<Option<u8>, _>("progress")?,
        message: row.try_get("message")?,
        result: optional_json(row, "result")?,
        error: optional_json(row, "error")?,
        estimated_completion_at: optional_time(row, "estimated_completion_at")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        finished_at: optional_time(row, "finished_at")?,
        native: optional_json(row, "native")?,
    })
}

pub fn record(row: &SqliteRow) -> Result<OperationRecord, Error> {
    let owner: Option<Vec<u8>> = row.try_get("owner")?;
    Ok(OperationRecord {
        operation: operation(row)?,
        organization: OrganizationId(uuid(row, "organization")?),
        connection: ConnectionId(uuid(row, "connection")?),
        principal: row.try_get("principal")?,
        owner: owner.map(|bytes| Uuid::from_slice(&bytes)).transpose().map_err(|error| unreadable("owner", error))?,
        fence: row.try_get("fence")?,
        steps: row.try_get("steps")?,
        sent_at: optional_time(row, "sent_at")?,
        handle: row.try_get("handle")?,
        arguments: row.try_get("arguments")?,
        completion: row.try_get("completion")?,
    })
}
