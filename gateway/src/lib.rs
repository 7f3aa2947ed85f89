//! Portico, the gateway: one site, backup, domain, deployment, WordPress and billing API over many hosting systems.
//!
//! A request flows one way, and rooms import only rightwards:
//! `server -> layers -> api -> operations -> dispatch -> host -> (wit) -> guest -> egress -> upstream`.
//! `model`, `config`, `policy` and `seal` are leaves; `store` and `metrics` are written to from the side; `app` knows everyone.

pub mod egress;
pub mod host;
pub mod metrics;
pub mod model;
pub mod operations;
pub mod seal;
pub mod store;
