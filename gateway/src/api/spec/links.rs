//! Links: how an answer leads to the next request, as OpenAPI has them.
//!
//! In go the endpoints and the fields of an answer; out come links. They follow from the paths: what `POST /things` makes and
//! `GET /things` lists is named by the parameter of `/things/{thing}`. Invariant: a link gives every path parameter of its target,
//! from the answer or from the path that was asked for; an endpoint of a new kind gets its links without a line here.

use super::{Answer, Endpoint, Makes};
use serde_json::{Map, Value, json};

/// What an answer holds beside the id that its collection's path asks for: the endpoint, a parameter, and where its value is.
const MORE: &[(&str, &str, &str)] = &[("deployments.plan", "hash", "/missing/0")];
/// How far below a thing its links lead: to `/things/{thing}` and to `/things/{thing}/part/verb`.
const DEPTH: usize = 2;

/// The links of an answer with this status, whose body has these fields (of an item, where it is a list).
pub fn of(endpoint: &Endpoint, status: u16, fields: &[String], all: &[Endpoint]) -> Map<String, Value> {
    let mut links = Map::new();
    if is_operation(endpoint, status) {
        for (name, is_apt) in [("operations.get", true), ("operations.cancel", status == 202)] {
            let parameters = json!({ "operation": "$response.body#/id" });
            links.extend(is_apt.then(|| (name.to_owned(), json!({ "operationId": name, "parameters": parameters }))));
        }
    }
    if let Some(id) = where_the_id_is(endpoint, status, fields) {
        links.extend(all.iter().filter_map(|target| link(endpoint, &id, target)));
    }
    links
}

const fn is_operation(endpoint: &Endpoint, status: u16) -> bool {
    match endpoint.answer {
        Answer::Operation(_) => true,
        Answer::OperationOrKept(_) => status == 202,
        _ => false,
    }
}

/// A pointer into the body.
fn where_the_id_is(endpoint: &Endpoint, status: u16, fields: &[String]) -> Option<String> {
    let key = ["id", "name"].into_iter().find(|key| fields.iter().any(|field| field == key));
    match (endpoint.answer, status) {
        (Answer::Operation(Makes::AResource), 201) => Some("/target/id".to_owned()),
        (Answer::Kept(..), 201) => Some(format!("/{}", key?)),
        (Answer::List(..) | Answer::ProgressList(_), 200) => Some(format!("/data/0/{}", key?)),
        _ => None,
    }
}

/// The link from what `source` made or listed to `target`, where its path is below.
fn link(source: &Endpoint, id: &str, target: &Endpoint) -> Option<(String, Value)> {
    let rest = target.path.strip_prefix(source.collection)?.strip_prefix("/{")?;
    let (parameter, rest) = rest.split_once('}')?;
    let mut parameters = Map::new();
    let known = source.path_parameters().map(|name| (name, format!("$request.path.{name}")));
    let more = MORE
        .iter()
        .filter(|(name, ..)| *name == source.name)
        .map(|&(_, name, place)| (name, format!("$response.body#{place}")));
    let own = (parameter, format!("$response.body#{id}"));
    // A copy of a site is a site: what was made comes before what was asked for.
    let given: Vec<_> = [own].into_iter().chain(more).chain(known).collect();
    for name in target.path_parameters() {
        let (_, value) = given.iter().find(|(known, _)| *known == name)?;
        parameters.insert(name.to_owned(), json!(value));
    }
    let depth = rest.split('/').filter(|segment| !segment.is_empty()).count();
    (depth <= DEPTH).then(|| (target.name.to_owned(), json!({ "operationId": target.name, "parameters": parameters })))
}
