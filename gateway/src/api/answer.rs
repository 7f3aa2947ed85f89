//! Operations as clients see them.
//!
//! Invariant: one body whatever the status; a failure before the answer is problem+json with its own status, one after a 202
//! stands in the operation's `error`. Secrets are in the one answer that took them, which nobody may store.

use super::{problem::Problem, respond};
use crate::{
    model::{Action, Error, Operation, OperationStatus, Secret},
    policy::{self, Access},
};
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap, time::Duration};

/// Seconds after which a client may ask again, while the work goes on.
const RETRY_AFTER: u32 = 1;

/// In the document: the actions that operations have. What is read or prepared has none, and what is uploaded is there at once.
pub struct OperationAction;

impl OperationAction {
    pub fn all() -> impl Iterator<Item = Action> {
        let changes = |action: &Action| policy::rule(action.as_str()).is_some_and(|rule| rule.access == Access::Write);
        let at_once = |action: &Action| action.prepares() || *action == Action::DeploymentsUpload;
        Action::ALL.iter().copied().filter(move |action| changes(action) && !at_once(action))
    }
}

impl JsonSchema for OperationAction {
    fn schema_name() -> Cow<'static, str> {
        "OperationAction".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = Self::all().map(Action::as_str).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Operation")]
pub struct View<'a> {
    id: &'a str,
    #[schemars(with = "OperationAction")]
    action: Action,
    connection: &'a str,
    target: &'a crate::model::Target,
    status: OperationStatus,
    progress: Option<u8>,
    message: Option<&'a str>,
    #[schemars(with = "Option<serde_json::Value>")]
    result: Option<&'a RawValue>,
    error: Option<Problem>,
    /// What is shown once: a generated password, a login link.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    secrets: BTreeMap<&'a str, &'a str>,
    estimated_completion_at: Option<crate::model::Timestamp>,
    created_at: crate::model::Timestamp,
    updated_at: crate::model::Timestamp,
    finished_at: Option<crate::model::Timestamp>,
    /// False: it is done as far as the host tells, which isn't to its end. Null where the host tells.
    verified: Option<bool>,
    /// What the provider tells beside the result.
    #[schemars(with = "Option<serde_json::Value>")]
    native: Option<&'a RawValue>,
}

/// What clients ask of `native`, whichever provider wrote it.
#[derive(serde::Deserialize)]
struct Told {
    verified: Option<bool>,
}

fn verified(native: &RawValue) -> Option<bool> {
    serde_json::from_str::<Told>(native.get()).ok()?.verified
}

pub fn view<'a>(operation: &'a Operation, secrets: &'a [Secret]) -> View<'a> {
    View {
        id: operation.id.as_str(),
        action: operation.action,
        connection: &operation.connection,
        target: &operation.target,
        status: operation.status,
        progress: operation.progress,
        message: operation.message.as_deref(),
        result: operation.result.as_deref(),
        error: operation.error.clone().map(Problem::from),
        secrets: secrets.iter().map(|secret| (secret.name.as_str(), secret.value.as_str())).collect(),
        estimated_completion_at: operation.estimated_completion_at,
        created_at: operation.created_at,
        updated_at: operation.updated_at,
        finished_at: operation.finished_at,
        verified: operation.native.as_deref().and_then(verified),
        native: operation.native.as_deref(),
    }
}

/// The answer to a mutating call.
pub fn mutation(operation: &Operation, secrets: &[Secret], waited: Option<Duration>) -> Result<Response, Problem> {
    if let Some(problem) = failure(operation) {
        return Err(problem);
    }
    let (status, location) = match operation.status {
        OperationStatus::Succeeded if is_creation(operation.action) => (StatusCode::CREATED, resource_path(operation)),
        OperationStatus::Queued | OperationStatus::Running => {
            (StatusCode::ACCEPTED, Some(format!("/api/v1/operations/{}", operation.id)))
        }
        _ => (StatusCode::OK, None),
    };
    let mut response = respond::json(status, respond::to_bytes(&view(operation, secrets))?);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(location) = location.and_then(|path| HeaderValue::from_str(&path).ok()) {
        headers.insert(header::LOCATION, location);
    }
    if status == StatusCode::ACCEPTED {
        headers.insert(header::RETRY_AFTER, RETRY_AFTER.into());
    }
    if let Some(wait) = waited {
        let applied = if wait.is_zero() { "respond-async".to_owned() } else { format!("wait={}", wait.as_secs()) };
        headers.extend(
            HeaderValue::from_str(&applied).ok().map(|value| (http::HeaderName::from_static("preference-applied"), value)),
        );
    }
    Ok(response)
}

fn failure(operation: &Operation) -> Option<Problem> {
    let error = match operation.status {
        OperationStatus::Failed | OperationStatus::Interrupted => operation.error.clone().unwrap_or_else(|| {
            Error::gateway(format_args!("{} ended {} without an error", operation.id, operation.status.as_str()))
        }),
        OperationStatus::Canceled => {
            Error::new(crate::model::Kind::Conflict, "the operation was canceled").with_code("canceled")
        }
        _ => return None,
    };
    Some(Problem::from(error).with_operation(&operation.id))
}

const fn is_creation(action: Action) -> bool {
    matches!(
        action,
        Action::SitesCreate
            | Action::SitesClone
            | Action::EnvironmentsCreate
            | Action::DeploymentsCreate
            | Action::DeploymentsCommit
            | Action::BackupsCreate
            | Action::DomainsCreate
            | Action::WordpressPluginsInstall
            | Action::WordpressThemesInstall
    )
}

fn resource_path(operation: &Operation) -> Option<String> {
    let id = operation.target.id.as_deref()?;
    let under = |group: &str| Some(format!("/api/v1/sites/{}/{group}/{id}", operation.target.site.as_deref()?));
    let list = |group: &str| Some(format!("/api/v1/sites/{}/{group}", operation.target.site.as_deref()?));
    match operation.target.kind.as_str() {
        "site" => Some(format!("/api/v1/sites/{id}")),
        "deployment" => under("deployments"),
        "backup" => under("backups"),
        // These have no page of their own; their lists have.
        "environment" => list("environments"),
        "domain" => list("domains"),
        "plugin" => list("wordpress/plugins"),
        "theme" => list("wordpress/themes"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{
        routes,
        spec::{Answer, Makes},
    };
    use std::collections::BTreeSet;

    #[test]
    fn the_document_knows_what_has_operations_and_what_is_made() {
        let (mut with_operation, mut made) = (BTreeSet::new(), BTreeSet::new());
        for endpoint in routes::endpoints() {
            match endpoint.answer {
                Answer::Operation(Makes::AResource) => {
                    made.insert(endpoint.name);
                }
                Answer::Operation(Makes::AChange) | Answer::OperationOrKept(_) => {}
                _ => continue,
            }
            with_operation.insert(endpoint.name);
        }
        assert_eq!(OperationAction::all().map(Action::as_str).collect::<BTreeSet<_>>(), with_operation);
        // 201 and nothing else, which is why 200 isn't in the document there.
        let creations = Action::ALL.iter().copied().filter(|action| is_creation(*action));
        assert_eq!(creations.map(Action::as_str).collect::<BTreeSet<_>>(), made);
    }
}
