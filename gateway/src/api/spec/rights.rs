//! Who may ask an endpoint: the least role and the scope, in words and as what security requires.
//!
//! In goes an endpoint; out come a sentence, and the schemes with the scope. Invariant: both are read from the policy's table,
//! which is what decides.

use super::Endpoint;
use crate::policy::{self, Rule};
use serde_json::{Value, json};

fn rule(endpoint: &Endpoint) -> Option<&'static Rule> {
    if endpoint.open { None } else { policy::rule(endpoint.name) }
}

fn scope(rule: &Rule) -> String {
    format!("{}:{}", rule.group.as_str(), rule.access.as_str())
}

/// None: it is open to everybody.
pub fn words(endpoint: &Endpoint) -> Option<String> {
    let rule = rule(endpoint)?;
    Some(format!("Takes the role {} and the scope `{}`.", rule.role.as_str(), scope(rule)))
}

/// OpenAPI 3.1 has names of scopes for every scheme. A session has all of them.
pub fn security(endpoint: &Endpoint) -> Value {
    let Some(rule) = rule(endpoint) else { return json!([]) };
    let scope = scope(rule);
    json!([{ "bearer": [scope] }, { "apiKey": [scope] }, { "session": [] }])
}
