//! Policy: who is asking, and how much. The functions that every way into the API calls.
//!
//! Invariant: deny by default, and nothing here knows HTTP beyond the value of a header.

mod authentication;
mod client_address;
mod limits;

pub use authentication::{Authenticator, Principal, Refusal, Who, mint_token};
pub use client_address::ClientAddress;
pub use limits::{Busy, Lane, Limits, LimitsConfig, Place, Policy, Quota, Rate, Verdict, Window};
