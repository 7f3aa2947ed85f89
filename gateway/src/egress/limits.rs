//! How fast and how many at once: the upstream's own limits, kept on this side.
//!
//! In go a declared rate and concurrency, and what the upstream asked for by `Retry-After`; a caller comes out when it is its
//! turn, or with an error when its deadline would pass first. Invariant: a request that was refused here was not sent.
//! It knows one upstream of one connection.

use crate::model::{Error, Kind, Rate};
use http::StatusCode;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout_at},
};

pub(super) struct Limits {
    upstream: String,
    turns: Arc<Semaphore>,
    concurrency: u32,
    pace: Option<Pace>,
    hold: Mutex<Option<Hold>>,
}

/// Until when the upstream asked to be left alone, and how a call that can't wait so long ends.
#[derive(Clone, Copy)]
struct Hold {
    until: Instant,
    kind: Kind,
}

/// GCRA. `next`: when the next request would be due if all came evenly spaced.
struct Pace {
    interval: Duration,
    /// How far ahead of the even spacing requests may run.
    tolerance: Duration,
    next: Mutex<Option<Instant>>,
}

impl Limits {
    pub(super) fn new(upstream: &str, rate: Option<Rate>, concurrency: u32) -> Self {
        Self {
            upstream: upstream.to_owned(),
            turns: Arc::new(Semaphore::new(concurrency as usize)),
            concurrency,
            pace: rate.and_then(Pace::new),
            hold: Mutex::default(),
        }
    }

    /// Waits for one of the places. It is free again when the permit is dropped.
    pub(super) async fn enter(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Error> {
        let refused = || {
            let Self { upstream, concurrency, .. } = self;
            let message = format!("all {concurrency} requests that may run at once at the upstream {upstream:?} are running");
            Error::new(Kind::RateLimited, message).with_retry_after(1)
        };
        match timeout_at(deadline, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(refused()),
        }
    }

    /// The upstream asked for a pause.
    pub(super) fn hold(&self, status: StatusCode, pause: Duration) {
        let kind = if status == StatusCode::TOO_MANY_REQUESTS { Kind::RateLimited } else { Kind::Unavailable };
        let until = Instant::now() + pause;
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        if hold.is_none_or(|hold| hold.until < until) {
            *hold = Some(Hold { until, kind });
        }
    }

    /// Waits for the next moment that the upstream and the declared rate allow.
    pub(super) async fn pace(&self, deadline: Instant) -> Result<(), Error> {
        self.pass_hold(deadline).await?;
        let Some(pace) = &self.pace else { return Ok(()) };
        match pace.reserve(Instant::now(), deadline) {
            Ok(None) => Ok(()),
            Ok(Some(at)) => {
                sleep_until(at).await;
                Ok(())
            }
            Err(wait) => {
                let seconds = seconds(wait);
                let message = format!("the rate that the upstream {:?} allows is used up for {seconds} s", self.upstream);
                Err(Error::new(Kind::RateLimited, message).with_retry_after(seconds))
            }
        }
    }

    async fn pass_hold(&self, deadline: Instant) -> Result<(), Error> {
        let hold = *self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match hold {
            Some(hold) if hold.until > deadline => {
                let seconds = seconds(hold.until - now);
                let message = format!("the upstream {:?} asked to be left alone for {seconds} s", self.upstream);
                Err(Error::new(hold.kind, message).with_retry_after(seconds))
            }
            Some(hold) if hold.until > now => {
                sleep_until(hold.until).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Whole ones, rounded up.
fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

impl Pace {
    /// A quarter of the requests may come at once; the rest is spaced so that no period sees more than was declared.
    fn new(rate: Rate) -> Option<Self> {
        let requests = rate.requests;
        if requests == 0 || rate.per_seconds == 0 {
            return None;
        }
        let burst = (requests / 4).max(1);
        let interval = Duration::from_secs(u64::from(rate.per_seconds)) / (requests - burst + 1);
        Some(Self { interval, tolerance: interval * (burst - 1), next: Mutex::new(None) })
    }

    /// The moment to send at (none: now), or how long one would have to wait when that is past the deadline.
    fn reserve(&self, now: Instant, deadline: Instant) -> Result<Option<Instant>, Duration> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let due = next.unwrap_or(now).max(now);
        let at = due.checked_sub(self.tolerance).map_or(now, |at| at.max(now));
        if at > deadline {
            return Err(at - now);
        }
        *next = Some(due + self.interval);
        Ok((at > now).then_some(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_seconds(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn no_period_sees_more_than_the_rate() {
        let limits = Limits::new("api", Some(Rate { requests: 8, per_seconds: 10 }), 1);
        let start = Instant::now();
        let mut times = Vec::new();
        for _ in 0..30 {
            limits.pace(in_seconds(60)).await.unwrap();
            times.push(start.elapsed());
        }
        assert_eq!(times[1], Duration::ZERO, "a burst is fine");
        for (index, time) in times.iter().enumerate() {
            let within = times[index..].iter().filter(|other| **other < *time + Duration::from_secs(10)).count();
            assert!(within <= 8, "{within} requests from {time:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_past_the_deadline_is_refused_without_using_a_turn() {
        let limits = Limits::new("api", Some(Rate { requests: 1, per_seconds: 10 }), 1);
        limits.pace(in_seconds(0)).await.unwrap();
        for _ in 0..3 {
            let error = limits.pace(in_seconds(2)).await.unwrap_err();
            assert_eq!((error.kind, error.retry_after), (Kind::RateLimited, Some(10)));
        }
        let start = Instant::now();
        limits.pace(in_seconds(10)).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_waited_for_until_the_deadline() {
        let limits = Limits::new("api", None, 1);
        let held = limits.enter(in_seconds(1)).await.unwrap();
        let error = limits.enter(in_seconds(1)).await.err().unwrap();
        assert_eq!((error.kind, error.retry_after), (Kind::RateLimited, Some(1)));
        drop(held);
        assert!(limits.enter(in_seconds(1)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_was_asked_for_is_kept() {
        for (status, kind) in [(429, Kind::RateLimited), (503, Kind::Unavailable)] {
            let limits = Limits::new("api", None, 1);
            let status = StatusCode::from_u16(status).unwrap();
            limits.hold(status, Duration::from_secs(30));
            limits.hold(status, Duration::from_secs(5));
            let error = limits.pace(in_seconds(10)).await.unwrap_err();
            assert_eq!((error.kind, error.retry_after), (kind, Some(30)), "the longer one counts");
            let start = Instant::now();
            limits.pace(in_seconds(60)).await.unwrap();
            assert_eq!(start.elapsed(), Duration::from_secs(30));
            limits.pace(in_seconds(0)).await.unwrap();
        }
    }
}
