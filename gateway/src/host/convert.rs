//! Conversions between the contract's types and the model's.
//!
//! In go what guests answered and what the model asks; out come the other side's types. Invariant: nothing a guest said enters
//! the model unchecked (ids, JSON, times, sizes), and composite ids are made here and nowhere else.

mod billing;
mod deployment;
mod error;
mod provider;
mod resource;
mod transfer;
mod wordpress;
mod work;

pub(super) use billing::{billing_usage, checkout_input, invoice, subscription, web_address};
pub(super) use deployment::{deployment, plan, plan_input};
pub(super) use error::{error_from_guest, error_to_guest};
pub(super) use provider::{configuration, description};
pub(super) use resource::{
    Scope, backup, backup_kind, contents, domain, environment, environment_kind, log_line, site, site_kind, usage,
};
pub(super) use transfer::transfer;
pub(super) use wordpress::{
    admin_create, cache_action, extension, extension_action, extension_kind, install, search_replace, security_change,
    wordpress_cache, wordpress_security, wordpress_status, wordpress_target,
};
pub(super) use work::{finding, progress, work};

use super::trap::broken;
use crate::model::{Error, Timestamp};
use serde_json::value::RawValue;

/// The contract's most for an id.
const MAX_ID: usize = 512;
/// The last moment that has a date in every time zone: RFC 3339 has no year after 9999.
const MAX_TIME: u64 = 253_402_207_199_999;

fn check_id(what: &str, id: &str) -> Result<(), Error> {
    if (1..=MAX_ID).contains(&id.len()) {
        return Ok(());
    }
    Err(broken(format_args!("the id of a {what} has 1 to {MAX_ID} bytes, not {}", id.len())))
}

fn raw(what: &str, json: String) -> Result<Box<RawValue>, Error> {
    RawValue::from_string(json).map_err(|error| broken(format_args!("{what} is not JSON: {error}")))
}

fn native(json: Option<String>) -> Result<Option<Box<RawValue>>, Error> {
    json.map(|json| raw("native", json)).transpose()
}

fn time(millis: Option<u64>) -> Result<Option<Timestamp>, Error> {
    let convert = |millis: u64| {
        let millis = i64::try_from(millis.min(MAX_TIME + 1)).unwrap_or(i64::MAX);
        if millis as u64 > MAX_TIME {
            return Err(broken("a time lies after the year 9999; times are milliseconds since 1970"));
        }
        Ok(Timestamp::from_millis(millis))
    };
    millis.map(convert).transpose()
}

/// Cuts a sentence for people to a length that fits any page, at a character, without control characters.
fn sentence(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    if text.chars().any(char::is_control) {
        text = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_beyond_rfc_3339_are_refused() {
        assert_eq!(time(Some(MAX_TIME)).unwrap().unwrap().to_string(), "9999-12-30T21:59:59.999Z");
        for millis in [MAX_TIME + 1, u64::MAX] {
            assert!(time(Some(millis)).is_err(), "{millis}");
        }
        assert_eq!(time(None).unwrap(), None);
    }

    #[test]
    fn sentences_are_cut_at_a_character_and_have_no_control_characters() {
        assert_eq!(sentence("aé\n".into(), 2), "a");
        assert_eq!(sentence("a\nb".into(), 10), "a b");
    }
}
