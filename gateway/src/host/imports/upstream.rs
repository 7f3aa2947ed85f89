//! The import `upstream`: guests' requests, handed to egress.
//!
//! In goes a request by upstream name; out comes egress's answer. Invariant: nothing is decided here but how often and how
//! much; every rule about where a request may go is egress's.

use crate::{
    egress::{self, SendContext},
    host::{convert::error_to_guest, data::Data, limits::TICK},
    model::Error,
};
use portico_bindings::portico::provider::{
    types,
    upstream::{Background, BackgroundState, Host, Method, Request, Response},
};
use std::time::Duration;

/// Egress gives up this much before the call's deadline, so that the guest can still say what was too late.
const MARGIN: Duration = Duration::from_millis(50);

impl Host for Data {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, types::Error>> {
        self.count_upstream(size(&request))?;
        let (upstreams, context) = self.sending("upstream.send")?;
        let answer = self.outside(async { upstreams.send(outgoing(request), &context).await }).await;
        match answer {
            Ok(response) => {
                self.count_in(response.body.len())?;
                let body = response.body.into();
                Ok(Ok(Response { status: response.status, headers: response.headers, body }))
            }
            Err(error) => Ok(Err(self.failed(error))),
        }
    }

    async fn start(&mut self, key: String, request: Request) -> wasmtime::Result<Result<String, types::Error>> {
        self.count_upstream(size(&request) + key.len())?;
        let (upstreams, context) = self.sending("upstream.start")?;
        let answer = self.outside(async { upstreams.start(&key, outgoing(request), &context).await }).await;
        Ok(answer.map_err(|error| self.failed(error)))
    }

    async fn watch(&mut self, id: String) -> wasmtime::Result<Result<Background, types::Error>> {
        self.count_upstream(id.len())?;
        let answer = self.reach("upstream.watch")?.upstreams.watch(&id);
        match answer {
            Ok(background) => {
                self.count_in(background.tail.len())?;
                Ok(Ok(incoming(background)))
            }
            Err(error) => Ok(Err(self.failed(error))),
        }
    }
}

impl Data {
    /// Waits for something outside. The tick that comes during it is none in which the guest computed.
    pub(super) async fn outside<T>(&mut self, work: impl Future<Output = T>) -> T {
        self.waiting = true;
        let since = tokio::time::Instant::now();
        let answer = work.await;
        self.waiting = false;
        self.rested |= since.elapsed() >= TICK;
        answer
    }

    fn sending(&self, import: &str) -> wasmtime::Result<(std::sync::Arc<egress::Upstreams>, SendContext)> {
        let reach = self.reach(import)?;
        self.turn.release();
        let now = tokio::time::Instant::now();
        let deadline = reach.deadline.checked_sub(MARGIN).filter(|at| *at > now).unwrap_or(reach.deadline);
        Ok((reach.upstreams.clone(), SendContext { deadline, flow: reach.flow, writes: reach.writes.clone() }))
    }

    /// What the guest reads of a failure. The gateway's own failures are kept aside for the caller, and so is a
    /// code of its own (`upstream_tls`): a guest can't hand it on.
    pub(super) fn failed(&mut self, error: Error) -> types::Error {
        let told = error_to_guest(&error);
        if matches!(error.kind, crate::model::Kind::Gateway) {
            self.gateway_error = Some(error);
        } else if error.code.is_some() {
            self.coded = Some(error);
        }
        told
    }
}

fn size(request: &Request) -> usize {
    let pairs = |pairs: &[(String, String)]| pairs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    let path: usize = request.path.iter().map(String::len).sum();
    path + pairs(&request.query) + pairs(&request.headers) + request.body.as_ref().map_or(0, Vec::len)
}

fn outgoing(request: Request) -> egress::Request {
    egress::Request {
        upstream: request.upstream,
        method: match request.method {
            Method::Get => http::Method::GET,
            Method::Head => http::Method::HEAD,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Patch => http::Method::PATCH,
            Method::Delete => http::Method::DELETE,
        },
        path: request.path,
        query: request.query,
        headers: request.headers,
        body: request.body.map(Into::into),
        timeout: request.timeout.map(|millis| Duration::from_millis(millis.into())),
        keyed: request.keyed,
    }
}

fn incoming(background: egress::Background) -> Background {
    Background {
        state: match background.state {
            egress::BackgroundState::Running => BackgroundState::Running,
            egress::BackgroundState::Finished => BackgroundState::Finished,
            egress::BackgroundState::Failed(error) => BackgroundState::Failed(error_to_guest(&error)),
        },
        status: background.status,
        received: background.received,
        tail: background.tail.into(),
    }
}
