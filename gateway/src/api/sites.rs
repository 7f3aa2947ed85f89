//! One site: read, create, update, delete, start, stop, clone.
//!
//! Invariant: bodies are checked here for form alone; whether a host can do it is its features' word.

use super::{
    Api, Caller, Fresh, Shared,
    extract::{Json, Path, object},
    labels,
    mutation::{Manner, NoBody},
    names,
    problem::Problem,
    respond::Read,
};
use crate::{
    dispatch::{Connection, Found},
    model::{
        Answer, Labels, Mutation, Query, ResourceId, SiteAdmin, SiteClone, SiteCreate, SiteKind, SiteStatus, SiteUpdate, Slug,
        form, unescape,
    },
    policy::{PIECE, Principal},
};
use axum::{Extension, extract::State, response::Response};
use http::HeaderMap;
use http_body::Body as _;
use schemars::Schema;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use std::sync::Arc;
use tokio::time::Instant;

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "SiteCreate")]
#[serde(deny_unknown_fields)]
pub struct CreateBody {
    #[schemars(with = "form::SlugText")]
    connection: String,
    #[schemars(with = "form::Name")]
    name: String,
    kind: Option<SiteKind>,
    #[schemars(with = "Option<form::DomainName>")]
    domain: Option<String>,
    #[schemars(with = "Option<form::Text<100>>")]
    environment: Option<String>,
    #[schemars(with = "Option<form::Text<32>>")]
    php_version: Option<String>,
    #[schemars(with = "Option<form::Text<32>>")]
    wordpress_version: Option<String>,
    #[schemars(with = "Option<form::Text<32>>")]
    locale: Option<String>,
    #[schemars(with = "Option<form::Text<200>>")]
    title: Option<String>,
    #[serde(default, deserialize_with = "object::some")]
    admin: Option<SiteAdmin>,
    #[schemars(with = "Option<form::Text<64>>")]
    region: Option<String>,
    #[schemars(with = "Option<form::Text<100>>")]
    template: Option<String>,
    options: Option<serde_json::Map<String, serde_json::Value>>,
    /// At most 32; keys are 1 to 63 of `a-z0-9._/-`, values at most 255 characters. `protected`, unless it is `false`, keeps
    /// the site from being deleted.
    #[serde(default)]
    #[schemars(with = "form::LabelValues")]
    labels: Labels,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "SiteUpdate", transform = one_kind_of_change)]
#[serde(deny_unknown_fields)]
pub struct UpdateBody {
    #[schemars(with = "Option<form::Name>")]
    name: Option<String>,
    #[schemars(with = "Option<form::Text<32>>")]
    php_version: Option<String>,
    #[schemars(with = "Option<form::Text<32>>")]
    wordpress_version: Option<String>,
    #[schemars(with = "Option<form::WantedStatus>")]
    status: Option<SiteStatus>,
    /// Merged with what is there; null removes one. In a request of its own.
    #[schemars(with = "Option<form::LabelChanges>")]
    labels: Option<labels::Changes>,
}

/// Labels come alone, and so does the status; something must come.
fn one_kind_of_change(schema: &mut Schema) {
    const FIELDS: [&str; 3] = ["name", "php_version", "wordpress_version"];
    form::something(schema);
    let nothing = schema.remove("not");
    let labels_and_more = json!({
        "required": ["labels"],
        "properties": { "labels": { "type": "object" } },
        "not": form::absent(FIELDS.into_iter().chain(["status"])),
    });
    let status_and_more = json!({
        "required": ["status"],
        "properties": { "status": { "type": "string" } },
        "not": form::absent(FIELDS),
    });
    schema.insert("not".to_owned(), json!({ "anyOf": [nothing, labels_and_more, status_and_more] }));
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "SiteClone")]
#[serde(deny_unknown_fields)]
pub struct CloneBody {
    #[schemars(with = "form::Name")]
    name: String,
    #[schemars(with = "Option<form::DomainName>")]
    domain: Option<String>,
    #[schemars(with = "Option<form::Text<1536>>")]
    source_environment: Option<String>,
    #[schemars(with = "Option<form::Text<64>>")]
    region: Option<String>,
    options: Option<serde_json::Map<String, serde_json::Value>>,
}

