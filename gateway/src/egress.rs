//! Egress: every byte that leaves the gateway, and every answer that comes back.
//!
//! In go a connection's upstream declarations (from its provider), its secrets and the operator's grants; out come bound
//! [`Upstreams`], which can reach those endpoints and nothing else.
//! Invariant: only this room opens outbound sockets, and every one goes to exactly the address that was checked.

mod address;
mod background;
mod base;
mod bind;
mod budgets;
mod config;
mod connector;
mod fault;
mod gauges;
mod grant;
mod guard;
mod headers;
mod jitter;
mod lanes;
mod limits;
mod meters;
mod probe;
mod redact;
mod redirect;
mod request;
mod response;
mod retry;
mod retry_after;
mod said;
mod send;
mod session;
mod socket;
#[cfg(test)]
mod tests;
mod tls;
mod transfer;

pub use address::Network;
pub use config::{BackgroundConfig, EgressConfig};
pub use grant::{Grant, Guard};
pub use lanes::Lanes;
pub use limits::{BreakerReport, BreakerState, LimitsReport, RateReport};
pub use probe::Check;
pub use tls::check_trust;
pub use transfer::{Download, DownloadBody, Expected, SourceFault, UploadError};

use crate::{
    metrics::Metrics,
    model::{ConnectionId, ConnectionSpec, Error, Kind, UpstreamDeclaration},
    policy::{self, Caller},
};
use async_trait::async_trait;
use background::Registry;
use bind::{Binder, Bound, Upstream};
use budgets::Budgets;
use bytes::Bytes;
use meters::Meters;
use std::sync::Arc;
use tokio::time::Instant;

/// A guest's request, before any rule was applied to it.
#[derive(Clone, Debug)]
pub struct Request {
    pub upstream: String,
    pub method: http::Method,
    /// Unescaped segments below the upstream's base path.
    pub path: Vec<String>,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: Option<Bytes>,
    pub timeout: Option<std::time::Duration>,
    pub keyed: bool,
}

#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// Committed before the first byte of every non-GET of an operation; an error means that nothing was sent.
#[async_trait]
pub trait Intent: Send + Sync {
    async fn sent(&self, digest: [u8; 32]) -> Result<(), Error>;

    /// The request whose intent was the last was answered 429 each time that it was sent: it certainly wasn't carried out.
    fn declined(&self) {}
}

/// What a call may send beside reads.
#[derive(Clone)]
pub enum Writes {
    /// Nothing: it is a reading call.
    Refused,
    /// POST, without a record: it is a preparing call. What it makes is seen by nobody but who asked and goes away by itself, so
    /// losing or repeating it does no harm, and there is no operation that could remember it.
    Unrecorded,
    /// Everything, each request after its intent was committed: it is a changing call.
    Recorded(Arc<dyn Intent>),
}

/// Kinds of calls that share an upstream's limits: while several kinds wait, they are served in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Reads,
    /// Calls that carry out an operation.
    Changes,
    /// Calls that look how far an operation is.
    Polls,
}

/// What a call is for, and on whose behalf. Where calls wait, the kinds are served in turn, and of each kind the callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    pub lane: Lane,
    pub caller: Caller,
}

impl Flow {
    /// Of the request that is being served.
    pub fn present(lane: Lane) -> Self {
        Self { lane, caller: policy::caller() }
    }
}

#[derive(Clone)]
pub struct SendContext {
    pub deadline: Instant,
    pub flow: Flow,
    pub writes: Writes,
}

/// State of a background request.
#[derive(Clone, Debug)]
pub struct Background {
    pub state: BackgroundState,
    pub status: Option<u16>,
    pub received: u64,
    pub tail: Bytes,
}

#[derive(Clone, Debug)]
pub enum BackgroundState {
    Running,
    Finished,
    Failed(Error),
}

/// The process-wide client: the operator's limits and grants, and what runs in the background.
pub struct Egress {
    config: Arc<EgressConfig>,
    grants: Vec<Grant>,
    metrics: Arc<Metrics>,
    background: Arc<Registry>,
    budgets: Budgets,
}

impl Egress {
    /// Errors name the key that is wrong.
    pub fn new(config: EgressConfig, grants: Vec<Grant>, metrics: Arc<Metrics>) -> Result<Arc<Self>, Error> {
        config.validate()?;
        grants.iter().enumerate().try_for_each(|(index, grant)| grant.validate(index))?;
        let background = Registry::new(config.background.clone());
        Ok(Arc::new(Self { config: Arc::new(config), grants, metrics, background, budgets: Budgets::default() }))
    }

