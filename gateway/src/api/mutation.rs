//! From a mutating request to its operation, and the one form of the answer.
//!
//! In go a connection and a mutation; out comes 200 or 201 when the work ended in time, 202 when it goes on, or problem+json
//! when it failed before the answer. Invariant: nothing is called before the operation is durable.

use super::{
    Api, answer,
    extract::{self, Waiting},
    once::{self, REPLAYED},
    problem::Problem,
};
use crate::{
    dispatch::Connection,
    model::{Error, Kind, Mutation, Operation, ResourceId, Secret, Target, WordpressChange, WordpressMutation},
    operations::{Idempotency, Submit, Submitted},
    policy::Principal,
    store::KeyRef,
};
use axum::{extract::FromRequestParts, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, request::Parts};
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// Longest `wait`, in seconds.
pub const MAX_WAIT: u64 = 60;
const MAX_KEY: usize = 255;

/// What the request's headers say about how to answer.
pub struct Manner {
    /// From `Prefer: wait=N` (RFC 7240), or `respond-async`, which is no wait at all.
    pub wait: Option<Duration>,
    key: Option<String>,
    route: String,
    pub(super) waiting: Waiting,
}

impl<S: Send + Sync> FromRequestParts<S> for Manner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let wait = preferred_wait(&parts.headers)?;
        let key = idempotency_key(&parts.headers)?;
        let (route, waiting) = (once::route(&parts.method, &parts.uri), Waiting::of(&parts.extensions));
        Ok(Self { wait, key, route, waiting })
    }
}

impl Manner {
    /// The key, where it is this principal's.
    pub fn key_of(&self, principal: &Principal) -> Option<KeyRef> {
        let scope = format!("{} {}", principal.name(), self.route);
        self.key.clone().map(|key| KeyRef { organization: principal.organization, scope, key })
    }
}

/// RFC 7240: names in any case; `respond-async, wait=10` waits ten seconds and then answers 202.
fn preferred_wait(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let values = headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    let mut at_once = None;
    for preference in values.flat_map(|value| value.split(',')) {
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        if name.eq_ignore_ascii_case("wait") {
            return seconds(value).map(Some);
        }
        if name.eq_ignore_ascii_case("respond-async") {
            at_once = Some(Duration::ZERO);
        }
    }
    Ok(at_once)
}

fn seconds(text: &str) -> Result<Duration, Problem> {
    let seconds = text.parse().ok().filter(|seconds| *seconds <= MAX_WAIT);
    let detail = || format!("Prefer: wait takes 0 to {MAX_WAIT} seconds, not {text:?}");
    seconds.map(Duration::from_secs).ok_or_else(|| Problem::malformed(detail()))
}

pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::malformed("send one Idempotency-Key"));
    }
    let key = value.to_str().ok().filter(|key| (1..=MAX_KEY).contains(&key.len()));
    let detail = format!("Idempotency-Key is 1 to {MAX_KEY} printable ASCII characters");
    key.map(|key| Some(key.to_owned())).ok_or_else(|| Problem::malformed(detail))
}

