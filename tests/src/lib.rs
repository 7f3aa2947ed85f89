//! Harness of the tests of the whole: the gateway as a real process, upstreams on loopback, real engines.
//!
//! In goes nothing but a configuration; out come running parts that end with the value that stands for them. Invariant: every
//! server here listens on loopback, on a port that the system chose, and what a test started is gone when the test is.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that can't go on panics, and that is its report")]

pub mod api;
pub mod browser;
mod chance;
mod compiled;
mod document;
#[path = "../engine/engine.rs"]
pub mod engine;
pub mod gateway;
pub mod memory;
mod routes;
pub mod simulators;
mod sse;
pub mod tls;
pub mod upstream;
mod wait;

pub use api::{Api, Reply};
pub use chance::Chance;
pub use gateway::{Gateway, Setup};
pub use sse::{Sse, SseEvent};
pub use upstream::{Answer, Seen, Upstream};
pub use wait::{eventually, wait_until};
