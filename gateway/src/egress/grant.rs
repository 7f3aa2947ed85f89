//! Grants: what the operator lets a provider's connections reach beyond the public internet over https.
//!
//! In go `[[grants]]` of the config file and the facts of a connection; out comes an [`Allowance`] for one upstream, or an
//! error that holds the lines to add. Invariant: grants come from the operator's config only, never by the API; without one,
//! an upstream is public and https. It opens nothing itself.

use super::address::{Network, Reserved, reserved};
use crate::model::{ConnectionSpec, Error, Kind, Slug};
use serde::{Deserialize, Serialize};
use std::{
    fmt::Write as _,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// One `[[grants]]` table. A grant opens either networks and plain http, or one Unix socket.
///
/// ```toml
/// [[grants]]
/// organization = "acme"          # a slug, or "*" for all
/// provider = "docker"
/// component = "9f86d081…"        # optional: only this build, by the SHA-256 of its bytes
/// socket = "/run/docker.sock"
/// socket_name = "engine"         # what the provider calls it
/// guard = "docker-engine"
/// ```
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// A slug, or `*`.
    pub organization: String,
    /// A name, or `*`, which opens networks only.
    pub provider: String,
    /// SHA-256 of the component's bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Only the upstream of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Loopback, private and other reserved networks that may be reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    /// Plain http is fine: in `networks`, or at any public address if there are none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub http: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket_name: Option<String>,
    /// Rules about requests, beyond where they go. A socket must have them, or the word that there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
}

/// A built-in set of rules for an upstream whose credential would otherwise be too strong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// The Docker Engine API without what would hand over the machine.
    DockerEngine,
    /// None: said for a socket, so that nobody hands over a machine by leaving a line out.
    None,
}

impl Grant {
    /// `index`: its place in the config file, for messages.
    pub(super) fn validate(&self, index: usize) -> Result<(), Error> {
        let wrong = |key: &str, why: &str| {
            let field = format!("grants[{index}].{key}");
            Err(Error::new(Kind::InvalidInput, format!("{field} {why}")).with_field(field))
        };
        if self.organization != "*" && Slug::parse(&self.organization).is_err() {
            return wrong("organization", "must be an organization's slug, or \"*\" for all of them");
        }
        if self.provider != "*" && Slug::parse(&self.provider).is_err() {
            return wrong("provider", "must be a provider's name, such as \"docker\", or \"*\" for all of them");
        }
        if self.provider == "*" && self.socket.is_some() {
            return wrong("provider", "must be one by name: whoever holds a socket may hold the machine");
        }
        if self.component.as_ref().is_some_and(|hash| !is_sha256(hash)) {
            return wrong("component", "must be the SHA-256 of the component, as 64 lower-case hex digits");
        }
        if self.upstream.as_ref().is_some_and(|name| Slug::parse(name).is_err()) {
            return wrong("upstream", "must be the name of an upstream, such as \"api\"");
        }
        match &self.socket {
            Some(_) if !self.networks.is_empty() || self.http => {
                wrong("socket", "can't stand beside networks or http; write two grants")
            }
            Some(path) if !path.is_absolute() => wrong("socket", "must be an absolute path"),
            Some(_) if self.socket_name.as_deref().is_none_or(str::is_empty) => {
                wrong("socket_name", "is missing; it is the name by which the provider asks for the socket, such as \"engine\"")
            }
            Some(_) if self.guard.is_none() => {
                wrong("guard", "is missing; it is \"docker-engine\", or \"none\" for the socket of something else")
            }
            None if self.socket_name.is_some() => wrong("socket", "is missing beside socket_name"),
            None if self.networks.is_empty() && !self.http => {
                wrong("networks", "is missing; a grant opens networks, http, or a socket")
            }
            _ => Ok(()),
        }
    }

    fn rules(&self) -> Option<Guard> {
        self.guard.filter(|guard| *guard != Guard::None)
    }

    fn matches(&self, asked: &Asked<'_>) -> bool {
        let connection = asked.connection;
        (self.organization == "*" || *self.organization == *connection.organization_slug)
            && (self.provider == "*" || *self.provider == *connection.provider)
            && self.component.as_ref().is_none_or(|hash| *hash == hex(asked.component))
            && self.upstream.as_ref().is_none_or(|name| name == asked.upstream)
    }
}

