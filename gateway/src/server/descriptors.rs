//! File descriptors: every connection takes one, and the system limits them.
//!
//! In goes the number of connections that the operator wants; out comes how many there can be. Invariant: some descriptors are
//! left for the store, upstreams and the log, so that a flood of clients never costs them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For the store, the log, upstreams, the other listener.
const KEPT: u64 = 512;

/// Raises the soft limit to the hard one, as far as it is needed.
pub fn most(wanted: usize) -> usize {
    let needed = wanted as u64 + KEPT;
    let limit = raised(getrlimit(Resource::Nofile), needed);
    if limit >= needed {
        return wanted;
    }
    // Half of a limit that is very low.
    let most = limit.saturating_sub(KEPT).max(limit / 2);
    tracing::warn!(
        wanted,
        most,
        "`server.max_connections` needs {needed} file descriptors, and {limit} are allowed: raise LimitNOFILE or ulimit -n"
    );
    usize::try_from(most).unwrap_or(wanted).min(wanted)
}

fn raised(limit: Rlimit, needed: u64) -> u64 {
    let (soft, hard) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    let wanted = needed.min(hard);
    if soft >= wanted {
        return soft;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit }) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::warn!(%error, "could not raise the limit on file descriptors");
            soft
        }
    }
}
