//! Which endpoints a test asked for, and what of it arrived at the hosts: `HOSTS.md` names no test that doesn't go there.
//!
//! In go the requests that clients send and that upstreams get; a failure comes out at the end of a test that the table names for an
//! endpoint which it never asked for or, in the tests of that host's own provider, which the host never heard of. Invariant: what is
//! judged is one thread, which all of a test on tokio's current-thread runtime runs on and which bears its name. (With
//! `--test-threads=1`, tests run on the main thread, and nothing is judged.)

use crate::gateway::root;
use http::Method;
use std::{cell::RefCell, collections::BTreeSet};

#[derive(Default)]
struct Met {
    /// Method and path of our document.
    asked: BTreeSet<String>,
    /// Method and path at a host.
    arrived: BTreeSet<String>,
}

thread_local! {
    static MET: RefCell<Met> = RefCell::default();
}

/// `template`: the path in our document.
pub fn asked(method: &Method, template: &str) {
    MET.with_borrow_mut(|met| met.asked.insert(format!("{method} {template}")));
}

/// `path`: as a host got it, with its query.
pub fn arrived(method: &Method, path: &str) {
    let path = path.split('?').next().unwrap_or_default();
    MET.with_borrow_mut(|met| met.arrived.insert(format!("{method} {path}")));
}

/// At the end of a test, fails if the table says that it goes where it didn't go.
pub fn check() {
    let thread = std::thread::current();
    let Some(test) = thread.name() else { return };
    let table = std::fs::read_to_string(root().join("HOSTS.md")).unwrap_or_default();
    let missing = MET.with_borrow(|met| missing(&table, test, met));
    assert!(missing.is_empty(), "HOSTS.md says that {test} goes there, and it doesn't: {missing:#?}");
}

fn missing(table: &str, test: &str, met: &Met) -> Vec<String> {
    let mut missing = Vec::new();
    let mut host = String::new();
    for line in table.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            host = name.replace(' ', "").to_lowercase();
        }
        let cells: Vec<&str> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [_, theirs, ours, named, _] = cells.as_slice() else { continue };
        if *named != test {
            continue;
        }
        if !met.asked.contains(*ours) {
            missing.push(format!("{ours} (for {theirs})"));
        }
        let is_its_own = test.strip_prefix("cloud::").and_then(|test| test.split("::").next()) == Some(host.as_str());
        if is_its_own && !met.arrived.iter().any(|arrived| fits(theirs, arrived)) {
            missing.push(format!("{theirs} (at the host)"));
        }
    }
    missing
}

/// `theirs`: as the host's document has it, without what all its paths begin with; `:id` and `{id}` are any one segment.
fn fits(theirs: &str, arrived: &str) -> bool {
    let theirs = theirs.split(" (").next().unwrap_or_default();
    let Some(((method, path), (by, at))) = theirs.split_once(' ').zip(arrived.split_once(' ')) else { return false };
    let wanted: Vec<&str> = path.trim_start_matches('…').split('/').filter(|segment| !segment.is_empty()).collect();
    let came: Vec<&str> = at.split('/').filter(|segment| !segment.is_empty()).collect();
    let Some(before) = came.len().checked_sub(wanted.len()) else { return false };
    let same = |(wanted, came): (&&str, &&str)| wanted == came || wanted.starts_with([':', '{']);
    method == by && wanted.iter().zip(&came[before..]).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "## WP Engine\n| `GET /sites/{id}` | `GET /sites/{site}` | `cloud::wpengine::a` |\n\
        | `POST …/b/{id}/download (url)` | `GET /b` | `cloud::wpengine::a` |\n| `GET /x` | `GET /y` | `spine::b` |\n";

    fn met(asked: &[&str], arrived: &[&str]) -> Met {
        let set = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Met { asked: set(asked), arrived: set(arrived) }
    }

    #[test]
    fn a_test_that_goes_elsewhere_is_found() {
        let asked = ["GET /sites/{site}", "GET /b"];
        let all = met(&asked, &["GET /v1/sites/7", "POST /v1/sites/7/b/8/download"]);
        assert_eq!(missing(TABLE, "cloud::wpengine::a", &all), [""; 0]);
        assert_eq!(missing(TABLE, "cloud::wpengine::other", &met(&[], &[])), [""; 0]);
        let unheard = met(&asked, &["POST /v1/sites/7", "POST /v1/sites/7/b/8/download"]);
        assert_eq!(missing(TABLE, "cloud::wpengine::a", &unheard), ["GET /sites/{id} (at the host)"]);
        let unasked = met(&asked[..1], &["GET /v1/sites/7", "POST /v1/sites/7/b/8/download"]);
        assert_eq!(missing(TABLE, "cloud::wpengine::a", &unasked), ["GET /b (for POST …/b/{id}/download (url))"]);
        // Of another host's test, only our side counts.
        assert_eq!(missing(TABLE, "spine::b", &met(&["GET /y"], &[])), [""; 0]);
        assert_eq!(missing(TABLE, "spine::b", &met(&[], &[])).len(), 1);
    }
}
