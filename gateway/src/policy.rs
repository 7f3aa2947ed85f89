//! Policy: who is asking. The functions that every way into the API calls.
//!
//! Invariant: deny by default, and nothing here knows HTTP beyond the value of a header.

mod authentication;

pub use authentication::{Authenticator, Principal, Refusal, Who, mint_token};
