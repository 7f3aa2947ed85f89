//! Sending: one exchange with an upstream, from the turn in its queue to the answer.
//!
//! In goes a prepared request; out comes hyper's response, after redirects and retries.
//! Invariant: no byte of a changing request leaves before its intent is committed, and it is sent again only if repeating is
//! harmless (`retry` says when), or if a session had ended: 401 says that it wasn't carried out, and once more is all there is.
//! A preparing call's POST alone has no intent: nothing depends on its fate.

use super::{
    Flow, Intent, Request, Response, SendContext, Writes,
    bind::Upstream,
    fault,
    limits::{Further, Turn, Verdict},
    redirect,
    request::Prepared,
    response,
    retry::{self, Failure, Outcome},
    session::Pass,
};
use crate::model::{Error, Kind};
use http::StatusCode;
use hyper_util::client::legacy;
use std::sync::Arc;
use tokio::time::{Instant, sleep, timeout_at};

impl Upstream {
    /// A request and its whole answer.
    pub(super) async fn exchange(&self, request: &Request, context: &SendContext) -> Result<Response, Error> {
        let prepared = Prepared::new(self, request, &self.shared.config)?;
        let intent = intent(&prepared, context)?;
        let deadline = self.deadline(request, context);
        let mut turn = self.limits.turn(context.flow, deadline).await?;
        // Whoever can't log in has sent nothing, and no intent says otherwise.
        self.sign_in(context.flow, deadline, &mut turn).await?;
        let committed = timeout_at(deadline, commit(intent, &prepared)).await;
        committed.unwrap_or_else(|_| Err(fault::too_late(&self.target.label)))?;
        self.limits.earn();
        let (mut tries, mut declined) = (0, true);
        loop {
            tries += 1;
            let started = Instant::now();
            let outcome = self.once(&prepared, context.flow, deadline).await;
            let head = retry::verdict_of(&outcome, started.elapsed());
            turn.answered();
            declined &= outcome.as_ref().is_ok_and(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS);
            let Some(pause) = retry::pause(self, &prepared, &outcome, tries, deadline) else {
                intent.filter(|_| declined).inspect(|intent| intent.declined());
                return self.end(outcome, head, turn, deadline).await;
            };
            turn.judge(head);
            drop(turn);
            sleep(pause).await;
            // Without a turn in time, the answer that is here is the best there is.
            let Ok(next) = self.limits.turn(context.flow, deadline).await else {
                intent.filter(|_| declined).inspect(|intent| intent.declined());
                return self.whole(outcome, deadline, &mut Instant::now()).await;
            };
            turn = next;
            self.before_a_login(&turn);
            self.shared.meters.retries.inc();
        }
    }

    pub(super) fn deadline(&self, request: &Request, context: &SendContext) -> Instant {
        let most = self.shared.config.total_timeout();
        context.deadline.min(Instant::now() + request.timeout.map_or(most, |timeout| timeout.min(most)))
    }

    async fn once(&self, prepared: &Prepared, flow: Flow, deadline: Instant) -> Outcome {
        let late = |_| Err(Failure::other(fault::too_late(&self.target.label)));
        timeout_at(deadline, self.follow(prepared, flow, deadline)).await.unwrap_or_else(late)
    }

    /// The answer with its body. What a head that is bad says is known at once; any other may promise what its body doesn't keep.
    async fn end(&self, outcome: Outcome, head: Verdict, mut turn: Turn, deadline: Instant) -> Result<Response, Error> {
        let mut heard = Instant::now();
        if outcome.is_err() || matches!(head, Verdict::Bad(_)) {
            turn.judge(head);
            return self.whole(outcome, deadline, &mut heard).await;
        }
        let whole = self.whole(outcome, deadline, &mut heard).await;
        turn.judge(retry::verdict_of_body(head, whole.as_ref().err(), heard.elapsed()));
        whole
    }

    async fn whole(&self, outcome: Outcome, deadline: Instant, heard: &mut Instant) -> Result<Response, Error> {
        let label = &self.target.label;
        let work = response::collect(outcome?, label, &self.shared, heard);
        timeout_at(deadline, work).await.unwrap_or_else(|_| Err(fault::too_late(label)))
    }

    /// The session that requests need here, if they do.
    pub(super) async fn sign_in(&self, flow: Flow, deadline: Instant, turn: &mut Turn) -> Result<Option<Pass>, Error> {
        let Some(session) = &self.session else { return Ok(None) };
        self.before_a_login(turn);
        let started = Instant::now();
        let pass = session.pass(flow, deadline).await;
        pass.map(Some).inspect_err(|error| {
            turn.judge(retry::verdict_of(&Err(Failure::other(error.clone())), started.elapsed()));
        })
    }

