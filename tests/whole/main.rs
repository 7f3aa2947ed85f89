//! Tests of the whole: a real gateway process, real sockets, real engines.
//!
//! Each module is one promise of the project. Invariant: they share nothing but the machine, so they run side by side. They begin by
//! name: `agreement`, which takes longest, is the first, and `cloud`, which waits most, among them.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that can't go on panics, and that is its report")]

mod agreement;
mod audit;
mod backup;
mod bad_input;
mod billing;
mod bounds;
mod cache;
mod clients;
mod cloud;
mod command_line;
mod conformance;
mod contract;
mod cors;
mod courtesy;
mod crowds;
mod deployments;
mod docs_page;
mod doors;
mod engine_e2e;
mod environments;
mod events;
mod filters;
mod floods;
mod guide;
mod hostile;
mod hosts;
mod hot_path;
mod idempotency;
mod identity;
mod invitations;
mod keys;
mod labels;
mod limits;
mod misread;
mod operations;
mod overload;
mod own_writes;
mod paging;
mod people;
mod prism;
mod prometheus;
mod protection;
mod recovery;
mod refusals;
mod roles;
mod secrets;
mod spine;
mod starts;
mod surface;
mod tenants;
mod throttle;
mod tls;
mod tokens;
mod traces;
mod trail;
mod transfers;
mod upgrade;
mod upstreams;
mod wordpress;