/// Who asks for what: one upstream of one connection.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub connection: &'a ConnectionSpec,
    pub component: &'a [u8; 32],
    pub upstream: &'a str,
}

impl Asked<'_> {
    /// The beginning of the grant that would be needed.
    fn grant_lines(&self) -> String {
        let Self { connection, upstream, .. } = self;
        let (organization, provider) = (&connection.organization_slug, &connection.provider);
        format!("[[grants]]\norganization = \"{organization}\"\nprovider = \"{provider}\"\nupstream = \"{upstream}\"\n")
    }

    pub(super) fn socket(&self, grants: &[Grant], name: &str) -> Result<(PathBuf, Option<Guard>), Error> {
        let found = grants.iter().filter(|grant| grant.matches(self)).find_map(|grant| {
            let path: &Path = grant.socket.as_deref().filter(|_| grant.socket_name.as_deref() == Some(name))?;
            Some((path.to_owned(), grant.rules()))
        });
        found.ok_or_else(|| {
            let lines = self.grant_lines();
            // Who forgets the guard hands over the machine, so the lines to copy have it.
            let message = format!(
                "the Unix socket {name:?} isn't granted to this connection; to allow it, the operator adds to the \
                 configuration:\n{lines}socket_name = \"{name}\"\nsocket = \"/path/of/the.sock\"\n\
                 guard = \"docker-engine\"    # or \"none\", if it is no Docker Engine's"
            );
            Error::new(Kind::Forbidden, message).with_code("grant_missing")
        })
    }

    pub(super) fn allowance(&self, grants: &[Grant]) -> Allowance {
        let matching: Vec<&Grant> = grants.iter().filter(|grant| grant.socket.is_none() && grant.matches(self)).collect();
        Allowance {
            rules: matching.iter().map(|grant| Rule { networks: grant.networks.clone(), http: grant.http }).collect(),
            guard: matching.iter().find_map(|grant| grant.rules()),
            lines: self.grant_lines(),
        }
    }
}

/// Where one upstream may be. Checked again with every new connection, since a name may resolve to another address then.
#[derive(Clone, Debug)]
pub(super) struct Allowance {
    rules: Vec<Rule>,
    pub guard: Option<Guard>,
    lines: String,
}

#[derive(Clone, Debug)]
struct Rule {
    networks: Vec<Network>,
    http: bool,
}

/// Why an address can't be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    Reserved(&'static Reserved),
    /// It may be reached, but not without TLS; the block it lies in, where it isn't public.
    Plain(Option<&'static Reserved>),
}

impl Denied {
    /// The block that it lies in, where it isn't public.
    pub(super) const fn block(self) -> Option<&'static Reserved> {
        match self {
            Self::Reserved(block) => Some(block),
            Self::Plain(block) => block,
        }
    }
}

impl Allowance {
    /// `plain`: over http.
    pub(super) fn permits(&self, address: IpAddr, plain: bool) -> Result<(), Denied> {
        let reserved = reserved(address);
        let covered = |rule: &Rule| match reserved {
            Some(_) => rule.networks.iter().any(|network| network.contains(address)),
            None => rule.networks.is_empty() || rule.networks.iter().any(|network| network.contains(address)),
        };
        let mut covering = self.rules.iter().filter(|rule| covered(rule)).peekable();
        match reserved {
            Some(reserved) if covering.peek().is_none() => Err(Denied::Reserved(reserved)),
            _ if plain && !covering.any(|rule| rule.http) => Err(Denied::Plain(reserved)),
            _ => Ok(()),
        }
    }

    /// Plain http can be fine for some address; which one is known after resolution.
    pub(super) fn knows_http(&self) -> bool {
        self.rules.iter().any(|rule| rule.http)
    }

    /// `networks`: those that the grant would have to name; none for public addresses.
    pub(super) fn missing(&self, place: &str, why: &str, networks: &[Network], plain: bool) -> Error {
        let mut lines = self.lines.clone();
        if !networks.is_empty() {
            let list: Vec<String> = networks.iter().map(|network| format!("\"{network}\"")).collect();
            // Writing into a String can't fail.
            let _ = writeln!(lines, "networks = [{}]", list.join(", "));
        }
        if plain {
            lines.push_str("http = true\n");
        }
        let lines = lines.trim_end();
        let message = format!("{place} {why}; to allow it, the operator adds to the configuration:\n{lines}");
        Error::new(Kind::Forbidden, message).with_code("grant_missing")
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing into a String can't fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(rules: &[(&[&str], bool)]) -> Allowance {
        let rule = |(networks, http): &(&[&str], bool)| Rule {
            networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
            http: *http,
        };
        Allowance { rules: rules.iter().map(rule).collect(), guard: None, lines: String::new() }
    }