pub async fn get(
    State(api): Shared,
    Extension(principal): Caller,
    Fresh(freshness): Fresh,
    Path(site): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let found = api.dispatch.query(&connection, Query::SitesGet { site: id.native }, freshness).await?;
    Ok(super::served_by(&connection, answer(&connection, &found, &headers, Instant::now())?))
}

fn answer(connection: &Connection, found: &Found, headers: &HeaderMap, now: Instant) -> Result<Response, Problem> {
    let Answer::Site(site) = &found.answer else { return Err(super::answer_of_another_kind()) };
    let read = Read::at(headers, found, now);
    match connection.labels.of(&site.id) {
        None => read.answer_kept(found, None, site),
        Some(labels) => read.answer_kept(found, Some(Arc::clone(&labels)), &site.with(&labels)),
    }
}

impl Api {
    /// What [`get`] answers when it needn't wait for anything.
    pub fn kept_site(
        &self,
        principal: &Principal,
        site: &str,
        headers: &HeaderMap,
        now: Instant,
    ) -> Option<(Arc<Connection>, Response)> {
        let (slug, native) = site.split_once('~')?;
        if !principal.scopes.covers(slug) {
            return None;
        }
        let query = Query::SitesGet { site: unescape(native).ok()? };
        let (connection, found) = self.dispatch.kept(principal.organization, slug, query, now)?;
        let response = answer(&connection, &found, headers, now).ok()?;
        // The stack counts what is large until it is taken.
        let is_small = response.body().size_hint().exact().is_some_and(|size| size <= PIECE as u64);
        is_small.then_some((connection, response))
    }
}

pub async fn create(
    State(api): Shared,
    Extension(principal): Caller,
    manner: Manner,
    Json(body): Json<CreateBody>,
) -> Result<Response, Problem> {
    let slug = Slug::parse(&body.connection).map_err(|error| Problem::invalid("connection", error.to_string()))?;
    let connection = api.connection(&principal, &slug).await?;
    let input = body.checked()?;
    if !api.was_submitted(&principal, &manner).await? {
        api.dispatch.check_site_options(&connection, &input.options).await?;
    }
    api.carry_out(&principal, &connection, Mutation::SitesCreate(input), manner).await
}

impl CreateBody {
    fn checked(self) -> Result<SiteCreate, Problem> {
        names::display_name("name", &self.name)?;
        if let Some(domain) = &self.domain {
            names::domain("domain", domain)?;
        }
        names::text("environment", self.environment.as_deref(), 100)?;
        names::text("php_version", self.php_version.as_deref(), 32)?;
        names::text("wordpress_version", self.wordpress_version.as_deref(), 32)?;
        names::text("locale", self.locale.as_deref(), 32)?;
        names::text("title", self.title.as_deref(), 200)?;
        names::text("region", self.region.as_deref(), 64)?;
        names::text("template", self.template.as_deref(), 100)?;
        self.admin.as_ref().map_or(Ok(()), check_admin)?;
        Ok(SiteCreate {
            name: self.name,
            kind: self.kind.unwrap_or(SiteKind::Wordpress),
            domain: self.domain,
            environment: self.environment,
            php_version: self.php_version,
            wordpress_version: self.wordpress_version,
            locale: self.locale,
            title: self.title,
            admin: self.admin,
            region: self.region,
            template: self.template,
            options: raw(self.options)?,
            labels: labels::checked(self.labels)?,
        })
    }
}

fn check_admin(admin: &SiteAdmin) -> Result<(), Problem> {
    names::text("admin.user", Some(&admin.user), 60)?;
    names::email("admin.email", &admin.email)?;
    names::text("admin.password", admin.password.as_ref().map(|password| password.as_str()), 200)
}

/// Bytes of options as JSON, as many as settings may have: they are held against the provider's schema, and kept with the operation.
const MAX_OPTIONS: usize = 64 * 1024;

pub(super) fn raw(options: Option<serde_json::Map<String, serde_json::Value>>) -> Result<Box<RawValue>, Problem> {
    let json = serde_json::value::to_raw_value(&options.unwrap_or_default());
    let json = json.map_err(|error| Problem::from(crate::model::Error::gateway(error)))?;
    if json.get().len() > MAX_OPTIONS {
        return Err(Problem::invalid("options", format!("may have {MAX_OPTIONS} bytes at most, as JSON")));
    }
    Ok(json)
}

