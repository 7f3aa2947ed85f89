//! What a site is to be: decided once, when its creation is accepted, and kept in a label of its network.
//!
//! In go the settings and the user's input; out come the spec, names and labels. Invariant: everything that later steps need
//! is in the spec, so neither changed settings nor a new gateway changes a site that is being made.

use crate::{settings::Settings, types::Labels};
use portico_sdk::{Error, SiteKind, error, json, sites::SiteCreate};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub name: String,
    pub kind: Kind,
    pub image: String,
    /// None: no database container.
    pub database: Option<String>,
    pub address: String,
    pub hostname: Option<String>,
    pub ports: (u16, u16),
    pub container_port: u16,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    pub memory: Option<u64>,
    pub nano_cpus: Option<u64>,
    pub stop_signal: Option<String>,
    pub stop_timeout: u32,
    pub probe: bool,
    pub probe_interval: u32,
    pub health_timeout: u32,
    /// Milliseconds since the epoch.
    pub created: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Wordpress,
    Plain,
}

impl Spec {
    /// Refuses what this provider can't do, before anything is made.
    pub fn new(settings: &Settings, input: &SiteCreate, now: u64) -> Result<Self, Error> {
        refuse_unsupported(input)?;
        let (kind, image) = match input.kind {
            SiteKind::Wordpress => (Kind::Wordpress, settings.images.wordpress.clone()),
            SiteKind::Plain => {
                (Kind::Plain, settings.images.plain.clone().ok_or_else(|| error::unsupported("sites.create.kind.plain"))?)
            }
            SiteKind::StaticFiles => return Err(error::unsupported("sites.create.kind.static")),
        };
        let wordpress = kind == Kind::Wordpress;
        let publish = &settings.publish;
        Ok(Self {
            name: input.name.clone(),
            kind,
            image,
            database: (wordpress && settings.database).then(|| settings.images.database.clone()),
            address: publish.address.clone(),
            hostname: publish.hostname.clone(),
            ports: (publish.first_port, publish.last_port),
            container_port: publish.container_port,
            environment: settings.environment.clone(),
            memory: settings.resources.memory,
            nano_cpus: settings.resources.cpus.map(|cpus| (cpus * 1e9) as u64),
            stop_signal: wordpress.then(|| settings.stop.signal.clone()),
            stop_timeout: settings.stop.timeout,
            probe: wordpress && settings.health.probe,
            probe_interval: settings.health.interval,
            health_timeout: settings.health.timeout,
            created: now,
        })
    }

    /// Whether the web container has a volume of its own. An image of a plain site brings its files along.
    pub const fn keeps_files(&self) -> bool {
        matches!(self.kind, Kind::Wordpress)
    }

    /// None when nobody knows under which name the host is reached.
    pub fn url(&self, port: u16) -> Option<String> {
        let every = ["0.0.0.0", "::"].contains(&self.address.as_str());
        let host = self.hostname.as_deref().or_else(|| (!every).then_some(self.address.as_str()))?;
        Some(if host.contains(':') { format!("http://[{host}]:{port}") } else { format!("http://{host}:{port}") })
    }
}

fn refuse_unsupported(input: &SiteCreate) -> Result<(), Error> {
    let given = [
        ("domain", input.domain.is_some()),
        ("environment", input.environment.is_some()),
        ("php_version", input.php_version.is_some()),
        ("wordpress_version", input.wordpress_version.is_some()),
        ("locale", input.locale.is_some()),
        ("title", input.title.is_some()),
        ("admin", input.admin.is_some()),
        ("region", input.region.is_some()),
        ("template", input.template.is_some()),
    ];
    if let Some((field, _)) = given.into_iter().find(|(_, given)| *given) {
        return Err(error::unsupported(&format!("sites.create.{field}")));
    }
    match json::from_str::<Value>(&input.options) {
        Ok(Value::Object(options)) if options.is_empty() => Ok(()),
        _ => Err(error::unsupported("sites.create.options")),
    }
}

/// A part of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Database,
    Web,
    /// Volumes.
    DatabaseFiles,
    WebFiles,
    /// An empty volume that says: this creation is to be given up.
    Canceled,
}

impl Role {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Database => "db",
            Self::Web => "web",
            Self::DatabaseFiles => "db-files",
            Self::WebFiles => "web-files",
            Self::Canceled => "canceled",
        }
    }
}

/// Names and labels of one site.
#[derive(Clone, Debug)]
pub struct Names<'a> {
    namespace: &'a str,
    pub site: String,
    pub operation: String,
}

