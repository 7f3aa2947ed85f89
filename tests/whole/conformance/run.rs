//! One group of checks on one connection: how they ask, and what they have seen to work.
//!
//! Invariant: a feature is noted as working after its effect was read back through the API, or was heard by the host; one that works
//! and isn't declared fails like one that is declared and doesn't work.

use super::subject::Place;
use bytes::Bytes;
use http::Method;
use portico_tests::Reply;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    panic::Location,
    sync::{Arc, Mutex, PoisonError},
};

/// What worked, whatever happens later.
pub type Passed = Arc<Mutex<BTreeSet<String>>>;

pub struct Run {
    pub place: Place,
    pub passed: Passed,
}

impl Run {
    pub fn can(&self, feature: &str) -> bool {
        self.place.features.contains(feature)
    }

    /// The features below this one that are declared: `sites.create.` gives `region`, `kind.plain`.
    pub fn below(&self, prefix: &str) -> Vec<String> {
        self.place.features.iter().filter_map(|feature| feature.strip_prefix(prefix)).map(str::to_owned).collect()
    }

    #[track_caller]
    pub fn pass(&self, feature: &str) {
        assert!(self.can(feature), "{feature} works and isn't declared");
        self.note(feature);
    }

    /// A promise that is no feature.
    pub fn note(&self, row: &str) {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).insert(row.to_owned());
    }

    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Reply {
        let headers = [("prefer", "wait=60")];
        match body.is_null() {
            true => self.place.api().send(method, path, &headers, Bytes::new()).await,
            false => self.place.api().json(method, path, &headers, body).await,
        }
    }

    /// A change that comes to a good end; the operation.
    #[track_caller]
    pub fn change(&self, method: Method, path: &str, body: &Value) -> impl Future<Output = Value> {
        let caller = Location::caller();
        async move {
            let reply = self.send(method.clone(), path, body).await;
            let (status, operation) = (reply.status, reply.json());
            let succeeded = status.is_success() && operation["status"] == "succeeded" && operation["finished_at"].is_string();
            assert!(succeeded, "{caller}: {method} {path} {body}: {status} {operation}");
            operation
        }
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: Value) -> impl Future<Output = Value> {
        let caller = Location::caller();
        async move {
            let before = self.place.host.changes();
            let operation = self.change(Method::POST, path, &body).await;
            let heard = self.place.host.changes().zip(before).is_none_or(|(after, before)| after > before);
            assert!(heard, "{caller}: {path} succeeded, and the host was told nothing");
            operation
        }
    }

    /// As the host has it now.
    pub async fn read(&self, path: &str) -> Value {
        self.place.api().send(Method::GET, path, &[("cache-control", "no-cache")], Bytes::new()).await.is(200).json()
    }

    /// All pages of a list, three rows to a page.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        self.walk(path, 3).await
    }

    pub async fn walk(&self, path: &str, limit: usize) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        let separator = if path.contains('?') { '&' } else { '?' };
        loop {
            let page = self.read(&format!("{path}{separator}limit={limit}{cursor}")).await;
            assert_eq!(page["errors"], json!([]), "{path}: {page}");
            let rows = page["data"].as_array().expect("rows");
            assert!(rows.len() <= limit, "{path}: more rows than asked for: {page}");
            all.extend(rows.iter().cloned());
            let Some(next) = page["next_cursor"].as_str() else { return all };
            cursor = format!("&cursor={next}");
        }
    }

    /// The one of this id, which the list has once; none where it isn't in the list.
    pub async fn listed(&self, path: &str, id: &Value) -> Option<Value> {
        let found: Vec<Value> = self.list(path).await.into_iter().filter(|one| one["id"] == *id).collect();
        assert!(found.len() <= 1, "{id} is {} times in {path}", found.len());
        found.into_iter().next()
    }

    #[track_caller]
    pub fn gone(&self, path: &str) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            let headers = [("cache-control", "no-cache")];
            let reply = self.place.api().send(Method::GET, path, &headers, Bytes::new()).await;
            assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (404, &json!("not_found")), "{caller}: {path}");
        }
    }

    /// A site by its path: made, where that can be, or the one that is there.
    pub async fn site(&self, name: &str) -> String {
        if !self.can("sites.create") {
            return format!("/sites/{}~{}", self.place.connection, self.place.text("site"));
        }
        path(&self.make(name, "sites.create").await)
    }

    /// The site that was made with what the provider wants of this feature.
    pub async fn make(&self, name: &str, feature: &str) -> Value {
        let mut body = self.place.creation(feature);
        body["connection"] = json!(self.place.connection);
        body["name"] = json!(name);
        // Domains are taken once.
        if body["domain"].is_string() && feature != "sites.create.domain" {
            body["domain"] = json!(format!("{}.example", name.to_lowercase().replace(' ', "-")));
        }
        self.change(Method::POST, "/sites", &body).await["result"].clone()
    }

    /// An environment that nothing is done in unless it is named: its id, made once. Where none can be made, the only one's name.
    pub async fn another_environment(&self, site: &str) -> Value {
        if !self.can("environments.create") {
            return self.place.hint("production");
        }
        let all = format!("{site}/environments");
        let body = self.place.hint("environments.create");
        let known = self.list(&all).await.into_iter().find(|one| one["name"] == body["name"]);
        match known {
            Some(known) => known["id"].clone(),
            None => self.post(&all, body).await["result"]["id"].clone(),
        }
    }

    /// That a backup or a domain is of the environment that was named, and not just of some.
    #[track_caller]
    pub fn assert_in(&self, shown: &Value, environment: &Value) {
        let is = shown["environment"] == *environment || !self.can("environments.create") && shown["environment"].is_string();
        assert!(is, "not of {environment}: {shown}");
    }

    pub async fn change_connection(&self, change: &Value) -> Value {
        let path = format!("/connections/{}", self.place.connection);
        self.place.api().json(Method::PATCH, &path, &[], change).await.is(200).json()
    }

    pub fn sites(&self) -> String {
        format!("/sites?connection={}", self.place.connection)
    }
}

pub fn path(site: &Value) -> String {
    format!("/sites/{}", text(&site["id"]))
}

#[track_caller]
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}
