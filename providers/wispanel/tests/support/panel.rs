//! What both suites share: a scripted panel's usual answers, and looking at what was asked of it.
//!
//! Invariant: an installation here has the fields of the document's example.
#![allow(dead_code, reason = "each suite uses a part")]

use portico_provider_wispanel::WisPanel;
use portico_sdk::{
    Call, Operations, Pending, Progress, Work,
    testing::{FakeHost, Method},
    wordpress::Target,
};
use serde_json::{Value, json};

pub const OPERATION: &str = "op_1";

pub fn call() -> Call {
    Call::new(OPERATION, "key")
}

pub fn target() -> Target {
    Target { site: "wp_1".into(), environment: None }
}

pub fn installation(id: &str, domain: &str) -> Value {
    json!({
        "id": id, "domain": domain, "domain_id": 0, "path": format!("/var/www/domains/{domain}/public_html"), "version": "6.9.4",
        "site_title": "My Site", "site_url": format!("https://{domain}"), "admin_url": format!("https://{domain}/wp-admin/"),
        "db_name": "a_wp", "db_user": "a_wp", "db_host": "localhost", "table_prefix": "wp_", "debug": false, "multisite": false,
    })
}

pub fn listed(host: &FakeHost, installations: &[Value]) {
    host.on(Method::Get, "/wordpress/installations").reply(200, json!(installations));
}

/// Paths and bodies of what was sent by this method.
pub fn bodies(host: &FakeHost, method: Method) -> Vec<(String, Value)> {
    let of_method = host.requests().into_iter().filter(|request| request.method == method);
    let body = |bytes: Option<Vec<u8>>| bytes.map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap());
    of_method.map(|request| (request.path.join("/"), body(request.body))).collect()
}

pub fn pending(work: Work) -> Pending {
    match work {
        Work::Pending(pending) => pending,
        Work::Done(done) => panic!("done: {done:?}"),
    }
}

pub fn poll(handle: &str) -> Progress {
    WisPanel.poll(OPERATION, handle).unwrap()
}

/// Target and details.
pub fn succeeded(progress: &Progress) -> (Option<String>, Option<Value>) {
    match progress {
        Progress::Succeeded(done) => {
            let details = done.details.as_ref().map(|details| serde_json::from_str(details).unwrap());
            (done.target.clone(), details)
        }
        other => panic!("{other:?}"),
    }
}
