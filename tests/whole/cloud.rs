//! The five cloud providers through the gateway, each against a simulator of its host, and all of them together.
//!
//! Invariant: these tests mostly wait for a host's work to end, so they begin among the first, by name, and leave the processors to
//! those beside them.

mod kinsta;
mod siteico;
mod sitepod;
mod together;
mod wispanel;
mod wpengine;
