//! Domains of a site: list, add, remove, verify, make primary.

use super::{
    Caller, Fresh, Shared,
    extract::{Json, Path, Query},
    mutation::{Manner, NoBody},
    names,
    problem::Problem,
    walk,
};
use crate::model::{Answer, DomainCreate, Mutation, Query as Ask, form};
use axum::{Extension, extract::State, response::Response};
use http::HeaderMap;
use serde::Deserialize;

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListParameters {
    #[schemars(with = "Option<form::Text<1536>>")]
    environment: Option<String>,
    #[schemars(with = "Option<form::Limit>")]
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    #[schemars(with = "Option<form::Text<1536>>")]
    environment: Option<String>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "DomainCreate")]
#[serde(deny_unknown_fields)]
pub struct CreateBody {
    #[schemars(with = "form::DomainName")]
    name: String,
    #[schemars(with = "Option<form::Text<1536>>")]
    environment: Option<String>,
    #[serde(default)]
    primary: bool,
}

pub async fn list(
    State(api): Shared,
    Extension(principal): Caller,
    Fresh(freshness): Fresh,
    Path(site): Path<String>,
    Query(parameters): Query<ListParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let environment = names::environment("environment", parameters.environment)?;
    let question = format!("domains {site} {environment:?}");
    let ask = Ask::DomainsList { site: id.native, environment };
    let paging = walk::Paging { limit: walk::limit(parameters.limit)?, cursor: parameters.cursor, question };
    api.list_one(&principal, &connection, (ask, freshness), paging, Answer::domains, &headers).await
}

pub async fn create(
    State(api): Shared,
    Extension(principal): Caller,
    Path(site): Path<String>,
    manner: Manner,
    Json(body): Json<CreateBody>,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    names::domain("name", &body.name)?;
    let environment = names::environment("environment", body.environment)?;
    let input = DomainCreate { name: body.name, environment, primary: body.primary };
    api.carry_out(&principal, &connection, Mutation::DomainsCreate { site: id.native, input }, manner).await
}

/// Verify, make primary and delete differ in the mutation alone.
macro_rules! on_domain {
    ($name:ident, $mutation:ident) => {
        pub async fn $name(
            State(api): Shared,
            Extension(principal): Caller,
            Path((site, domain)): Path<(String, String)>,
            Query(parameters): Query<Parameters>,
            manner: Manner,
            _: NoBody,
        ) -> Result<Response, Problem> {
            let (connection, id) = api.site(&principal, &site).await?;
            let environment = names::environment("environment", parameters.environment)?;
            let name = domain_in_path(&domain)?;
            let mutation = Mutation::$mutation { site: id.native, environment, name };
            api.carry_out(&principal, &connection, mutation, manner).await
        }
    };
}

on_domain!(delete, DomainsDelete);
on_domain!(verify, DomainsVerify);
on_domain!(set_primary, DomainsSetPrimary);

/// `*.example.com` stands in paths as it is, or escaped like any id.
fn domain_in_path(segment: &str) -> Result<String, Problem> {
    let name = if segment.contains('=') { names::native(segment)? } else { segment.to_owned() };
    names::domain("domain", &name)?;
    Ok(name)
}
