//! The forms in the document and the functions that check values take the same values.
//!
//! In go strings made from a form's own pattern, and arbitrary ones; a failure comes out where one side takes what the other
//! refuses. Invariant: a limit or a pattern that is changed on one side alone fails here.

use super::*;
use crate::{
    model::{Network, form},
    policy::Group,
};
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// What values at the edge are made of.
const EDGES: [&str; 14] =
    ["", " a", "a ", "a\u{85}b", "\u{a0}a", "a\u{3000}", "a\nb", "ä", "a.b", "A", "-a", "a-", "*.a.b", "=41"];

fn agree<T: JsonSchema>(check: impl Fn(&str) -> bool) {
    both(&T::json_schema(&mut SchemaGenerator::default()), check);
}

fn both(schema: &Schema, check: impl Fn(&str) -> bool) {
    let validator = jsonschema::validator_for(schema.as_value()).unwrap();
    let pattern = schema.get("pattern").and_then(|pattern| pattern.as_str()).unwrap();
    let made = proptest::string::string_regex(pattern.trim_start_matches('^').trim_end_matches('$')).unwrap();
    let mut runner = TestRunner::deterministic();
    let mut values: Vec<String> = EDGES.map(str::to_owned).into();
    for length in [32, 33, 60, 61, 63, 64, 100, 101, 253, 254, 255, 256, 500, 501, 512, 513] {
        values.extend([
            "a".repeat(length),
            "ä".repeat(length),
            format!("{}.b", "a".repeat(length)),
            format!("a@b.{}", "c".repeat(length)),
        ]);
    }
    values.extend((0..300).map(|_| made.new_tree(&mut runner).unwrap().current()));
    values.extend((0..300).map(|_| "\\PC{0,12}".new_tree(&mut runner).unwrap().current()));
    for value in values {
        assert_eq!(check(&value), validator.is_valid(&value.clone().into()), "{value:?} and {pattern}");
    }
}

#[test]
fn checks_and_forms_agree() {
    agree::<form::Name>(|value| display_name("n", value).is_ok());
    agree::<form::Text<32>>(|value| text("t", Some(value), 32).is_ok());
    agree::<form::Text<500>>(|value| text("t", Some(value), 500).is_ok());
    agree::<form::SlugText>(|value| slug(value).is_ok());
    agree::<form::DomainName>(|value| domain("d", value).is_ok());
    agree::<form::Actor>(|value| actor(value).is_ok());
    agree::<form::ActionName>(|value| action(value).is_ok());
    agree::<form::Email>(|value| email("e", value).is_ok());
    agree::<form::Scope>(|value| {
        let (group, access) = value.split_once(':').map_or((None, value), |(group, access)| (Some(group), access));
        ["read", "write"].contains(&access) && group.is_none_or(|group| Group::named(group).is_some())
    });
}

#[test]
fn every_group_has_a_scope() {
    let validator = jsonschema::validator_for(form::Scope::json_schema(&mut SchemaGenerator::default()).as_value()).unwrap();
    for group in crate::policy::GROUPS {
        assert!(validator.is_valid(&format!("{group}:read").into()), "{group}");
    }
}

#[test]
fn whatever_is_a_network_has_its_form() {
    let schema = form::NetworkText::json_schema(&mut SchemaGenerator::default());
    let validator = jsonschema::validator_for(schema.as_value()).unwrap();
    let longest = "0000:0000:0000:0000:0000:ffff:255.255.255.255/128";
    for good in ["10.0.0.0/8", "203.0.113.7", "fd00::/8", "::1", "2001:DB8::7/128", longest] {
        assert!(good.parse::<Network>().is_ok() && validator.is_valid(&good.into()), "{good}");
    }
    for bad in ["", "localhost", "10.0.0.0/", "10.0.0.0/8/8", "fe80::1%eth0", " 10.0.0.1"] {
        assert!(bad.parse::<Network>().is_err() && !validator.is_valid(&bad.into()), "{bad}");
    }
}

#[test]
fn ids_in_paths_agree() {
    // An escaped id may be longer than 512 characters; the document leaves it at that.
    let short = |value: &str| value.len() <= 512;
    both(&form::in_path("backup"), |value| native(value).is_ok() && short(value));
    both(&form::in_path("connection"), |value| slug(value).is_ok());
    both(&form::in_path("operation"), |value| model::OperationId::parse(value).is_some());
    for (id, fits) in
        [("a~1", true), ("a~", false), ("a", false), ("a~..", false), ("a~...", true), ("a~=2F", true), ("a~=41", false)]
    {
        let validator = jsonschema::validator_for(form::in_path("site").as_value()).unwrap();
        assert_eq!((site_id(id).is_ok(), validator.is_valid(&id.into())), (fits, fits), "{id}");
    }
}
