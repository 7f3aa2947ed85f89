//! Bases: the part of a URL that is settled when an upstream is bound.
//!
//! In goes the URL that a provider declared; out come its parts, and answers to whether a path lies below it.
//! Invariant: https or http, with a host, and without user, query or fragment. It resolves nothing.

use crate::model::{Error, Kind};
use url::{Host, Url};

/// Scheme, host, port and base path.
#[derive(Debug)]
pub(super) struct Base {
    url: Url,
    authority: String,
}

impl Base {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::new(Kind::InvalidInput, format!("the upstream's URL {why}"));
        let url = Url::parse(text).map_err(|error| wrong(&format!("can't be read: {error}")))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(wrong("must begin with https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("must not hold a user or password; give them as secrets"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("must not have a query or fragment"));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("has no host"))?;
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self { authority, url })
    }

    pub(super) fn scheme(&self) -> &str {
        self.url.scheme()
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    pub(super) fn host(&self) -> Option<Host<String>> {
        self.url.host().map(|host| host.to_owned())
    }

    pub(super) fn port(&self) -> Option<u16> {
        self.url.port_or_known_default()
    }

    pub(super) fn path(&self) -> &str {
        self.url.path()
    }

    pub(super) fn join(&self, target: &str) -> Option<Url> {
        self.url.join(target).ok()
    }

    /// Is `path`, of a URL that was parsed, at or below the base path? Escaped slashes could hide a way out of it.
    pub(super) fn holds(&self, path: &str) -> bool {
        let lower = path.to_ascii_lowercase();
        let below = path.strip_prefix(self.path().trim_end_matches('/'));
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) && !lower.contains("%2f") && !lower.contains("%5c")
    }
}
