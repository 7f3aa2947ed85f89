//! Any bytes from an Engine give a value or an error, never a panic.
//!
//! Bytes, JSON of any shape, and what a real Engine answered with parts of it replaced go through every conversion and the error
//! parser. Invariant: no value of a container's environment leaves a conversion.

use crate::{
    convert, error,
    types::{Container, Image, Inspect, Network, Version, Volumes},
    world::World,
};
use portico_sdk::{json, testing::response};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::Value;

const NS: &str = "portico";
/// In the environment of every altered container.
const SECRET: &str = "never-to-be-seen-1";

fn any_json() -> impl Strategy<Value = Value> {
    let words =
        ["running", "exited", "healthy", "", "2026-01-01T00:00:00Z", "Up 5 seconds (healthy)", "Exited (1) 3 minutes ago"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(words.to_vec()).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(".{0,12}", inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Lists of containers and networks, and descriptions by name, as an Engine gave them.
fn captured() -> [Value; 3] {
    [
        include_str!("../tests/captured/containers.json"),
        include_str!("../tests/captured/networks.json"),
        include_str!("../tests/captured/inspects.json"),
    ]
    .map(|text| serde_json::from_str(text).unwrap())
}

fn places(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| {
            let escaped = name.replace('~', "~0").replace('/', "~1");
            places(inner, format!("{at}/{escaped}"), all);
        }),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, inner)| places(inner, format!("{at}/{n}"), all)),
        _ => {}
    }
    all.push(at);
}

/// One of them, in which the value at one place is another one.
fn altered() -> impl Strategy<Value = Value> {
    (prop::sample::select(captured().to_vec()), any::<prop::sample::Index>(), any_json()).prop_map(
        |(mut whole, place, other)| {
            let mut all = Vec::new();
            places(&whole, String::new(), &mut all);
            *whole.pointer_mut(&all[place.index(all.len())]).unwrap() = other;
            whole
        },
    )
}

/// Those parts of a list or a map that can be read as this.
fn read_all<T: DeserializeOwned>(value: &Value) -> Vec<T> {
    let parts: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => vec![value],
    };
    parts.into_iter().filter_map(|part| json::read(part).ok()).collect()
}

fn convert_everything(value: &Value, now: u64) {
    let containers: Vec<Container> = read_all(value);
    let _ = convert::taken_ports(NS, &containers);
    let world = World { containers, networks: read_all::<Network>(value), volumes: Vec::new() };
    let _ = world.names();
    let site = convert::site(NS, "id", &world, now);
    let shown = convert::with_details(site, &[("web", value.clone()), ("database", value.clone())]);
    assert!(shown.native.is_none_or(|native| native.len() <= 64 * 1024 && !native.contains(SECRET)));
    for (id, world) in world.by_site(NS) {
        let _ = (convert::site(NS, &id, &world, now), world.is_canceled(NS));
    }
    for web in read_all::<Inspect>(value) {
        let _ = convert::verdict(&web, 60, now);
    }
    let _ = read_all::<Image>(value).iter().any(Image::probes_itself);
    let _ = (read_all::<Version>(value), read_all::<Volumes>(value));
}

/// Puts a secret into the environment of each container that has one.
fn with_secret(mut value: Value) -> Value {
    let parts: Vec<&mut Value> = match &mut value {
        Value::Object(fields) => fields.values_mut().collect(),
        _ => Vec::new(),
    };
    for part in parts {
        if let Some(Value::Array(env)) = part.pointer_mut("/Config/Env") {
            env.push(format!("DB_PASSWORD={SECRET}").into());
        }
    }
    value
}

fn read_error(status: u16, body: &[u8]) {
    if let Some(error) = error::parse(&response(status, &[], body)) {
        assert!(!error.message.contains(['\n', '\0']) && error.message.chars().count() < 400, "{}", error.message);
        let _ = (error::is_port_taken(&error), error::is_transient(&error));
    }
}

proptest! {
    #[test]
    fn bytes(status in 100_u16..600, body in prop::collection::vec(any::<u8>(), 0..400), now: u64) {
        read_error(status, &body);
        if let Ok(value) = serde_json::from_slice::<Value>(&body) {
            convert_everything(&value, now);
        }
    }

    #[test]
    fn json_of_any_shape(status in 100_u16..600, value in any_json(), now: u64) {
        read_error(status, value.to_string().as_bytes());
        convert_everything(&value, now);
    }

    #[test]
    fn altered_answers(value in altered(), now: u64) {
        let value = with_secret(value);
        convert_everything(&value, now);
        // A container's own description, as `with_details` gets it.
        for part in value.as_object().into_iter().flat_map(|fields| fields.values()) {
            convert_everything(part, now);
        }
    }

    #[test]
    fn texts(text in ".{0,400}", from: u16, to: u16, random: u32) {
        prop_assert!(error::one_line(&text).chars().count() <= 300);
        let _ = convert::free_port((from.min(to), from.max(to)), &[from, to], random);
    }
}
