//! Quota: what the upstream itself says is left, in the headers of its answers.
//!
//! In go what was read of each answer; out comes whether one more request may leave, and if not, from when on. Invariant: it
//! only ever makes the connection slower than its declared rate, and what is under way counts as used until it is answered.

use super::super::said::Said;
use std::time::Duration;
use tokio::time::Instant;

/// Two answers of one window round its end differently.
const ROUNDING: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Quota(Option<Window>);

#[derive(Clone, Copy)]
struct Window {
    remaining: u32,
    /// None: the window before ran dry, and what the next one allows isn't known until an answer says it.
    reset: Option<Instant>,
}

/// No request may leave; from when on one may, if that is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dry(pub Option<Instant>);

impl Quota {
    /// `running`: requests under way.
    pub(super) fn check(&mut self, running: u32, now: Instant) -> Result<(), Dry> {
        let Some(window) = self.0 else { return Ok(()) };
        if window.reset.is_some_and(|reset| reset <= now) {
            self.0 = None;
            if window.remaining <= running {
                self.go_carefully();
            }
        }
        match self.0 {
            Some(window) if window.remaining <= running => Err(Dry(window.reset)),
            _ => Ok(()),
        }
    }

    /// One request goes first, and its answer decides how many follow.
    pub(super) const fn go_carefully(&mut self) {
        self.0 = Some(Window { remaining: 1, reset: None });
    }

    /// When the request behind `ahead` others may leave at the earliest.
    pub(super) fn at(&self, running: u32, ahead: u32) -> Option<Instant> {
        self.0.filter(|window| window.remaining <= running.saturating_add(ahead)).and_then(|window| window.reset)
    }

    pub(super) fn heard(&mut self, said: Option<Said>, now: Instant) {
        let before = self.0.filter(|window| window.reset.is_none_or(|reset| reset > now));
        self.0 = match (said, before) {
            (Some(said), Some(Window { remaining, reset: Some(reset) })) if is_same(reset, now + said.reset) => {
                Some(Window { remaining: remaining.min(said.remaining), reset: Some(reset.max(now + said.reset)) })
            }
            (Some(said), _) => Some(Window { remaining: said.remaining, reset: Some(now + said.reset) }),
            (None, Some(Window { remaining, reset: Some(reset) })) => {
                Some(Window { remaining: remaining.saturating_sub(1), reset: Some(reset) })
            }
            (None, _) => None,
        };
    }

    /// What is left, and when that ends, as far as it is known.
    pub(super) fn left(&self, now: Instant) -> Option<(u32, Instant)> {
        let window = self.0?;
        Some((window.remaining, window.reset.filter(|reset| *reset > now)?))
    }
}

fn is_same(one: Instant, other: Instant) -> bool {
    one.max(other) - one.min(other) <= ROUNDING
}
