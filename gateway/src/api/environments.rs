//! Environments of a site: list, create, change, delete, push, and what is deployed there.
//!
//! Invariant: an environment is named by its id or by its unique name; the provider resolves it.

use super::{
    Caller, Fresh, Shared,
    extract::{Json, Path, Query},
    mutation::{Manner, NoBody},
    names,
    problem::Problem,
    respond::Read,
    sites::raw,
    walk,
};
use crate::model::{Answer, EnvironmentCreate, EnvironmentKind, EnvironmentUpdate, Mutation, PushInput, Query as Ask, form};
use axum::{Extension, extract::State, response::Response};
use http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// 1 to 100; 10 when it isn't given.
    #[schemars(with = "Option<form::Limit>")]
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "EnvironmentCreate")]
#[serde(deny_unknown_fields)]
pub struct CreateBody {
    /// 1 to 100 characters, unique in the site.
    #[schemars(with = "form::Name")]
    name: String,
    /// `staging` when it isn't given.
    kind: Option<EnvironmentKind>,
    /// Id or name of the environment to copy; an empty one is made when it isn't given.
    #[schemars(with = "Option<form::Text<1536>>")]
    source: Option<String>,
    #[schemars(with = "Option<form::Text<32>>")]
    php_version: Option<String>,
    #[schemars(with = "Option<form::Text<32>>")]
    wordpress_version: Option<String>,
    /// The provider's own.
    options: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Only what is to change.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "EnvironmentUpdate", transform = form::something)]
#[serde(deny_unknown_fields)]
pub struct UpdateBody {
    /// 1 to 100 characters, unique in the site.
    #[schemars(with = "Option<form::Name>")]
    name: Option<String>,
    #[schemars(with = "Option<form::Text<32>>")]
    php_version: Option<String>,
    #[schemars(with = "Option<form::Text<32>>")]
    wordpress_version: Option<String>,
}

/// Without `database` and `files`, both are pushed.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "EnvironmentPush", transform = form::some_true(&["database", "files"]))]
#[serde(deny_unknown_fields)]
pub struct PushBody {
    /// Id or name of the environment to push to.
    #[schemars(with = "form::Text<1536>")]
    target: String,
    database: Option<bool>,
    files: Option<bool>,
    /// Replaces the source's addresses by the target's in the pushed database; true when it isn't given.
    search_replace: Option<bool>,
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
    let ask = Ask::EnvironmentsList { site: id.native };
    let question = format!("environments {site}");
    let paging = walk::Paging { limit: walk::limit(parameters.limit)?, cursor: parameters.cursor, question };
    api.list_one(&principal, &connection, (ask, freshness), paging, Answer::environments, &headers).await
}

pub async fn create(
    State(api): Shared,
    Extension(principal): Caller,
    Path(site): Path<String>,
    manner: Manner,
    Json(body): Json<CreateBody>,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let input = body.checked()?;
    api.carry_out(&principal, &connection, Mutation::EnvironmentsCreate { site: id.native, input }, manner).await
}

impl CreateBody {
    fn checked(self) -> Result<EnvironmentCreate, Problem> {
        names::display_name("name", &self.name)?;
        names::text("php_version", self.php_version.as_deref(), 32)?;
        names::text("wordpress_version", self.wordpress_version.as_deref(), 32)?;
        Ok(EnvironmentCreate {
            name: self.name,
            kind: self.kind.unwrap_or(EnvironmentKind::Staging),
            source: names::environment("source", self.source)?,
            php_version: self.php_version,
            wordpress_version: self.wordpress_version,
            options: raw(self.options)?,
        })
    }
}

pub async fn update(
    State(api): Shared,
    Extension(principal): Caller,
    Path((site, environment)): Path<(String, String)>,
    manner: Manner,
    Json(body): Json<UpdateBody>,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let environment = names::native(&environment)?;
    let input = body.checked()?;
    let mutation = Mutation::EnvironmentsUpdate { site: id.native, environment, input };
    api.carry_out(&principal, &connection, mutation, manner).await
}

