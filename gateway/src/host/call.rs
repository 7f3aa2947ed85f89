//! One call on a guest, from taking an instance to putting it back.
//!
//! In go a configured connection and a deadline; out come lifted answers. Invariant: an instance returns to its shelf only by
//! [`Running::rest`], after answers that could be lifted; every other end drops it, also that of a caller who went away.

use super::{
    CallContext, Configured, Host,
    convert::error_from_guest,
    data::{Owner, Reach},
    instance::{Allowance, Instance},
    load::{Provider, latest},
    meter::Asked,
    owner,
    pool::{Entered, Tenant},
    trap::{Reason, trapped},
};
use crate::{
    egress::{Flow, Lane, Writes},
    model::{ConnectionId, ConnectionSpec, Error, Kind},
    policy,
};
use portico_bindings::{exports::portico::provider::provider, portico::provider::types};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, error::Elapsed, timeout_at};
use uuid::Uuid;

/// A guest that hands a failure of an import on, hands on what that failure is called.
fn with_code(error: Error, coded: Option<Error>) -> Error {
    let code = coded.filter(|coded| coded.kind == error.kind && coded.message == error.message).and_then(|coded| coded.code);
    Error { code, ..error }
}

/// Whoever waits for longer waits for a host, not for a processor, and needs no place among those who keep that busy.
const HOST_IS_SLOW: Duration = Duration::from_millis(100);

/// With whom it waits, here and for an upstream's limits.
const fn flow(context: &CallContext, asked: Asked) -> Flow {
    let lane = match (&context.operation, asked) {
        (Some(_), Asked::Poll | Asked::Reconcile) => Lane::Polls,
        (Some(_), _) => Lane::Changes,
        (None, _) => Lane::Reads,
    };
    Flow { lane, caller: context.caller }
}

/// What came back of a guest call, before it was judged.
pub(super) type Lifted<T> = Result<wasmtime::Result<Result<T, types::Error>>, Elapsed>;

pub(super) struct Running {
    pub(super) instance: Instance,
    pub(super) deadline: Instant,
    host: Arc<Host>,
    on: Arc<Configured>,
    asked: Asked,
    context: CallContext,
    _entered: Entered,
}

impl Running {
    /// Takes a resting instance, or makes one and configures it.
    pub(super) async fn start(
        host: &Arc<Host>,
        on: &Arc<Configured>,
        asked: Asked,
        context: &CallContext,
    ) -> Result<Self, Error> {
        on.provider.exported.check_asked(asked.as_str())?;
        let deadline = latest(&host.limits, context.deadline);
        let entered = on.admit(flow(context, asked), deadline).await?;
        let resting = on.shelf.take();
        let is_fresh = resting.is_none();
        let instance = match resting {
            Some(instance) => instance,
            None => host.fresh(&on.provider, on.owner.clone(), &on.tenant, deadline).await?,
        };
        let running =
            Self { instance, deadline, host: host.clone(), on: on.clone(), asked, context: context.clone(), _entered: entered };
        if is_fresh { running.configure().await } else { Ok(running) }
    }

    /// The first call on every instance. Its answer was used when the connection was configured.
    async fn configure(mut self) -> Result<Self, Error> {
        let guest = self.instance.provider()?;
        self.instance.begin(None);
        let settings = self.on.settings.clone();
        let lifted = timeout_at(self.deadline, guest.call_configure(&mut self.instance.store, &settings)).await;
        let (running, _) = self.settle(lifted)?;
        Ok(running)
    }

    /// Starts the account of the next guest call.
    pub(super) fn begin(&mut self) {
        self.instance.begin(Some(Reach {
            upstreams: self.on.upstreams.clone(),
            state: self.on.state.clone(),
            deadline: self.deadline,
            flow: flow(&self.context, self.asked),
            writes: self.writes(),
        }));
    }

    /// Decided by the call alone, so that no guest can turn a reading call into one that sends.
    fn writes(&self) -> Writes {
        match (&self.context.operation, self.asked) {
            (Some(operation), _) => Writes::Recorded(operation.intent.clone()),
            (None, Asked::Action(action)) if action.prepares() => Writes::Unrecorded,
            (None, _) => Writes::Refused,
        }
    }

    /// A guest's own error is an answer like any other: the instance rests. What can't be lifted ends it.
    pub(super) fn settle<T>(mut self, lifted: Lifted<T>) -> Result<(Self, T), Error> {
        match judge(&mut self.instance, lifted, self.asked)? {
            Ok(answer) => Ok((self, answer)),
            Err(error) => {
                let data = self.instance.store.data_mut();
                let (gateway, coded) = (data.gateway_error.take(), data.coded.take());
                self.rest();
                Err(gateway.unwrap_or_else(|| with_code(error_from_guest(error), coded)))
            }
        }
    }

    pub(super) fn rest(self) {
        self.host.pool.rest(&self.on.shelf, self.instance);
    }
}

impl Configured {
    /// A place among its organization's calls and among all, for which it waits as long as that is of use.
    async fn admit(&self, flow: Flow, deadline: Instant) -> Result<Entered, Error> {
        let _waiting = self.provider.meter.waiting();
        let in_time = |flow, ahead, until| self.upstreams.waits(flow, ahead, until);
        let entered = self.tenant.enter(self.connection, flow, deadline, in_time);
        policy::aside_after(HOST_IS_SLOW, entered).await
    }
}

