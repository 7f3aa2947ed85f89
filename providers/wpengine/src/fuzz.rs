//! Any bytes from an upstream give a value or an error, never a panic.
//!
//! Bytes, JSON of any shape, and the documents' own examples with parts of them replaced go through every conversion and the
//! error parser. Invariant: what comes out of a conversion holds nothing that the model forbids.

use crate::{error, live, mark, seed};
use portico_sdk::json;
use portico_sdk::testing::response;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(".{0,12}", inner, 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The documents' examples, one for each shape that is converted.
fn examples() -> Vec<Value> {
    vec![
        json!({"id": "i", "name": "n", "account": {"id": "a"}, "created_at": "2025-07-10T09:59:58.684Z", "tags": ["t"],
            "installs": [{"id": "x", "name": "torquemag", "environment": "production", "cname": "c", "php_version": "7.3"}]}),
        json!({"id": "x", "name": "torquemag", "status": "active", "environment": null, "primary_domain": "a.b", "wp_version": "6"}),
        json!({"id": "b", "status": "completed", "description": "d (op_1)", "create_time": "2024-01-15T10:00:00Z"}),
        json!({"id": "d", "name": "a.b", "primary": true, "ownership_status": "TXT_VERIFICATION_PENDING",
            "txt_verification_key": "k", "txt_verification_value": "v"}),
        json!({"visit_count": {"sum": "1"}, "storage_file_bytes": {"latest": {"value": "1"}}}),
        json!({"certificates": [{"domains": ["a.b"], "expires_time": "2026-01-01T00:00:00Z"}], "next_page_token": "1"}),
        json!({"id": "site_1", "name": "n", "environment": "production", "status": "active",
            "disk_usage": {"used": 2.5, "total": 10, "unit": "GB"}, "bandwidth": {"current_month": 15.7, "unit": "GB"},
            "environments": [{"name": "production", "url": "u"}]}),
        json!({"id": "b", "type": "full", "status": "completed", "size": "1.2GB", "contents": {"database": true}}),
        json!({"id": "d", "source": {"type": "git", "repository": "r"}, "status": "completed", "logs": "l",
            "changes": {"added": 5}}),
        json!({"results": [], "next": "https://a/?offset=1", "pagination": {"current_page": 1, "total_pages": 8}}),
        json!({"message": "m", "errors": [{"field": "f", "type": "value_unavailable", "message": "m"}]}),
        json!({"error": {"code": "c", "message": "m", "details": {"field": "f"}}}),
    ]
}

/// An example in which the value at one place is another one.
fn altered() -> impl Strategy<Value = Value> {
    (prop::sample::select(examples()), any::<prop::sample::Index>(), any_json()).prop_map(|(mut example, place, other)| {
        let mut places = Vec::new();
        pointers(&example, String::new(), &mut places);
        if let Some(there) = example.pointer_mut(&places[place.index(places.len())]) {
            *there = other;
        }
        example
    })
}

fn pointers(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| pointers(inner, format!("{at}/{name}"), all)),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, inner)| pointers(inner, format!("{at}/{n}"), all)),
        _ => {}
    }
    all.push(at);
}

fn convert_all(value: &Value) {
    use live::types as live_types;
    let certificates = json::read::<live_types::Certificates>(value).unwrap_or_default().certificates;
    let ours = live::convert::site(value.clone(), std::slice::from_ref(value)).map(|site| (site.native, site.created_at));
    assert!(ours.is_err() || value.is_object(), "a site out of {value}");
    let _ = live::convert::environment(value.clone());
    let _ = live::convert::backup("i", value.clone());
    let _ = live::convert::domain("i", value.clone(), &certificates);
    let _ = json::read::<live_types::Listing>(value).map(|listing| live::convert::next_offset(listing.next.as_deref(), 0));
    let _ = json::read::<live_types::Rollup>(value).map(|rollup| live::convert::usage(&[rollup.clone(), rollup]));
    let _ = json::read::<live_types::ReportAnswer>(value);
    let _ = seed::convert::site(value.clone());
    let _ = seed::convert::backup(value.clone());
    let logs = seed::convert::deployment(value.clone()).ok().and_then(|deployment| deployment.logs);
    assert!(logs.is_none_or(|logs| logs.len() <= 1024 * 1024));
    let _ = json::read::<seed::types::Listing>(value).map(|listing| seed::convert::next_page(&listing));
}

fn read_error(status: u16, body: &[u8]) {
    if let Some(error) = error::parse(&response(status, &[], body)) {
        assert!(!error.message.contains(['<', '\n', '\0']) && error.message.chars().count() < 400, "{}", error.message);
    }
}

proptest! {
    #[test]
    fn bytes(status in 100_u16..600, body in prop::collection::vec(any::<u8>(), 0..400)) {
        read_error(status, &body);
        if let Ok(value) = serde_json::from_slice::<Value>(&body) {
            convert_all(&value);
        }
    }

    #[test]
    fn json_of_any_shape(status in 100_u16..600, value in any_json()) {
        read_error(status, value.to_string().as_bytes());
        convert_all(&value);
    }

    #[test]
    fn altered_examples(status in 400_u16..600, value in altered()) {
        read_error(status, value.to_string().as_bytes());
        convert_all(&value);
    }

    #[test]
    fn texts(text in ".{0,200}", offset in any::<u64>()) {
        let _ = live::convert::next_offset(Some(&text), offset);
        let _ = live::convert::split_backup_id(&text);
        let _ = seed::convert::size(&text);
        let path = seed::convert::below("https://a/v1", &format!("https://a/v1/{text}")).unwrap_or_default();
        prop_assert!(path.iter().all(|segment| segment != ".." && !segment.contains('/')));
        let marked = mark::description(Some(&text), "op_1");
        prop_assert_eq!(mark::without(&marked), text.as_str());
        let name = mark::install_name(&text, "op_1");
        prop_assert!((3..=14).contains(&name.len()), "{}", name);
    }
}
