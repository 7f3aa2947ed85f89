//! Objects inside of a body: taken from JSON objects alone.
//!
//! In goes what stands in a field, out comes the struct. Invariant: an array is refused, which serde would take for a struct, field
//! by field; the path of what is wrong inside stays whole.

use serde::{Deserialize, Deserializer, de::Visitor, forward_to_deserialize_any};

/// For `#[serde(deserialize_with = "object::one")]`.
pub fn one<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|Object(value)| value)
}

/// The same where it may be null.
pub fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|Object(value)| value))
}

/// The same for a list.
pub fn many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::<Object<T>>::deserialize(deserializer)?.into_iter().map(|Object(value)| value).collect())
}

struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(AsMap(deserializer)).map(Self)
    }
}

/// Gives a map, whatever is asked for.
struct AsMap<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for AsMap<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        a: u8,
    }

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[serde(deserialize_with = "one")]
        one: Inner,
        #[serde(default, deserialize_with = "some")]
        some: Option<Inner>,
        #[serde(default, deserialize_with = "many")]
        many: Vec<Inner>,
    }

    #[test]
    fn an_array_is_no_object() {
        let check = |json: &str, expected: Result<(u8, Option<u8>, usize), &str>| {
            let found = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(json));
            let found = found.map(|outer: Outer| (outer.one.a, outer.some.map(|inner| inner.a), outer.many.len()));
            assert_eq!(found.map_err(|error| error.path().to_string()), expected.map_err(str::to_owned), "{json}");
        };
        check(r#"{"one": {"a": 1}}"#, Ok((1, None, 0)));
        check(r#"{"one": {"a": 1}, "some": null, "many": [{"a": 2}]}"#, Ok((1, None, 1)));
        check(r#"{"one": {"a": 1}, "some": {"a": 3}}"#, Ok((1, Some(3), 0)));
        check(r#"{"one": [1]}"#, Err("one"));
        check(r#"{"one": {"a": 1}, "some": [1]}"#, Err("some"));
        check(r#"{"one": {"a": 1}, "many": [[1]]}"#, Err("many[0]"));
        check(r#"{"one": {"a": "x"}}"#, Err("one.a"));
        check(r#"{"one": {"b": 1}}"#, Err("one.b"));
    }
}
