//! Every shape that providers use, and what is said about those that don't fit.

use super::*;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whole {
    id: String,
    display_name: Option<String>,
    #[serde(default)]
    count: u16,
    #[serde(default, deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
    #[serde(rename = "type")]
    kind: Kind,
    parts: Vec<Part>,
    rest: Option<Value>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Part {
    size: f64,
    below: i8,
    on: bool,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Plain,
    Number(u8),
    Pair(String, bool),
    WithFields { a: String, b: Option<u8> },
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default)]
struct Defaults {
    hostname: String,
    port: u16,
    extra: Option<u8>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { hostname: "localhost".into(), port: 80, extra: Some(7) }
    }
}

fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn whole() -> Value {
    json!({
        "id": "a", "displayName": "A", "count": 7, "labels": {"x": "y"}, "type": "plain", "unknown": [1],
        "parts": [{"size": 1, "below": -3, "on": true}, {"size": 0.5, "below": 0, "on": false}], "rest": {"any": ["thing", null]},
    })
}

#[test]
fn reads_every_shape() {
    let read = |value: Value| from_str::<Whole>(&value.to_string()).unwrap();
    let all = read(whole());
    assert_eq!((all.id.as_str(), all.display_name.as_deref(), all.count), ("a", Some("A"), 7));
    assert_eq!((all.labels["x"].as_str(), all.kind), ("y", Kind::Plain));
    assert_eq!(all.parts, [Part { size: 1.0, below: -3, on: true }, Part { size: 0.5, below: 0, on: false }]);
    assert_eq!(all.rest, Some(json!({"any": ["thing", null]})));
    let least = read(json!({"id": "a", "labels": null, "type": "plain", "parts": []}));
    assert_eq!((least.display_name, least.count, least.labels.len(), least.rest), (None, 0, 0, None));
}

#[test]
fn reads_every_variant() {
    let kind = |value: Value| super::read::<Kind>(&value).unwrap();
    assert_eq!(kind(json!({"number": 7})), Kind::Number(7));
    assert_eq!(kind(json!({"pair": ["a", true]})), Kind::Pair("a".into(), true));
    assert_eq!(kind(json!({"with_fields": {"a": "b"}})), Kind::WithFields { a: "b".into(), b: None });
    assert_eq!(kind(json!({"plain": null})), Kind::Plain);
}

#[test]
fn a_struct_with_defaults_needs_nothing() {
    let none = Defaults { extra: None, ..Defaults::default() };
    assert_eq!(super::read::<Defaults>(&json!({})).unwrap(), none, "what is optional is none, whatever its default");
    let some = super::read::<Defaults>(&json!({"port": 8080, "extra": 1})).unwrap();
    assert_eq!(some, Defaults { port: 8080, extra: Some(1), ..Defaults::default() });
}

#[test]
fn what_does_not_fit_is_named_by_its_place() {
    let with = |pointer: &str, value: Value| {
        let mut document = whole();
        *document.pointer_mut(pointer).unwrap() = value;
        super::read::<Whole>(&document).unwrap_err().message
    };
    let told = |message: String, place: &str| {
        assert_eq!(message, format!("a document has an unexpected shape: {place}"));
        assert!(!message.contains("hunter2"), "{message}");
    };
    told(with("/id", json!(7)), "`id` isn't a string");
    told(with("/id", Value::Null), "`id` isn't a string");
    told(with("/count", json!(70_000)), "`count` isn't u16");
    told(with("/count", json!("hunter2")), "`count` isn't a number");
    told(with("/labels/x", json!(["hunter2"])), "`labels.x` isn't a string");
    told(with("/type", json!("hunter2")), "`type` isn't one of plain, number, pair, with_fields");
    told(with("/type", json!({"plain": 1, "number": 2})), "`type` isn't an object with one field");
    told(with("/type", json!({"with_fields": {}})), "`type.a` is missing");
    told(with("/parts", json!({"hunter2": 1})), "`parts` isn't a list");
    told(with("/parts/1/on", json!("hunter2")), "`parts.1.on` isn't true or false");
    told(with("/parts/0", json!([1, 2, true])), "`parts.0` isn't an object");
    told(super::read::<Whole>(&json!({"id": "a", "type": "plain"})).unwrap_err().message, "`parts` is missing");
    told(super::read::<Whole>(&json!(["a"])).unwrap_err().message, "it isn't an object");
    told(super::read::<Part>(&json!({"size": 1, "below": 2})).unwrap_err().message, "`on` is missing");
}

#[test]
fn lists_have_their_length() {
    let read = |text: &str| from_str::<(u8, String)>(text);
    assert_eq!(read(r#"[1, "a"]"#).unwrap(), (1, "a".to_owned()));
    for other in [r#"[1]"#, r#"[1, "a", 2]"#] {
        assert!(read(other).unwrap_err().message.ends_with("isn't a list of 2"), "{other}");
    }
    assert!(super::read::<Kind>(&json!({"pair": ["a", true, 1]})).is_err());
}

/// serde lists aliases among the fields and asks for none of them.
#[test]
#[should_panic(expected = "alias")]
fn a_type_with_an_alias_is_refused() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is never read")]
    struct Aliased {
        #[serde(alias = "wp_id")]
        id: String,
        name: Option<String>,
    }
    let _ = super::read::<Aliased>(&json!({"id": "a", "name": "n"}));
}

#[test]
fn numbers_in_texts() {
    let known = [
        ("7", 7.0),
        (" 007 ", 7.0),
        ("+5", 5.0),
        ("-0.5", -0.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("0", 0.0),
        ("1.50", 1.5),
        ("1e3", 1e3),
    ];
    for (text, value) in known {
        assert_eq!(number(text), Some(value), "{text}");
    }
    for text in ["", ".", "x", "1 2", "NaN", "inf", "[1]", "--1", "1.2.3"] {
        assert_eq!(number(text), None, "{text}");
    }
}

#[test]
fn long_keys_are_cut() {
    let key = "k".repeat(10_000);
    let refused = super::read::<BTreeMap<String, u8>>(&json!({&key: "x"})).unwrap_err();
    assert!(refused.message.len() < 200, "{}", refused.message.len());
}

#[test]
fn what_people_write_has_no_unknown_fields() {
    let refused = |text: &str| strict::<Whole>(text).unwrap_err().message;
    assert!(refused(&whole().to_string()).ends_with(": `unknown` isn't known here"));
    let inner = json!({"id": "a", "type": "plain", "parts": [{"size": 1, "below": 1, "on": true, "of": 1}]}).to_string();
    assert!(refused(&inner).ends_with(": `parts.0.of` isn't known here"), "{}", refused(&inner));
    assert!(from_str::<Whole>(&inner).is_ok());
    assert_eq!(strict::<Defaults>("{}").unwrap().port, 80);
}

#[test]
fn bytes_that_are_no_json_tell_where() {
    let error = from_slice::<Whole>(b"{\"id\": hunter2}").unwrap_err();
    assert!(error.message.contains("isn't JSON, at line 1") && !error.message.contains("hunter2"), "{}", error.message);
}
