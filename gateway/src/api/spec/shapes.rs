//! Schemas of what has no type of its own: lists, ids in paths, headers.
//!
//! In goes the schema of an item or a name; out comes JSON for the document. Invariant: what a name in a path means is said once.

use crate::model::form;
use serde_json::{Value, json};

/// A page of a list, as `walk::Page` writes it.
pub fn list_of(item: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["data", "next_cursor", "total", "as_of", "errors"],
        "properties": {
            "data": { "type": "array", "items": item },
            "next_cursor": { "type": ["string", "null"], "description": "Ask again with it as `cursor` for the next page; null on the last" },
            "total": {
                "type": ["integer", "null"],
                "minimum": 0,
                "description": "Items of all pages; null where it isn't known, or a part is missing",
            },
            "as_of": { "type": ["string", "null"], "format": "date-time", "description": "When the oldest part was read" },
            "errors": {
                "type": "array",
                "description": "Connections whose part is missing",
                "items": { "$ref": "#/components/schemas/MissingPart" },
            },
        },
    })
}

macro_rules! escaped {
    ($words:literal) => {
        concat!($words, ", escaped: bytes outside `A-Za-z0-9._-` are `=XX` (a space is `=20`)")
    };
}

/// What a name in a path stands for, and one that could be.
fn path_words(name: &str) -> (&'static str, &'static str) {
    match name {
        "site" => (escaped!("The site's id, `<connection>~<native id>`"), "sandbox~seed-00001"),
        "environment" => (escaped!("The environment's id or unique name"), "staging"),
        "backup" => (escaped!("The backup's id"), "backup-1"),
        "domain" => ("The domain: lower-case A-labels", "www.example.com"),
        "deployment" => {
            (escaped!("The deployment's id, or `previous` for the one before, where it is about a rollback"), "deployment-1")
        }
        "plan" => (escaped!("The plan's id"), "plan-1"),
        "hash" => (
            "The blob's BLAKE3 hash: 64 lower-case hex digits",
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        ),
        "plugin" => (escaped!("The plugin's id"), "akismet=2Fakismet.php"),
        "theme" => (escaped!("The theme's id"), "twentytwentyfive"),
        "connection" => ("The connection's id", "sandbox"),
        "token" => ("The token's id, not its value", "019a9c1e-5f6b-7c8d-9e0f-1a2b3c4d5e6f"),
        "provider" => ("The provider's name", "sandbox"),
        "member" => ("The member's id", "019a9c1e-5f6b-7c8d-9e0f-1a2b3c4d5e6f"),
        "invitation" => ("The invitation's id", "019a9c1e-5f6b-7c8d-9e0f-1a2b3c4d5e6f"),
        "operation" => ("The operation's id", "op_019a9c1e5f6b7c8d9e0f1a2b3c4d5e6f"),
        _ => ("", ""),
    }
}

pub fn path_parameter(name: &str) -> Value {
    let (description, example) = path_words(name);
    let schema = form::in_path(name).to_value();
    json!({ "name": name, "in": "path", "required": true, "description": description, "example": example, "schema": schema })
}

/// Request headers that several endpoints take, by the name that they have among the document's components.
pub fn header_parameters() -> Value {
    let header = |name: &str, description: &str, schema: Value| json!({ "name": name, "in": "header", "required": false, "description": description, "schema": schema });
    json!({
        "Prefer": header(
            "Prefer",
            "`wait=N`: answer when the work has ended, after N seconds (0 to 60) at the latest. `respond-async`: answer at once \
             (RFC 7240)",
            // No pattern: what isn't known is ignored, as the RFC has it.
            json!({ "type": "string", "examples": ["wait=10", "respond-async"] }),
        ),
        "IdempotencyKey": header(
            "Idempotency-Key",
            "The same key with the same request gives the same operation, or the same answer, for 24 hours",
            json!({ "type": "string", "pattern": "^[\\t -~]{1,255}$" }),
        ),
        "IfNoneMatch": header("If-None-Match", "An `ETag` of an answer before: 304 if nothing has changed", json!({ "type": "string" })),
        "CacheControl": header("Cache-Control", "`no-cache`: read from the host now; `max-age=N`: an answer that is at most N seconds old (RFC 9111)", json!({ "type": "string" })),
        "ContentDigest": header(
            "Content-Digest",
            "The SHA-256 of the bytes, to be compared on their way (RFC 9530)",
            json!({ "type": "string", "pattern": "^sha-256=:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=:$" }),
        ),
        "LastEventId": header("Last-Event-ID", "The id of the last event seen: what came after it comes first", json!({ "type": "string", "pattern": "^[0-9]{1,18}$" })),
    })
}

pub fn response_headers() -> Value {
    let header = |description: &str, schema: Value| json!({ "description": description, "schema": schema });
    json!({
        "RequestId": header("Names this request in the logs", json!({ "type": "string" })),
        "ETag": header("A hash of the body, for `If-None-Match` when it is read again; of a list from hosts a weak one (`W/`), which leaves out `as_of`. Changes take no preconditions: 412", json!({ "type": "string" })),
        "Age": header("Seconds since the host was asked; of several parts, the oldest", json!({ "type": "integer", "minimum": 0 })),
        "CacheStatus": header("Whence the answer came (RFC 9211), absent for what Portico itself keeps", json!({ "type": "string" })),
        "Location": header(
            "Where the new resource is, or its list where it has no page of its own (environments, domains, plugins, themes); with \
             202, the operation that goes on",
            json!({ "type": "string" }),
        ),
        "PreferenceApplied": header("Which preference of `Prefer` was followed, where one was sent (RFC 7240)", json!({ "type": "string" })),
        "ContentDisposition": header("`attachment`, with the file's name (RFC 6266)", json!({ "type": "string" })),
        "ContentLength": header("Bytes of the file, where the host tells", json!({ "type": "integer", "minimum": 0 })),
        "SetCookie": header("The session's cookie, or its end; not in answers to a token", json!({ "type": "string" })),
        "WWWAuthenticate": header("`Bearer`, and `error=\"invalid_token\"` where what was sent opens nothing (RFC 6750)", json!({ "type": "string" })),
        "AcceptEncoding": header("`identity`, where the body was coded: no coding is taken", json!({ "type": "string" })),
        "IdempotencyReplayed": header("On an answer under a key that was used before for the same request", json!({ "type": "string", "const": "true" })),
        "RetryAfter": header("Seconds to wait before asking again", json!({ "type": "integer", "minimum": 0 })),
        "RateLimit": header("`\"token\";r=0;t=1`: the tightest limit, requests left, seconds until there is one more", json!({ "type": "string" })),
        "RateLimitPolicy": header("`\"token\";q=600;w=60`: its requests, and seconds", json!({ "type": "string" })),
        "XRateLimitLimit": header("Requests that the tightest limit lets through in its window", json!({ "type": "integer", "minimum": 1 })),
        "XRateLimitRemaining": header("Requests that are left", json!({ "type": "integer", "minimum": 0 })),
        "XRateLimitReset": header("The Unix second at which all of them are there again", json!({ "type": "integer", "minimum": 0 })),
    })
}
