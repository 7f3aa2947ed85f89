//! Any bytes from the panel give a value or an error, never a panic.

use portico_provider_wispanel::{fuzz_convert, parse_error};
use portico_sdk::testing::{FakeHost, response};
use proptest::prelude::*;

/// The names that the provider looks for.
const NAMES: [&str; 28] = [
    "id",
    "domain",
    "site_title",
    "version",
    "status",
    "state",
    "installations",
    "data",
    "meta",
    "last_page",
    "current_page",
    "backups",
    "success",
    "error",
    "code",
    "message",
    "details",
    "percent",
    "progress",
    "update",
    "update_version",
    "plugins",
    "enabled",
    "modified",
    "url",
    "package",
    "created_at",
    "updates",
];

/// JSON with these names, nested as it likes.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_filter("JSON has no infinity", |number| number.is_finite()).prop_map(|number| number.to_string()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        prop::sample::select(vec!["\"running\"", "\"failed\"", "\"VALIDATION_ERROR\"", "\"RATE_LIMITED\"", "\"<b>\""])
            .prop_map(str::to_owned),
        "[a-zA-Z0-9:.%é TZ-]{0,24}".prop_map(|text| format!("{text:?}")),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        let pair = (prop::sample::select(NAMES.to_vec()), inner.clone()).prop_map(|(name, value)| format!("{name:?}:{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(pair, 0..6).prop_map(|pairs| format!("{{{}}}", pairs.join(","))),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), status in 100_u16..600) {
        let _host = FakeHost::install();
        fuzz_convert(&bytes);
        let _ = parse_error(&response(status, &[("x-ratelimit-reset", "7")], bytes));
    }

    #[test]
    fn any_json(text in json(), status in 100_u16..600) {
        let _host = FakeHost::install();
        fuzz_convert(text.as_bytes());
        if let Some(error) = parse_error(&response(status, &[("x-ratelimit-reset", "1700000060")], text)) {
            prop_assert!(error.message.len() < 1300 && !error.message.contains(['<', '\n']));
        }
    }
}
