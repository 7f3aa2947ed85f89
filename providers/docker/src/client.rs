//! Calls to the Engine: one function for each request that this provider makes, and no other.
//!
//! In go ids, names and bodies; out come parsed answers. Invariant: creating finds what exists under the name if it is this
//! operation's, starting and stopping what already is so succeeds, deleting what is gone succeeds: every call may be repeated.

use crate::{
    error, image,
    settings::ENGINE,
    spec::label,
    types::{Container, Image, Inspect, Labels, Network, Version, Volumes},
    world::World,
};
use portico_sdk::{
    Error, ErrorKind, Upstream,
    error::{conflict, unavailable},
    upstream::{Method, Request},
};
use serde_json::{Value, json};
use std::cell::RefCell;

const UPSTREAM: Upstream = Upstream::named(ENGINE).with_error_parser(error::parse);

/// The API that this provider was written for. A newer Engine speaks it, too, until its own minimum passes it.
const WRITTEN_FOR: (u32, u32) = (1, 41);
/// What the requests here need at least.
const OLDEST: (u32, u32) = (1, 40);

/// Removing a container waits for its processes.
const REMOVE_TIMEOUT: u32 = 30_000;

pub struct Client {
    namespace: String,
    /// Asked once an instance.
    version: RefCell<Option<String>>,
}

impl Client {
    pub fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), version: RefCell::new(None) }
    }

    /// Everything of one site: by `site` or by the `operation` that created it.
    pub fn world(&self, name: &str, value: &str) -> Result<World, Error> {
        let filter = filter(&format!("{}={value}", label(&self.namespace, name)));
        let volumes: Volumes = looked(self.get(&["volumes"])?.query("filters", &filter).json())?;
        Ok(World { networks: self.networks(&filter)?, containers: self.containers(Some(&filter))?, volumes: volumes.volumes })
    }

    /// Networks and containers of every site; volumes aren't needed to tell how they are.
    pub fn everything(&self) -> Result<World, Error> {
        let filter = filter(&label(&self.namespace, "site"));
        Ok(World { networks: self.networks(&filter)?, containers: self.containers(Some(&filter))?, volumes: Vec::new() })
    }

    fn networks(&self, filter: &str) -> Result<Vec<Network>, Error> {
        looked(self.get(&["networks"])?.query("filters", filter).json())
    }

    /// All of the Engine's without a filter: their ports are taken.
    pub fn containers(&self, filter: Option<&str>) -> Result<Vec<Container>, Error> {
        looked(self.get(&["containers", "json"])?.query("all", "true").query_if("filters", filter).json())
    }

    pub fn inspect(&self, container: &str) -> Result<Inspect, Error> {
        looked(self.get(&["containers", container, "json"])?.json())
    }

    pub fn inspect_raw(&self, container: &str) -> Result<Option<Value>, Error> {
        self.get(&["containers", container, "json"])?.json_if_found()
    }

    /// None when the Engine lacks it.
    pub fn image(&self, image: &str) -> Result<Option<Image>, Error> {
        let mut path = vec!["images"];
        path.extend(image.split('/'));
        path.push("json");
        looked(self.get(&path)?.json_if_found())
    }

    /// Starts pulling in the background; images are pulled once for all who wait for them.
    pub fn pull(&self, image: &str) -> Result<String, Error> {
        let (name, tag) = image::name_and_tag(image);
        let request = self.request(Method::Post, &["images", "create"])?;
        request.query("fromImage", name).query("tag", tag).start(&format!("pull:{image}"))
    }

    pub fn create_network(&self, body: &Value) -> Result<(), Error> {
        let request = self.request(Method::Post, &["networks", "create"])?.json_body(body);
        let name = body["Name"].as_str().unwrap_or_default();
        self.created(request, body, || {
            let network: Option<Network> = looked(self.get(&["networks", name])?.json_if_found())?;
            Ok(network.map(|network| network.labels))
        })
    }

    pub fn create_container(&self, name: &str, body: &Value) -> Result<(), Error> {
        let request = self.request(Method::Post, &["containers", "create"])?.query("name", name).json_body(body);
        self.created(request, body, || {
            let container: Option<Inspect> = looked(self.get(&["containers", name, "json"])?.json_if_found())?;
            Ok(container.map(|container| container.config.labels))
        })
    }

    /// A 409 is fine if what has the name was made by the same operation.
    fn created(
        &self,
        request: Request,
        body: &Value,
        find: impl FnOnce() -> Result<Option<Labels>, Error>,
    ) -> Result<(), Error> {
        let refused = match request.send() {
            Err(refused) if refused.is(ErrorKind::Conflict) => refused,
            other => return other.map(drop),
        };
        let operation = label(&self.namespace, "operation");
        match find()? {
            Some(labels) if labels.get(&operation).map(String::as_str) == body["Labels"][&operation].as_str() => Ok(()),
            Some(_) => Err(refused),
            // The Engine reserves a name before what bears it can be seen: an earlier try of ours may still be under way.
            None => Err(unavailable("what is to be made isn't visible yet, but its name is taken: looking again")),
        }
    }

    /// The Engine answers with the one that exists, whoever made it.
    pub fn create_volume(&self, body: &Value) -> Result<(), Error> {
        let request = self.request(Method::Post, &["volumes", "create"])?.json_body(body).repeatable();
        let made: Value = request.json()?;
        let operation = label(&self.namespace, "operation");
        if made["Labels"][&operation] == body["Labels"][&operation] {
            return Ok(());
        }
        Err(conflict(format!("the volume {} exists, and isn't this site's: remove or rename it", made["Name"])))
    }

    pub fn start(&self, container: &str) -> Result<(), Error> {
        self.request(Method::Post, &["containers", container, "start"])?.repeatable().send().map(drop)
    }

    /// Waits for the end; the Engine kills what hasn't ended after `seconds`.
    pub fn stop(&self, container: &str, seconds: u32) -> Result<(), Error> {
        let request = self.request(Method::Post, &["containers", container, "stop"])?.query("t", seconds);
        request.timeout((seconds + 10) * 1000).repeatable().send().map(drop)
    }

    /// With the anonymous volumes that its image asked for; named ones stay.
    pub fn remove_container(&self, id: &str) -> Result<(), Error> {
        let request = self.request(Method::Delete, &["containers", id])?.query("force", "true").query("v", "true");
        removed(request.timeout(REMOVE_TIMEOUT))
    }

    pub fn remove_volume(&self, name: &str) -> Result<(), Error> {
        removed(self.request(Method::Delete, &["volumes", name])?)
    }

    pub fn remove_network(&self, id: &str) -> Result<(), Error> {
        removed(self.request(Method::Delete, &["networks", id])?)
    }

    fn get(&self, path: &[&str]) -> Result<Request, Error> {
        self.request(Method::Get, path)
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<Request, Error> {
        let version = self.version()?;
        Ok(UPSTREAM.request(method, [&[version.as_str()], path].concat()))
    }

    fn version(&self) -> Result<String, Error> {
        if let Some(version) = self.version.borrow().as_ref() {
            return Ok(version.clone());
        }
        let version = negotiate(&looked(UPSTREAM.get(["version"]).json())?)?;
        *self.version.borrow_mut() = Some(version.clone());
        Ok(version)
    }
}

