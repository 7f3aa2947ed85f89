//! Providers: what is loaded, what each can be configured with.

use super::{Caller, Shared, extract::Path, problem::Problem, respond::Read, walk::Page};
use crate::model::Description;
use axum::{Extension, extract::State, response::Response};
use http::HeaderMap;
use serde::Serialize;

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Provider")]
pub struct View<'a> {
    #[serde(flatten)]
    description: &'a Description,
    /// What the component imports and exports; what a connection supports is in the connection.
    interfaces: &'a crate::host::Interfaces,
    /// SHA-256 of the component: what a grant may name.
    component: String,
}

fn view(provider: &crate::host::Provider) -> View<'_> {
    View { description: provider.description(), interfaces: provider.interfaces(), component: super::hex(provider.hash()) }
}

pub async fn list(State(api): Shared, Extension(_): Caller, headers: HeaderMap) -> Result<Response, Problem> {
    let providers = api.dispatch.providers().all();
    let data: Vec<_> = providers.iter().map(|provider| view(provider)).collect();
    let page = Page { total: Some(data.len()), data, next_cursor: None, as_of: None, errors: Vec::new() };
    Read::own(&headers).answer(&page)
}

pub async fn get(
    State(api): Shared,
    Extension(_): Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = api.dispatch.providers().get(&name);
    let provider = found.map_err(|error| Problem::not_found(error.message))?;
    Read::own(&headers).answer(&view(&provider))
}
