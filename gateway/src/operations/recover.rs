//! Recovery: a request may have left, and nobody knows whether it was carried out.
//!
//! In go an operation with an intent and no outcome, after a crash, a timeout or a trap; out comes a way on. Invariant: it is
//! sent again only if the upstream honours the key, or was asked and certainly has nothing; otherwise it ends `interrupted`,
//! with words for people, and is never retried by itself. What a later try came to says nothing of an earlier one.

use super::{
    intent::Intent,
    now,
    queue::Tries,
    runner::{Held, Runner},
    step::Next,
};
use crate::{
    model::{Error, Finding, Kind, Mutation, OperationStatus, Recovery, Timestamp, WordpressChange, WordpressMutation},
    store::Outcome,
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

const WAITS: &str = "waits, and sends it again: ";
/// Upstreams commonly keep idempotency keys for a day: after this long, sending again is no longer safe.
const KEYED_FOR_MILLIS: i64 = 12 * 60 * 60 * 1000;
/// A request that was absent this often won't come through.
const ABSENT_TRIES: u32 = 8;
pub const INTERRUPTED: &str = "interrupted";

/// Why it has to be recovered.
pub(super) enum Cause {
    /// The gateway was stopped in the middle.
    Unknown,
    /// In this process.
    Failed(Error),
    /// The upstream had no time for it: it certainly wasn't carried out.
    Declined(Error),
}

impl Cause {
    fn error(self) -> Option<Error> {
        match self {
            Self::Unknown => None,
            Self::Failed(error) | Self::Declined(error) => Some(error),
        }
    }
}

impl Runner {
    pub(super) async fn recover(&self, held: &Held, tries: Tries, cause: Cause) -> Result<Next, Error> {
        let action = held.mutation.action();
        let call = self.carrier.recovery(held.record.connection, action);
        let class = match self.bounded(Instant::now() + self.options.call, call).await {
            Ok(class) => class,
            Err(error) => return self.could_not_look(held, error, tries).await,
        };
        match (class, cause) {
            (Recovery::Neither | Recovery::Keyed, Cause::Declined(error)) => {
                self.commit(&held.fence, &Outcome::Absent).await?;
                self.not_now(held, error, tries).await
            }
            (Recovery::Neither, cause) => self.interrupt(held, cause.error()).await,
            (Recovery::Keyed, cause) => self.send_again(held, tries, cause.error()).await,
            (Recovery::LookUp, cause) => match (cause.error(), self.settling(held)) {
                // It was cut off just now, however long ago it was sent.
                (Some(error), _) => Ok(at_least(self.later(tries, error.retry_after), self.options.settle)),
                (None, Some(pause)) => Ok(Next::After { pause, tries }),
                (None, None) => self.look_up(held, tries).await,
            },
        }
    }

    /// As long as the upstream knows the key; after a failure not at once.
    async fn send_again(&self, held: &Held, tries: Tries, failure: Option<Error>) -> Result<Next, Error> {
        if now() > held.record.operation.created_at.plus_millis(KEYED_FOR_MILLIS) {
            let last = failure.as_ref().map(|error| error.message.as_str());
            let said = held.record.operation.message.as_deref().and_then(|message| message.strip_prefix(WAITS));
            let why = last.or(said).unwrap_or("its answer was lost");
            let known = format!(" ({why}); it is not sent again any more");
            return self.interrupt_as(held, failure, &known).await;
        }
        match failure {
            Some(error) => self.send_later(held, error, tries).await,
            None => Box::pin(self.send(held, tries)).await,
        }
    }

    async fn send_later(&self, held: &Held, error: Error, tries: Tries) -> Result<Next, Error> {
        self.say(held, format!("{WAITS}{}", error.message)).await?;
        Ok(self.later(tries, error.retry_after))
    }

    /// Something was sent before this try, which was refused for certain. What went before may have been carried out all the same:
    /// what was to be deleted is gone then. A credential may be mended.
    pub(super) async fn refused_again(&self, held: &Held, error: Error, tries: Tries) -> Result<Next, Error> {
        if matches!(error.kind, Kind::Unauthenticated | Kind::Forbidden) {
            return self.send_later(held, error, tries).await;
        }
        let known = format!(", and a second try was refused ({})", error.message);
        self.interrupt_as(held, Some(error), &known).await
    }

    /// How much longer a request that was cut off may still be on its way: until then "absent" proves nothing. What an earlier
    /// process sent was cut off when that one died, which was before this one started, but maybe not long before.
    fn settling(&self, held: &Held) -> Option<Duration> {
        let settle = self.options.settle;
        let sent = held.record.sent_at.unwrap_or_else(now);
        let settled = sent.plus_millis(i64::try_from(settle.as_millis()).unwrap_or(i64::MAX));
        let since_sent = millis_until(settled).map(|left| left.min(settle));
        let since_started = settle.checked_sub(self.started.elapsed()).filter(|left| !left.is_zero());
        since_sent.max(since_started)
    }

    async fn look_up(&self, held: &Held, tries: Tries) -> Result<Next, Error> {
        let intent = Intent::new(Arc::clone(&self.store), held.fence.clone());
        let context = self.context(held, intent);
        let call = self.carrier.reconcile(held.record.connection, &held.mutation, &context);
        match self.bounded(context.deadline, call).await {
            Ok(Finding::Found(work)) => self.adopt(held, work).await,
            Ok(Finding::Unknown) => self.interrupt(held, None).await,
            Ok(Finding::Absent) => self.absent(held, tries.absent_again()).await,
            Err(error) => self.could_not_look(held, error, tries).await,
        }
    }

    async fn absent(&self, held: &Held, tries: Tries) -> Result<Next, Error> {
        if tries.absent >= ABSENT_TRIES {
            let text = format!("the host did not carry it out, though it was sent {} times", tries.absent);
            return self.fail_absent(held, Error::new(Kind::Unavailable, text)).await;
        }
        self.commit(&held.fence, &Outcome::Absent).await?;
        // At once: what it waited for in between was the look-up's own pause.
        Ok(Next::After { pause: Duration::ZERO, tries })
    }

    /// Looking does no harm, so it is tried until it works, unless the answer can't change.
    async fn could_not_look(&self, held: &Held, error: Error, tries: Tries) -> Result<Next, Error> {
        let never = matches!(
            error.kind,
            Kind::NotFound | Kind::Unsupported | Kind::InvalidInput | Kind::Conflict | Kind::QuotaExceeded
        );
        if never {
            return self.interrupt(held, Some(error)).await;
        }
        self.say(held, format!("waits to find out whether it was carried out: {}", error.message)).await?;
        Ok(self.later(tries, error.retry_after))
    }

    async fn interrupt(&self, held: &Held, cause: Option<Error>) -> Result<Next, Error> {
        let why = cause.as_ref().map_or("its answer was lost", |error| error.message.as_str());
        let known = format!(" ({why}); it was not sent again");
        self.interrupt_as(held, cause, &known).await
    }

    /// `known` goes on from "its outcome is unknown".
    async fn interrupt_as(&self, held: &Held, cause: Option<Error>, known: &str) -> Result<Next, Error> {
        let connection = &held.record.operation.connection;
        let text = format!(
            "the request had left for {connection}, but its outcome is unknown{known}. Check at the host {} before you \
             repeat it",
            what_to_check(&held.mutation)
        );
        // Whatever the cause was, this must not look like something to try again.
        let error = cause.unwrap_or_else(|| Error::new(Kind::Internal, ""));
        let error = Error { kind: Kind::Internal, message: text.clone(), retry_after: None, ..error.with_code(INTERRUPTED) };
        self.end(held, OperationStatus::Interrupted, Some(error), Some(text)).await
    }
}

fn at_least(next: Next, least: Duration) -> Next {
    match next {
        Next::After { pause, tries } => Next::After { pause: pause.max(least), tries },
        Next::Never => Next::Never,
    }
}

fn millis_until(at: Timestamp) -> Option<Duration> {
    let left = at.as_millis().saturating_sub(now().as_millis());
    u64::try_from(left).ok().filter(|&left| left > 0).map(Duration::from_millis)
}

fn what_to_check(mutation: &Mutation) -> String {
    match mutation {
        Mutation::SitesCreate(input) => format!("whether a site named {} exists", input.name),
        Mutation::SitesClone { input, .. } => format!("whether a site named {} exists", input.name),
        Mutation::SitesUpdate { site, .. } => format!("the settings of site {site}"),
        Mutation::SitesDelete { site } => format!("whether site {site} is gone"),
        Mutation::SitesStart { site } | Mutation::SitesStop { site } => format!("whether site {site} runs"),
        Mutation::EnvironmentsCreate { site, input } => format!("whether site {site} has an environment named {}", input.name),
        Mutation::EnvironmentsUpdate { site, environment, .. } => {
            format!("the settings of environment {environment} of site {site}")
        }
        Mutation::EnvironmentsDelete { site, environment } => {
            format!("whether environment {environment} of site {site} is gone")
        }
        Mutation::EnvironmentsPush { site, environment, input } => {
            format!("whether environment {environment} of site {site} was pushed to {}", input.target)
        }
        Mutation::DeploymentsCreate { site, .. } | Mutation::DeploymentsCommit { site, .. } => {
            format!("whether site {site} has a new deployment")
        }
        Mutation::DeploymentsRollback { site, .. } => format!("which deployment site {site} serves"),
        Mutation::DeploymentsRelease { site, environment, deployment } => {
            format!("whether environment {environment} of site {site} serves deployment {deployment}")
        }
        Mutation::BackupsCreate { site, .. } => format!("whether site {site} has a new backup"),
        Mutation::BackupsDelete { site, backup } => format!("whether backup {backup} of site {site} is gone"),
        Mutation::BackupsRestore { site, backup, .. } => format!("whether site {site} was restored from backup {backup}"),
        Mutation::DomainsCreate { site, input } => format!("whether site {site} has the domain {}", input.name),
        Mutation::DomainsDelete { site, name, .. } => format!("whether site {site} still has the domain {name}"),
        Mutation::DomainsVerify { site, name, .. } => format!("whether the domain {name} of site {site} is verified"),
        Mutation::DomainsSetPrimary { site, name, .. } => format!("whether {name} is the primary domain of site {site}"),
        Mutation::Wordpress(WordpressMutation { target, change }) => match change {
            WordpressChange::Install { kind, .. } => format!("whether the {} is on site {}", kind.as_str(), target.site),
            WordpressChange::Extension { kind, id, .. } => {
                format!("how the {} {id} of site {} is", kind.as_str(), target.site)
            }
            other => format!("whether {} has reached the WordPress of site {}", other.action().as_str(), target.site),
        },
    }
}
