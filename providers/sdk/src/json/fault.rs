//! Why a value can't be read as a type: where, and what was expected there.
//!
//! Invariant: no text of the document gets in, but for the names of the fields and keys on the way, cut short.

use crate::{Error, error::internal};
use serde::de::{self, Expected, Unexpected};
use std::fmt::{self, Display, Formatter};

/// Characters of a key that are told.
const STEP: usize = 64;

/// Small, since every field of every type hands one on.
#[derive(Debug)]
pub struct Fault(Box<Inner>);

#[derive(Debug)]
struct Inner {
    /// `environments.0.id`, outermost first; empty: the document itself.
    path: String,
    what: String,
    /// Nothing is there.
    missing: bool,
}

impl Fault {
    #[cold]
    pub fn expected(what: &str) -> Self {
        Self::new(format!("isn't {what}"))
    }

    pub fn unknown() -> Self {
        Self::new("isn't known here".to_owned())
    }

    #[cold]
    pub fn missing() -> Self {
        let mut fault = Self::new("is missing".to_owned());
        fault.0.missing = true;
        fault
    }

    #[cold]
    fn new(what: String) -> Self {
        Self(Box::new(Inner { path: String::new(), what, missing: false }))
    }

    /// Not what is inside of it: itself.
    pub const fn is_missing(&self) -> bool {
        self.0.missing && self.0.path.is_empty()
    }

    /// The same, seen from the object or list around it.
    #[cold]
    pub fn within(mut self, step: &str) -> Self {
        let step: String = step.chars().take(STEP).collect();
        let inner = &mut self.0;
        inner.path = if inner.path.is_empty() { step } else { format!("{step}.{}", inner.path) };
        self
    }
}

impl Display for Fault {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self.0.path.as_str() {
            "" => write!(formatter, "it {}", self.0.what),
            path => write!(formatter, "`{path}` {}", self.0.what),
        }
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for Error {
    #[cold]
    fn from(fault: Fault) -> Self {
        internal(format!("a document has an unexpected shape: {fault}"))
    }
}

/// serde's own texts quote the value that was found.
impl de::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(format!("can't be read: {message}"))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("isn't {expected}"))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    /// A struct that asks for a field and gets none, where there is no default.
    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self::missing()
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("isn't one of {}", expected.join(", ")))
    }
}
