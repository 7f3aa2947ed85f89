//! Which action a request is: by its route and method, from the list that the router is made of.
//!
//! Invariant: a route that isn't in the list has no action, and what has none is refused.

use super::routes;
use http::Method;
use std::collections::HashMap;

/// Every endpoint's action.
pub struct Actions(HashMap<String, Vec<(Method, &'static str)>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Action(&'static str),
    /// The route is there, but not for this method: it is answered so.
    NoSuchMethod,
    Unlisted,
}

impl Default for Actions {
    fn default() -> Self {
        let mut actions: HashMap<String, Vec<_>> = HashMap::new();
        for endpoint in routes::endpoints().into_iter().filter(|endpoint| !endpoint.open) {
            let route = format!("{}{}", super::PREFIX, endpoint.path);
            actions.entry(route).or_default().push((endpoint.method, endpoint.name));
        }
        Self(actions)
    }
}

impl Actions {
    /// `route`: the template that the router matched.
    pub fn find(&self, route: &str, method: &Method) -> Found {
        let Some(listed) = self.0.get(route) else { return Found::Unlisted };
        // What can be read can be asked for its head.
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let found = listed.iter().find(|(listed, _)| listed == method);
        found.map_or(Found::NoSuchMethod, |(_, action)| Found::Action(action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy;
    use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

    #[test]
    fn requests_have_actions() {
        let actions = Actions::default();
        for (method, route, expected) in [
            (Method::GET, "/api/v1/sites", Found::Action("sites.list")),
            (Method::HEAD, "/api/v1/sites", Found::Action("sites.list")),
            (Method::POST, "/api/v1/sites", Found::Action("sites.create")),
            (Method::DELETE, "/api/v1/sites", Found::NoSuchMethod),
            (Method::GET, "/api/v1/sites/{site}", Found::Action("sites.get")),
            (Method::GET, "/sites", Found::Unlisted),
            (Method::GET, "", Found::Unlisted),
        ] {
            assert_eq!(actions.find(route, &method), expected, "{method} {route}");
        }
    }

    /// The golden table is what an operator reads, and what the tests of the whole hold the gateway against.
    #[test]
    fn every_endpoint_has_its_rule_and_the_golden_table_tells_it() {
        let mut table = String::from("# method  path  action  least role  scope\n");
        let mut used = BTreeSet::new();
        for endpoint in routes::endpoints() {
            if endpoint.open {
                let _ = writeln!(table, "{} {} {} everybody -", endpoint.method, endpoint.path, endpoint.name);
                continue;
            }
            let rule = policy::rule(endpoint.name);
            let rule = rule.unwrap_or_else(|| panic!("{} isn't in the table of policy/authorization.rs", endpoint.name));
            used.insert(rule.action);
            let scope = format!("{}:{}", rule.group.as_str(), rule.access.as_str());
            let (method, path, role) = (&endpoint.method, endpoint.path, rule.role.as_str());
            let _ = writeln!(table, "{method} {path} {} {role} {scope}", endpoint.name);
        }
        let unused: Vec<_> = policy::TABLE.iter().map(|rule| rule.action).filter(|action| !used.contains(action)).collect();
        assert_eq!(unused, Vec::<&str>::new(), "no endpoint has these actions");
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("authorization.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &table).unwrap();
        }
        let before = fs::read_to_string(&golden).unwrap_or_default();
        let differs = before.lines().zip(table.lines()).find(|(before, now)| before != now);
        assert!(before == table, "who may do what has changed at {differs:?}: look at it, then run with UPDATE_GOLDEN=1");
    }

    #[test]
    fn what_changes_something_is_no_reading_scope() {
        for endpoint in routes::endpoints().into_iter().filter(|endpoint| !endpoint.open) {
            let rule = policy::rule(endpoint.name).unwrap();
            let reads = endpoint.method == Method::GET;
            assert_eq!(reads, rule.access == policy::Access::Read, "{}", endpoint.name);
        }
    }
}
