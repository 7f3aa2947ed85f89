//! Why a command failed, in words for whoever ran it.
//!
//! In goes an error with all that led to it; out comes one line. Invariant: nobody is pointed to a log that isn't written, and codes,
//! which are for clients of the API, are left out: the reason itself is said, also where clients don't get to read it.

use crate::model::Error;

/// From what was wanted to why it failed, separated by colons.
pub fn words(error: &anyhow::Error) -> String {
    let words = error.chain().map(|cause| match cause.downcast_ref::<Error>() {
        Some(error) => error.for_operators(),
        None => cause.to_string(),
    });
    words.collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use anyhow::Context as _;

    #[test]
    fn the_reason_is_said_and_codes_are_not() {
        let (told, text) = (|text: &str| Error { message: text.to_owned(), ..Error::gateway(text) }, "in use");
        for (error, wanted) in [
            (Error::gateway("database: disk full"), "database: disk full"),
            (told(text), "in use"),
            (Error { message: "1290:…".to_owned(), ..Error::gateway("") }, "1290:…"),
            (Error::new(Kind::InvalidInput, "chmod 700 it"), "chmod 700 it"),
            (Error::new(Kind::Trapped, "it trapped").with_internal("unreachable"), "it trapped (unreachable)"),
        ] {
            assert_eq!(words(&error.clone().into()), wanted);
            let within = Err::<(), _>(error).context("inner").context("outer").unwrap_err();
            assert_eq!(words(&within), format!("outer: inner: {wanted}"));
        }
        assert_eq!(words(&anyhow::anyhow!("plain")), "plain");
    }
}
