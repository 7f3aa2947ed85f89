//! Special names: what a thing is called decides how the work on it ends.
//!
//! `conflict` or `conflict-anything` in a new thing's name decides how its creation ends; `fail-stop-anything` in a site's name
//! decides how stopping that site ends. Invariant: a name without such a word changes nothing.

use crate::settings;
use portico_sdk::{Error, ErrorKind};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Accepted, and fails when its time has come.
    Fail,
    /// Takes ten times as long.
    Slow,
    /// Never ends by itself; it can be canceled.
    Stuck,
    /// Refused at once.
    Refuse(ErrorKind),
    /// The component traps.
    Trap,
}

const WORDS: &[(&str, Outcome)] = &[
    ("fail", Outcome::Fail),
    ("slow", Outcome::Slow),
    ("stuck", Outcome::Stuck),
    ("trap", Outcome::Trap),
    ("quota", Outcome::Refuse(ErrorKind::QuotaExceeded)),
    ("invalid", Outcome::Refuse(ErrorKind::InvalidInput)),
    ("conflict", Outcome::Refuse(ErrorKind::Conflict)),
    ("rate-limited", Outcome::Refuse(ErrorKind::RateLimited)),
    ("unavailable", Outcome::Refuse(ErrorKind::Unavailable)),
    ("timeout", Outcome::Refuse(ErrorKind::Timeout)),
    ("unauthenticated", Outcome::Refuse(ErrorKind::Unauthenticated)),
    ("forbidden", Outcome::Refuse(ErrorKind::Forbidden)),
    ("internal", Outcome::Refuse(ErrorKind::Internal)),
];

/// What a site's name may name: one verb for each kind of work.
const VERBS: &[&str] = &[
    "create",
    "update",
    "delete",
    "start",
    "stop",
    "clone",
    "environment",
    "push",
    "backup",
    "restore",
    "domain",
    "verify",
    "deploy",
    "rollback",
    "release",
    "wordpress",
];

/// The word at the start of a name, and what follows it.
fn split(name: &str) -> Option<(Outcome, &str)> {
    WORDS.iter().find_map(|(word, outcome)| {
        let rest = name.strip_prefix(word)?;
        let ends = rest.is_empty() || rest.starts_with(['-', '.', ' ', '_']);
        ends.then(|| (*outcome, rest.get(1..).unwrap_or("")))
    })
}

fn verb(rest: &str) -> Option<&str> {
    let first = rest.split(['-', '.', ' ', '_']).next()?;
    VERBS.contains(&first).then_some(first)
}

/// For work of this verb on a thing of this name: `made` when the work makes the thing.
pub fn of(name: &str, wanted: &str, made: bool) -> Option<Outcome> {
    let (outcome, rest) = split(name)?;
    match verb(rest) {
        Some(verb) => (verb == wanted || made && verb == "create").then_some(outcome),
        None => made.then_some(outcome),
    }
}

/// The error of a kind that was asked for, by a name or by `fail` in the settings.
pub fn refusal(kind: ErrorKind, field: &str) -> Error {
    let word = settings::KINDS.iter().find(|(_, known)| *known == kind).map_or("internal", |(word, _)| word);
    let error = Error::new(kind, format!("the sandbox was asked to answer {word}"));
    match kind {
        ErrorKind::InvalidInput | ErrorKind::Unsupported => error.with_field(field),
        ErrorKind::RateLimited => error.with_upstream_status(429).with_retry_after(5),
        ErrorKind::Unavailable => error.with_upstream_status(503),
        ErrorKind::Unauthenticated => error.with_upstream_status(401),
        ErrorKind::Forbidden => error.with_upstream_status(403),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide() {
        let refuse = |kind| Some(Outcome::Refuse(kind));
        for (name, verb, made, expected) in [
            ("blog", "create", true, None),
            ("fail", "create", true, Some(Outcome::Fail)),
            ("fail-create", "create", true, Some(Outcome::Fail)),
            ("fail-7", "create", true, Some(Outcome::Fail)),
            ("fail-stop", "create", true, None),
            ("fail-stop", "stop", false, Some(Outcome::Fail)),
            ("fail-stop-7", "start", false, None),
            ("fail", "stop", false, None),
            ("failure", "create", true, None),
            ("slow-shop", "create", true, Some(Outcome::Slow)),
            ("stuck", "create", true, Some(Outcome::Stuck)),
            ("trap.example.com", "domain", true, Some(Outcome::Trap)),
            ("rate-limited", "create", true, refuse(ErrorKind::RateLimited)),
            ("quota-1", "backup", true, refuse(ErrorKind::QuotaExceeded)),
            ("unavailable-backup-x", "backup", false, refuse(ErrorKind::Unavailable)),
            ("fail-verify.example.com", "domain", true, None),
            ("fail-verify.example.com", "verify", false, Some(Outcome::Fail)),
        ] {
            assert_eq!(of(name, verb, made), expected, "{name} {verb}");
        }
    }
}