    /// Checks the declarations of one connection revision against the operator's grants and builds its clients.
    /// `component` is the SHA-256 of the component's bytes: grants may name it.
    pub fn bind(
        &self,
        connection: &ConnectionSpec,
        component: &[u8; 32],
        declarations: &[UpstreamDeclaration],
    ) -> Result<Arc<Upstreams>, Error> {
        let (config, grants, budgets, metrics) = (&self.config, &self.grants, &self.budgets, &self.metrics);
        let binder = Binder { config, grants, connection, component, budgets, metrics };
        let meters = Meters::new(&self.metrics, &connection.provider);
        let bound = binder.bind(meters, declarations);
        let Bound { upstreams, blobs } = bound.map_err(|error| error.at(connection.slug.as_str(), &connection.provider))?;
        Ok(Arc::new(Upstreams {
            connection: connection.id,
            slug: connection.slug.as_str().into(),
            provider: Arc::clone(&connection.provider),
            upstreams,
            blobs,
            background: Arc::clone(&self.background),
        }))
    }

    /// Bytes of one bulk transfer, at most.
    pub fn transfer_limit(&self) -> u64 {
        self.config.transfer_max_bytes
    }

    /// Ends what runs in the background for a connection that was deleted, and forgets what its upstreams had left.
    pub fn forget(&self, connection: ConnectionId) {
        self.budgets.forget(connection);
        self.background.forget(connection);
    }
}

/// The upstreams of one connection revision.
pub struct Upstreams {
    connection: ConnectionId,
    slug: Arc<str>,
    provider: Arc<str>,
    upstreams: Vec<Arc<Upstream>>,
    /// Blob origins, by their names.
    blobs: Vec<Arc<Upstream>>,
    background: Arc<Registry>,
}

impl Upstreams {
    /// Any HTTP status is a response; an error means that there is none.
    pub async fn send(&self, request: Request, context: &SendContext) -> Result<Response, Error> {
        let upstream = self.find(&request.upstream)?;
        let started = Instant::now();
        let result = upstream.exchange(&request, context).await;
        upstream.shared.meters.count(&result, started.elapsed());
        result.map_err(|error| self.placed(error))
    }

    /// Runs a request in the background; the same `key` gives the same id while it runs.
    pub async fn start(&self, key: &str, request: Request, context: &SendContext) -> Result<String, Error> {
        let upstream = self.find(&request.upstream)?;
        let started = self.background.start(self.connection, key, upstream, &request, context).await;
        started.map_err(|error| self.placed(error))
    }

    pub fn watch(&self, id: &str) -> Result<Background, Error> {
        self.background.watch(self.connection, id).map_err(|error| self.placed(error))
    }

    /// Names of the bound upstreams.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.upstreams.iter().map(|upstream| upstream.name.as_str())
    }

    /// What is left of each upstream's limits.
    pub fn limits(&self) -> Vec<LimitsReport> {
        self.upstreams.iter().map(|upstream| upstream.limits.report()).collect()
    }

    /// Whether a call of this flow behind `ahead` others, which haven't come here yet, would wait for an upstream's limits; an error if
    /// it would wait for too long. It is an estimate: each of them is taken to send one request, and where there are several upstreams,
    /// none to the same.
    pub fn waits(&self, flow: Flow, ahead: u32, deadline: Instant) -> Result<bool, Error> {
        let Some(first) = self.upstreams.first() else { return Ok(false) };
        let ahead = if self.upstreams.len() == 1 { ahead } else { 0 };
        let soonest = self.upstreams.iter().map(|upstream| upstream.limits.soonest(flow, ahead)).min();
        match soonest {
            Some(at) if at > deadline => Err(self.placed(first.limits.refusal(flow, ahead))),
            soonest => Ok(soonest.is_some_and(|at| at > Instant::now())),
        }
    }

    /// What works and what fails on the way to an upstream, without sending it a request but a session's login.
    pub async fn probe(&self, name: &str) -> Result<Vec<Check>, Error> {
        Ok(probe::probe(self.find(name)?).await)
    }

    fn find(&self, name: &str) -> Result<&Arc<Upstream>, Error> {
        let unknown = || {
            let shown: String = name.chars().take(64).collect();
            let names: Vec<&str> = self.names().collect();
            let message = format!(
                "the upstream {shown:?} isn't granted: configure() doesn't declare it; declared: {}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            );
            self.placed(Error::new(Kind::Forbidden, message).with_code("upstream_not_granted"))
        };
        self.upstreams.iter().find(|upstream| upstream.name == name).ok_or_else(unknown)
    }

    fn placed(&self, error: Error) -> Error {
        error.at(&self.slug, &self.provider)
    }
}
