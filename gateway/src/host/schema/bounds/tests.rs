//! What is refused when a component is loaded, and what is taken.
//!
//! Invariant: each bound has a schema just beyond it, and ordinary recursion none.

use super::*;
use serde_json::json;

/// `$defs` of which each refers to the next one so many times in place.
fn chain(length: usize, times: usize, last: &Value) -> Value {
    let link = |n: usize| (format!("d{n}"), json!({"allOf": vec![json!({"$ref": format!("#/$defs/d{}", n + 1)}); times]}));
    let mut defs: Map<String, Value> = (0..length).map(link).collect();
    defs.insert(format!("d{length}"), last.clone());
    json!({"$defs": defs, "$ref": "#/$defs/d0"})
}

#[track_caller]
fn refused(schema: &Value, words: &str) {
    let why = check(schema).expect_err(&schema.to_string());
    assert!(why.contains(words), "{why}");
}

#[test]
fn a_schema_that_explodes_is_refused() {
    let object = json!({"type": "object"});
    assert!(chain(17, 4, &object).to_string().len() < 2000, "a small one is enough");
    refused(&chain(17, 4, &object), "more than 10000 steps");
    check(&chain(10, 2, &object)).unwrap();
    refused(&chain(20, 2, &object), "more than 10000 steps");
    refused(&chain(40, 1, &object), "within each other");
    check(&chain(20, 1, &object)).unwrap();
    let nested = (0..10).fold(
        object,
        |inner, _| json!({"allOf": [inner], "properties": {"a": {"type": "string"}}, "unevaluatedProperties": false}),
    );
    refused(&nested, "more than 10000 steps");
    refused(&json!({"enum": ["x".repeat(MOST_BYTES)]}), "bytes");
}

#[test]
fn what_is_compared_and_compiled_counts() {
    refused(&chain(11, 2, &json!({"enum": vec![json!([]); 9000]})), "more than 10000 steps");
    check(&json!({"enum": vec![json!([]); 9000]})).unwrap();
    refused(&chain(4, 2, &json!({"required": vec!["a"; 1000]})), "more than 10000 steps");
    let patterns = |count: usize| (0..count).map(|n| (format!("^{n}$"), json!(true))).collect::<Map<_, _>>();
    refused(&json!({"patternProperties": patterns(101)}), "more than 10000 steps");
    assert_eq!(check(&json!({"patternProperties": patterns(50), "pattern": "^1$"})).unwrap().len(), 50, "each once");
}

#[test]
fn references_stay_within_and_go_down_before_they_come_back() {
    check(&json!({"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}})).unwrap();
    refused(&json!({"allOf": [{"$ref": "#"}]}), "same part");
    // It is met on the way down first, where it does no harm.
    let aside = json!({"additionalProperties": {"$ref": "#/$defs/u"}, "allOf": [{"$ref": "#/$defs/u"}],
        "$defs": {"u": {"not": {"$ref": "#"}}}});
    refused(&aside, "same part");
    for reference in ["https://json-schema.org/draft/2020-12/schema", "#anchor", "#/$defs/none", "#/%24defs/a", "other.json"] {
        refused(&json!({"$defs": {"a": true, "%24defs": true}, "not": {"$ref": reference}}), "isn't found in it");
    }
    refused(&json!({"items": {"$dynamicRef": "#a"}}), "$dynamicRef");
}

#[test]
fn ordinary_recursion_is_taken() {
    check(&json!({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}})).unwrap();
    let rule = json!({"oneOf": [
        {"type": "object", "properties": {"all": {"type": "array", "items": {"$ref": "#/$defs/rule"}}}, "required": ["all"]},
        {"type": "object", "properties": {"any": {"type": "array", "items": {"$ref": "#/$defs/rule"}}}, "required": ["any"]},
        {"type": "object", "properties": {"host": {"type": "string"}}, "required": ["host"]},
    ]});
    check(
        &json!({"properties": {"allow": {"$ref": "#/$defs/rule"}, "deny": {"$ref": "#/$defs/rule"}}, "$defs": {"rule": rule}}),
    )
    .unwrap();
}

#[test]
fn parts_have_no_names_but_data_may() {
    refused(&json!({"$defs": {"a": {"$id": "https://a.example/b", "items": {"$ref": "#/$defs/c"}}}}), "of its own");
    refused(&json!({"properties": {"default": {"$id": "https://a.example/b"}}}), "of its own");
    refused(&json!({"$schema": "http://json-schema.org/draft-04/schema#"}), "draft 4");
    let named = json!({"$id": "https://a.example", "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {"$id": {"type": "string"}, "id": {"type": "string"}}});
    check(&named).unwrap();
    let data = json!({"$id": "https://a.example/b", "$schema": "https://json-schema.org/draft/2020-12/schema"});
    check(&json!({"default": data, "examples": [data], "properties": {"a": {"const": data}, "b": {"enum": [data]}}})).unwrap();
    for pointer in ["#/default", "#/default/items", "#/examples/0/items"] {
        let named = json!({"$id": "https://a.example/b", "items": {"type": "string"}});
        refused(&json!({"default": named, "examples": [named], "items": {"$ref": pointer}}), "of its own");
    }
    refused(&json!({"default": {"items": data}, "items": {"$ref": "#/default"}}), "of its own");
    let anchor = |dialect: &str| json!({"$schema": dialect, "definitions": {"a": {"$id": "#a", "type": "string"}}});
    check(&anchor("http://json-schema.org/draft-07/schema#")).unwrap();
    refused(&anchor("https://json-schema.org/draft/2020-12/schema"), "of its own");
}
