//! Egress: every byte that leaves the gateway, and every answer that comes back.
//!
//! In go a connection's upstream declarations (from its provider), its secrets and the operator's grants; out come bound
//! [`Upstreams`], which can reach those endpoints and nothing else.
//! Invariant: only this room opens outbound sockets, and every one goes to exactly the address that was checked.

use crate::model::{ConnectionSpec, Error, UpstreamDeclaration};
use async_trait::async_trait;
use bytes::Bytes;
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
}

#[derive(Clone)]
pub struct SendContext {
    pub deadline: Instant,
    /// None for reads.
    pub intent: Option<Arc<dyn Intent>>,
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

/// The process-wide client.
pub struct Egress {}

impl Egress {
    /// Checks the declarations of one connection revision against the operator's grants and builds its clients.
    /// `component` is the SHA-256 of the component's bytes: grants may name it.
    pub fn bind(
        &self,
        _connection: &ConnectionSpec,
        _component: &[u8; 32],
        _declarations: &[UpstreamDeclaration],
    ) -> Result<Arc<Upstreams>, Error> {
        todo!()
    }
}

/// The upstreams of one connection revision.
pub struct Upstreams {}

impl Upstreams {
    pub async fn send(&self, _request: Request, _context: &SendContext) -> Result<Response, Error> {
        todo!()
    }

    pub async fn start(&self, _key: &str, _request: Request, _context: &SendContext) -> Result<String, Error> {
        todo!()
    }

    pub fn watch(&self, _id: &str) -> Result<Background, Error> {
        todo!()
    }
}
