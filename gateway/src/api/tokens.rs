//! Tokens: list, get, make, rotate, revoke.
//!
//! In go wishes; out come tokens without their values. Invariant: a value is in the one answer that made it, which nobody may
//! store; who may give what to whom is the policy's word; nobody is shown a token of connections that theirs isn't for, which
//! would tell them of those.

use super::{
    Api, Caller, Shared,
    cursor::Scope,
    extract::{Json, Path, Query},
    mutation::NoBody,
    names,
    problem::Problem,
    respond::{self, Read},
    walk::{self, Page},
};
use crate::{
    clock,
    model::{Error, Kind, Network, Role, Slug, Timestamp, form},
    policy::{Issued, Principal, Scopes, TokenWish, Who},
    store::{MAX_TOKENS, TokenRecord},
};
use axum::{Extension, extract::State, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Entries of each list of a token.
const MAX_ENTRIES: usize = 100;
/// A week: long enough to carry a new value everywhere.
const MAX_OVERLAP: u32 = 7 * 24 * 60 * 60;

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "TokenCreate")]
#[serde(deny_unknown_fields)]
pub struct CreateBody {
    /// What it is for: 1 to 100 characters.
    #[schemars(with = "form::Name")]
    name: String,
    /// At most your own, which it is when this is left out.
    role: Option<Role>,
    /// `read`, `write` (everything), or `<group>:read`, `<group>:write`, where a group is the beginning of an operationId: `sites`,
    /// `backups`, …. To write includes to read. Your own scopes, when this is left out.
    #[schemars(with = "Option<Vec<form::Scope>>", extend("minItems" = 1, "maxItems" = 100))]
    scopes: Option<Vec<String>>,
    /// Ids of the connections that it is for; all that are yours, when this is left out.
    #[schemars(with = "Option<Vec<form::SlugText>>", extend("minItems" = 1, "maxItems" = 100))]
    connections: Option<Vec<String>>,
    /// Addresses and networks (`203.0.113.0/24`) that it may be used from; everywhere, when this is left out.
    #[schemars(with = "Option<Vec<form::NetworkText>>", extend("minItems" = 1, "maxItems" = 100))]
    allowed_ips: Option<Vec<String>>,
    /// Never, when this is left out.
    expires_at: Option<Timestamp>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "TokenRotate")]
#[serde(deny_unknown_fields)]
pub struct RotateBody {
    /// For so long the value before stays good too: at most a week (604800). 0 when it is left out: it ends at once.
    #[serde(default)]
    #[schemars(extend("maximum" = MAX_OVERLAP))]
    overlap_seconds: u32,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListParameters {
    #[schemars(with = "Option<form::Limit>")]
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Token")]
pub struct View<'a> {
    #[schemars(with = "String", extend("format" = "uuid"))]
    id: Uuid,
    name: &'a str,
    /// How its value begins.
    prefix: &'a str,
    role: Role,
    scopes: &'a [String],
    /// Null: all of the organization.
    #[schemars(with = "Option<Vec<String>>")]
    connections: Option<&'a [Slug]>,
    /// Empty: everywhere.
    #[schemars(with = "Vec<String>")]
    allowed_ips: &'a [Network],
    /// `token:<id>`, `user:<id>`, or `operator` for one that was made by command.
    created_by: &'a str,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    /// Written once a minute: a use may show as late as that.
    last_used_at: Option<Timestamp>,
    /// Until then the value before the last rotation is good too.
    previous_until: Option<Timestamp>,
}

/// A token with its value, which is shown this once.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "NewToken")]
pub struct NewView<'a> {
    /// Keep it safe: nobody can show it again.
    token: &'a str,
    #[serde(flatten)]
    view: View<'a>,
}

fn view(record: &TokenRecord) -> View<'_> {
    let now = clock::now();
    View {
        id: record.id,
        name: &record.name,
        prefix: &record.prefix,
        role: record.role,
        scopes: &record.scopes,
        connections: record.connections.as_deref(),
        allowed_ips: &record.networks,
        created_by: &record.created_by,
        created_at: record.created_at,
        expires_at: record.expires_at,
        last_used_at: record.last_used_at,
        previous_until: record.previous.map(|(_, until)| until).filter(|until| now < *until),
    }
}

fn is_shown(record: &TokenRecord, to: &Principal) -> bool {
    to.who == Who::Token(record.id) || !Scopes::of_token(record).touches_beyond(&to.scopes)
}

/// What somebody is shown of what follows: one more than asked, if there is more.
async fn shown(api: &Api, to: &Principal, after: Option<Uuid>, limit: usize) -> Result<Vec<TokenRecord>, Error> {
    // How many are left out isn't known before, and an organization has few enough to read them all.
    let limited = to.scopes.is_limited_to_connections();
    let fetch = if limited { MAX_TOKENS } else { u32::try_from(limit + 1).unwrap_or(u32::MAX) };
    let mut records = api.tokens.list(to.organization, after, fetch).await?;
    records.retain(|record| is_shown(record, to));
    Ok(records)
}

/// The oldest first.
pub async fn list(
    State(api): Shared,
    Extension(principal): Caller,
    Query(parameters): Query<ListParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = walk::limit(parameters.limit)?;
    let scope = Scope { sealer: &api.sealer, principal: &principal, question: "tokens".to_owned() };
    let after: Option<Uuid> = parameters.cursor.as_deref().map(|cursor| scope.open(cursor)).transpose()?;
    let mut records = shown(&api, &principal, after, limit).await?;
    let more = records.len() > limit;
    records.truncate(limit);
    let last = records.last().filter(|_| more);
    let next_cursor = last.map(|last| scope.seal(&last.id)).transpose()?;
    let page = Page { data: records.iter().map(view).collect(), next_cursor, total: None, as_of: None, errors: Vec::new() };
    Read::own(&headers).answer(&page)
}

