//! The headers of a rate limit: `X-RateLimit-*`, and `RateLimit` and `RateLimit-Policy` as draft-ietf-httpapi-ratelimit-headers-11
//! has them.
//!
//! In go verdicts; out come header values. Invariant: what doesn't change is made once, and what does is written without
//! formatting: these go into every answer.

use crate::{
    model::Timestamp,
    policy::{Limits, Policy, Verdict},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The two values of each policy that stay the same.
pub struct Fields([Option<(HeaderValue, HeaderValue)>; Policy::ALL.len()]);

impl Fields {
    pub fn new(limits: &Limits) -> Self {
        Self(Policy::ALL.map(|policy| {
            let quota = limits.quota(policy)?;
            let (requests, window) = (quota.requests.get(), quota.window.seconds());
            let text = format!("\"{}\";q={requests};w={window}", policy.as_str());
            Some((kept_for_good(requests.to_string()), kept_for_good(text)))
        }))
    }

    pub fn write(&self, headers: &mut HeaderMap, verdict: &Verdict, now: Timestamp) {
        if let Some((limit, policy)) = &self.0[verdict.policy as usize] {
            headers.insert(LIMIT, limit.clone());
            headers.insert(RATE_LIMIT_POLICY, policy.clone());
        }
        headers.insert(REMAINING, verdict.remaining.into());
        headers.insert(RESET, reset(now, verdict.whole_in).into());
        if let Some(value) = rate_limit(verdict) {
            headers.insert(RATE_LIMIT, value);
        }
    }
}

/// A value that goes into every answer as long as the process lives: one that counts its copies would have every processor write to
/// the same place.
fn kept_for_good(text: String) -> HeaderValue {
    HeaderValue::from_static(text.leak())
}

/// Rounded up: who comes after so many seconds is served.
pub fn seconds(duration: Duration) -> u32 {
    let whole = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    u32::try_from(whole).unwrap_or(u32::MAX)
}

/// The Unix second at which the whole quota is there again.
fn reset(now: Timestamp, whole_in: Duration) -> u64 {
    let now = u64::try_from(now.as_millis()).unwrap_or_default();
    let then = Duration::from_millis(now) + whole_in;
    then.as_secs() + u64::from(then.subsec_nanos() > 0)
}

/// `"token";r=599;t=1`: so many are left, and in so many seconds there is one more.
fn rate_limit(verdict: &Verdict) -> Option<HeaderValue> {
    let (mut remaining, mut window) = (itoa::Buffer::new(), itoa::Buffer::new());
    let parts = [
        "\"",
        verdict.policy.as_str(),
        "\";r=",
        remaining.format(verdict.remaining),
        ";t=",
        window.format(seconds(verdict.more_in)),
    ];
    let mut text = [0_u8; 64];
    let mut end = 0;
    for part in parts {
        text.get_mut(end..end + part.len())?.copy_from_slice(part.as_bytes());
        end += part.len();
    }
    HeaderValue::from_bytes(&text[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{LimitsConfig, Rate, Window};

    #[test]
    fn every_field_tells_the_verdict() {
        let config = LimitsConfig { organization: Rate::new(6000, Window::Minute), ip: Rate::Off, ..LimitsConfig::default() };
        let fields = Fields::new(&Limits::new(&config));
        let Rate::Of(quota) = config.organization else { panic!("off") };
        let verdict = Verdict {
            policy: Policy::Organization,
            quota,
            passes: true,
            remaining: 5999,
            more_in: Duration::from_millis(10),
            whole_in: Duration::from_millis(30_001),
        };
        let mut headers = HeaderMap::new();
        let now = Timestamp::from_millis(1_800_000_000_500);
        fields.write(&mut headers, &verdict, now);
        let text = |name: &HeaderName| headers[name].to_str().unwrap().to_owned();
        assert_eq!((text(&LIMIT).as_str(), text(&REMAINING).as_str()), ("6000", "5999"));
        assert_eq!(text(&RATE_LIMIT), "\"organization\";r=5999;t=1");
        assert_eq!(text(&RATE_LIMIT_POLICY), "\"organization\";q=6000;w=60");
        // In 30.001 s, rounded up.
        assert_eq!(text(&RESET), "1800000031");
    }

    #[test]
    fn the_longest_value_fits() {
        for policy in Policy::ALL {
            let Rate::Of(quota) = Rate::new(1, Window::Hour) else { panic!("off") };
            let (more_in, whole_in) = (Duration::MAX, Duration::ZERO);
            let verdict = Verdict { policy, quota, passes: false, remaining: u32::MAX, more_in, whole_in };
            assert!(rate_limit(&verdict).is_some());
        }
    }
}
