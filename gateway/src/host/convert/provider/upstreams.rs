//! The upstreams that `configure` declares.
//!
//! In go a guest's declarations; out come the model's. Invariant: a name is a slug and is there once, a secret was declared by
//! `describe`, and a rate is one that can be kept.

use super::{MAX_SLUG, is_slug};
use crate::{
    host::trap::broken,
    model::{Auth, Endpoint, Error, Rate, SecretDescription, SessionAuth, UpstreamDeclaration},
};
use portico_bindings::exports::portico::provider::provider as guest;
use std::collections::BTreeSet;

const MAX_UPSTREAMS: usize = 16;

pub(super) fn convert(
    declared: Vec<guest::UpstreamDeclaration>,
    secrets: &[SecretDescription],
) -> Result<Vec<UpstreamDeclaration>, Error> {
    if declared.len() > MAX_UPSTREAMS {
        return Err(broken(format_args!("it declares more than {MAX_UPSTREAMS} upstreams")));
    }
    let mut names = BTreeSet::new();
    let mut converted = Vec::with_capacity(declared.len());
    for upstream in declared {
        if !is_slug(&upstream.name) {
            let text = format!("the upstream name {:?} is not 1 to {MAX_SLUG} characters of a-z, 0-9 and -", upstream.name);
            return Err(broken(text));
        }
        if !names.insert(upstream.name.clone()) {
            return Err(broken(format_args!("it declares the upstream {} twice", upstream.name)));
        }
        let auth = auth(upstream.auth);
        if let Some(unknown) = secret_names(&auth).find(|name| secrets.iter().all(|secret| secret.name != *name)) {
            let text = format!("the upstream {} uses the secret {unknown:?}, which describe doesn't declare", upstream.name);
            return Err(broken(text));
        }
        let rate = upstream.rate.map(|declared| rate(&upstream.name, declared)).transpose()?;
        converted.push(UpstreamDeclaration {
            name: upstream.name,
            endpoint: match upstream.endpoint {
                guest::Endpoint::Url(url) => Endpoint::Url(url),
                guest::Endpoint::Socket(name) => Endpoint::Socket(name),
            },
            auth,
            request_headers: upstream.request_headers,
            rate,
            concurrency: upstream.concurrency,
            blob_origins: upstream.blob_origins,
        });
    }
    Ok(converted)
}

/// None at all would mean that nothing may be sent, and is meant as the opposite.
fn rate(upstream: &str, declared: guest::Rate) -> Result<Rate, Error> {
    let guest::Rate { requests, per } = declared;
    if requests == 0 || per == 0 {
        return Err(broken(format_args!(
            "the upstream {upstream} declares a rate of {requests} requests in {per} s, where neither may be 0; leave the rate out if \
             it isn't known"
        )));
    }
    Ok(Rate { requests, per_seconds: per })
}

fn auth(auth: guest::Auth) -> Auth {
    match auth {
        guest::Auth::None => Auth::None,
        guest::Auth::Bearer(secret) => Auth::Bearer(secret),
        guest::Auth::Basic(guest::BasicAuth { username, password }) => Auth::Basic { username, password },
        guest::Auth::ApiKey(secret) => Auth::ApiKey(secret),
        guest::Auth::Header(guest::HeaderAuth { name, secret }) => Auth::Header { name, secret },
        guest::Auth::Session(session) => Auth::Session(SessionAuth {
            login_path: session.login_path,
            fields: session.fields,
            extra: session.extra,
            token_pointer: session.token_pointer,
            refresh_path: session.refresh_path,
        }),
    }
}

fn secret_names(auth: &Auth) -> impl Iterator<Item = &str> {
    let names: Vec<&str> = match auth {
        Auth::None => Vec::new(),
        Auth::Bearer(secret) | Auth::ApiKey(secret) | Auth::Header { secret, .. } => vec![secret],
        Auth::Basic { username, password } => vec![username, password],
        Auth::Session(session) => session.fields.iter().map(|(_, secret)| secret.as_str()).collect(),
    };
    names.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(rate: Option<guest::Rate>) -> guest::UpstreamDeclaration {
        guest::UpstreamDeclaration {
            name: "api".to_owned(),
            endpoint: guest::Endpoint::Url("https://api.example".to_owned()),
            auth: guest::Auth::None,
            request_headers: Vec::new(),
            rate,
            concurrency: None,
            blob_origins: Vec::new(),
        }
    }

    #[test]
    fn a_rate_of_nothing_is_refused() {
        for (requests, per) in [(0, 60), (60, 0), (0, 0)] {
            let message = convert(vec![declared(Some(guest::Rate { requests, per }))], &[]).unwrap_err().message;
            let words = format!("the upstream api declares a rate of {requests} requests in {per} s, where neither may be 0");
            assert!(message.contains(&words), "{message}");
        }
        let kept = |rate| convert(vec![declared(rate)], &[]).unwrap().remove(0).rate;
        assert_eq!(kept(Some(guest::Rate { requests: 1, per: 2 })), Some(Rate { requests: 1, per_seconds: 2 }));
        assert_eq!(kept(None), None, "nothing is known");
    }
}
