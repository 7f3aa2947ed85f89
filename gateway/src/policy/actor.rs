//! A principal, as the store looks at it again where it changes what people and tokens may.
//!
//! In go a principal and the name of an action; out come its name and what the action takes. Invariant: the role that it was
//! let in with isn't handed on, so nothing that the store gives or takes is measured by it.

use super::{
    authentication::Principal,
    authorization::{Denied, rule},
};
use crate::{clock, store::Actor};

impl Principal {
    pub(super) fn acting(&self, action: &str) -> Result<Actor, Denied> {
        let least = rule(action).ok_or(Denied::Unlisted)?.role;
        Ok(Actor { name: self.name(), least, at: clock::now() })
    }
}
