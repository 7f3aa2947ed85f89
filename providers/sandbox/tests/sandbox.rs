//! The sandbox by its public face, group by group, on a fake host.
//!
//! Each file below is one group. Invariant: time moves only when a test says so.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "clippy knows test functions, not the helpers beside them")]

#[path = "sandbox/backups.rs"]
mod backups;
#[path = "sandbox/deployments.rs"]
mod deployments;
#[path = "sandbox/domains.rs"]
mod domains;
#[path = "sandbox/environments.rs"]
mod environments;
#[path = "sandbox/harness.rs"]
mod harness;
#[path = "sandbox/others.rs"]
mod others;
#[path = "sandbox/recovery.rs"]
mod recovery;
#[path = "sandbox/sites.rs"]
mod sites;
#[path = "sandbox/wordpress.rs"]
mod wordpress;