impl Api {
    /// Carries out `mutation` as an operation and answers as the client prefers.
    pub(super) async fn carry_out(
        &self,
        principal: &Principal,
        connection: &Arc<Connection>,
        mut mutation: Mutation,
        manner: Manner,
    ) -> Result<Response, Problem> {
        let key = manner.key_of(principal);
        // Of what was asked, in the words of the request.
        let idempotency = key.clone().map(|KeyRef { scope, key, .. }| {
            let fingerprint = self.fingerprint(&(connection.record.id, &mutation))?;
            Ok::<_, Problem>(Idempotency { key, scope, fingerprint })
        });
        if !self.was_submitted(principal, &manner).await? {
            self.dispatch.require(connection, &mutation).await?;
            if let Mutation::SitesDelete { site } = &mut mutation {
                *site = self.dispatch.deletable(connection, site).await?;
            }
        }
        // A host may have taken its time to say what was asked of it.
        manner.waiting.still_admits(principal).await?;
        let submit = Submit {
            organization: principal.organization,
            principal: principal.name(),
            connection: connection.record.id,
            connection_slug: connection.record.slug.clone(),
            target: target(connection, &mutation),
            mutation,
            idempotency: idempotency.transpose()?,
        };
        let has_key = key.is_some();
        let submitted = self.operations.submit(submit).await;
        let Submitted { operation: accepted, replayed } = submitted.map_err(|error| unhonoured(error, has_key))?;
        let wait = manner.wait.unwrap_or(Duration::from_millis(self.config.answer_wait_ms));
        // Where too many wait already, the operation goes on by itself, and the answer says where.
        let operation = if accepted.status.is_terminal() || wait.is_zero() || !manner.waiting.may_begin() {
            accepted
        } else {
            let waited = self.operations.wait(principal.organization, &accepted.id, manner.waiting.until(wait)).await?;
            // What was accepted goes on; whoever is let in no more is told that, and nothing of what came of it.
            if manner.waiting.admits(principal).await? { waited } else { accepted }
        };
        let secrets = self.secrets(principal, &operation, key.as_ref()).await?;
        let mut response = answer::mutation(&operation, &secrets, manner.wait)?;
        if replayed {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(super::served_by(connection, response))
    }

    /// Whether the request repeats one that was accepted: what it needs was looked at then, and may be gone.
    pub(super) async fn was_submitted(&self, principal: &Principal, manner: &Manner) -> Result<bool, Problem> {
        let Some(key) = manner.key_of(principal) else { return Ok(false) };
        self.operations.was_submitted(&key).await.map_err(|error| unhonoured(error, true))
    }

    /// What is shown once, with the one answer that tells the end; and again to the key that had it in its answer.
    pub(super) async fn secrets(
        &self,
        principal: &Principal,
        operation: &Operation,
        key: Option<&KeyRef>,
    ) -> Result<Vec<Secret>, Problem> {
        if !operation.status.is_terminal() {
            return Ok(Vec::new());
        }
        Ok(self.operations.take_secrets(principal.organization, &operation.id, key).await?)
    }

    /// A keyed hash of what was asked, after parsing: two bodies that mean the same are the same.
    pub(super) fn fingerprint(&self, asked: &impl Serialize) -> Result<[u8; 32], Problem> {
        Ok(self.sealer.fingerprint(&super::respond::to_bytes(asked)?)?)
    }
}

/// Where the store fails, a key can't be honoured, and the request can be sent again with it.
fn unhonoured(error: Error, has_key: bool) -> Problem {
    if !has_key || error.kind != Kind::Gateway {
        return error.into();
    }
    tracing::error!(%error, internal = error.internal, "a keyed change could not be accepted");
    once::unavailable("the store can't be read or written; send the request again with the same key")
}

fn target(connection: &Connection, mutation: &Mutation) -> Target {
    let whole = |native: &str| ResourceId::new(connection.record.slug.clone(), native).to_string();
    let (kind, id) = match mutation {
        Mutation::SitesCreate(_) | Mutation::SitesClone { .. } => ("site", None),
        Mutation::SitesUpdate { site, .. }
        | Mutation::SitesDelete { site }
        | Mutation::SitesStart { site }
        | Mutation::SitesStop { site } => return Target { kind: "site".to_owned(), id: Some(whole(site)), site: None },
        Mutation::EnvironmentsCreate { .. } => ("environment", None),
        Mutation::EnvironmentsUpdate { environment, .. } | Mutation::EnvironmentsDelete { environment, .. } => {
            ("environment", Some(crate::model::escape(environment)))
        }
        // What is pushed to is what changes.
        Mutation::EnvironmentsPush { input, .. } => ("environment", Some(crate::model::escape(&input.target))),
        Mutation::DeploymentsCreate { .. } | Mutation::DeploymentsCommit { .. } => ("deployment", None),
        Mutation::DeploymentsRollback { deployment, .. } => ("deployment", deployment.as_deref().map(crate::model::escape)),
        Mutation::DeploymentsRelease { deployment, .. } => ("deployment", Some(crate::model::escape(deployment))),
        Mutation::BackupsCreate { .. } => ("backup", None),
        Mutation::BackupsDelete { backup, .. } | Mutation::BackupsRestore { backup, .. } => {
            ("backup", Some(crate::model::escape(backup)))
        }
        Mutation::DomainsCreate { input, .. } => ("domain", Some(crate::model::escape(&input.name))),
        Mutation::DomainsDelete { name, .. }
        | Mutation::DomainsVerify { name, .. }
        | Mutation::DomainsSetPrimary { name, .. } => ("domain", Some(crate::model::escape(name))),
        Mutation::Wordpress(WordpressMutation { target, change }) => match change {
            WordpressChange::Install { kind, .. } => (kind.as_str(), None),
            WordpressChange::Extension { kind, id, .. } => (kind.as_str(), Some(crate::model::escape(id))),
            _ => ("site", Some(whole(&target.site))),
        },
    };
    Target { kind: kind.to_owned(), id, site: mutation.site().map(whole).filter(|_| kind != "site") }
}

/// Where a key has no place: silence would make a retry unsafe.
pub fn no_key() -> Problem {
    let detail = "an Idempotency-Key isn't taken here: what gives or ends a session is kept nowhere; send this without it";
    Problem::new(StatusCode::BAD_REQUEST, "idempotency_unsupported", detail)
}

/// A mutating route without a body takes none: `{}` at most.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

pub type NoBody = extract::Json<Nothing>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_preferred_wait() {
        let check = |value: &'static str, expected: Result<Option<u64>, u16>| {
            let mut headers = HeaderMap::new();
            headers.insert("prefer", http::HeaderValue::from_static(value));
            let found =
                preferred_wait(&headers).map(|wait| wait.map(|wait| wait.as_secs())).map_err(|problem| problem.status.as_u16());
            assert_eq!(found, expected, "{value}");
        };
        check("wait=5", Ok(Some(5)));
        check("handling=lenient, wait=\"60\"", Ok(Some(60)));
        check("respond-async", Ok(Some(0)));
        check("respond-async, Wait=10", Ok(Some(10)));
        check("return=minimal", Ok(None));
        check("wait=61", Err(400));
        check("wait=soon", Err(400));
    }
}
