//! A gateway, a panel over https, and the connection between them.
//!
//! Invariant: the panel is reached by its pinned certificate, as customers' panels are; one connection has fifteen requests at once
//! before the provider's rate spaces them, so a test makes a few changes on each.

use bytes::Bytes;
use http::Method;
use portico_tests::{
    Gateway, Reply, Setup,
    simulators::{
        Simulator, WisPanel,
        wispanel::{self, KEY},
    },
};
use serde_json::{Value, json};

pub struct Scene {
    pub gateway: Gateway,
    pub panel: Simulator<WisPanel>,
    fingerprint: String,
}

impl Scene {
    /// With an installation in each domain, and the connection `w`.
    pub async fn new(domains: &[&str]) -> Self {
        Self::with(domains, Setup::default()).await
    }

    pub async fn with(domains: &[&str], setup: Setup) -> Self {
        let certificate = wispanel::certificate();
        let panel = Simulator::start_tls(WisPanel::new(domains), &certificate).await;
        let scene = Self { gateway: Gateway::start_with(setup).await, panel, fingerprint: certificate.fingerprint() };
        scene.connect("w", KEY).await;
        scene
    }

    pub async fn connect(&self, id: &str, key: &str) {
        let body = json!({
            "id": id, "provider": "wispanel", "name": id, "settings": {"base_url": self.panel.url()},
            "secrets": {"api_key": key}, "tls": {"fingerprint": self.fingerprint},
        });
        let _ = self.gateway.api.post("/connections", &body).await.is(201);
    }

    /// Of the first installation.
    pub async fn site(&self) -> String {
        let id = self.panel.world(|panel| panel.installations[0].id.clone());
        format!("/sites/w~{id}")
    }

    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Reply {
        let headers = [("prefer", "wait=60")];
        if body.is_null() {
            return self.gateway.api.send(method, path, &headers, Bytes::new()).await;
        }
        self.gateway.api.json(method, path, &headers, body).await
    }

    /// A change that succeeds; the operation.
    #[track_caller]
    pub fn change(&self, method: Method, path: &str, body: &Value) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            let reply = self.send(method.clone(), path, body).await;
            let (status, operation) = (reply.status, reply.json());
            let succeeded = status.is_success() && operation["status"] == "succeeded";
            assert!(succeeded, "{caller}: {method} {path}: {status} {operation}");
            operation
        }
    }

    /// As the panel has it now.
    pub async fn read(&self, path: &str) -> Value {
        self.gateway.api.send(Method::GET, path, &[("cache-control", "no-cache")], Bytes::new()).await.is(200).json()
    }
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

/// Of a list.
pub fn ids(list: &Value) -> Vec<String> {
    assert_eq!(list["errors"].as_array().map_or(0, Vec::len), 0, "{list}");
    list["data"].as_array().expect("a list").iter().map(|one| text(&one["id"]).to_owned()).collect()
}