/// `status` is the same action as start or stop, so it comes alone; and so do labels, which Portico keeps itself.
pub async fn update(
    State(api): Shared,
    Extension(principal): Caller,
    Path(site): Path<String>,
    manner: Manner,
    Json(body): Json<UpdateBody>,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let changes = body.name.is_some() || body.php_version.is_some() || body.wordpress_version.is_some();
    if let Some(labels) = body.labels {
        if changes || body.status.is_some() {
            return Err(Problem::invalid("labels", "change labels in a request of its own"));
        }
        return api.change_labels(&principal, &connection, id, labels, &manner).await;
    }
    let site = id.native;
    let mutation = match (body.status, changes) {
        (Some(_), true) => return Err(Problem::invalid("status", "change the status in a request of its own")),
        (Some(SiteStatus::Running), false) => Mutation::SitesStart { site },
        (Some(SiteStatus::Stopped), false) => Mutation::SitesStop { site },
        (Some(_), false) => return Err(Problem::invalid("status", "can be set to running or stopped")),
        (None, false) => {
            return Err(Problem::no_change("name, php_version, wordpress_version, status, labels"));
        }
        (None, true) => Mutation::SitesUpdate { site, input: body.checked()? },
    };
    api.carry_out(&principal, &connection, mutation, manner).await
}

impl UpdateBody {
    fn checked(self) -> Result<SiteUpdate, Problem> {
        if let Some(name) = &self.name {
            names::display_name("name", name)?;
        }
        names::text("php_version", self.php_version.as_deref(), 32)?;
        names::text("wordpress_version", self.wordpress_version.as_deref(), 32)?;
        Ok(SiteUpdate { name: self.name, php_version: self.php_version, wordpress_version: self.wordpress_version })
    }
}

pub async fn delete(
    State(api): Shared,
    Extension(principal): Caller,
    Path(site): Path<String>,
    manner: Manner,
    _: NoBody,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    api.carry_out(&principal, &connection, Mutation::SitesDelete { site: id.native }, manner).await
}

pub async fn start(
    State(api): Shared,
    Extension(principal): Caller,
    Path(site): Path<String>,
    manner: Manner,
    _: NoBody,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    api.carry_out(&principal, &connection, Mutation::SitesStart { site: id.native }, manner).await
}

pub async fn stop(
    State(api): Shared,
    Extension(principal): Caller,
    Path(site): Path<String>,
    manner: Manner,
    _: NoBody,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    api.carry_out(&principal, &connection, Mutation::SitesStop { site: id.native }, manner).await
}

pub async fn clone(
    State(api): Shared,
    Extension(principal): Caller,
    Path(site): Path<String>,
    manner: Manner,
    Json(body): Json<CloneBody>,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    names::display_name("name", &body.name)?;
    if let Some(domain) = &body.domain {
        names::domain("domain", domain)?;
    }
    let source_environment = names::environment("source_environment", body.source_environment)?;
    names::text("region", body.region.as_deref(), 64)?;
    let input = SiteClone {
        name: body.name,
        domain: body.domain,
        source_environment,
        region: body.region,
        options: raw(body.options)?,
    };
    if !api.was_submitted(&principal, &manner).await? {
        api.dispatch.check_site_options(&connection, &input.options).await?;
    }
    api.carry_out(&principal, &connection, Mutation::SitesClone { site: id.native, input }, manner).await
}

impl Api {
    /// The connection and native id behind a site's id in a path.
    pub(super) async fn site(&self, principal: &Principal, text: &str) -> Result<(Arc<Connection>, ResourceId), Problem> {
        let id = names::site_id(text)?;
        let connection = self.connection(principal, &id.connection).await?;
        Ok((connection, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_bounded_as_they_are_written() {
        let of = |bytes: usize| json!({"plan": "x".repeat(bytes - "{\"plan\":\"\"}".len())}).as_object().cloned();
        assert_eq!(raw(of(MAX_OPTIONS)).unwrap().get().len(), MAX_OPTIONS);
        let refused = raw(of(MAX_OPTIONS + 1)).unwrap_err();
        assert_eq!((refused.status, refused.fields[0].field.as_str()), (http::StatusCode::UNPROCESSABLE_ENTITY, "options"));
        assert_eq!(raw(None).unwrap().get(), "{}");
    }
}