pub async fn get(
    State(api): Shared,
    Extension(principal): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let record = api.tokens.get(principal.organization, token_id(&id)?).await?;
    if !is_shown(&record, &principal) {
        // In the words about one that isn't there.
        return Err(Error::new(Kind::NotFound, "there is no such token").into());
    }
    Read::own(&headers).answer(&view(&record))
}

pub async fn create(
    State(api): Shared,
    Extension(principal): Caller,
    Json(body): Json<CreateBody>,
) -> Result<Response, Problem> {
    let issued = api.tokens.create(&principal, body.checked()?).await?;
    let mut response = once(StatusCode::CREATED, &issued)?;
    let path = format!("/api/v1/tokens/{}", issued.1.id);
    response.headers_mut().extend(HeaderValue::from_str(&path).ok().map(|path| (header::LOCATION, path)));
    Ok(response)
}

pub async fn rotate(
    State(api): Shared,
    Extension(principal): Caller,
    Path(id): Path<String>,
    Json(body): Json<RotateBody>,
) -> Result<Response, Problem> {
    if body.overlap_seconds > MAX_OVERLAP {
        return Err(Problem::invalid("overlap_seconds", format!("0 to {MAX_OVERLAP}, not {}", body.overlap_seconds)));
    }
    let overlap = i64::from(body.overlap_seconds) * 1000;
    let issued = api.tokens.rotate(&principal, token_id(&id)?, overlap).await?;
    once(StatusCode::OK, &issued)
}

pub async fn delete(
    State(api): Shared,
    Extension(principal): Caller,
    Path(id): Path<String>,
    _: NoBody,
) -> Result<StatusCode, Problem> {
    let id = token_id(&id)?;
    api.tokens.revoke(&principal, id).await?;
    api.events.dismiss(id);
    Ok(StatusCode::NO_CONTENT)
}

fn once(status: StatusCode, (value, record): &Issued) -> Result<Response, Problem> {
    let mut response = respond::json(status, respond::to_bytes(&NewView { token: value, view: view(record) })?);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn token_id(text: &str) -> Result<Uuid, Problem> {
    let hyphenated = |id: &Uuid| id.as_hyphenated().to_string() == text;
    text.parse().ok().filter(hyphenated).ok_or_else(|| {
        let shown: String = text.chars().take(80).collect();
        Problem::new(StatusCode::BAD_REQUEST, "invalid_id", format!("{shown:?} is not a token's id: a UUID in lower case"))
    })
}

impl CreateBody {
    fn checked(self) -> Result<TokenWish, Problem> {
        names::display_name("name", &self.name)?;
        let slug = |text: &String| Slug::parse(text).map_err(|error| error.to_string());
        let network = |text: &String| text.parse::<Network>();
        Ok(TokenWish {
            name: self.name,
            role: self.role,
            scopes: entries("scopes", self.scopes, |word| Ok(word.clone()))?,
            connections: entries("connections", self.connections, slug)?,
            networks: entries("allowed_ips", self.allowed_ips, network)?,
            expires_at: self.expires_at,
        })
    }
}

/// A limit without an entry would shut everything out, which nobody means.
fn entries<T>(
    field: &str,
    texts: Option<Vec<String>>,
    read: impl Fn(&String) -> Result<T, String>,
) -> Result<Option<Vec<T>>, Problem> {
    let Some(mut texts) = texts else { return Ok(None) };
    if texts.is_empty() || texts.len() > MAX_ENTRIES {
        return Err(Problem::invalid(field, format!("1 to {MAX_ENTRIES} entries, not {}", texts.len())));
    }
    texts.sort_unstable();
    texts.dedup();
    let entry = |text| read(text).map_err(|message| Problem::invalid(field, message));
    texts.iter().map(entry).collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_form() {
        let good = "019a9c1e-5f6b-7c8d-9e0f-1a2b3c4d5e6f";
        assert!(token_id(good).is_ok());
        for bad in ["", "x", &good.to_uppercase(), &good.replace('-', ""), &format!("{{{good}}}"), &good[1..]] {
            assert_eq!(token_id(bad).unwrap_err().status, StatusCode::BAD_REQUEST, "{bad}");
        }
    }

    #[test]
    fn limits_are_read_whole_or_not_at_all() {
        let check = |body: serde_json::Value, field: Option<&str>| {
            let body: CreateBody = serde_json::from_value(body).unwrap();
            let problem = body.checked().err();
            let named = problem.as_ref().map(|problem| problem.fields[0].field.as_str());
            assert_eq!(named, field, "{problem:?}");
        };
        let all = serde_json::json!({
            "name": "ci", "role": "viewer", "scopes": ["read"], "connections": ["a"],
            "allowed_ips": ["203.0.113.7", "10.0.0.0/8", "fd00::/8"], "expires_at": "2027-01-01T00:00:00Z",
        });
        check(all.clone(), None);
        for (field, value) in [
            ("name", serde_json::json!("")),
            ("scopes", serde_json::json!([])),
            ("scopes", serde_json::json!(vec!["read"; 101])),
            ("connections", serde_json::json!([])),
            ("connections", serde_json::json!(["A"])),
            ("allowed_ips", serde_json::json!(["0.0.0.0/0"])),
            ("allowed_ips", serde_json::json!(["localhost"])),
        ] {
            let mut body = all.clone();
            body[field] = value;
            check(body, Some(field));
        }
    }
}
