//! Portico, the gateway: one site, backup, domain, deployment, WordPress and billing API over many hosting systems.
//!
//! A request flows one way, and rooms import only rightwards:
//! `server -> hot_path | layers -> api -> operations -> dispatch -> host -> (wit) -> guest -> egress -> upstream`.
//! `model`, `clock`, `seal`, `metrics`, `store`, `policy`, `events`, `access_log` and `wipe` stand beside the way; `app` knows everyone.

pub mod access_log;
pub mod api;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dispatch;
pub mod egress;
pub mod events;
pub mod host;
pub mod hot_path;
pub mod layers;
pub mod metrics;
pub mod model;
pub mod operations;
pub mod policy;
pub mod seal;
pub mod server;
pub mod store;
pub mod wipe;
