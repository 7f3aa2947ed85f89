//! Events as server-sent events (the WHATWG HTML standard, section 9.2): of one operation, and of the organization.
//!
//! In go a topic and `Last-Event-ID`; out comes a stream that ends with its operation, its credential or the gateway.
//! Invariant: an event's bytes are written once for all who watch, and hold the same view as a read, without secrets.

use super::{
    Caller, Shared, answer,
    extract::{Path, Query},
    names,
    operations::operation_id,
    problem::Problem,
    respond,
};
use crate::{
    clock,
    dispatch::HealthReport,
    events::{Filter, News, Watch},
    model::{self, EventType, Timestamp, form},
    store::{EventRecord, EventSubject},
};
use axum::{
    Extension,
    body::Body,
    extract::State,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::convert::Infallible;

/// Milliseconds after which a browser that lost the stream comes back.
const RETRY: u32 = 2000;
const RESET: &str = "events that you didn't see are gone: list what you watch again; this stream goes on from now";
/// A frame of a stream, for the document.
pub const EXAMPLE: &str = concat!(
    "id: 7\nevent: connection.health\ndata: ",
    r#"{"id":7,"type":"connection.health","at":"2026-11-25T04:38:25.844Z","data":{"connection":"sandbox","#,
    r#""health":{"status":"failing","checked_at":"2026-11-25T04:38:25.844Z","detail":"refused"}}}"#,
    "\n\n",
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Types of events, separated by commas: `operation.updated`, `connection.health`. All, when it is left out.
    #[schemars(regex(pattern = r"^(operation\.updated|connection\.health)(,(operation\.updated|connection\.health))*$"))]
    types: Option<String>,
    /// Only what happens on this connection.
    #[schemars(with = "Option<form::SlugText>")]
    connection: Option<String>,
}

/// What stands in `data:` of an event.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub struct EventView<'a> {
    /// Grows from event to event, with gaps.
    id: i64,
    /// `reset`: events were missed that are gone.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["operation.updated", "connection.health", "reset"]))]
    kind: &'a str,
    at: Timestamp,
    /// The operation as it then was, how the connection fares, or why there was a reset.
    data: Data<'a>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(untagged)]
enum Data<'a> {
    Operation(Box<answer::View<'a>>),
    Health(HealthData<'a>),
    Reset(ResetData<'a>),
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConnectionHealthEvent")]
struct HealthData<'a> {
    connection: &'a str,
    #[schemars(with = "HealthReport")]
    health: &'a RawValue,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ResetEvent")]
struct ResetData<'a> {
    detail: &'a str,
}

/// From now on, or after `Last-Event-ID`.
pub async fn of_organization(
    State(api): Shared,
    Extension(principal): Caller,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let since = last_event_id(&headers)?;
    let types = parameters.types.as_deref().map(event_types).transpose()?;
    let connection = match &parameters.connection {
        Some(text) => {
            let named = names::connection("connection", text)?;
            Some(api.connection(&principal, &named).await?.record.slug.to_string())
        }
        None => None,
    };
    let watch = api.events.organization(&principal, Filter { types, connection, ..Filter::default() }, since).await?;
    Ok(stream(watch))
}

/// The operation as it is, or what came after `Last-Event-ID`; then its changes to its end.
pub async fn of_operation(
    State(api): Shared,
    Extension(principal): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let since = last_event_id(&headers)?;
    let id = operation_id(&id)?;
    if principal.scopes.connections().is_some() {
        api.operation(&principal, &id).await?;
    }
    let watch = api.events.operation(&principal, id, since).await?;
    if watch.is_over() {
        // What tells a browser not to come back.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(stream(watch))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|id| *id >= 0);
    id.map(Some).ok_or_else(|| Problem::malformed("Last-Event-ID is the id of an event, a number"))
}

fn event_types(text: &str) -> Result<Vec<EventType>, Problem> {
    let known = || EventType::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    let find = |name: &str| {
        let found = EventType::ALL.iter().copied().find(|kind| kind.as_str() == name);
        found.ok_or_else(|| Problem::invalid("types", format!("{name:?} is none of: {}", known())))
    };
    text.split(',').map(find).collect()
}

fn stream(watch: Watch) -> Response {
    let mut start = format!("retry: {RETRY}\n");
    mark(&mut start, watch.position());
    let start = stream::iter([Ok::<_, Infallible>(Bytes::from(start))]);
    let news = stream::unfold(watch, async |mut watch| {
        let frame = match watch.next().await? {
            News::Event(event) => event.frame.clone(),
            News::Reset(position) => reset(position).ok()?,
            News::Silence(position) => {
                let mut text = String::from(":\n");
                mark(&mut text, position);
                Bytes::from(text)
            }
        };
        Some((Ok(frame), watch))
    });
    let mut response = Response::new(Body::from_stream(start.chain(news)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies of the nginx family would gather events until their buffer is full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A block of an id alone is no event, but clients remember the id: who comes back after a silence misses nothing.
fn mark(text: &mut String, position: i64) {
    text.push_str(&format!("id: {position}\n\n"));
}

fn reset(position: i64) -> Result<Bytes, Problem> {
    frame(&EventView { id: position, kind: "reset", at: clock::now(), data: Data::Reset(ResetData { detail: RESET }) })
}

/// How the events room has events written.
pub fn write(record: &EventRecord) -> Result<Bytes, model::Error> {
    let (kind, data) = match &record.subject {
        EventSubject::Operation(operation) => {
            (EventType::OperationUpdated, Data::Operation(Box::new(answer::view(operation, &[]))))
        }
        EventSubject::Health(health) => {
            (EventType::ConnectionHealth, Data::Health(HealthData { connection: &record.connection, health }))
        }
    };
    frame(&EventView { id: record.id, kind: kind.as_str(), at: record.at, data })
        .map_err(|problem| model::Error::gateway(problem.detail))
}

fn frame(event: &EventView<'_>) -> Result<Bytes, Problem> {
    let mut json = respond::to_bytes(event)?;
    // Line breaks end a field. In JSON they stand between tokens only, where a host's own may have some, and mean a space.
    json.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    let head = format!("id: {}\nevent: {}\ndata: ", event.id, event.kind);
    Ok([head.as_bytes(), &json, b"\n\n"].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OrganizationId;

    #[test]
    fn an_event_is_one_line_whatever_the_host_wrote() {
        let health = RawValue::from_string("{\n  \"status\": \"failing\",\r\n\"detail\": \"a\\nb\"}".to_owned()).unwrap();
        let record = EventRecord {
            id: 7,
            organization: OrganizationId(uuid::Uuid::nil()),
            at: Timestamp::from_millis(0),
            connection: "docker".to_owned(),
            subject: EventSubject::Health(health),
        };
        let frame = write(&record).unwrap();
        let lines: Vec<&str> = std::str::from_utf8(&frame).unwrap().split('\n').collect();
        let [id, event, data, "", ""] = lines[..] else { panic!("{lines:?}") };
        assert_eq!((id, event), ("id: 7", "event: connection.health"));
        let value: serde_json::Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(
            (&value["id"], &value["type"], &value["at"]),
            (&7.into(), &"connection.health".into(), &"1970-01-01T00:00:00Z".into())
        );
        assert_eq!((&value["data"]["connection"], &value["data"]["health"]["detail"]), (&"docker".into(), &"a\nb".into()));
    }

    #[test]
    fn the_document_shows_a_frame_as_it_is_sent() {
        let at: Timestamp = serde_json::from_str(r#""2026-11-25T04:38:25.844Z""#).unwrap();
        let health = HealthReport {
            status: crate::dispatch::HealthStatus::Failing,
            checked_at: Some(at),
            detail: Some("refused".to_owned()),
        };
        let record = EventRecord {
            id: 7,
            organization: OrganizationId(uuid::Uuid::nil()),
            at,
            connection: "sandbox".to_owned(),
            subject: EventSubject::Health(serde_json::value::to_raw_value(&health).unwrap()),
        };
        assert_eq!(std::str::from_utf8(&write(&record).unwrap()).unwrap(), EXAMPLE);
    }

    #[test]
    fn the_document_knows_all_types() {
        let schema = schemars::schema_for!(EventView<'static>);
        let known: Vec<_> = EventType::ALL.iter().map(|kind| kind.as_str()).chain(["reset"]).collect();
        assert_eq!(schema.as_value()["properties"]["type"]["enum"], serde_json::json!(known));
    }

    #[test]
    fn reads_what_to_watch() {
        for (text, expected) in [
            ("operation.updated", Ok(vec![EventType::OperationUpdated])),
            ("connection.health,operation.updated", Ok(vec![EventType::ConnectionHealth, EventType::OperationUpdated])),
            ("", Err(())),
            ("operation", Err(())),
            ("operation.updated,", Err(())),
        ] {
            assert_eq!(event_types(text).map_err(drop), expected, "{text}");
        }
        for (value, expected) in [("0", Ok(Some(0))), ("12", Ok(Some(12))), ("-1", Err(())), ("x", Err(())), ("", Err(()))] {
            let headers = HeaderMap::from_iter([(http::HeaderName::from_static("last-event-id"), value.parse().unwrap())]);
            assert_eq!(last_event_id(&headers).map_err(drop), expected, "{value}");
        }
    }
}
