//! Harness of the tests of the whole: real processes, real engines.

#[path = "../engine/engine.rs"]
pub mod engine;
