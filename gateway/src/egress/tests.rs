//! Egress by its public face, against real servers on loopback.

mod background;
mod bind;
mod bodies;
mod courtesy;
mod exchange;
mod probe;
mod server;
mod session;
mod transfer;
mod trust;
mod uploads;

use super::*;
use crate::model::{Auth, Endpoint, OrganizationId, Secrets, Slug, TlsTrust};
use server::Server;
use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use uuid::Uuid;

const COMPONENT: [u8; 32] = [7; 32];

pub(super) fn connection(secrets: &[(&str, &str)]) -> ConnectionSpec {
    ConnectionSpec {
        id: ConnectionId(Uuid::new_v4()),
        revision: 1,
        organization: OrganizationId(Uuid::new_v4()),
        organization_slug: "acme".into(),
        slug: Slug::parse("main").unwrap(),
        provider: "kinsta".into(),
        settings: serde_json::Value::Null,
        secrets: secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Secrets>(),
        tls: TlsTrust::default(),
    }
}

pub(super) fn upstream(url: &str) -> UpstreamDeclaration {
    UpstreamDeclaration {
        name: "api".to_owned(),
        endpoint: Endpoint::Url(url.to_owned()),
        auth: Auth::None,
        request_headers: Vec::new(),
        rate: None,
        concurrency: None,
        blob_origins: Vec::new(),
    }
}

/// Loopback, also without TLS.
const LOOPBACK: &str = "organization = \"acme\"\nprovider = \"kinsta\"\nnetworks = [\"127.0.0.0/8\", \"::1\"]\nhttp = true";

fn grant(toml: &str) -> Grant {
    toml::from_str(toml).unwrap()
}

/// What the grants give to the upstream `api` of this connection.
pub(super) fn allowance(grants: &[Grant]) -> grant::Allowance {
    grant::Asked { connection: &connection(&[]), component: &COMPONENT, upstream: "api" }.allowance(grants)
}

fn egress(config: EgressConfig, grants: &[&str]) -> Arc<Egress> {
    let metrics = Arc::new(Metrics::new().unwrap());
    Egress::new(config, grants.iter().map(|toml| grant(toml)).collect(), metrics).unwrap()
}

/// One upstream on loopback, with default limits.
fn bound(declaration: UpstreamDeclaration) -> Arc<Upstreams> {
    bound_with(EgressConfig::default(), declaration, &[])
}

fn bound_with(config: EgressConfig, declaration: UpstreamDeclaration, secrets: &[(&str, &str)]) -> Arc<Upstreams> {
    egress(config, &[LOOPBACK]).bind(&connection(secrets), &COMPONENT, &[declaration]).unwrap()
}

fn request(method: http::Method, path: &[&str]) -> Request {
    Request {
        upstream: "api".to_owned(),
        method,
        path: path.iter().map(|segment| (*segment).to_owned()).collect(),
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
        timeout: None,
        keyed: false,
    }
}

fn get(path: &[&str]) -> Request {
    request(http::Method::GET, path)
}

fn reading() -> SendContext {
    SendContext {
        deadline: Instant::now() + Duration::from_secs(20),
        flow: Flow::present(Lane::Reads),
        writes: Writes::Refused,
    }
}

fn changing(intent: &Arc<Journal>) -> SendContext {
    SendContext { writes: Writes::Recorded(Arc::clone(intent) as Arc<dyn Intent>), ..reading() }
}

fn preparing() -> SendContext {
    SendContext { writes: Writes::Unrecorded, ..reading() }
}

/// Remembers intents, and how many requests the server had seen at that time.
struct Journal {
    server: Arc<Server>,
    entries: Mutex<Vec<([u8; 32], usize)>>,
    declined: AtomicUsize,
    fails: bool,
}

impl Journal {
    fn new(server: &Arc<Server>, fails: bool) -> Arc<Self> {
        Arc::new(Self { server: Arc::clone(server), entries: Mutex::default(), declined: AtomicUsize::new(0), fails })
    }

    fn entries(&self) -> Vec<([u8; 32], usize)> {
        self.entries.lock().unwrap().clone()
    }
}

#[async_trait]
impl Intent for Journal {
    async fn sent(&self, digest: [u8; 32]) -> Result<(), Error> {
        self.entries.lock().unwrap().push((digest, self.server.seen().len()));
        if self.fails { Err(Error::gateway("the disk is full")) } else { Ok(()) }
    }

    fn declined(&self) {
        self.declined.fetch_add(1, SeqCst);
    }
}
