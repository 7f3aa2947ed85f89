//! The settings of a sandbox connection: their schema, and the values that calls need.
//!
//! In goes the JSON that Portico checked against the schema; out comes a checked `Settings`. Invariant: every refusal names the
//! field. It doesn't apply anything: `lib.rs` does.

use portico_sdk::{Error, ErrorKind, error};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub const MAX_SEEDS: u32 = 10_000;
const MAX_CACHE_SECONDS: u32 = 86_400;
const MAX_WORK_SECONDS: f64 = 86_400.0;

/// As the user wrote them.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
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

pub fn schema() -> Value {
    let kinds: Vec<&str> = KINDS.iter().map(|(word, _)| *word).collect();
    json!({
        "type": "object",
        "title": "Sandbox",
        "additionalProperties": false,
        "properties": {
            "work_seconds": {
                "type": "number", "minimum": 0, "maximum": MAX_WORK_SECONDS, "default": 2, "title": "Seconds that work takes",
                "description": "How long a creation, a backup and other work take. 0: everything is done at once",
            },
            "seed_sites": {
                "type": "integer", "minimum": 0, "maximum": MAX_SEEDS, "default": 0, "title": "Sites that are there already",
                "description": "So many sites, always the same ones, named seed-00001 and so on",
            },
            "features_off": {
                "type": "array", "items": { "type": "string" }, "uniqueItems": true, "default": [], "title": "Features to switch off",
                "description": "Names of features (sites.clone, sites.create.php_version) or groups of them (billing)",
            },
            "fail": {
                "type": "object", "additionalProperties": { "enum": kinds }, "default": {}, "title": "Actions that fail",
                "description": "The error that an action always ends with, such as {\"sites.list\": \"unavailable\"}",
            },
            "cache": {
                "type": "object", "additionalProperties": { "type": "integer", "minimum": 0, "maximum": MAX_CACHE_SECONDS },
                "default": {}, "title": "Seconds for which answers are kept",
                "description": "How long an answer of a read may be served again, such as {\"sites.get\": 60}",
            },
            "rate_limit": {
                "type": "string", "pattern": "^[1-9][0-9]{0,5}/(s|min|h)$", "title": "Rate limit",
                "description": "So many calls in a second, minute or hour, such as 60/min; more are refused as rate-limited",
            },
            "latency_url": {
                "type": "string", "format": "uri", "title": "Where latency comes from",
                "description": "An HTTP address that is asked before every call and takes as long as the call shall take",
            },
            "blob_url": {
                "type": "string", "format": "uri", "title": "Where bulk bytes live",
                "description": "The base address of an HTTP server that keeps uploaded files (PUT blobs/HASH) and backups (GET backups/ID)",
            },
        },
    })
}

/// JSON Schema of the `options` of sites.create.
pub fn site_options_schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "multisite": { "type": "boolean", "default": false, "title": "WordPress multisite" },
            "woocommerce": { "type": "boolean", "default": false, "title": "Install WooCommerce" },
        },
    })
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

    fn refused(settings: Value) -> String {
        let settings: Settings = serde_json::from_value(settings).unwrap();
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
    fn defaults_are_fine() {
        let settings: Settings = serde_json::from_value(json!({})).unwrap();
        settings.check().unwrap();
        assert_eq!(settings.work_millis(), 2000);
        let limited: Settings = serde_json::from_value(json!({"rate_limit": "60/min"})).unwrap();
        assert_eq!(limited.rate().unwrap(), Some(RateLimit { calls: 60, per: 60_000 }));
    }
}
