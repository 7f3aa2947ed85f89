//! The settings of a sandbox connection: their schema, and the values that calls need.
//!
//! In goes the JSON that Portico checked against the schema; out comes a checked `Settings`. Invariant: every refusal names the
//! field. It doesn't apply anything: `lib.rs` does.

use portico_sdk::{Error, ErrorKind, error};
use serde::Deserialize;
use std::collections::BTreeMap;

pub const MAX_SEEDS: u32 = 10_000;
const MAX_WORK_SECONDS: f64 = 86_400.0;

/// As the user wrote them.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub work_seconds: f64,
    pub seed_sites: u32,
    pub features_off: Vec<String>,
    pub fail: BTreeMap<String, String>,
    pub cache: BTreeMap<String, u32>,
    pub rate_limit: Option<String>,
    pub latency_url: Option<String>,
    pub blob_url: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            work_seconds: 2.0,
            seed_sites: 0,
            features_off: Vec::new(),
            fail: BTreeMap::new(),
            cache: BTreeMap::new(),
            rate_limit: None,
            latency_url: None,
            blob_url: None,
        }
    }
}

/// The words of the contract's error kinds, as `fail` and special names have them.
pub const KINDS: &[(&str, ErrorKind)] = &[
    ("invalid-input", ErrorKind::InvalidInput),
    ("not-found", ErrorKind::NotFound),
    ("conflict", ErrorKind::Conflict),
    ("unauthenticated", ErrorKind::Unauthenticated),
    ("forbidden", ErrorKind::Forbidden),
    ("rate-limited", ErrorKind::RateLimited),
    ("quota-exceeded", ErrorKind::QuotaExceeded),
    ("unsupported", ErrorKind::Unsupported),
    ("unavailable", ErrorKind::Unavailable),
    ("timeout", ErrorKind::Timeout),
    ("internal", ErrorKind::Internal),
];

pub fn kind(word: &str) -> Option<ErrorKind> {
    KINDS.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind)
}

fn words() -> String {
    KINDS.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
}

/// So many calls in so many milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    pub calls: u32,
    pub per: u64,
}

impl Settings {
    /// Refuses what the schema can't express, and what came past it.
    pub fn check(&self) -> Result<(), Error> {
        if !(0.0..=MAX_WORK_SECONDS).contains(&self.work_seconds) {
            return Err(error::invalid_input("work_seconds", "work takes 0 to 86400 seconds"));
        }
        if self.seed_sites > MAX_SEEDS {
            return Err(error::invalid_input("seed_sites", "at most 10000 sites can be there already"));
        }
        for (action, word) in &self.fail {
            if kind(word).is_none() {
                let message = format!("{word} isn't a kind of error; take one of {}", words());
                return Err(error::invalid_input(format!("fail.{action}"), message));
            }
        }
        self.rate()?;
        Ok(())
    }

    pub fn work_millis(&self) -> u64 {
        (self.work_seconds * 1000.0) as u64
    }

    pub fn rate(&self) -> Result<Option<RateLimit>, Error> {
        let Some(text) = &self.rate_limit else { return Ok(None) };
        let parsed = text.split_once('/').and_then(|(calls, unit)| {
            let per = match unit {
                "s" => 1_000,
                "min" => 60_000,
                "h" => 3_600_000,
                _ => return None,
            };
            let calls: u32 = calls.parse().ok().filter(|calls| (1..1_000_000).contains(calls))?;
            Some(RateLimit { calls, per })
        });
        match parsed {
            Some(limit) => Ok(Some(limit)),
            None => Err(error::invalid_input("rate_limit", format!("{text} isn't a rate; write it as 60/min, 5/s or 100/h"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_sdk::json;
    use serde_json::{Value, json};

    fn refused(settings: Value) -> String {
        let settings: Settings = json::read(&settings).unwrap();
        settings.check().unwrap_err().field.unwrap()
    }

    #[test]
    fn refusals_name_the_field() {
        for (settings, field) in [
            (json!({"work_seconds": -1}), "work_seconds"),
            (json!({"work_seconds": 1e9}), "work_seconds"),
            (json!({"seed_sites": 10_001}), "seed_sites"),
            (json!({"fail": {"sites.list": "boom"}}), "fail.sites.list"),
            (json!({"rate_limit": "0/min"}), "rate_limit"),
            (json!({"rate_limit": "5/day"}), "rate_limit"),
            (json!({"rate_limit": "5"}), "rate_limit"),
        ] {
            assert_eq!(refused(settings.clone()), field, "{settings}");
        }
    }

    #[test]
    fn the_schema_has_the_same_limits() {
        let schema: Value = json::from_str(include_str!("settings.schema.json")).unwrap();
        let of = |pointer: &str| schema.pointer(&format!("/properties/{pointer}")).cloned().unwrap();
        assert_eq!(of("seed_sites/maximum"), json!(MAX_SEEDS));
        assert_eq!(of("work_seconds/maximum").as_f64(), Some(MAX_WORK_SECONDS));
        let kinds: Vec<&str> = KINDS.iter().map(|(word, _)| *word).collect();
        assert_eq!(of("fail/additionalProperties/enum"), json!(kinds));
    }

    #[test]
    fn defaults_are_fine() {
        let settings: Settings = json::read(&json!({})).unwrap();
        settings.check().unwrap();
        assert_eq!(settings.work_millis(), 2000);
        let limited: Settings = json::read(&json!({"rate_limit": "60/min"})).unwrap();
        assert_eq!(limited.rate().unwrap(), Some(RateLimit { calls: 60, per: 60_000 }));
    }
}
