//! The connection's small durable key-value store, with JSON on top of the bytes.
//!
//! Keys: 1 to 256 bytes. Values: 64 KiB at most. For facts that the upstream has no room for; not for secrets, not for caches.
//! Invariant: a write is durable when it returns, and no other connection ever sees it.

use crate::{Error, host, json};
use serde::{Serialize, de::DeserializeOwned};

/// Changes with every change of this connection's state: equal numbers mean that nothing changed.
pub fn revision() -> u64 {
    host::state_revision()
}

pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    host::state_get(key)
}

pub fn set(key: &str, value: &[u8]) -> Result<(), Error> {
    host::state_set(key, value)
}

/// Sets if the present value is `expected` (`None`: if there is none); false if it isn't, and nothing changed.
pub fn compare_and_set(key: &str, expected: Option<&[u8]>, value: &[u8]) -> Result<bool, Error> {
    host::state_compare_and_set(key, expected, value)
}

/// Deleting what doesn't exist is fine.
pub fn delete(key: &str) -> Result<(), Error> {
    host::state_delete(key)
}

/// Entries whose key starts with `prefix` and is greater than `after`, in byte order, at most `limit` (1 to 1000).
pub fn list(prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<(String, Vec<u8>)>, Error> {
    host::state_list(prefix, after, limit)
}

/// Every entry whose key starts with `prefix`, in byte order, however many pages it takes.
pub fn list_all(prefix: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
    const PAGE: u32 = 1000;
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    loop {
        let page = list(prefix, all.last().map(|(key, _)| key.as_str()), PAGE)?;
        let last = page.len() < PAGE as usize;
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}

/// The value under `key` as JSON.
pub fn get_json<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Error> {
    match get(key)? {
        Some(bytes) => json::from_slice(&bytes).map(Some),
        None => Ok(None),
    }
}

pub fn set_json<T: Serialize>(key: &str, value: &T) -> Result<(), Error> {
    set(key, &serde_json::to_vec(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    #[test]
    fn lists_beyond_one_page() {
        let _host = FakeHost::install();
        for index in 0..2345 {
            set_json(&format!("a/{index:05}"), &index).unwrap();
        }
        set_json("b/0", &1).unwrap();
        let all = list_all("a/").unwrap();
        assert_eq!(all.len(), 2345);
        assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(get_json::<u32>("a/00017").unwrap(), Some(17));
        assert_eq!(get_json::<u32>("a/none").unwrap(), None);
    }

    #[test]
    fn a_value_of_another_shape_is_an_error() {
        let _host = FakeHost::install();
        set("key", b"\"text\"").unwrap();
        assert!(get_json::<u32>("key").is_err());
    }
}
