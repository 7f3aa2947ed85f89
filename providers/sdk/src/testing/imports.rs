//! The imports as native code sees them: answered by the thread's [`FakeHost`](super::FakeHost), by the contract's rules.
//!
//! Invariant: the same names and signatures as `host::component`, and the same limits on state as a real host.

use super::{Background, BackgroundState, CURRENT, Inner, Level, RawRequest, Response};
use crate::{Error, error};

/// What a real host keeps to, from the contract.
const MAX_KEY: usize = 256;
const MAX_VALUE: usize = 64 * 1024;
const MAX_KEYS: usize = 100_000;
const MAX_LIST: u32 = 1000;
const MAX_RANDOM: u32 = 4096;

fn with<T>(use_it: impl FnOnce(&mut Inner) -> T) -> T {
    let current = CURRENT.with_borrow(Clone::clone);
    match current {
        Some(inner) => use_it(&mut inner.borrow_mut()),
        None => panic!("no fake host on this thread: start the test with `let host = FakeHost::install();`"),
    }
}

pub fn send(request: &RawRequest) -> Result<Response, Error> {
    let answer = with(|inner| {
        inner.requests.push(request.clone());
        inner.expectations.iter_mut().rev().find_map(|rule| rule.take(request))
    });
    // The host isn't borrowed any more: an answer may look at it.
    match answer {
        Some(answer) => answer(request),
        None => Err(error::internal(format!("no expectation for {:?} /{}", request.method, request.path.join("/")))),
    }
}

pub fn start(key: &str, request: &RawRequest) -> Result<String, Error> {
    with(|inner| {
        inner.requests.push(request.clone());
        let running = Background { state: BackgroundState::Running, status: None, received: 0, tail: Vec::new() };
        let ended = |known: &Background| known.state != BackgroundState::Running;
        if inner.background.get(key).is_none_or(ended) {
            inner.background.insert(key.to_owned(), running);
        }
        Ok(key.to_owned())
    })
}

pub fn watch(id: &str) -> Result<Background, Error> {
    with(|inner| inner.background.get(id).cloned().ok_or_else(|| error::not_found("no such background request")))
}

pub fn state_revision() -> u64 {
    with(|inner| inner.revision)
}

pub fn state_get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    check_key(key)?;
    with(|inner| Ok(inner.state.get(key).cloned()))
}

pub fn state_set(key: &str, value: &[u8]) -> Result<(), Error> {
    check_key(key)?;
    if value.len() > MAX_VALUE {
        return Err(error::quota_exceeded("a value of the state takes 64 KiB at most"));
    }
    with(|inner| {
        if inner.state.len() >= MAX_KEYS && !inner.state.contains_key(key) {
            return Err(error::quota_exceeded("the state holds 100,000 keys at most"));
        }
        inner.state.insert(key.to_owned(), value.to_vec());
        inner.revision += 1;
        Ok(())
    })
}

pub fn state_compare_and_set(key: &str, expected: Option<&[u8]>, value: &[u8]) -> Result<bool, Error> {
    if state_get(key)?.as_deref() != expected {
        return Ok(false);
    }
    state_set(key, value).map(|()| true)
}

pub fn state_delete(key: &str) -> Result<(), Error> {
    check_key(key)?;
    with(|inner| {
        if inner.state.remove(key).is_some() {
            inner.revision += 1;
        }
        Ok(())
    })
}

pub fn state_list(prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<(String, Vec<u8>)>, Error> {
    if !(1..=MAX_LIST).contains(&limit) {
        return Err(error::invalid_input("limit", "the limit is 1 to 1000"));
    }
    with(|inner| {
        let entries = inner.state.iter().filter(|(key, _)| key.starts_with(prefix));
        let entries = entries.filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
        Ok(entries.take(limit as usize).map(|(key, value)| (key.clone(), value.clone())).collect())
    })
}

fn check_key(key: &str) -> Result<(), Error> {
    match key.len() {
        1..=MAX_KEY => Ok(()),
        _ => Err(error::invalid_input("key", "a key of the state has 1 to 256 bytes")),
    }
}

pub fn write_log(level: Level, message: &str) {
    with(|inner| inner.logs.push((level, message.to_owned())));
}

pub fn now() -> u64 {
    with(|inner| inner.now)
}

/// Xorshift: the same bytes for the same seed.
pub fn random_bytes(len: u32) -> Vec<u8> {
    assert!(len <= MAX_RANDOM, "a host gives 4096 random bytes a call at most");
    with(|inner| {
        let mut next = || {
            inner.random ^= inner.random << 13;
            inner.random ^= inner.random >> 7;
            inner.random ^= inner.random << 17;
            (inner.random >> 32) as u8
        };
        (0..len).map(|_| next()).collect()
    })
}
