//! Policy: who is asking, and who people are. The functions that every way into the API calls.
//!
//! Invariant: deny by default, and nothing here knows HTTP beyond its header fields.

mod accounts;
mod authentication;
mod backoff;
mod client_address;
mod email;
mod origin;
mod password;
mod session;

pub use accounts::{
    Acceptance, AccountError, Accounts, Entered, Identity, Invited, Login, Mode, Profile, Registration, RegistrationConfig,
    new_user,
};
pub use authentication::{Authenticator, Principal, Refusal, Who, mint_token};
pub use client_address::{ClientAddress, Secure};
pub use email::Email;
pub use origin::{Provenance, is_safe, provenance};
pub use password::{Passwords, PasswordsConfig, generate as generate_password};
pub use session::{SessionCookie, SessionsConfig, SeveralSessions, session_hash};