impl<'a> Names<'a> {
    /// Of the site that this operation creates. The same operation always leads to the same names, which is what lets every
    /// step find what an earlier try has made.
    pub fn of_operation(namespace: &'a str, operation: &str) -> Self {
        let id = operation.strip_prefix("op_").unwrap_or(operation).replace('_', "-");
        // Names of containers are host names on their network, which DNS ends at 63 bytes.
        let start = id.len().saturating_sub(40);
        let site = id.get(start..).unwrap_or_default().trim_matches('-').to_owned();
        Self { namespace, site, operation: operation.to_owned() }
    }

    pub const fn namespace(&self) -> &'a str {
        self.namespace
    }

    pub fn network(&self) -> String {
        format!("{}-{}", self.namespace, self.site)
    }

    pub fn part(&self, role: Role) -> String {
        format!("{}-{}-{}", self.namespace, self.site, role.word())
    }

    pub fn labels(&self, role: &str) -> Labels {
        let label = |name: &str, value: &str| (label(self.namespace, name), value.to_owned());
        Labels::from([label("site", &self.site), label("operation", &self.operation), label("role", role)])
    }

    /// The network's: the site's anchor.
    pub fn anchor(&self, spec: &Spec) -> Result<Labels, Error> {
        let mut labels = self.labels("network");
        labels.insert(label(self.namespace, "spec"), serde_json::to_string(spec)?);
        Ok(labels)
    }
}

pub fn label(namespace: &str, name: &str) -> String {
    format!("{namespace}.{name}")
}

/// A lower-case name for URLs: letters and digits, with single hyphens between.
pub fn slug(name: &str) -> Option<String> {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug: String = words.collect::<Vec<_>>().join("-").to_ascii_lowercase().chars().take(60).collect();
    (!slug.is_empty()).then_some(slug)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn input(name: &str) -> SiteCreate {
        SiteCreate {
            name: name.into(),
            kind: SiteKind::Wordpress,
            domain: None,
            environment: None,
            php_version: None,
            wordpress_version: None,
            locale: None,
            title: None,
            admin: None,
            region: None,
            template: None,
            options: "{}".into(),
        }
    }

    #[test]
    fn unsupported_input_is_named() {
        let settings = Settings::default();
        let refused = |input: SiteCreate| Spec::new(&settings, &input, 0).unwrap_err().field.unwrap();
        assert_eq!(refused(SiteCreate { domain: Some("a.b".into()), ..input("a") }), "sites.create.domain");
        assert_eq!(refused(SiteCreate { php_version: Some("8".into()), ..input("a") }), "sites.create.php_version");
        assert_eq!(refused(SiteCreate { kind: SiteKind::Plain, ..input("a") }), "sites.create.kind.plain");
        assert_eq!(refused(SiteCreate { kind: SiteKind::StaticFiles, ..input("a") }), "sites.create.kind.static");
        assert_eq!(refused(SiteCreate { options: "{\"x\":1}".into(), ..input("a") }), "sites.create.options");
    }

    #[test]
    fn a_spec_survives_its_label() {
        let spec = Spec::new(&Settings::default(), &input("My \"site\" é"), 7).unwrap();
        let names = Names::of_operation("portico", "op_01jd");
        let labels = names.anchor(&spec).unwrap();
        assert_eq!(json::from_str::<Spec>(&labels["portico.spec"]).unwrap(), spec);
        assert_eq!(labels["portico.operation"], "op_01jd");
        assert_eq!(labels["portico.site"], "01jd");
    }

    #[test]
    fn urls() {
        let mut spec = Spec::new(&Settings::default(), &input("a"), 0).unwrap();
        assert_eq!(spec.url(20_000).as_deref(), Some("http://127.0.0.1:20000"));
        spec.address = "::1".into();
        assert_eq!(spec.url(80).as_deref(), Some("http://[::1]:80"));
        spec.address = "0.0.0.0".into();
        assert_eq!(spec.url(80), None);
        spec.hostname = Some("sites.example".into());
        assert_eq!(spec.url(80).as_deref(), Some("http://sites.example:80"));
    }

    #[test]
    fn names_of_operations() {
        let long = format!("op_{}", "a1".repeat(30));
        for (operation, site) in [("op_01jd_x", "01jd-x"), ("other", "other"), (long.as_str(), &"a1".repeat(20))] {
            let names = Names::of_operation("portico", operation);
            assert_eq!(names.site, site);
            assert!(names.part(Role::DatabaseFiles).len() <= 63 + 10 && names.part(Role::Database).len() <= 63);
        }
    }

    #[test]
    fn slugs() {
        for (name, expected) in [("My  Site!", Some("my-site")), ("éé", None), ("-a-", Some("a"))] {
            assert_eq!(slug(name).as_deref(), expected, "{name}");
        }
    }
}
