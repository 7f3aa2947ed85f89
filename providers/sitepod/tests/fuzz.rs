//! Any bytes from the server give a value or an error, never a panic.

use portico_provider_sitepod::{fuzz_convert, parse_error};
use portico_sdk::testing::response;
use proptest::prelude::*;

/// JSON with the names and words that the provider looks for, nested as it likes.
fn json() -> impl Strategy<Value = String> {
    let names = [
        "name",
        "image_id",
        "plan_id",
        "missing",
        "hash",
        "upload_url",
        "items",
        "images",
        "domains",
        "domain",
        "status",
        "error",
        "message",
        "deployed_to",
        "created_at",
        "content_hash",
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        prop::sample::select(vec!["prod", "beta", "active", "pending", "2024-01-15 10:30:00.000Z", "https://s3.example/x"])
            .prop_map(|word| format!("{word:?}")),
        "[a-zA-Z0-9:.TZ-]{0,24}".prop_map(|text| format!("{text:?}")),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        let pair = (prop::sample::select(names.to_vec()), inner.clone()).prop_map(|(name, value)| format!("{name:?}:{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(pair, 0..6).prop_map(|pairs| format!("{{{}}}", pairs.join(","))),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), status in 100_u16..600) {
        fuzz_convert(&bytes);
        let _ = parse_error(&response(status, &[], bytes));
    }

    #[test]
    fn any_json(text in json(), status in 100_u16..600) {
        fuzz_convert(text.as_bytes());
        if let Some(error) = parse_error(&response(status, &[], text)) {
            prop_assert!(error.message.len() < 1300 && !error.message.contains(['<', '\n']));
        }
    }
}