    /// Where a login goes first, nobody waits for the request that goes after it.
    fn before_a_login(&self, turn: &Turn) {
        if self.session.as_ref().is_some_and(|session| !session.is_here()) {
            turn.after_a_login();
        }
    }

    /// Sends, and sends once more in a new session if the one that there was had ended.
    pub(super) async fn follow(&self, prepared: &Prepared, flow: Flow, deadline: Instant) -> Outcome {
        let Some(session) = &self.session else { return self.hops(prepared, None, flow, deadline).await };
        let undone = |error| Failure::other(undone(prepared, error));
        let pass = session.pass(flow, deadline).await.map_err(undone)?;
        let answer = self.hops(prepared, Some(&pass), flow, deadline).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let Some(renewed) = session.renewed(&pass, flow, deadline).await.map_err(undone)? else { return Ok(answer) };
        let Ok(_further) = self.limits.time(flow, deadline).await else { return Ok(answer) };
        let answer = self.hops(prepared, Some(&renewed), flow, deadline).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            session.doubt(&renewed);
        }
        Ok(answer)
    }

    /// Sends, and follows redirects of reads.
    async fn hops(&self, prepared: &Prepared, pass: Option<&Pass>, flow: Flow, deadline: Instant) -> Outcome {
        let mut target = prepared.target.clone();
        let mut response = self.attempt(prepared, &target, pass, (flow, deadline)).await?;
        for _ in 0..redirect::MAX_HOPS {
            if !prepared.is_read() {
                return Ok(response);
            }
            let next = redirect::next(&self.url, &target, response.status(), response.headers());
            match next.filter(|next| !self.session.as_ref().is_some_and(|session| session.is_door(next))) {
                Some(next) => target = next,
                None => return Ok(response),
            }
            // Its connection is free for the next one.
            drop(response);
            let _further = self.limits.time(flow, deadline).await.map_err(Failure::other)?;
            response = self.attempt(prepared, &target, pass, (flow, deadline)).await?;
        }
        Ok(response)
    }

    /// Sends once, or twice when a kept connection turned out to be closed.
    async fn attempt(
        &self,
        prepared: &Prepared,
        target: &str,
        pass: Option<&Pass>,
        (flow, deadline): (Flow, Instant),
    ) -> Outcome {
        let to_http = || prepared.to_http(self, target, pass).map_err(Failure::other);
        let mut began = Instant::now();
        // To the end: others wait for what its answer says.
        let mut further = None;
        let answer = match self.client.request(to_http()?).await {
            Err(error) if prepared.is_repeatable() && fault::broke_while_idle(&error) => {
                further = self.go_again(&error, began, flow, deadline).await?;
                self.shared.meters.retries.inc();
                began = Instant::now();
                self.fresh.request(to_http()?).await
            }
            answer => answer,
        };
        let response = answer.map_err(|error| self.failure(&error))?;
        if let Some(served) = response.extensions().get::<super::socket::Served>() {
            served.set();
        }
        if let (Some(session), Some(pass)) = (&self.session, pass) {
            session.heard(pass, target, response.headers());
        }
        self.limits.heed(response.status(), response.headers(), began);
        drop(further);
        Ok(response)
    }

    /// That a kept connection was closed says nothing of the upstream, and there are no more of those than connections are kept,
    /// so neither the budget is asked nor the pace. On a shared one that is as well as ever an upstream may break off each request.
    async fn go_again(
        &self,
        error: &legacy::Error,
        began: Instant,
        flow: Flow,
        deadline: Instant,
    ) -> Result<Option<Further<'_>>, Failure> {
        if !fault::was_reset_alone(error) {
            return Ok(None);
        }
        if !self.limits.may_retry() {
            return Err(self.failure(error));
        }
        self.limits.is_over(began);
        self.limits.time(flow, deadline).await.map(Some).map_err(|_| self.failure(error))
    }

    fn failure(&self, error: &legacy::Error) -> Failure {
        let told = fault::no_answer(error, &self.target.label);
        // A certificate that isn't trusted won't be in a moment, nor a grant be there.
        let passes = matches!(told.kind, Kind::Unavailable | Kind::Timeout) && told.code.is_none();
        Failure { unconnected: error.is_connect() && passes, error: told }
    }
}

/// No session for a request that wasn't sent, or was answered 401: what it was to change is certainly unchanged.
fn undone(prepared: &Prepared, error: Error) -> Error {
    if prepared.is_read() { error } else { Error { kind: Kind::Unauthenticated, ..error } }
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