/// Ends the account of a guest call, and tells an answer from the end of the instance.
fn judge<T>(instance: &mut Instance, lifted: Lifted<T>, asked: Asked) -> Result<Result<T, types::Error>, Error> {
    let data = instance.store.data_mut();
    data.end();
    let (reason, why) = match lifted {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => (Reason::of(&error, data.memory.denied), format!("{error:?}")),
        Err(_) if data.waiting => return Err(Error::new(Kind::Timeout, "the upstream did not answer in time")),
        Err(_) if data.turn.waits() => {
            let why = "this organization's other calls took all the time there was; try again in a moment";
            return Err(Error::new(Kind::Overloaded, why).with_retry_after(1));
        }
        Err(_) => (Reason::Wall, "it did not answer in time".to_owned()),
    };
    let words = data.last_words.as_deref().unwrap_or("-");
    let (provider, connection) = (&*data.owner.provider, data.connection());
    let (action, reason_name) = (asked.as_str(), reason.as_str());
    tracing::error!(provider, connection, action, reason = reason_name, words, "a guest was ended: {why}");
    if let Some(meter) = &data.owner.meter {
        meter.trapped(reason);
    }
    Err(trapped(format_args!("{reason_name}: {why}")))
}

/// Configuring asks no host for anything, so it doesn't stand in the line of a connection whose host may hang.
const CONFIGURING: ConnectionId = ConnectionId(Uuid::nil());

/// The first `configure` of a connection revision, in an instance that is thrown away.
pub(super) struct Configuring<'a> {
    pub(super) host: &'a Host,
    pub(super) provider: &'a Arc<Provider>,
    pub(super) connection: &'a ConnectionSpec,
    pub(super) tenant: &'a Tenant,
    pub(super) deadline: Instant,
}

impl Configuring<'_> {
    pub(super) async fn run(self) -> Result<provider::Configuration, Error> {
        let flow = Flow::present(Lane::Reads);
        let _entered = self.tenant.enter(CONFIGURING, flow, self.deadline, |_, _, _| Ok(false)).await?;
        let owner = owner(self.provider, self.connection);
        let mut instance = self.host.fresh(self.provider, owner, self.tenant, self.deadline).await?;
        let guest = instance.provider()?;
        instance.begin(None);
        let settings = self.connection.settings.to_string();
        let lifted = timeout_at(self.deadline, guest.call_configure(&mut instance.store, &settings)).await;
        judge(&mut instance, lifted, Asked::Configure)?.map_err(error_from_guest)
    }
}

impl Instance {
    fn begin(&mut self, reach: Option<Reach>) {
        self.calls += 1;
        self.store.data_mut().begin(reach);
        self.store.set_epoch_deadline(1);
    }
}

impl Host {
    /// An instance that wasn't configured yet.
    async fn fresh(&self, provider: &Provider, owner: Owner, tenant: &Tenant, deadline: Instant) -> Result<Instance, Error> {
        let slot = self.pool.slot(deadline).await?;
        let allowance = Allowance {
            limits: self.limits.clone(),
            cpu_ticks: self.limits.cpu_ticks(),
            computing: tenant.computing.clone(),
            slot,
        };
        let connection = owner.connection.clone();
        let failed = |reason: Reason, why: String| {
            let connection = connection.as_deref().unwrap_or("-");
            tracing::error!(provider = &*provider.name, connection, reason = reason.as_str(), "a guest did not start: {why}");
            provider.meter.trapped(reason);
            trapped(why)
        };
        match timeout_at(deadline, Instance::new(provider.linked.clone(), owner, allowance)).await {
            Ok(Ok(mut instance)) => {
                instance.presence = Some(provider.meter.instance());
                Ok(instance)
            }
            Ok(Err(error)) => Err(failed(Reason::of(&error, false), format!("{error:?}"))),
            Err(_) => Err(failed(Reason::Wall, "starting it took too long".into())),
        }
    }
}

/// Calls one function of an exported interface: `ask!(running, sites.call_get(&id))` gives the instance back with the answer,
/// or leaves the surrounding function with the error.
macro_rules! ask {
    ($running:expr, $interface:ident.$function:ident($($argument:expr),*)) => {{
        let mut running = $running;
        let guest = running.instance.$interface()?;
        running.begin();
        let deadline = running.deadline;
        let lifted = tokio::time::timeout_at(deadline, guest.$function(&mut running.instance.store, $($argument),*)).await;
        running.settle(lifted)?
    }};
}
pub(super) use ask;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_kept_with_the_failure_that_has_it() {
        let coded = || Some(Error::new(Kind::Unavailable, "its certificate").with_code("upstream_tls"));
        for (error, code) in [
            (Error::new(Kind::Unavailable, "its certificate"), "upstream_tls"),
            (Error::new(Kind::Unavailable, "another"), "upstream_unavailable"),
            (Error::new(Kind::Internal, "its certificate"), "upstream_invalid"),
        ] {
            assert_eq!(with_code(error, coded()).code(), code);
        }
        assert_eq!(with_code(Error::new(Kind::Timeout, "late"), None).code(), "upstream_timeout");
    }
}