impl UpdateBody {
    fn checked(self) -> Result<EnvironmentUpdate, Problem> {
        if self.name.is_none() && self.php_version.is_none() && self.wordpress_version.is_none() {
            return Err(Problem::no_change("name, php_version, wordpress_version"));
        }
        if let Some(name) = &self.name {
            names::display_name("name", name)?;
        }
        names::text("php_version", self.php_version.as_deref(), 32)?;
        names::text("wordpress_version", self.wordpress_version.as_deref(), 32)?;
        Ok(EnvironmentUpdate { name: self.name, php_version: self.php_version, wordpress_version: self.wordpress_version })
    }
}

pub async fn delete(
    State(api): Shared,
    Extension(principal): Caller,
    Path((site, environment)): Path<(String, String)>,
    manner: Manner,
    _: NoBody,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let mutation = Mutation::EnvironmentsDelete { site: id.native, environment: names::native(&environment)? };
    api.carry_out(&principal, &connection, mutation, manner).await
}

pub async fn push(
    State(api): Shared,
    Extension(principal): Caller,
    Path((site, environment)): Path<(String, String)>,
    manner: Manner,
    Json(body): Json<PushBody>,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let environment = names::native(&environment)?;
    let input = body.checked()?;
    let mutation = Mutation::EnvironmentsPush { site: id.native, environment, input };
    api.carry_out(&principal, &connection, mutation, manner).await
}

impl PushBody {
    fn checked(self) -> Result<PushInput, Problem> {
        // Nothing named means both; as soon as one is named, the other is left alone.
        let default = self.database.is_none() && self.files.is_none();
        let [database, files] = [self.database, self.files].map(|part| part.unwrap_or(default));
        if !(database || files) {
            return Err(Problem::invalid("database", "there is nothing to push: name database, files or both as true"));
        }
        if self.search_replace == Some(true) && !database {
            return Err(Problem::invalid("search_replace", "it is done in the pushed database: name database as true, too"));
        }
        let search_replace = self.search_replace.unwrap_or(database);
        Ok(PushInput { target: names::some_environment("target", self.target)?, database, files, search_replace })
    }
}

/// What is deployed in an environment.
pub async fn current(
    State(api): Shared,
    Extension(principal): Caller,
    Fresh(freshness): Fresh,
    Path((site, environment)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let ask = Ask::EnvironmentsCurrent { site: id.native, environment: names::native(&environment)? };
    let snapshot = api.dispatch.query(&connection, ask, freshness).await?;
    let Answer::Current(current) = &snapshot.answer else { return Err(super::answer_of_another_kind()) };
    let Some(deployment) = current else {
        let detail = "nothing is deployed in this environment yet";
        return Err(Problem::new(StatusCode::NOT_FOUND, "nothing_deployed", detail));
    };
    let read = Read::of(&headers, &snapshot);
    Ok(super::served_by(&connection, read.answer(deployment)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_takes_both_parts_or_those_that_are_named() {
        let check = |body: serde_json::Value, expected: Result<(bool, bool, bool), &str>| {
            let parsed: PushBody = serde_json::from_value(body.clone()).unwrap();
            let found = parsed.checked().map(|input| (input.database, input.files, input.search_replace));
            assert_eq!(found.map_err(|problem| problem.fields[0].field.clone()), expected.map_err(str::to_owned), "{body}");
        };
        use serde_json::json;
        check(json!({"target": "t"}), Ok((true, true, true)));
        check(json!({"target": "t", "search_replace": false}), Ok((true, true, false)));
        check(json!({"target": "t", "files": true}), Ok((false, true, false)));
        check(json!({"target": "t", "database": true}), Ok((true, false, true)));
        check(json!({"target": "t", "files": false}), Err("database"));
        check(json!({"target": "t", "files": true, "search_replace": true}), Err("search_replace"));
        check(json!({"target": ""}), Err("target"));
    }
}
