//! Nasty schemas and ordinary ones, told apart by the steps that they take.
//!
//! Invariant: steps are compared, never times; what our own providers have is taken with a hundredfold to spare.

use super::*;
use serde_json::{Map, json};

fn schema(document: &Value) -> Schema {
    Schema::new(document).unwrap_or_else(|why| panic!("{why}: {document}"))
}

#[track_caller]
fn taken(document: &Value, value: &Value) -> u64 {
    let schema = schema(document);
    schema.conforms(value, "settings").unwrap();
    schema.steps(value).unwrap().taken
}

#[track_caller]
fn refused(document: &Value, value: &Value, words: &str) {
    let error = schema(document).conforms(value, "settings").unwrap_err();
    assert_eq!((error.kind, error.field.as_deref()), (Kind::InvalidInput, Some("settings")));
    assert!(error.message.contains(words), "{}", error.message);
}

/// Each of so many refers to the next one twice.
fn doublings(count: usize, last: &Value) -> Value {
    let link = |n: usize| {
        let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
        (format!("d{n}"), json!({"allOf": [next, next]}))
    };
    let mut defs: Map<String, Value> = (0..count).map(link).collect();
    defs.insert(format!("d{count}"), last.clone());
    json!({"$defs": defs, "$ref": "#/$defs/d0"})
}

/// Objects within each other, under one name.
fn nested(depth: usize, name: &str) -> Value {
    (0..depth).fold(json!({}), |inner, _| json!({name: inner}))
}

const TOO_LARGE: &str = "too large for its schema";

#[test]
fn what_multiplies_with_the_value_is_refused_with_the_value() {
    let ones = |count: usize| json!(vec![1; count]);
    let doubled = doublings(8, &json!({"items": {"type": "number"}}));
    assert!(taken(&doubled, &ones(10)) > 2560 && taken(&doubled, &ones(100)) > 25_600);
    refused(&doubled, &ones(30_000), TOO_LARGE);
    let listed = json!({"items": {"enum": vec![json!([[0]]); 2000]}});
    refused(&listed, &json!(vec![json!([[1]]); 700]), TOO_LARGE);
    refused(&json!({"items": {"uniqueItems": true}}), &json!(vec![vec![json!([1]); 300]; 110]), TOO_LARGE);
}

#[test]
fn patterns_are_bounded() {
    let why = Schema::new(&json!({"type": "string", "pattern": "^[ab]*a[ab]{20000}c$"})).err().unwrap();
    assert!(why.contains("too large"), "{why}");
    assert!(Schema::new(&json!({"patternProperties": {"(": true}})).is_err());
    let hard = json!({"pattern": "^[ab]*a[ab]{500}c$|^a*$"});
    assert!(taken(&hard, &json!("a".repeat(100))) > 10_000);
    refused(&hard, &json!("ab".repeat(32_000)), TOO_LARGE);
    refused(&json!({"propertyNames": hard}), &json!({"ab".repeat(32_000): 1}), TOO_LARGE);
    refused(&json!({"patternProperties": {"^[ab]*a[ab]{500}c$": true}}), &json!({"ab".repeat(32_000): 1}), TOO_LARGE);
    taken(&json!({"pattern": "^https?://[^/?#]+(/[^?#]*)?$"}), &json!("https://a.example/b"));
}