/// An Engine that fails to tell what exists (it is being stopped, say) has refused nothing: it is asked again later.
fn looked<T>(answer: Result<T, Error>) -> Result<T, Error> {
    answer.map_err(|error| match error.upstream_status {
        Some(500..) => Error { kind: ErrorKind::Unavailable, ..error },
        _ => error,
    })
}

fn filter(label: &str) -> String {
    json!({"label": [label]}).to_string()
}

fn removed(request: Request) -> Result<(), Error> {
    match request.send() {
        Err(gone) if gone.is(ErrorKind::NotFound) => Ok(()),
        // Somebody, perhaps an earlier try of ours, is at it already; the next look tells how it ended.
        Err(busy) if busy.is(ErrorKind::Conflict) && busy.message.contains("already in progress") => Ok(()),
        other => other.map(drop),
    }
}

/// The version to speak, as the first path segment: ours where the Engine still speaks it, else its oldest.
fn negotiate(version: &Version) -> Result<String, Error> {
    let newest = numbers(&version.api_version);
    let minimum = version.min_api_version.as_deref().and_then(numbers).unwrap_or(OLDEST);
    match newest {
        Some(newest) if newest >= OLDEST => {
            let (major, minor) = WRITTEN_FOR.min(newest).max(minimum);
            Ok(format!("v{major}.{minor}"))
        }
        _ => Err(Error::new(
            ErrorKind::Unavailable,
            format!(
                "the Engine speaks API {}, and at least 1.40 (Docker 19.03) is needed: update it",
                error::one_line(&version.api_version)
            ),
        )),
    }
}

fn numbers(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (newest, minimum, spoken) in [
            ("1.41", Some("1.12"), Some("v1.41")),
            ("1.47", Some("1.24"), Some("v1.41")),
            ("1.52", Some("1.44"), Some("v1.44")),
            ("1.40", None, Some("v1.40")),
            ("1.39", Some("1.12"), None),
            ("two", None, None),
        ] {
            let version = Version { api_version: newest.into(), min_api_version: minimum.map(str::to_owned) };
            assert_eq!(negotiate(&version).ok().as_deref(), spoken, "{newest}");
        }
    }
}
