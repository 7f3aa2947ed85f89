//! The test of a connection: what works and what doesn't, in words for its owner.
//!
//! In goes a connection; out come checks in the order in which a call would meet what they look at. Invariant: it ends at the
//! first check that makes the next meaningless, and a failed one says what to do about it. It only reads: beside the login of
//! a session, nothing is sent that a client's list of sites wouldn't send.

use super::{Connection, Dispatch, Freshness};
use crate::model::{Description, Error, Kind, Query};
use serde::Serialize;
use std::sync::Arc;

/// One line of a connection's test.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ConnectionCheck")]
pub struct Check {
    /// `configuration`, `upstream.api.dns` (and `grant`, `connect`, `tls`, `login`), `credentials`, `scope`, `version`, `read`
    pub check: String,
    pub ok: bool,
    pub detail: String,
}

impl Check {
    fn good(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { check: check.into(), ok: true, detail: detail.into() }
    }

    fn bad(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { check: check.into(), ok: false, detail: detail.into() }
    }
}

impl Dispatch {
    pub async fn test_connection(self: &Arc<Self>, connection: &Arc<Connection>) -> Vec<Check> {
        let configured = match connection.configured(&self.providers).await {
            Ok(configured) => configured,
            Err(error) => return vec![Check::bad("configuration", error.message)],
        };
        let mut checks = vec![Check::good("configuration", "settings, secrets and grants are in order")];
        let upstreams = configured.upstreams();
        for name in upstreams.names() {
            let steps = upstreams.probe(name).await.unwrap_or_default().into_iter();
            checks.extend(steps.map(|step| Check {
                check: format!("upstream.{name}.{}", step.name),
                ok: step.ok,
                detail: step.detail,
            }));
        }
        if checks.iter().all(|check| check.ok) && configured.configuration().features.has("sites.list") {
            let read = self.query(connection, Query::SitesList, Freshness::Live).await;
            checks.extend(judge(read.map(drop), configured.provider().description()));
        }
        checks
    }
}

/// What the attempt to list the sites says.
fn judge(read: Result<(), Error>, provider: &Description) -> Vec<Check> {
    let takes_secrets = !provider.secrets.is_empty();
    let accepted = || Check::good("credentials", "the host accepts them");
    let Err(error) = read else {
        let read = Check::good("read", "the sites could be listed");
        return takes_secrets.then(accepted).into_iter().chain([read]).collect();
    };
    // With a code of its own, it is a rule of the gateway that was met.
    match (error.kind, &error.code) {
        (Kind::Unauthenticated, None) => {
            vec![Check::bad("credentials", format!("{}; check {}", said(&error), secrets(provider)))]
        }
        (Kind::Forbidden, None) => {
            let detail = format!(
                "{}; the host knows the credential, so give it the right to list sites there, or take one that has it",
                said(&error)
            );
            vec![accepted(), Check::bad("scope", detail)]
        }
        (Kind::Internal | Kind::NotFound | Kind::Unsupported, None) => {
            let detail = format!(
                "{}; check that the address in the settings is that of the API, in a version that {} {} speaks",
                said(&error),
                provider.title,
                provider.version
            );
            vec![Check::bad("version", detail)]
        }
        _ => vec![Check::bad("read", said(&error))],
    }
}

/// The message, with the host's status where it doesn't say it itself.
fn said(error: &Error) -> String {
    match error.upstream_status {
        Some(status) if !error.message.contains(&status.to_string()) => format!("{} (it answered {status})", error.message),
        _ => error.message.clone(),
    }
}

fn secrets(provider: &Description) -> String {
    let secrets: Vec<String> =
        provider.secrets.iter().map(|secret| format!("the secret {} ({})", secret.name, secret.description)).collect();
    if secrets.is_empty() { "the connection's settings".to_owned() } else { secrets.join(" and ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SecretDescription;

    fn provider(secrets: &[&str]) -> Description {
        let secret = |name: &&str| SecretDescription {
            name: (*name).to_owned(),
            title: String::new(),
            description: "Acme panel, API access".to_owned(),
            required: true,
        };
        Description {
            name: "acme".to_owned(),
            title: "Acme".to_owned(),
            summary: String::new(),
            version: "1.2.0".to_owned(),
            documentation_url: None,
            settings_schema: serde_json::Value::Null,
            site_options_schema: None,
            secrets: secrets.iter().map(secret).collect(),
        }
    }

    #[test]
    fn a_failed_read_says_what_to_do() {
        let failed = |kind, message: &str, status| {
            let mut error = Error::new(kind, message);
            error.upstream_status = status;
            error
        };
        for (error, checks, words) in [
            (
                failed(Kind::Unauthenticated, "refused", Some(401)),
                &["credentials"][..],
                "refused (it answered 401); check the secret api_key (Acme panel, API access)",
            ),
            (failed(Kind::Forbidden, "not allowed (403)", Some(403)), &["credentials", "scope"], "the right to list sites"),
            (failed(Kind::Internal, "not JSON", Some(200)), &["version"], "in a version that Acme 1.2.0 speaks"),
            (failed(Kind::NotFound, "nothing", Some(404)), &["version"], "the address in the settings"),
            (failed(Kind::Unavailable, "it failed", Some(500)), &["read"], "it failed (it answered 500)"),
            (failed(Kind::Timeout, "too late", None), &["read"], "too late"),
            (failed(Kind::Forbidden, "no grant", None).with_code("grant_missing"), &["read"], "no grant"),
        ] {
            let found = judge(Err(error), &provider(&["api_key"]));
            assert_eq!(found.iter().map(|check| check.check.as_str()).collect::<Vec<_>>(), checks);
            let last = found.last().unwrap();
            assert!(!last.ok && last.detail.contains(words), "{last:?}");
            assert!(found[..found.len() - 1].iter().all(|check| check.ok));
        }
        let names =
            |secrets: &[&str]| judge(Ok(()), &provider(secrets)).into_iter().map(|check| check.check).collect::<Vec<_>>();
        assert_eq!((names(&["api_key"]), names(&[])), (vec!["credentials".into(), "read".into()], vec!["read".to_owned()]));
    }
}
