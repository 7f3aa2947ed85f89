//! `native`: the upstream's own JSON for a thing, less what is secret.
//!
//! Invariant: a named field disappears wherever it stands, at any depth, whatever its case.

use serde_json::Value;

/// Removes every field of these names, at any depth, without regard to case.
pub fn without(mut native: Value, secret_fields: &[&str]) -> Value {
    strip(&mut native, secret_fields);
    native
}

/// What a model's `native` takes: the JSON text of [`without`], or none when it isn't an object.
pub fn secret_free(native: Value, secret_fields: &[&str]) -> Option<String> {
    native.is_object().then(|| without(native, secret_fields).to_string())
}

fn strip(value: &mut Value, fields: &[&str]) {
    match value {
        Value::Object(object) => {
            object.retain(|name, _| !fields.iter().any(|field| field.eq_ignore_ascii_case(name)));
            object.values_mut().for_each(|value| strip(value, fields));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| strip(value, fields)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn named_fields_disappear_everywhere() {
        let native =
            json!({"id": 1, "password": "p", "users": [{"name": "a", "Password": "q", "keys": {"API_KEY": "k", "n": 1}}]});
        let free = json!({"id": 1, "users": [{"name": "a", "keys": {"n": 1}}]});
        assert_eq!(without(native.clone(), &["password", "api_key"]), free);
        assert_eq!(secret_free(native, &["password", "api_key"]), Some(free.to_string()));
        assert_eq!(secret_free(json!("text"), &[]), None);
    }
}
