//! The trail of a request: its id and its trace, by which logs here and at upstreams are joined, and on whose behalf it is.
//!
//! In go a `traceparent` (W3C Trace Context) and a request id; out come the headers that upstream requests carry on its behalf.
//! Invariant: a trace is taken only from a header that is valid to the letter; its id is kept, and every upstream request gets
//! a parent id of its own. Work that goes on after its request (operations) keeps the trail with its arguments. `tracestate` isn't handed on: it may
//! hold anything, and upstreams belong to others.

use super::{Caller, limits::under_the_same_place};
use http::{HeaderMap, HeaderName, HeaderValue, header::Entry};
use serde::{Deserialize, Serialize};
use std::{fmt, future::Future, sync::Arc};
use uuid::Uuid;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// `00-` trace id `-` parent id `-` flags.
const LENGTH: usize = 55;

/// A trace that a client began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    id: u128,
    sampled: bool,
}

/// The trace's id, as logs have it.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.id)
    }
}

impl Trace {
    /// None when it wasn't sent, was sent twice, or isn't valid: then there is no trace to go on with.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut sent = headers.get_all(TRACEPARENT).into_iter();
        let first = sent.next()?;
        sent.next().is_none().then(|| Self::parse(first.as_bytes()))?
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let (head, rest) = value.split_at_checked(LENGTH)?;
        let version = u8::try_from(hex(&head[..2])?).ok()?;
        // Later versions may go on after another dash; this one ends here, and 255 is no version.
        let ends_well = if version == 0 { rest.is_empty() } else { rest.first().is_none_or(|byte| *byte == b'-') };
        let dashes = [2, 35, 52].iter().all(|place| head[*place] == b'-');
        let (id, parent, flags) = (hex(&head[3..35])?, hex(&head[36..52])?, hex(&head[53..])?);
        let good = version != 0xff && ends_well && dashes && id != 0 && parent != 0;
        good.then_some(Self { id, sampled: flags & 1 == 1 })
    }

    /// For one upstream request.
    fn header(self, parent: u64) -> Option<HeaderValue> {
        let text = format!("00-{:032x}-{parent:016x}-{:02x}", self.id, u8::from(self.sampled));
        HeaderValue::try_from(text).ok()
    }
}

/// Lower-case hexadecimal digits, at most 32.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |sum, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((sum << 4) | u128::from(value))
    })
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trail {
    pub request_id: Arc<str>,
    pub trace: Option<Trace>,
    /// Nobody, as long as nobody is known. Who keeps a trail knows whose it is.
    #[serde(skip)]
    pub caller: Caller,
}

tokio::task_local! {
    static CURRENT: Option<Trail>;
}

impl Trail {
    /// Whatever the future does is on this trail.
    pub fn followed_by<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(Some(self), work)
    }

    /// That of the present work.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok().flatten()
    }

    /// Adds the headers that name it, unless the guest set them itself.
    fn mark(&self, headers: &mut HeaderMap) {
        let mut add = |name: HeaderName, value: Option<HeaderValue>| {
            if let (Entry::Vacant(free), Some(value)) = (headers.entry(name), value) {
                free.insert(value);
            }
        };
        add(REQUEST_ID, HeaderValue::from_str(&self.request_id).ok());
        if let Some(trace) = self.trace {
            // The lower half of a random UUID begins with the bits 10, so it isn't zero.
            let (_, parent) = Uuid::new_v4().as_u64_pair();
            add(TRACEPARENT, trace.header(parent));
        }
    }
}

/// Marks an upstream request with the trail of the request that it is sent for, if there is one.
pub fn mark(headers: &mut HeaderMap) {
    // Outside of a request there is none.
    let _ = CURRENT.try_with(|trail| trail.as_ref().map(|trail| trail.mark(headers)));
}

/// The work goes on with the trail that it is on, as this caller's.
pub fn on_behalf_of<F: Future>(caller: Caller, work: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(Trail::current().map(|trail| Trail { caller, ..trail }), work)
}

/// On whose behalf the present work is done; nobody's outside of requests.
pub fn caller() -> Caller {
    CURRENT.try_with(|trail| trail.as_ref().map(|trail| trail.caller)).ok().flatten().unwrap_or_default()
}

/// For work that goes on in a task of its own: it stays on the trail of who started it, and under their place.
pub fn on_this_trail<F: Future>(work: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(Trail::current(), under_the_same_place(work))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparents_are_read_to_the_letter() {
        const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (value, good) in [
            (format!("00-{ID}-00f067aa0ba902b7-01"), Some(true)),
            (format!("00-{ID}-00f067aa0ba902b7-00"), Some(false)),
            (format!("00-{ID}-00f067aa0ba902b7-ff"), Some(true)),
            (format!("cc-{ID}-00f067aa0ba902b7-01"), Some(true)),
            (format!("cc-{ID}-00f067aa0ba902b7-01-more"), Some(true)),
            (format!("cc-{ID}-00f067aa0ba902b7-01.more"), None),
            (format!("00-{ID}-00f067aa0ba902b7-01-more"), None),
            (format!("ff-{ID}-00f067aa0ba902b7-01"), None),
            (format!("00-{}-00f067aa0ba902b7-01", ID.to_uppercase()), None),
            (format!("00-{ID}-0000000000000000-01"), None),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), None),
            (format!("00-{ID}-00f067aa0ba902b7-0"), None),
            (format!("00_{ID}-00f067aa0ba902b7-01"), None),
            (format!("00-{ID}-00f067aa0ba902b7-0x"), None),
            (format!(" 0-{ID}-00f067aa0ba902b7-01"), None),
            (String::new(), None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(TRACEPARENT, HeaderValue::from_str(&value).unwrap());
            let trace = Trace::of(&headers);
            assert_eq!(trace.map(|trace| trace.sampled), good, "{value}");
            assert!(trace.is_none_or(|trace| trace.to_string() == ID), "{value}");
            headers.append(TRACEPARENT, HeaderValue::from_str(&value).unwrap());
            assert_eq!(Trace::of(&headers), None, "sent twice");
        }
    }

    #[tokio::test]
    async fn upstream_requests_follow_the_trail_with_parents_of_their_own() {
        let marked = || {
            let mut headers = HeaderMap::new();
            mark(&mut headers);
            headers
        };
        let text = |headers: &HeaderMap, name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        assert!(marked().is_empty());
        let trail =
            Trail { request_id: "abc".into(), trace: Some(Trace { id: 0xabc, sampled: true }), caller: Caller::default() };
        let (one, other) = trail
            .followed_by(async {
                let other = tokio::spawn(on_this_trail(async move { marked() }));
                (marked(), other.await.unwrap())
            })
            .await;
        assert_eq!(text(&one, REQUEST_ID).as_deref(), Some("abc"));
        let (one, other) = (text(&one, TRACEPARENT).unwrap(), text(&other, TRACEPARENT).unwrap());
        assert!(one.starts_with("00-00000000000000000000000000000abc-") && one.ends_with("-01"), "{one}");
        assert_ne!(one, other);
        assert!(Trace::parse(one.as_bytes()).is_some() && Trace::parse(other.as_bytes()).is_some());
        let plain = Trail { request_id: "abc".into(), trace: None, caller: Caller::default() };
        let known = Caller::new(Uuid::from_u128(7));
        let work = async { (marked().len(), tokio::spawn(on_this_trail(async { caller() })).await.unwrap()) };
        assert_eq!(
            plain.followed_by(async { on_behalf_of(known, work).await }).await,
            (1, known),
            "the id alone, and who asked"
        );
        assert_eq!(caller(), Caller::default());
    }
}
