//! Policy: who is asking, and what they may. The functions that every way into the API calls.
//!
//! Invariant: deny by default, and nothing here knows HTTP beyond the value of a header.

mod authentication;
mod authorization;
mod client_address;
mod scopes;
mod tokens;
mod uses;

pub use authentication::{Authenticator, Principal, Refusal, Who, mint_token};
pub use authorization::{Access, Denied, GROUPS, Group, Rule, TABLE, authorize, rule};
pub use client_address::{ClientAddress, Secure};
pub use scopes::Scopes;
pub use tokens::{Issued, TokenError, TokenWish, Tokens};
