//! Sessions: logging in for guests, which never see a password, a cookie or a token.
//!
//! In go requests that need a session; out comes its proof, which `send` puts into the header. Invariant: however many need
//! one at the same time, one login is under way; one that was refused isn't tried again for a while, since accounts are locked
//! for less; and a session belongs to one revision of one connection, lives in memory alone, and is never told to a guest.

mod door;
mod jar;

pub(super) use door::{Door, Proof, Way};

use super::{Flow, fault};
use crate::{
    model::{Error, Kind},
    policy,
};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// For so long a login that was refused isn't tried again; one that failed otherwise is, soon.
const REFUSED: Duration = Duration::from_secs(30);
const FAILED: Duration = Duration::from_secs(1);

/// The session of one upstream.
pub(super) struct Session(Arc<Inner>);

struct Inner {
    door: Door,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Of the newest session.
    number: u64,
    pass: Option<Pass>,
    flight: Option<Flight>,
    /// Until when the last failure is the answer.
    failed: Option<(Instant, Error)>,
    /// The session that a login gave and that was refused at once: until when another login is in vain.
    vain: Option<(u64, Instant)>,
}

type Flight = Shared<BoxFuture<'static, Result<Pass, Error>>>;

/// What a request shows.
#[derive(Clone)]
pub(super) struct Pass {
    number: u64,
    proof: Proof,
    by_login: bool,
}

impl Pass {
    /// `target`: path and query.
    pub(super) fn header(&self, target: &str) -> Option<(HeaderName, HeaderValue)> {
        self.proof.header(path(target), Instant::now())
    }
}

enum Look {
    Here(Pass),
    Wait(Flight),
    Failed(Error),
    Vain,
}

impl Session {
    pub(super) fn new(door: Door) -> Self {
        Self(Arc::new(Inner { door, state: Mutex::default() }))
    }

    /// The session that there is, or a new one.
    pub(super) async fn pass(&self, flow: Flow, deadline: Instant) -> Result<Pass, Error> {
        let pass = self.newer(None, flow, deadline).await?;
        pass.ok_or_else(|| Error::gateway("a session was in vain before there was one"))
    }

    /// A newer session than one that was refused; none if another would be refused as well.
    pub(super) async fn renewed(&self, refused: &Pass, flow: Flow, deadline: Instant) -> Result<Option<Pass>, Error> {
        self.newer(Some(refused.number), flow, deadline).await
    }

    /// A new session that is refused as the one before it. After a refresh, the next is begun by a login; after a login, 401 is
    /// what this upstream says to what was asked, and no more logins follow for a while.
    pub(super) fn doubt(&self, pass: &Pass) {
        let mut state = self.0.lock();
        if state.pass.as_ref().is_some_and(|present| present.number == pass.number) {
            if pass.by_login {
                state.vain = Some((pass.number, Instant::now() + REFUSED));
            } else {
                state.pass = None;
            }
        }
    }

    /// Lets the next login go, though the last was refused: somebody asks whether it is in order now.
    pub(super) fn forgive(&self) {
        let mut state = self.0.lock();
        (state.failed, state.vain) = (None, None);
    }

    /// Keeps what an answer to a request of this session changes of its cookies.
    pub(super) fn heard(&self, pass: &Pass, target: &str, headers: &HeaderMap) {
        if !headers.contains_key(http::header::SET_COOKIE) {
            return;
        }
        let mut state = self.0.lock();
        let present = state.pass.as_mut().filter(|present| present.number == pass.number);
        if let Some(Pass { proof: Proof::Cookies(jar), .. }) = present {
            jar.take(headers, &self.0.door.origin(path(target)), Instant::now());
            jar.values().for_each(|value| self.0.door.shared().redactor.learn(value));
        }
    }

    /// The login's and the refresh's own paths, which are the host's to ask for.
    pub(super) fn is_door(&self, target: &str) -> bool {
        self.0.door.is_at(target)
    }

    /// Whether a request needs no login before it.
    pub(super) fn is_here(&self) -> bool {
        let now = Instant::now();
        self.0.lock().pass.as_ref().is_some_and(|pass| !pass.proof.is_over(now))
    }

    async fn newer(&self, refused: Option<u64>, flow: Flow, deadline: Instant) -> Result<Option<Pass>, Error> {
        let flight = match self.look(refused, flow) {
            Look::Here(pass) => return Ok(Some(pass)),
            Look::Failed(error) => return Err(error),
            Look::Vain => return Ok(None),
            Look::Wait(flight) => flight,
        };
        timeout_at(deadline, flight).await.unwrap_or_else(|_| Err(self.0.late())).map(Some)
    }

    fn look(&self, refused: Option<u64>, flow: Flow) -> Look {
        let now = Instant::now();
        let mut state = self.0.lock();
        let wanted = |pass: &Pass| refused != Some(pass.number) && !pass.proof.is_over(now);
        if let Some(pass) = state.pass.as_ref().filter(|pass| wanted(pass)) {
            return Look::Here(pass.clone());
        }
        if state.vain.is_some_and(|(number, until)| refused == Some(number) && until > now) {
            return Look::Vain;
        }
        // One that is over and still here broke down.
        if let Some(flight) = state.flight.as_ref().filter(|flight| flight.peek().is_none()) {
            return Look::Wait(flight.clone());
        }
        if let Some((_, error)) = state.failed.as_ref().filter(|(until, _)| *until > now) {
            return Look::Failed(error.clone());
        }
        let flight = self.set_out(state.pass.as_ref().map(|pass| pass.proof.clone()), flow);
        state.flight = Some(flight.clone());
        Look::Wait(flight)
    }

    /// In a task of its own: who asked first may leave, and the others still wait for it.
    fn set_out(&self, before: Option<Proof>, flow: Flow) -> Flight {
        let inner = Arc::clone(&self.0);
        let task = tokio::spawn(policy::on_this_trail(async move { inner.renew(before, flow).await }));
        let broken = |error| Err(Error::gateway(format_args!("a login ended early: {error}")));
        async move { task.await.unwrap_or_else(broken) }.boxed().shared()
    }
}

impl Inner {
    async fn renew(&self, before: Option<Proof>, flow: Flow) -> Result<Pass, Error> {
        let shared = self.door.shared();
        let deadline = Instant::now() + shared.config.total_timeout();
        let entered = timeout_at(deadline, self.door.enter(before.as_ref(), flow, deadline)).await;
        let entered = entered.unwrap_or_else(|_| Err(self.late()));
        shared.meters.login(entered.as_ref().err());
        let mut state = self.lock();
        state.flight = None;
        match entered {
            Ok((proof, by_login)) => {
                learn(&proof, shared);
                state.number += 1;
                state.failed = None;
                let pass = Pass { number: state.number, proof, by_login };
                state.pass = Some(pass.clone());
                Ok(pass)
            }
            Err(error) => {
                let pause = if error.kind == Kind::Unauthenticated { REFUSED } else { FAILED };
                state.pass = None;
                state.failed = Some((Instant::now() + pause, error.clone()));
                Err(error)
            }
        }
    }

    fn late(&self) -> Error {
        fault::too_late(&format!("the login at {}", self.door.label()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps it out of what guests see, also when an upstream echoes what it was sent.
fn learn(proof: &Proof, shared: &super::bind::Shared) {
    match proof {
        Proof::Token(value) => {
            let token = value.to_str().ok().and_then(|value| value.split_once(' '));
            token.into_iter().for_each(|(_, token)| shared.redactor.learn(token));
        }
        Proof::Cookies(jar) => jar.values().for_each(|value| shared.redactor.learn(value)),
    }
}

fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}
