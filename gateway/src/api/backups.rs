//! Backups of a site: list, get, create, delete, restore.

use super::{
    Caller, Fresh, Shared,
    extract::{Json, Path, Query},
    mutation::{Manner, NoBody},
    names,
    problem::Problem,
    respond::Read,
    walk,
};
use crate::model::{Answer, BackupCreate, BackupKind, Contents, Mutation, Query as Ask, RestoreInput, form};
use axum::{Extension, extract::State, response::Response};
use http::HeaderMap;
use serde::Deserialize;

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    #[schemars(with = "Option<form::Text<1536>>")]
    environment: Option<String>,
    #[schemars(with = "Option<form::Limit>")]
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "BackupCreate")]
#[serde(deny_unknown_fields)]
pub struct CreateBody {
    #[schemars(with = "Option<form::Text<1536>>")]
    environment: Option<String>,
    kind: Option<BackupKind>,
    #[schemars(with = "Option<form::Text<500>>")]
    description: Option<String>,
}

/// Without any part, everything is restored.
#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "BackupRestore", transform = form::some_true(&["database", "files", "plugins", "themes"]))]
#[serde(deny_unknown_fields)]
pub struct RestoreBody {
    #[schemars(with = "Option<form::Text<1536>>")]
    environment: Option<String>,
    database: Option<bool>,
    files: Option<bool>,
    plugins: Option<bool>,
    themes: Option<bool>,
}

pub async fn list(
    State(api): Shared,
    Extension(principal): Caller,
    Fresh(freshness): Fresh,
    Path(site): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let environment = names::environment("environment", parameters.environment)?;
    let question = format!("backups {site} {environment:?}");
    let ask = Ask::BackupsList { site: id.native, environment };
    let paging = walk::Paging { limit: walk::limit(parameters.limit)?, cursor: parameters.cursor, question };
    api.list_one(&principal, &connection, (ask, freshness), paging, Answer::backups, &headers).await
}

pub async fn get(
    State(api): Shared,
    Extension(principal): Caller,
    Fresh(freshness): Fresh,
    Path((site, backup)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let ask = Ask::BackupsGet { site: id.native, backup: names::native(&backup)? };
    let snapshot = api.dispatch.query(&connection, ask, freshness).await?;
    let Answer::Backup(backup) = &snapshot.answer else { return Err(super::answer_of_another_kind()) };
    let read = Read::of(&headers, &snapshot);
    Ok(super::served_by(&connection, read.answer(backup)?))
}

pub async fn create(
    State(api): Shared,
    Extension(principal): Caller,
    Path(site): Path<String>,
    manner: Manner,
    Json(body): Json<CreateBody>,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let environment = names::environment("environment", body.environment)?;
    names::text("description", body.description.as_deref(), 500)?;
    let kind = body.kind.unwrap_or(BackupKind::Full);
    let input = BackupCreate { environment, kind, description: body.description };
    api.carry_out(&principal, &connection, Mutation::BackupsCreate { site: id.native, input }, manner).await
}

pub async fn delete(
    State(api): Shared,
    Extension(principal): Caller,
    Path((site, backup)): Path<(String, String)>,
    manner: Manner,
    _: NoBody,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let mutation = Mutation::BackupsDelete { site: id.native, backup: names::native(&backup)? };
    api.carry_out(&principal, &connection, mutation, manner).await
}

pub async fn restore(
    State(api): Shared,
    Extension(principal): Caller,
    Path((site, backup)): Path<(String, String)>,
    manner: Manner,
    Json(body): Json<RestoreBody>,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let contents = body.contents()?;
    let input = RestoreInput { environment: names::environment("environment", body.environment)?, contents };
    let mutation = Mutation::BackupsRestore { site: id.native, backup: names::native(&backup)?, input };
    api.carry_out(&principal, &connection, mutation, manner).await
}

impl RestoreBody {
    fn contents(&self) -> Result<Contents, Problem> {
        let parts = [self.database, self.files, self.plugins, self.themes];
        // Nothing named means everything; as soon as a part is named, the others are left alone.
        let default = parts.iter().all(Option::is_none);
        let [database, files, plugins, themes] = parts.map(|part| part.unwrap_or(default));
        if !(database || files || plugins || themes) {
            return Err(Problem::invalid("database", "name at least one of database, files, plugins, themes as true"));
        }
        Ok(Contents { database, files, plugins, themes })
    }
}
