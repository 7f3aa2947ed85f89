//! A scripted Kinsta with one site of two environments, and how its work is watched to the end.
//!
//! Invariant: operations are done at once, unless a test says otherwise.

use portico_provider_kinsta::Kinsta;
use portico_sdk::{
    Call, Completion, Contents, Operations, Pending, Progress, Provider, SiteKind, Work,
    backups::RestoreInput,
    sites::{Admin, SiteCreate},
    testing::{FakeHost, Method, RawRequest},
};
use serde_json::{Value, json};

pub const COMPANY: &str = "54fb80af-576c-4fdc-ba4f-b596c83f15a1";

pub const SITE: &str = "/sites/s1";

pub const LIVE: &str = "e1111111-576c-4fdc-ba4f-b596c83f15a1";

pub const STAGING: &str = "e2222222-576c-4fdc-ba4f-b596c83f15a1";

pub fn kinsta(settings: Value) -> Kinsta {
    Kinsta::configure(serde_json::from_value(settings).unwrap()).unwrap().0
}

/// A host with one site of two environments, and operations that are done.
pub fn host() -> FakeHost {
    let host = FakeHost::install();
    host.on(Method::Get, "/validate")
        .reply(200, json!({"name": "k", "expires_at": null, "company": COMPANY, "status": "active"}));
    host.on(Method::Get, "/sites").reply(200, json!({"company": {"sites": [site("s1", "Blog")]}}));
    host.on(Method::Get, SITE).reply(200, json!({"site": site("s1", "Blog")}));
    host.on(Method::Get, "/sites/s1/environments").reply(200, json!({"site": {"environments": environments()}}));
    host.on(Method::Get, "/operations/*").reply(200, json!({"message": "Successfully finished request", "status": 200}));
    host
}

pub fn site(id: &str, name: &str) -> Value {
    json!({"id": id, "name": id, "display_name": name, "status": "live", "environments": environments()})
}

pub fn environments() -> Value {
    let domain = json!({"id": "d1", "name": "blog.example", "is_active": true, "type": "live"});
    let environment = |id: &str, name: &str| {
        json!({"id": id, "name": name.to_lowercase(), "display_name": name, "is_premium": false, "is_blocked": false,
            "wordpress_version": "6.3.1", "domains": [domain], "primaryDomain": domain, "id_edge_cache": "x", "cdn_cache_id": "c1",
            "container_info": {"id": "c", "php_engine_version": "php8.3"}})
    };
    json!([environment(LIVE, "Live"), environment(STAGING, "Staging")])
}

pub fn accepts(host: &FakeHost, method: Method, path: &str, operation: &str) {
    host.on(method, path).reply(202, json!({"operation_id": operation, "message": "in progress", "status": 202}));
}

pub fn call() -> Call {
    Call::new("op_1", "key-1")
}

pub fn last(host: &FakeHost, method: Method) -> (String, Value) {
    let requests = host.requests();
    let request: &RawRequest = requests.iter().rev().find(|request| request.method == method).expect("such a request");
    let body = request.body.as_deref().map(|body| serde_json::from_slice(body).unwrap()).unwrap_or_default();
    (request.path.join("/"), body)
}

#[track_caller]
pub fn pending(work: Work) -> Pending {
    match work {
        Work::Pending(pending) => pending,
        Work::Done(done) => panic!("done: {done:?}"),
    }
}

/// Polls until it ends, with a second between.
#[track_caller]
pub fn end(host: &FakeHost, kinsta: &Kinsta, work: Work) -> Result<Completion, portico_sdk::Error> {
    let mut handle = pending(work).handle;
    for _ in 0..1000 {
        match kinsta.poll("op_1", &handle).unwrap() {
            Progress::Running(pending) => handle = pending.handle,
            Progress::Succeeded(completion) => return Ok(completion),
            Progress::Failed(error) => return Err(error),
            Progress::Canceled => panic!("canceled"),
        }
        host.advance(1000);
    }
    panic!("it never ends");
}

pub fn everything(environment: Option<&str>) -> RestoreInput {
    let contents = Contents { database: true, files: true, plugins: true, themes: true };
    RestoreInput { environment: environment.map(str::to_owned), contents }
}

pub fn creation() -> SiteCreate {
    SiteCreate {
        name: "Shop".into(),
        kind: SiteKind::Wordpress,
        domain: None,
        environment: None,
        php_version: None,
        wordpress_version: None,
        locale: None,
        title: None,
        admin: Some(Admin { user: "anna".into(), email: "anna@shop.example".into(), password: Some("hunter2".into()) }),
        region: Some("us-central1".into()),
        template: None,
        options: r#"{"woocommerce": true}"#.into(),
    }
}
