//! Limits on guests: every number, its default, and why it is that.
//!
//! In goes the `[host]` table of the config file; out come numbers that were checked against each other. Invariant: nothing
//! a guest can do is without one. What egress limits (sizes and times of upstream requests) isn't here.

use crate::model::{Error, Kind};
use std::time::Duration;

/// How often the engine's epoch advances. Guests yield to other tasks this often, so it bounds the delay they can cause;
/// a hundred wake-ups a second cost nothing that shows.
pub(super) const TICK: Duration = Duration::from_millis(10);

const MIB: u64 = 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of linear memory of one instance. 64 MiB holds lists of ten thousand sites with their native JSON.
    pub memory: u64,
    /// Elements of each table; a provider in Rust has a few hundred.
    pub table_elements: u32,
    /// Instances at the same time, idle ones included. Each holds a few hundred KiB, so 128 stay in tens of MiB.
    pub instances: u32,
    /// Calls at the same time of one organization: half the instances, and at most four times as many as are free. So has one connection
    /// of those of its organization, and the last sixteenth of both is for those that have none: no host that hangs takes them all.
    pub calls_per_organization: u32,
    /// Calls of one organization that wait for others to end, in turn by who asks; of more, one of who has the most is refused.
    pub waiting_per_organization: u32,
    /// Guests of one organization that may go on computing at the same time once a tick (10 ms) has met them; they take turns. 0 is
    /// one less than there are processors, at least one.
    pub computing_per_organization: u32,
    /// Milliseconds that a call waits for others to end when all are busy; a read that waits for its upstream's limits waits for those.
    pub wait_ms: u32,
    /// Milliseconds of computing in one guest call. A list of 10,000 sites takes tens of them.
    pub cpu_ms: u32,
    /// Seconds of one guest call, upstream waits included.
    pub wall_seconds: u32,
    /// Bytes that one answer, or one argument of an import, may hold.
    pub answer_bytes: u32,
    /// Upstream requests in one guest call. A page-wise list of 10,000 sites needs 100.
    pub upstream_calls: u32,
    /// Calls of `state` in one guest call.
    pub state_calls: u32,
    /// Bytes that one guest call may send through imports, and as many that it may receive.
    pub traffic_bytes: u64,
    /// Log lines of one guest call; the rest is counted.
    pub log_lines: u32,
    /// Calls after which an instance is replaced, so that leaks end.
    pub reuse_calls: u32,
    /// Seconds after which an instance is replaced.
    pub reuse_seconds: u32,
    /// Seconds after which an unused instance is dropped.
    pub idle_seconds: u32,
    /// Bytes of memory beyond which an instance isn't kept for the next call.
    pub idle_memory: u64,
    /// Items of one list over all of its pages.
    pub list_items: u32,
    /// Bytes of one list over all of its pages.
    pub list_bytes: u64,
    /// Bytes of a component. One with a JavaScript engine inside has about 12 MiB.
    pub component_bytes: u64,
    /// Seconds of processor time that compiling an untrusted component may take.
    pub compile_seconds: u32,
    /// Bytes of address space that compiling an untrusted component may take.
    pub compile_memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 64 * MIB,
            table_elements: 20_000,
            instances: 128,
            calls_per_organization: 64,
            waiting_per_organization: 80,
            computing_per_organization: 0,
            wait_ms: 1_000,
            cpu_ms: 2_000,
            wall_seconds: 120,
            answer_bytes: 8 * 1024 * 1024,
            upstream_calls: 200,
            state_calls: 10_000,
            traffic_bytes: 32 * MIB,
            log_lines: 100,
            reuse_calls: 1_000,
            reuse_seconds: 600,
            idle_seconds: 30,
            idle_memory: 16 * MIB,
            list_items: 100_000,
            list_bytes: 64 * MIB,
            component_bytes: 32 * MIB,
            compile_seconds: 120,
            compile_memory: 4096 * MIB,
        }
    }
}

impl Limits {
    /// Ranges outside of which the host can't work; the message names the key.
    pub(super) fn check(&self) -> Result<(), Error> {
        let ranges = [
            ("memory", self.memory, MIB, 1024 * MIB),
            ("table_elements", self.table_elements.into(), 100, 1_000_000),
            ("instances", self.instances.into(), 2, 4096),
            ("calls_per_organization", self.calls_per_organization.into(), 1, 4096),
            ("waiting_per_organization", self.waiting_per_organization.into(), 1, 65_536),
            ("cpu_ms", self.cpu_ms.into(), 10, 600_000),
            ("wall_seconds", self.wall_seconds.into(), 1, 3600),
            ("answer_bytes", self.answer_bytes.into(), 64 * 1024, 128 * MIB),
            ("list_items", self.list_items.into(), 1, 10_000_000),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                let text = format!("limits.{key} is {value}; set it between {least} and {most}");
                return Err(Error::new(Kind::InvalidInput, text).with_field(format!("limits.{key}")));
            }
        }
        Ok(())
    }

    pub(super) fn cpu_ticks(&self) -> u32 {
        ticks(self.cpu_ms)
    }

    pub(super) fn wall(&self) -> Duration {
        Duration::from_secs(self.wall_seconds.into())
    }

    pub(super) fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms.into())
    }

    pub(super) fn computing(&self) -> usize {
        match self.computing_per_organization {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get).saturating_sub(1).max(1),
            given => given as usize,
        }
    }
}

/// Milliseconds in ticks, at least one.
pub(super) fn ticks(millis: u32) -> u32 {
    (millis / TICK.as_millis() as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_in_range_and_a_wrong_one_is_named() {
        Limits::default().check().unwrap();
        let error = Limits { memory: 1, ..Limits::default() }.check().unwrap_err();
        assert_eq!(error.field.as_deref(), Some("limits.memory"));
    }
}
