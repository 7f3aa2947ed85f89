//! The Docker guard: which requests may go to a Docker Engine.
//!
//! In goes a guest's request; out comes nothing, or an error that names the rule. Whoever holds the Engine's socket holds
//! the machine, so this is an allow-list of method and path, of query names where they matter, and of every field of a body.
//! Invariant: what isn't known here is refused, a field of a newer Engine too. It doesn't know which containers are whose:
//! everything on the Engine is in reach of the connection.
//! Source: Docker Engine API 1.41 to 1.47.

mod container;
mod fields;

use super::{Request, fault, grant::Guard};
use crate::model::Error;
use fields::Object;
use http::HeaderValue;

/// Older versions take a host configuration in the body of `start`, which would go around the rules for `create`.
const OLDEST_MINOR: u32 = 25;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// The Engine reads forms from bodies as well, so none is let through.
    None,
    Container,
    Exec,
    ExecStart,
    Network,
    Volume,
    /// A tar file, unpacked inside a container.
    Archive,
}

/// `{id}` is one segment, `{image}` one or more. The last column: query names, `*` for any.
const ROUTES: &[(&str, &str, Body, &[&str])] = &[
    ("GET", "_ping", Body::None, &[]),
    ("HEAD", "_ping", Body::None, &[]),
    ("GET", "version", Body::None, &[]),
    ("GET", "info", Body::None, &[]),
    ("GET", "containers/json", Body::None, &["*"]),
    ("POST", "containers/create", Body::Container, &["name", "platform"]),
    ("GET", "containers/{id}/json", Body::None, &["size"]),
    ("POST", "containers/{id}/start", Body::None, &[]),
    ("POST", "containers/{id}/stop", Body::None, &["t", "signal"]),
    ("POST", "containers/{id}/kill", Body::None, &["signal"]),
    ("POST", "containers/{id}/restart", Body::None, &["t", "signal"]),
    ("DELETE", "containers/{id}", Body::None, &["v", "force"]),
    ("GET", "containers/{id}/logs", Body::None, &["*"]),
    ("POST", "containers/{id}/wait", Body::None, &["condition"]),
    ("POST", "containers/{id}/exec", Body::Exec, &[]),
    ("HEAD", "containers/{id}/archive", Body::None, &["path"]),
    ("GET", "containers/{id}/archive", Body::None, &["path"]),
    ("PUT", "containers/{id}/archive", Body::Archive, &["path", "noOverwriteDirNonDir", "copyUIDGID"]),
    ("POST", "exec/{id}/start", Body::ExecStart, &[]),
    ("GET", "exec/{id}/json", Body::None, &[]),
    ("GET", "networks", Body::None, &["filters"]),
    ("POST", "networks/create", Body::Network, &[]),
    ("GET", "networks/{id}", Body::None, &["verbose", "scope"]),
    ("DELETE", "networks/{id}", Body::None, &[]),
    ("GET", "volumes", Body::None, &["filters"]),
    ("POST", "volumes/create", Body::Volume, &[]),
    ("GET", "volumes/{id}", Body::None, &[]),
    ("DELETE", "volumes/{id}", Body::None, &["force"]),
    ("GET", "images/json", Body::None, &["*"]),
    ("POST", "images/create", Body::None, &["fromImage", "tag", "platform"]),
    ("GET", "images/{image}/json", Body::None, &["manifests"]),
];

/// `content_type`: the request's.
pub(super) fn check(rules: Guard, request: &Request, content_type: Option<&HeaderValue>) -> Result<(), Error> {
    match rules {
        Guard::DockerEngine => docker(request, content_type),
        Guard::None => Ok(()),
    }
}

fn docker(request: &Request, content_type: Option<&HeaderValue>) -> Result<(), Error> {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let path = without_version(&path)?;
    let method = request.method.as_str();
    let route = ROUTES.iter().find(|(allowed, pattern, ..)| *allowed == method && matches(pattern, path));
    let Some((_, pattern, body, queries)) = route else {
        return Err(refused(format!("{method} /{} isn't on the list of allowed calls", shown(path))));
    };
    let unknown = request.query.iter().find(|(name, _)| !queries.contains(&"*") && !queries.contains(&name.as_str()));
    if let Some((name, _)) = unknown {
        return Err(refused(format!("{method} /{pattern} may not have the query {name:?}")));
    }
    check_body(*body, request.body.as_deref().unwrap_or_default(), content_type, pattern)
}

fn without_version<'a>(path: &'a [&'a str]) -> Result<&'a [&'a str], Error> {
    let Some((first, rest)) = path.split_first() else { return Ok(path) };
    let Some(minor) = first.strip_prefix("v1.") else { return Ok(path) };
    match minor.parse::<u32>() {
        Ok(number) if number >= OLDEST_MINOR && number.to_string() == minor => Ok(rest),
        _ => Err(refused(format!("API version {first:?} isn't v1.{OLDEST_MINOR} or newer"))),
    }
}

fn matches(pattern: &str, path: &[&str]) -> bool {
    let parts: Vec<&str> = pattern.split('/').collect();
    if let Some(at) = parts.iter().position(|part| *part == "{image}") {
        let (before, after) = (&parts[..at], &parts[at + 1..]);
        return path.len() >= parts.len()
            && path.starts_with(before)
            && path.ends_with(after)
            && path[at..path.len() - after.len()].iter().all(|segment| is_image_part(segment));
    }
    let same = |(part, segment): (&&str, &&str)| if *part == "{id}" { fields::is_name(segment) } else { part == segment };
    parts.len() == path.len() && parts.iter().zip(path).all(same)
}

fn is_image_part(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':' | b'@');
    segment.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && segment.bytes().all(allowed)
}

fn check_body(kind: Body, bytes: &[u8], content_type: Option<&HeaderValue>, pattern: &str) -> Result<(), Error> {
    match kind {
        Body::None if bytes.is_empty() => return Ok(()),
        Body::None => return Err(refused(format!("{pattern} may not have a body"))),
        Body::Archive if content_type.is_some_and(|value| value == "application/x-tar") => return Ok(()),
        Body::Archive => return Err(refused(format!("{pattern} takes application/x-tar only"))),
        _ if content_type.is_none_or(|value| value != "application/json") => {
            return Err(refused(format!("{pattern} takes application/json only")));
        }
        _ => {}
    }
    let body = Object::parse(bytes)?;
    match kind {
        Body::Container => container::create(&body),
        Body::Exec => container::exec(&body),
        Body::ExecStart => container::exec_start(&body),
        Body::Network => container::network(&body),
        Body::Volume => container::volume(&body),
        Body::None | Body::Archive => Ok(()),
    }
}

fn refused(why: String) -> Error {
    fault::refused(format!("the docker-engine guard refused this request: {why}"))
}

fn shown(path: &[&str]) -> String {
    path.join("/").chars().take(128).collect()
}

#[cfg(test)]
mod tests;
