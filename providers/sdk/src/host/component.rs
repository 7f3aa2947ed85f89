//! The imports of a component: the generated functions under the names that the rest of the SDK uses.
//!
//! Only forwarding happens here. Invariant: the same names and signatures as `testing::imports`.

use super::{Background, Level, RawRequest, Response};
use crate::{Error, wit::imports::portico::provider as wit};

pub fn send(request: &RawRequest) -> Result<Response, Error> {
    wit::upstream::send(request)
}

pub fn start(key: &str, request: &RawRequest) -> Result<String, Error> {
    wit::upstream::start(key, request)
}

pub fn watch(id: &str) -> Result<Background, Error> {
    wit::upstream::watch(id)
}

pub fn state_revision() -> u64 {
    wit::state::revision()
}

pub fn state_get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    wit::state::get(key)
}

pub fn state_set(key: &str, value: &[u8]) -> Result<(), Error> {
    wit::state::set(key, value)
}

pub fn state_compare_and_set(key: &str, expected: Option<&[u8]>, value: &[u8]) -> Result<bool, Error> {
    wit::state::compare_and_set(key, expected, value)
}

pub fn state_delete(key: &str) -> Result<(), Error> {
    wit::state::delete(key)
}

pub fn state_list(prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<(String, Vec<u8>)>, Error> {
    wit::state::list(prefix, after, limit)
}

pub fn write_log(level: Level, message: &str) {
    wit::log::write(level, message);
}

pub fn now() -> u64 {
    wit::clock::now()
}

pub fn random_bytes(len: u32) -> Vec<u8> {
    wit::random::bytes(len)
}
