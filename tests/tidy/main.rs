//! Tidiness that a compiler doesn't check: what a room may import and know, what has to be described, and the form of files.
//!
//! In go the sources of this checkout, out come lines `path:line: what is wrong`. Invariant: every rule has a test that it
//! catches a violation, so that a rule which stopped looking is noticed. It reads text, not types: a rule that would need
//! types belongs into clippy.toml.
#![allow(clippy::expect_used, reason = "a test that can't go on panics, and that is its report")]

mod contract;
mod form;
mod knowledge;
mod rooms;
mod source;

use source::{File, repository};

type Rule = fn(&File) -> Vec<String>;

#[track_caller]
fn assert_none(rules: &[Rule]) {
    let files = repository();
    assert!(files.len() > 50, "only {} files were found", files.len());
    let wrong: Vec<String> = files.iter().flat_map(|file| rules.iter().flat_map(|rule| rule(file))).collect();
    assert!(wrong.is_empty(), "{} untidy places:\n{}", wrong.len(), wrong.join("\n"));
}

/// A file of this path and text breaks the rule (or, with `None`, doesn't); the message holds these words.
#[track_caller]
fn check(rule: Rule, path: &str, text: &str, wanted: Option<&str>) {
    let found = rule(&File::new(path, text));
    match wanted {
        None => assert!(found.is_empty(), "{path} is fine, but: {found:?}"),
        Some(words) => assert!(found.iter().any(|one| one.contains(words)), "{path}: wanted {words:?}, got {found:?}"),
    }
}

#[test]
fn rooms_import_one_way() {
    assert_none(&[rooms::imports]);
}

#[test]
fn rooms_know_only_what_is_theirs() {
    assert_none(&[knowledge::secrets_of_rooms]);
}

#[test]
fn rooms_and_the_contract_are_described() {
    assert_none(&[rooms::rows, contract::functions]);
}

#[test]
fn files_have_their_form() {
    assert_none(&[form::head, form::length, form::place, form::unfinished, form::ignored, form::example, form::machine]);
}

#[test]
fn the_service_is_started_until_it_runs() {
    assert_none(&[form::unit]);
}

#[test]
fn nothing_panics_outside_tests() {
    assert_none(&[form::unwrap]);
}
