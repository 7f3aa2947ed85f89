//! Who asks for a change of what people and tokens may, to be looked at again in the transaction that makes it.
//!
//! In go a principal's name, and the least role that the change takes; out comes what was changed, or what is against it.
//! Invariant: what is given or taken is measured by the role of who asks at the commit, never by the one they were let in with.

use crate::model::{Error, Role, Timestamp};

/// They were let in before; since then their role may have been taken away.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The principal's.
    pub name: String,
    /// Which role the change takes, whoever it is about.
    pub least: Role,
    /// When they asked: a token that had expired by then is nobody.
    pub at: Timestamp,
}

/// What is against a change; nothing is changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    /// Whoever asks is no member any more, or their token is gone or has expired.
    Gone,
    /// They haven't the least role that it takes, which is this one.
    Below(Role),
    /// It is about a role above theirs, which is this one.
    Above(Role),
}

/// The answer of a change that is measured by who asks for it.
pub type Measured<T> = Result<Result<T, Objection>, Error>;
