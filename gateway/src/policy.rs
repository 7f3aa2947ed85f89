//! Policy: who is asking, and who people are; from where, on what trail, what they may, and how much. The functions that every
//! way into the API calls.
//!
//! Invariant: deny by default, and nothing here knows HTTP beyond its header fields.

mod accounts;
mod actor;
mod authentication;
mod authorization;
mod backoff;
mod caller;
mod client_address;
mod cors;
mod email;
mod fair;
mod limits;
mod origin;
mod password;
mod scopes;
mod session;
mod tokens;
mod trail;
mod uses;

pub use accounts::{
    Acceptance, AccountError, Accounts, Entered, Identity, Invited, Login, Mode, Profile, Registration, RegistrationConfig,
    new_user,
};
pub use authentication::{Admission, Authenticator, Principal, Refusal, Who, mint_token};
pub use authorization::{Access, Denied, GROUPS, Group, Rule, TABLE, authorize, is_for_others, rule};
pub use caller::Caller;
pub use client_address::{ClientAddress, ForwardedHeader, Secure, TrustedProxies};
pub use cors::{CorsConfig, Origin};
pub use email::Email;
pub use fair::{Fair, Walk};
pub use limits::{
    AnswerBy, Busy, Lane, Limits, LimitsConfig, Owed, PIECE, Place, Policy, Quota, Rate, Repeatable, Unsent, Verdict, Waiting,
    Window, aside_after, holding, step_aside,
};
pub use origin::{Listed, Provenance, is_safe, provenance};
pub use password::{Asker, Passwords, PasswordsConfig, generate as generate_password};
pub use scopes::Scopes;
pub use session::{SessionCookie, SessionsConfig, SeveralSessions, session_hash};
pub use tokens::{Issued, TokenError, TokenWish, Tokens};
pub use trail::{REQUEST_ID, Trace, Trail, caller, mark, on_behalf_of, on_this_trail};
