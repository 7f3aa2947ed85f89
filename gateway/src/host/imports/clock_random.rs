//! The imports `clock` and `random`.
//!
//! Invariant: neither says anything about the gateway: the time is the wall clock in milliseconds, and the bytes come from the
//! system's generator.

use crate::host::{
    data::Data,
    trap::{Reason, Stopped},
};
use portico_bindings::portico::provider::{clock, random};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::time::{SystemTime, UNIX_EPOCH};

const MAX_RANDOM: u32 = 4096;

impl clock::Host for Data {
    async fn now(&mut self) -> wasmtime::Result<clock::Timestamp> {
        self.reach("clock.now")?;
        #[expect(clippy::disallowed_methods, reason = "what a guest's clock shows is the wall clock")]
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl random::Host for Data {
    async fn bytes(&mut self, len: u32) -> wasmtime::Result<Vec<u8>> {
        self.reach("random.bytes")?;
        if len > MAX_RANDOM {
            return Err(Stopped::error(
                Reason::Limit,
                format!("random.bytes was asked for {len} bytes; {MAX_RANDOM} is the most"),
            ));
        }
        let mut bytes = vec![0; len as usize];
        SystemRandom::new().fill(&mut bytes).map_err(|_| Stopped::error(Reason::Other, "the system gave no random bytes"))?;
        self.count_in(bytes.len())?;
        Ok(bytes)
    }
}
