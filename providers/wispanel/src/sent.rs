//! A note in the connection's state that a change was about to be sent, so that a crash before it is told from one after it.
//!
//! For changes that the panel can't be asked about. Invariant: the note is durable before the request leaves; it goes when the panel
//! refused the change, when the operation was seen to end, or after a week.

use crate::client;
use portico_sdk::{Error, ErrorKind, clock, state, upstream::Request};
use serde_json::Value;

const PREFIX: &str = "sent/";
/// Nothing is recovered so late.
const WEEK: u64 = 7 * 24 * 60 * 60 * 1000;
/// So many old notes go with each new one.
const SWEPT: u32 = 20;

fn key(operation: &str) -> String {
    format!("{PREFIX}{operation}")
}

/// Sends a change that must not be made twice; returns what the panel told.
pub fn send(operation: &str, request: Request) -> Result<Value, Error> {
    let now = clock::now();
    sweep(now)?;
    state::set(&key(operation), now.to_string().as_bytes())?;
    let told = request.send().and_then(|response| client::told(&response));
    if told.as_ref().is_err_and(was_not_done) {
        clear(operation)?;
    }
    told
}

/// Operations that end with their answer leave their note behind.
fn sweep(now: u64) -> Result<(), Error> {
    for (key, at) in state::list(PREFIX, None, SWEPT)? {
        let at: u64 = String::from_utf8_lossy(&at).parse().unwrap_or_default();
        if now.saturating_sub(at) > WEEK {
            state::delete(&key)?;
        }
    }
    Ok(())
}

/// The panel refused it, or the gateway didn't send it (`upstream.send` of the contract).
fn was_not_done(error: &Error) -> bool {
    match (error.upstream_status, error.kind) {
        // A good status with a body that makes no sense: perhaps it was done.
        (Some(200..=299), ErrorKind::Internal) => false,
        (Some(status), _) => status < 500 && status != 408,
        (None, ErrorKind::Unavailable) => error.retry_after.is_some(),
        (None, ErrorKind::RateLimited | ErrorKind::Forbidden | ErrorKind::InvalidInput) => true,
        (None, _) => false,
    }
}

pub fn was(operation: &str) -> Result<bool, Error> {
    Ok(state::get(&key(operation))?.is_some())
}

pub fn clear(operation: &str) -> Result<(), Error> {
    state::delete(&key(operation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_sdk::{
        error::{rate_limited, timeout, unavailable},
        testing::{FakeHost, Method, response},
    };
    use serde_json::json;

    #[test]
    fn old_notes_go() {
        let host = FakeHost::install();
        host.on(Method::Post, "/x").reply(200, json!({}));
        send("op_1", client::PANEL.post(["x"])).unwrap();
        host.advance(WEEK);
        send("op_2", client::PANEL.post(["x"])).unwrap();
        assert_eq!(host.state().len(), 2, "a week isn't over");
        host.advance(1);
        send("op_3", client::PANEL.post(["x"])).unwrap();
        assert_eq!((was("op_1").unwrap(), was("op_2").unwrap(), was("op_3").unwrap()), (false, true, true));
    }

    #[test]
    fn the_note_stays_where_it_may_have_been_done() {
        let host = FakeHost::install();
        let noted = || {
            let _ = send("op_1", client::PANEL.post(["x"]));
            let noted = was("op_1").unwrap();
            clear("op_1").unwrap();
            noted
        };
        for (status, expected) in [(200, true), (400, false), (404, false), (408, true), (429, false), (500, true), (502, true)]
        {
            host.on(Method::Post, "/x").reply(status, json!({}));
            assert_eq!(noted(), expected, "{status}");
        }
        host.on(Method::Post, "/x").reply(200, json!({"success": false, "error": "no"}));
        assert!(!noted());
        host.on(Method::Post, "/x").reply_with(|_| Ok(response(200, &[], "{\"cut")));
        assert!(noted());
        for (error, expected) in [
            (timeout("late"), true),
            (unavailable("broke"), true),
            (unavailable("not now").with_retry_after(3), false),
            (rate_limited("later", Some(3)), false),
        ] {
            host.on(Method::Post, "/x").fail(error.clone());
            assert_eq!(noted(), expected, "{error:?}");
        }
    }
}
