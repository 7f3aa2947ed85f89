//! What a connection sets, its JSON Schema, and the configuration that follows from it.
//!
//! Invariant: everything here is pure; the schema and the struct describe the same fields.

use portico_sdk::{Configuration, Error, Recovery, UpstreamDeclaration, error};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The upstream's name, and the name of the socket that the operator grants.
pub const ENGINE: &str = "engine";

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
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
#[serde(default, deny_unknown_fields)]
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
#[serde(default, deny_unknown_fields)]
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
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Bytes, for each container.
    pub memory: Option<u64>,
    /// Whole and parts of processors, for each container.
    pub cpus: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stop {
    /// For the web container of WordPress sites.
    pub signal: String,
    pub timeout: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
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

pub fn schema() -> Value {
    let text = |title: &str, description: &str, default: &str| json!({"type": "string", "title": title, "description": description, "default": default, "minLength": 1, "maxLength": 255});
    let port = |title: &str, default: u16| json!({"type": "integer", "title": title, "minimum": 1, "maximum": 65535, "default": default});
    let group = |title: &str, properties: Value| json!({"type": "object", "title": title, "additionalProperties": false, "properties": properties});
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "namespace": {
                "type": "string", "title": "Namespace", "default": "portico", "pattern": "^[a-z][a-z0-9-]{0,15}$",
                "description": "Begins every name and label on the Engine. Connections with the same namespace on one Engine see the same sites",
            },
            "images": group("Images", json!({
                "wordpress": text("WordPress", "Image of WordPress sites, with the environment of the official `wordpress` image", "wordpress:latest"),
                "database": text("Database", "Image of their databases, with the environment of the official `mariadb` or `mysql` image", "mariadb:lts"),
                "plain": {"type": "string", "title": "Plain", "minLength": 1, "maxLength": 255,
                    "description": "Image of plain sites: any web server. Without it, only WordPress sites can be created"},
            })),
            "pull": {"enum": ["missing", "never"], "title": "Pull images", "default": "missing",
                "description": "Whether an image that the Engine lacks is pulled from its registry"},
            "database": {"type": "boolean", "title": "Database", "default": true,
                "description": "Give each WordPress site a database of its own. If not, `environment` must say where its database is"},
            "publish": group("Published ports", json!({
                "address": {"type": "string", "title": "Address", "default": "127.0.0.1", "pattern": "^[0-9a-fA-F.:]{2,45}$",
                    "description": "Address of the Engine's host that sites are published on; 0.0.0.0 makes them reachable from outside"},
                "hostname": {"type": "string", "title": "Host name", "pattern": "^[A-Za-z0-9.-]{1,253}$",
                    "description": "What the URLs of sites name, if it isn't the address"},
                "first_port": port("First port", 20_000),
                "last_port": port("Last port", 29_999),
                "container_port": port("Port inside the web container", 80),
            })),
            "environment": {"type": "object", "title": "Environment", "maxProperties": 50, "default": {},
                "description": "More environment variables of web containers. Not for secrets: they are kept as they are",
                "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]{0,127}$"}, "additionalProperties": {"type": "string", "maxLength": 1024}},
            "resources": group("Limits of each container", json!({
                "memory": {"type": "integer", "title": "Memory in bytes", "minimum": 6_291_456},
                "cpus": {"type": "number", "title": "Processors", "minimum": 0.01, "maximum": 1024},
            })),
            "stop": group("Stopping", json!({
                "signal": {"type": "string", "title": "Signal for the web server of WordPress sites", "default": "SIGWINCH", "pattern": "^SIG[A-Z0-9+]{2,10}$"},
                "timeout": {"type": "integer", "title": "Seconds before a container is killed", "minimum": 0, "maximum": 20, "default": 10},
            })),
            "health": group("Health", json!({
                "probe": {"type": "boolean", "title": "Probe WordPress", "default": true,
                    "description": "Ask WordPress from inside its container, if its image has no HEALTHCHECK of its own"},
                "interval": {"type": "integer", "title": "Seconds between probes", "minimum": 1, "maximum": 300, "default": 5},
                "timeout": {"type": "integer", "title": "Seconds to wait for a new or started site", "minimum": 5, "maximum": 1800, "default": 180},
            })),
        },
    })
}
