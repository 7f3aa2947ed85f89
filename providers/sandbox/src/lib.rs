//! The test mode of Portico: a complete, stateful provider without a backend.
//!
//! In go the contract's calls; all that they make is kept in the connection's state, work takes time by the clock, and special
//! names and settings choose how it ends (README.md has them). Invariant: a call that arrives again finds what it did; nothing is
//! lost or done twice whenever the process dies. The only requests that leave are those to the addresses in the settings.

mod backups;
mod billing;
mod check;
mod deployments;
mod domains;
mod environments;
mod features;
mod job;
mod operations;
mod outcomes;
mod record;
mod seeds;
mod settings;
mod sites;
mod store;
mod wordpress;

pub use settings::Settings;

use crate::{
    job::{Effect, Failure, Job},
    outcomes::Outcome,
    settings::RateLimit,
    store::Store,
};
use portico_sdk::{
    Auth, Call, Configuration, Description, Error, ErrorKind, Provider, Recovery, Upstream, UpstreamDeclaration, clock, error,
};
use std::cell::Cell;

const LATENCY: Upstream = Upstream::named("latency");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One connection's sandbox.
pub struct Sandbox {
    work_millis: u64,
    fail: Vec<(String, ErrorKind)>,
    limit: Option<RateLimit>,
    /// Start of the present window, and calls in it.
    window: Cell<(u64, u32)>,
    has_latency: bool,
    has_blobs: bool,
    store: Store,
}

impl Provider for Sandbox {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new(
            "sandbox",
            "Sandbox",
            "A test mode that keeps sites without any host",
            VERSION,
            include_str!("settings.schema.json"),
        )
        .with_site_options(include_str!("options.schema.json"))
    }

    fn configure(settings: Settings) -> Result<(Self, Configuration), Error> {
        settings.check()?;
        let mut configuration = Configuration::new(features::of(&settings)?).with_recovery(features::work(), Recovery::LookUp);
        for (name, url) in [("latency", &settings.latency_url), ("blobs", &settings.blob_url)] {
            if let Some(url) = url {
                configuration = configuration.with_upstream(UpstreamDeclaration::url(name, url, Auth::None));
            }
        }
        for (action, seconds) in &settings.cache {
            configuration = configuration.with_cache(action, *seconds);
        }
        let sandbox = Self {
            work_millis: settings.work_millis(),
            fail: settings.fail.iter().filter_map(|(action, word)| Some((action.clone(), settings::kind(word)?))).collect(),
            limit: settings.rate()?,
            window: Cell::default(),
            has_latency: settings.latency_url.is_some(),
            has_blobs: settings.blob_url.is_some(),
            store: Store::new(settings.seed_sites),
        };
        Ok((sandbox, configuration))
    }
}

/// How long a piece of work takes.
#[derive(Clone, Copy)]
enum Takes {
    /// `work_seconds`.
    Work,
    /// Nothing, unless a name says otherwise.
    NoTime,
}

impl Sandbox {
    /// What the settings have in mind for every call of this action.
    fn enter(&self, action: &str) -> Result<(), Error> {
        if let Some(limit) = self.limit {
            self.count(limit)?;
        }
        if self.has_latency {
            // Only its time is of interest; whatever it answers was waited for.
            LATENCY.get::<&str>([]).send_any()?;
        }
        match self.fail.iter().find(|(failing, _)| failing == action) {
            Some((_, kind)) => Err(outcomes::refusal(*kind, action)),
            None => Ok(()),
        }
    }

    fn count(&self, limit: RateLimit) -> Result<(), Error> {
        let now = clock::now();
        let (start, calls) = self.window.get();
        let (start, calls) = if now >= start.saturating_add(limit.per) { (now, 0) } else { (start, calls) };
        if calls >= limit.calls {
            let seconds = start.saturating_add(limit.per).saturating_sub(now).div_ceil(1000);
            let wait = u32::try_from(seconds).unwrap_or(u32::MAX);
            return Err(error::rate_limited("the sandbox's rate limit is used up", Some(wait)).with_upstream_status(429));
        }
        self.window.set((start, calls + 1));
        Ok(())
    }

    /// The job of a call, ended as `outcome` wants it. A refusal comes before anything was changed.
    fn job(&self, call: &Call, action: &str, takes: Takes, outcome: Option<Outcome>, now: u64) -> Result<Job, Error> {
        let base = match takes {
            Takes::Work => self.work_millis,
            Takes::NoTime => 0,
        };
        let (until, failure) = match outcome {
            None => (Some(base), None),
            Some(Outcome::Fail) => (Some(base), Some(Failure::Failed)),
            Some(Outcome::Slow) => (Some(base.max(self.work_millis) * 10), None),
            Some(Outcome::Stuck) => (None, None),
            Some(Outcome::Refuse(kind)) => return Err(outcomes::refusal(kind, "name")),
            Some(Outcome::Trap) => panic!("the sandbox was asked to trap by a name"),
        };
        Ok(Job {
            operation: call.operation_id.clone(),
            action: action.to_owned(),
            target: None,
            from: now,
            until: until.map(|millis| now + millis),
            effect: Effect::Nothing,
            undo: Effect::Nothing,
            failure,
            settled: false,
            message: None,
            details: None,
            secret: None,
        })
    }

    /// An id that follows from the operation, so that a call that arrives again makes the same thing.
    fn id(kind: &str, call: &Call) -> String {
        format!("{kind}-{}", call.operation_id.strip_prefix("op_").unwrap_or(&call.operation_id))
    }
}

portico_sdk::provider!(
    Sandbox: sites, environments, backups, domains, deployments, wordpress, billing, operations
);