    #[test]
    fn networks_and_http_are_granted_together() {
        let none = allowance(&[]);
        let loopback = allowance(&[(&["127.0.0.0/8"], false)]);
        let loopback_http = allowance(&[(&["127.0.0.0/8"], true)]);
        let public_http = allowance(&[(&[], true)]);
        let mixed = allowance(&[(&["10.0.0.0/8"], false), (&[], true)]);
        for (allowance, address, plain, ok) in [
            (&none, "1.1.1.1", false, true),
            (&none, "1.1.1.1", true, false),
            (&none, "127.0.0.1", false, false),
            (&loopback, "127.0.0.1", false, true),
            (&loopback, "127.0.0.1", true, false),
            (&loopback, "10.0.0.1", false, false),
            (&loopback_http, "127.0.0.1", true, true),
            (&loopback_http, "1.1.1.1", true, false),
            (&public_http, "1.1.1.1", true, true),
            (&public_http, "127.0.0.1", true, false),
            (&public_http, "::ffff:1.1.1.1", true, false),
            (&mixed, "10.0.0.1", true, false),
            (&mixed, "10.0.0.1", false, true),
        ] {
            let permitted = allowance.permits(address.parse().unwrap(), plain);
            assert_eq!(permitted.is_ok(), ok, "{address} plain={plain}: {permitted:?}");
        }
    }

    #[test]
    fn wrong_grants_are_refused_by_key() {
        for (toml, field) in [
            ("organization = \"*\"\nprovider = \"docker\"\nhttp = true", None),
            ("organization = \"Acme\"\nprovider = \"docker\"\nhttp = true", Some("grants[0].organization")),
            ("organization = \"*\"\nprovider = \"\"\nhttp = true", Some("grants[0].provider")),
            ("organization = \"*\"\nprovider = \"docker\"\ncomponent = \"abc\"\nhttp = true", Some("grants[0].component")),
            ("organization = \"*\"\nprovider = \"*\"\nhttp = true", None),
            ("organization = \"*\"\nprovider = \"*\"\nsocket = \"/a\"\nsocket_name = \"e\"", Some("grants[0].provider")),
            ("organization = \"*\"\nprovider = \"docker\"", Some("grants[0].networks")),
            ("organization = \"*\"\nprovider = \"docker\"\nsocket = \"/a\"", Some("grants[0].socket_name")),
            ("organization = \"*\"\nprovider = \"docker\"\nsocket_name = \"engine\"", Some("grants[0].socket")),
            ("organization = \"*\"\nprovider = \"docker\"\nsocket = \"a\"\nsocket_name = \"e\"", Some("grants[0].socket")),
            ("organization = \"*\"\nprovider = \"docker\"\nsocket = \"/a\"\nsocket_name = \"e\"", Some("grants[0].guard")),
            (
                "organization = \"*\"\nprovider = \"docker\"\nsocket = \"/a\"\nsocket_name = \"e\"\nguard = \"docker-engine\"",
                None,
            ),
            ("organization = \"*\"\nprovider = \"panel\"\nsocket = \"/a\"\nsocket_name = \"e\"\nguard = \"none\"", None),
            (
                "organization = \"*\"\nprovider = \"docker\"\nsocket = \"/a\"\nsocket_name = \"e\"\nhttp = true",
                Some("grants[0].socket"),
            ),
        ] {
            let grant: Grant = toml::from_str(toml).unwrap();
            assert_eq!(grant.validate(0).err().and_then(|error| error.field).as_deref(), field, "{toml}");
        }
        for toml in [
            "organization = \"*\"\nprovider = \"docker\"\nnetworks = [\"10.0.0.0/40\"]",
            "organization = \"*\"\nprovider = \"docker\"\nguard = \"other\"",
            "organization = \"*\"\nprovider = \"docker\"\nhttps = true",
        ] {
            assert!(toml::from_str::<Grant>(toml).is_err(), "{toml}");
        }
    }
}