#[test]
fn recursion_costs_what_the_value_makes_of_it() {
    let once = json!({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}});
    assert!(taken(&once, &nested(100, "left")) < 1000);
    assert!(taken(&once, &json!({"left": nested(5, "right"), "right": nested(5, "left")})) < 100);
    let twice = json!({"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]});
    assert!(taken(&twice, &nested(5, "a")) < 1000);
    refused(&twice, &nested(40, "a"), TOO_LARGE);
    let rules = json!({"oneOf": [
        {"properties": {"all": {"items": {"$ref": "#"}}}, "required": ["all"]},
        {"properties": {"any": {"items": {"$ref": "#"}}}, "required": ["any"]},
        {"properties": {"host": {"type": "string"}}, "required": ["host"]},
    ]});
    let host = json!({"host": "a.example"});
    assert!(taken(&rules, &json!({"all": [host, {"any": [host, host, {"all": [host]}]}]})) < 1000);
}

/// In a thread of a test, whose stack is no larger than a worker's.
#[test]
fn neither_walk_outgrows_a_stack() {
    let thin = json!({"anyOf": [{"properties": {"a": {"$ref": "#"}}, "additionalProperties": false}]});
    taken(&thin, &nested(120, "a"));
    let error = schema(&thin).conforms(&json!({"a": {"b": 1}}), "settings").unwrap_err();
    assert_eq!(error.field.as_deref(), Some("settings"));
    let deep = (0..50).fold(json!({"$ref": "#"}), |inner, _| json!({"allOf": [inner]}));
    refused(&json!({"properties": {"a": deep}}), &nested(120, "a"), "nested too deeply");
}

#[test]
fn what_is_wrong_is_said_where_that_can_be_afforded() {
    let numbers = json!({"properties": {"list": {"items": {"type": "integer"}}}});
    let error = schema(&numbers).conforms(&json!({"list": [1, "a"]}), "settings").unwrap_err();
    assert_eq!(error.field.as_deref(), Some("settings.list.1"));
    let alternatives = (0..40).fold(json!({"items": {"type": "integer"}}), |inner, _| json!({"anyOf": [inner]}));
    refused(&alternatives, &json!(vec!["a"; 10_000]), "doesn't conform");
}

/// A validator keeps the value once for each alternative.
#[test]
fn what_is_told_of_many_alternatives_is_bounded_by_the_value() {
    let choices = json!({"anyOf": vec![json!({"type": "string"}); 20]});
    let told = |value: &Value| schema(&choices).conforms(value, "settings").unwrap_err().message;
    assert!(!told(&json!([{"a": 1}])).contains("too large"));
    assert!(told(&Value::Array(vec![json!({"": 0}); 9000])).contains("too large to say where"));
}

/// Keywords for what nothing else has evaluated, at each level.
#[test]
fn evaluating_again_does_not_multiply_for_ever() {
    let schema = json!({"type": "object", "$ref": "#/$defs/x", "unevaluatedProperties": false,
        "$defs": {"x": {"properties": {"a": {"$ref": "#"}}}}});
    let value = (0..20).fold(json!({}), |value, _| json!({"a": value}));
    let _ = taken(&schema, &value);
}

#[test]
fn our_own_providers_are_far_from_the_bounds() {
    let environment: Map<String, Value> = (0..5).map(|n| (format!("VARIABLE_{n}"), json!("a value"))).collect();
    let docker = json!({"namespace": "portico", "environment": environment, "pull": "never", "stop": {"signal": "SIGTERM"},
        "publish": {"address": "127.0.0.1", "hostname": "sites.example.com", "first_port": 20000}});
    let url = json!({"url": "https://panel.example.com/some/path"});
    for (text, value) in [
        (include_str!("../../../../providers/docker/src/settings.schema.json"), &docker),
        (include_str!("../../../../providers/kinsta/src/options.schema.json"), &json!({})),
        (include_str!("../../../../providers/kinsta/src/settings.schema.json"), &url),
        (include_str!("../../../../providers/sandbox/src/options.schema.json"), &json!({})),
        (include_str!("../../../../providers/sandbox/src/settings.schema.json"), &json!({})),
        (include_str!("../../../../providers/siteico/src/options.schema.json"), &json!({"plan": "small", "disk": 10})),
        (include_str!("../../../../providers/siteico/src/settings.schema.json"), &url),
        (include_str!("../../../../providers/sitepod/src/settings.schema.json"), &url),
        (include_str!("../../../../providers/wispanel/src/options.schema.json"), &json!({})),
        (include_str!("../../../../providers/wispanel/src/settings.schema.json"), &url),
        (include_str!("../../../../providers/wpengine/src/options.schema.json"), &json!({})),
        (include_str!("../../../../providers/wpengine/src/settings.schema.json"), &json!({})),
    ] {
        let steps = schema(&serde_json::from_str(text).unwrap()).steps(value).unwrap().taken;
        assert!(steps < MOST_STEPS / 100, "{steps} steps: {text}");
    }
}
