//! Sending: one exchange with an upstream, from the turn in its queue to the answer.
//!
//! In goes a prepared request; out comes hyper's response, after redirects and the one retry.
//! Invariant: no byte of a changing request leaves before its intent is committed, and it is sent again only if its
//! connection had gone stale and repeating is harmless. A preparing call's POST alone has no intent: nothing depends on its fate.

use super::{
    Intent, Request, Response, SendContext, Writes, bind::Upstream, fault, redirect, request::Prepared, response, retry_after,
};
use crate::model::Error;
use hyper::body::Incoming;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

impl Upstream {
    /// A request and its whole answer.
    pub(super) async fn exchange(&self, request: &Request, context: &SendContext) -> Result<Response, Error> {
        let prepared = Prepared::new(self, request, &self.shared.config)?;
        let intent = intent(&prepared, context)?;
        let deadline = self.deadline(request, context);
        let _turn = self.limits.enter(deadline).await?;
        self.limits.pace(deadline).await?;
        let work = async {
            commit(intent, &prepared).await?;
            let response = self.follow(&prepared, deadline).await?;
            response::collect(response, &self.target.label, &self.shared).await
        };
        timeout_at(deadline, work).await.unwrap_or_else(|_| Err(fault::too_late(&self.target.label)))
    }

    pub(super) fn deadline(&self, request: &Request, context: &SendContext) -> Instant {
        let most = self.shared.config.total_timeout();
        context.deadline.min(Instant::now() + request.timeout.map_or(most, |timeout| timeout.min(most)))
    }

    /// Sends, and follows redirects of reads.
    pub(super) async fn follow(&self, prepared: &Prepared, deadline: Instant) -> Result<http::Response<Incoming>, Error> {
        let mut target = prepared.target.clone();
        for _ in 0..redirect::MAX_HOPS {
            let response = self.attempt(prepared, &target).await?;
            if !prepared.is_read() {
                return Ok(response);
            }
            match redirect::next(&self.url, &target, response.status(), response.headers()) {
                Some(next) => target = next,
                None => return Ok(response),
            }
            self.limits.pace(deadline).await?;
        }
        self.attempt(prepared, &target).await
    }

    /// Sends once, or twice when a kept connection turned out to be closed.
    async fn attempt(&self, prepared: &Prepared, target: &str) -> Result<http::Response<Incoming>, Error> {
        let answer = match self.client.request(prepared.to_http(self, target)?).await {
            Err(error) if prepared.is_repeatable() && fault::broke_while_idle(&error) => {
                self.shared.meters.retries.inc();
                self.fresh.request(prepared.to_http(self, target)?).await
            }
            answer => answer,
        };
        let response = answer.map_err(|error| fault::no_answer(&error, &self.target.label))?;
        if let Some(served) = response.extensions().get::<super::socket::Served>() {
            served.set();
        }
        if let Some(pause) = retry_after::wait(response.status(), response.headers()) {
            self.limits.hold(response.status(), pause);
        }
        Ok(response)
    }
}

/// What must be committed before this request; an error when it changes more than the call may.
pub(super) fn intent<'a>(prepared: &Prepared, context: &'a SendContext) -> Result<Option<&'a Arc<dyn Intent>>, Error> {
    if prepared.is_read() {
        return Ok(None);
    }
    let kind = match &context.writes {
        Writes::Recorded(intent) => return Ok(Some(intent)),
        Writes::Unrecorded if prepared.method == http::Method::POST => return Ok(None),
        Writes::Unrecorded => "preparing",
        Writes::Refused => "reading",
    };
    Err(fault::refused(format!("a {kind} call may not send {}; only a changing call may", prepared.method)))
}

pub(super) async fn commit(intent: Option<&Arc<dyn Intent>>, prepared: &Prepared) -> Result<(), Error> {
    match intent {
        Some(intent) => intent.sent(prepared.digest()).await,
        None => Ok(()),
    }
}
