//! Quota: what the upstream itself says is left, in the headers of its answers.
//!
//! In go what was read of each answer; out comes whether one more request may leave, and if not, from when on. Invariant: it
//! only ever makes the connection slower than its declared rate, a window that ran dry ends no sooner than the upstream said, what
//! is under way counts as used until it is answered (what the upstream says from then on counts it already), and nobody waits for
//! what left before a pause, nor for ever for the one that goes first after it.

use super::super::{jitter::Lag, said::Said};
use crate::model::Kind;
use std::time::Duration;
use tokio::time::Instant;

/// Two answers of one window round its end differently.
const ROUNDING: Duration = Duration::from_secs(2);

/// The others wait so long for the answer of the one that goes first.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Quota(Option<Window>);

#[derive(Clone, Copy)]
enum Window {
    Left {
        remaining: u32,
        reset: Instant,
        /// When we come back if it runs dry: others may have been told the same.
        back: Instant,
    },
    /// The window before ran dry, or a pause was over: what is allowed since isn't known until what began since is answered.
    Unknown {
        since: Instant,
        doubt: Doubt,
        /// When the one left that goes first, while it is neither answered nor over.
        scout: Option<Instant>,
    },
}

/// Why one request goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::egress) enum Doubt {
    /// A pause is over, and so ends a call that couldn't wait for it.
    Pause(Kind),
    /// What the upstream said is left ran dry.
    Dry,
}

impl Window {
    fn left(said: Said, lag: Lag, now: Instant) -> Self {
        let reset = now + said.reset;
        Self::Left { remaining: said.remaining, reset, back: reset + lag.of(said.reset) }
    }

    const fn unknown(doubt: Doubt, since: Instant) -> Self {
        Self::Unknown { since, doubt, scout: None }
    }

    /// With what is known of the same window already.
    fn tightened(self, old: Self, now: Instant) -> Self {
        match (self, old) {
            (Self::Left { remaining, reset, back }, Self::Left { remaining: known, reset: end, back: later })
                if end > now && is_same(end, reset) =>
            {
                Self::Left { remaining: remaining.min(known), reset: reset.max(end), back: back.max(later) }
            }
            _ => self,
        }
    }
}

/// No request may leave; from when on one may, if that is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dry(pub Option<Instant>);

impl Quota {
    /// `under_way`: requests that aren't answered.
    pub(super) fn check(&mut self, under_way: u32, now: Instant) -> Result<(), Dry> {
        self.turn_over(under_way, now);
        match (self.at(under_way, 0).filter(|at| *at > now), self.scouted(now)) {
            (Some(at), _) | (None, Some((at, _))) => Err(Dry(Some(at))),
            (None, None) => Ok(()),
        }
    }

    /// One request goes first, not before `since`, and its answer decides how many follow.
    pub(super) const fn go_carefully(&mut self, doubt: Doubt, since: Instant) {
        self.0 = Some(Window::unknown(doubt, since));
    }

    /// A request leaves.
    pub(super) const fn go(&mut self, now: Instant) {
        if let Some(Window::Unknown { scout, .. }) = &mut self.0 {
            *scout = Some(now);
        }
    }

    /// One that left at this time or a little before is over. If it went first and had no answer, another may.
    pub(super) fn over(&mut self, left: Instant) {
        if let Some(Window::Unknown { scout, .. }) = &mut self.0 {
            *scout = scout.filter(|scout| *scout > left);
        }
    }

    /// Whether it is known that nothing is left, for longer than this.
    pub(super) fn is_dry_beyond(&self, until: Instant) -> bool {
        matches!(self.0, Some(Window::Left { remaining: 0, reset, .. }) if reset > until)
    }

    fn turn_over(&mut self, under_way: u32, now: Instant) {
        let Some(Window::Left { remaining, reset, back }) = self.0 else { return };
        if reset <= now {
            // Nobody leaves before we come back, and what is answered until then left in the window before.
            self.0 = (remaining <= under_way).then_some(Window::unknown(Doubt::Dry, back));
        }
    }

    /// When the request behind `ahead` others may leave at the earliest; that may be over.
    pub(super) fn at(&self, under_way: u32, ahead: u32) -> Option<Instant> {
        match self.0 {
            Some(Window::Left { remaining, back, .. }) if remaining <= under_way => Some(back),
            Some(Window::Left { remaining, reset, .. }) if remaining <= under_way.saturating_add(ahead) => Some(reset),
            Some(Window::Unknown { since, .. }) => Some(since),
            _ => None,
        }
    }

    /// Until when the others wait for the one that went first, unless it is answered before: that may be at any moment.
    pub(super) fn scouted(&self, now: Instant) -> Option<(Instant, Doubt)> {
        match self.0 {
            Some(Window::Unknown { scout: Some(left), doubt, .. }) if left + PATIENCE > now => Some((left + PATIENCE, doubt)),
            _ => None,
        }
    }

    /// `began`: when the request that was answered did. What began too early doesn't end the caution, but can say that nothing is
    /// left.
    pub(super) fn heard(&mut self, said: Option<Said>, lag: Lag, began: Instant, under_way: u32, now: Instant) {
        self.turn_over(under_way, now);
        self.0 = match (said.map(|said| Window::left(said, lag, now)), self.0) {
            (_, Some(Window::Unknown { since, .. })) if began < since && said.is_none_or(|said| said.remaining > 0) => return,
            (Some(new), Some(old)) => Some(new.tightened(old, now)),
            (Some(new), None) => Some(new),
            (None, Some(Window::Left { remaining, reset, back })) => {
                Some(Window::Left { remaining: remaining.saturating_sub(1), reset, back })
            }
            (None, _) => None,
        };
    }

    /// What is left, and when that ends, as far as it is known.
    pub(super) fn left(&self, now: Instant) -> Option<(u32, Instant)> {
        match self.0 {
            Some(Window::Left { remaining, reset, .. }) if reset > now => Some((remaining, reset)),
            _ => None,
        }
    }
}

fn is_same(one: Instant, other: Instant) -> bool {
    one.max(other) - one.min(other) <= ROUNDING
}
