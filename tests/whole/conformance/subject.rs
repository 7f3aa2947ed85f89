//! What is put to the test: a connection to a provider, and the host behind it.
//!
//! Invariant: each group of checks has a connection and a simulated host of its own, so that no check meets the traces, or the used-up
//! rate limit, of another; what differs between providers is data here, never a branch in a check.

use portico_tests::{
    Api, Gateway,
    simulators::{Fault, Request, Simulator, World},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc};

/// What a green cell was held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The provider is the whole system.
    Itself,
    Engine,
    /// A simulator made from the vendor's documents.
    Simulator,
}

impl Basis {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Itself => "itself",
            Self::Engine => "engine",
            Self::Simulator => "sim",
        }
    }
}

/// The host, as the checks see it from the other side.
pub trait Host: Send + Sync {
    /// How many requests that may change something have arrived; none where nobody can listen.
    fn changes(&self) -> Option<usize> {
        None
    }

    /// Whether a request with this text in its path or body has arrived.
    fn heard(&self, _text: &str) -> Option<bool> {
        None
    }

    /// Requests of every kind.
    fn requests(&self) -> Option<usize> {
        None
    }

    /// From now on every reading request meets this.
    fn trouble(&self, _fault: Fault) -> bool {
        false
    }
}

impl<W: World> Host for Simulator<W> {
    fn changes(&self) -> Option<usize> {
        // A login changes nothing.
        let logs_in = |request: &Request| request.segments.iter().any(|segment| segment == "auth");
        Some(self.seen().iter().filter(|request| request.method != http::Method::GET && !logs_in(request)).count())
    }

    fn heard(&self, text: &str) -> Option<bool> {
        let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(text);
        Some(self.seen().iter().any(|request| holds(&request.body) || request.segments.iter().any(|segment| segment == text)))
    }

    fn requests(&self) -> Option<usize> {
        Some(self.seen().len())
    }

    fn trouble(&self, fault: Fault) -> bool {
        self.inject(http::Method::GET, "/**", 1000, fault);
        true
    }
}

/// How a connection to a host is made: the fields of `POST /connections` beside its id, and the host.
pub struct Behind {
    pub settings: Value,
    pub secrets: Value,
    pub tls: Value,
    pub host: Box<dyn Host>,
    /// So many sites are there already.
    pub sites: usize,
}

pub struct Subject {
    /// Of the table.
    pub column: &'static str,
    pub provider: &'static str,
    pub basis: Basis,
    /// What the provider takes, by feature and by name; [`Place::hint`] has the rest.
    pub hints: fn() -> Value,
    /// A host of its own for each group, with so many sites that were there before.
    pub start: Start,
}

pub type Start = Box<dyn Fn(usize) -> std::pin::Pin<Box<dyn Future<Output = Behind> + Send>> + Send + Sync>;

/// A connection, for one group of checks.
pub struct Place {
    pub gateway: Arc<Gateway>,
    pub connection: String,
    pub features: BTreeSet<String>,
    pub host: Box<dyn Host>,
    /// Sites that were there before the group began.
    pub before: usize,
    hints: Value,
}

impl Place {
    pub async fn new(gateway: Arc<Gateway>, subject: &Subject, group: &str, sites: usize) -> Self {
        let behind = (subject.start)(sites).await;
        let connection = format!("{}-{group}", subject.column);
        let mut body = json!({
            "id": connection, "provider": subject.provider, "name": connection,
            "settings": behind.settings, "secrets": behind.secrets,
        });
        if !behind.tls.is_null() {
            body["tls"] = behind.tls;
        }
        let made = gateway.api.post("/connections", &body).await.is(201).json();
        let features = made["features"].as_array().expect("features").iter();
        let features = features.map(|name| name.as_str().expect("a name").to_owned()).collect();
        Self { gateway, connection, features, host: behind.host, before: behind.sites, hints: (subject.hints)() }
    }

    pub fn api(&self) -> &Api {
        &self.gateway.api
    }

    /// What this provider takes there; where it says nothing, what all take.
    pub fn hint(&self, name: &str) -> Value {
        match self.hints[name].clone() {
            Value::Null => usual(name),
            own => own,
        }
    }

    pub fn text(&self, name: &str) -> String {
        self.hint(name).as_str().unwrap_or_else(|| panic!("no hint {name} for {}", self.connection)).to_owned()
    }

    /// The body of a site's creation that shows a feature: the least one, with the feature's field.
    pub fn creation(&self, feature: &str) -> Value {
        let own = &self.hints[format!("body of {feature}")];
        if !own.is_null() {
            return own.clone();
        }
        let mut body = self.hint("sites.create");
        match feature.strip_prefix("sites.create.").map(|field| field.split_once('.').unwrap_or((field, ""))) {
            Some(("kind", kind)) => body["kind"] = json!(kind),
            Some((field, _)) => body[field] = self.hint(feature),
            None => {}
        }
        body
    }
}

fn usual(name: &str) -> Value {
    match name {
        "sites.create" => json!({}),
        "sites.create.title" => json!("A title that is told"),
        "sites.create.locale" => json!("de_DE"),
        "sites.create.admin" => admin(),
        "sites.create.domain" => json!("told.example"),
        "sites.create.php_version" | "sites.update.php_version" | "environments.update.php_version" => json!("8.2"),
        "sites.create.environment" => json!("staging"),
        "sites.create.wordpress_version" | "sites.update.wordpress_version" | "environments.update.wordpress_version" => {
            json!("6.7")
        }
        "sites.update.name" | "environments.update.name" => json!("Renamed"),
        "production" => json!("production"),
        "environments.create" => json!({"name": "staging"}),
        "domains.create" => json!("www.conformance.example"),
        "domains.create.environment" => json!("www2.conformance.example"),
        "wordpress.core.update" => json!("6.8"),
        "plugin" | "theme" => json!("query-monitor"),
        "billing.checkout" => json!("business"),
        _ => Value::Null,
    }
}

pub fn admin() -> Value {
    json!({"user": "anna", "email": "anna@shop.example", "password": "correct horse battery"})
}
