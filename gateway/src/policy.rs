//! Policy: who is asking, from where, on what trail, what they may, and how much. The functions that every way into the API calls.
//!
//! Invariant: deny by default, and nothing here knows HTTP beyond its header fields.

mod authentication;
mod authorization;
mod client_address;
mod cors;
mod limits;
mod scopes;
mod tokens;
mod trail;
mod uses;

pub use authentication::{Authenticator, Principal, Refusal, Who, mint_token};
pub use authorization::{Access, Denied, GROUPS, Group, Rule, TABLE, authorize, rule};
pub use client_address::{ClientAddress, ForwardedHeader, Secure, TrustedProxies};
pub use cors::CorsConfig;
pub use limits::{Busy, Lane, Limits, LimitsConfig, Place, Policy, Quota, Rate, Verdict, Window};
pub use scopes::Scopes;
pub use tokens::{Issued, TokenError, TokenWish, Tokens};
pub use trail::{REQUEST_ID, Trace, Trail, mark, on_this_trail};
