//! Policy: who is asking, from where, and on what trail. The functions that every way into the API calls.
//!
//! Invariant: deny by default, and nothing here knows HTTP beyond its header fields.

mod authentication;
mod client_address;
mod cors;
mod trail;

pub use authentication::{Authenticator, Principal, Refusal, Who, mint_token};
pub use client_address::{ClientAddress, ForwardedHeader, Secure, TrustedProxies};
pub use cors::CorsConfig;
pub use trail::{REQUEST_ID, Trace, Trail, mark, on_this_trail};
