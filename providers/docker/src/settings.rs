//! What a connection sets, its JSON Schema, and the configuration that follows from it.
//!
//! Invariant: everything here is pure; the schema and the struct describe the same fields.

use portico_sdk::{Configuration, Error, Recovery, UpstreamDeclaration, error};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The upstream's name, and the name of the socket that the operator grants.
pub const ENGINE: &str = "engine";

#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub namespace: String,
    pub images: Images,
    pub pull: Pull,
    pub database: bool,
    pub publish: Publish,
    pub environment: BTreeMap<String, String>,
    pub resources: Resources,
    pub stop: Stop,
    pub health: Health,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Images {
    pub wordpress: String,
    pub database: String,
    pub plain: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pull {
    Missing,
    Never,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Publish {
    /// The host's address that ports are bound to.
    pub address: String,
    /// What URLs name; none: the address, unless that means "every address".
    pub hostname: Option<String>,
    pub first_port: u16,
    pub last_port: u16,
    /// The port inside the web container.
    pub container_port: u16,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Bytes, for each container.
    pub memory: Option<u64>,
    /// Whole and parts of processors, for each container.
    pub cpus: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Stop {
    /// For the web container of WordPress sites.
    pub signal: String,
    pub timeout: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Health {
    pub probe: bool,
    pub interval: u32,
    pub timeout: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            namespace: "portico".into(),
            images: Images::default(),
            pull: Pull::Missing,
            database: true,
            publish: Publish::default(),
            environment: BTreeMap::new(),
            resources: Resources::default(),
            stop: Stop::default(),
            health: Health::default(),
        }
    }
}

impl Default for Images {
    fn default() -> Self {
        Self { wordpress: "wordpress:latest".into(), database: "mariadb:lts".into(), plain: None }
    }
}

impl Default for Publish {
    /// The ports lie below those that Linux hands out by itself (32768 and more), so that a site's port isn't taken by chance.
    fn default() -> Self {
        Self { address: "127.0.0.1".into(), hostname: None, first_port: 20_000, last_port: 29_999, container_port: 80 }
    }
}

impl Default for Stop {
    /// Apache ends after the requests under way when it gets SIGWINCH, and cuts them on SIGTERM.
    fn default() -> Self {
        Self { signal: "SIGWINCH".into(), timeout: 10 }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self { probe: true, interval: 5, timeout: 180 }
    }
}

impl Settings {
    /// What the schema can't say.
    pub fn check(&self) -> Result<(), Error> {
        if self.publish.first_port > self.publish.last_port {
            return Err(error::invalid_input("settings.publish.last_port", "the last port is below the first"));
        }
        let images = [Some(&self.images.wordpress), Some(&self.images.database), self.images.plain.as_ref()];
        match images.into_iter().flatten().find(|image| !crate::image::is_reference(image)) {
            Some(image) => Err(error::invalid_input("settings.images", format!("`{image}` isn't the name of an image"))),
            None => Ok(()),
        }
    }

    pub fn configuration(&self) -> Configuration {
        let mut features =
            vec!["sites.list", "sites.get", "sites.create", "sites.start", "sites.stop", "sites.delete", "operations.cancel"];
        if self.images.plain.is_some() {
            features.push("sites.create.kind.plain");
        }
        Configuration::new(features)
            .with_upstream(UpstreamDeclaration::socket(ENGINE, ENGINE))
            .with_recovery(["sites.create", "sites.start", "sites.stop", "sites.delete"], Recovery::LookUp)
            // A container may end at any moment without a word to us.
            .with_cache("sites.list", 2)
            .with_cache("sites.get", 2)
    }
}
