//! `PROVIDERS.md`: each provider's features and promises, and what every one of them was held against.
//!
//! Invariant: a cell is written from what passed in this very run; the file is compared with what was written before, so that no
//! row shrinks unseen.

use super::{promises::ROWS, subject::Basis};
use crate::{prism, tenants::endpoints};
use portico_tests::gateway::root;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

const HEAD: &str = "# What each provider can do, and how that is known

Each cell is a check of one suite (`tests/whole/conformance`), which ran over every provider that declares the feature, through a real
gateway: the effect of a call was read back through the API, or the host had heard of it. Where a host shows nothing of it afterwards (a
restore and what of it, a push, an emptied cache), it is known that the call succeeded and that a changing request reached the host, no
more. `live` and `seed` are dialects, which each provider's README explains. What a connection can't do (–) is answered 501 `unsupported` and names the feature, before its host is asked.
Fields of a body stand behind their action: `sites.create.region` is the field `region` of `POST /sites`.

What a cell was held against:

- `spec`: a stateful simulator for what it brings about; and calls with this feature are among those whose every request Prism holds
  against the vendor's own OpenAPI document, with nothing found wrong (`tests/whole/prism.rs`).
- `engine`: a real Docker Engine.
- `sim`: a stateful simulator made from the seed document. What of it is our assumption is said at its head
  (`tests/src/simulators`); a real account may differ.
- `itself`: the sandbox is the whole system.

Written by the suite, which fails where this file says otherwise: `UPDATE_GOLDEN=1 cargo test --workspace --test whole conformance::`.
";

const PROMISES: &str = "
## What all of them promise

An Engine behind a unix socket has no credential, no limit and no proxy that could answer in its place, so `docker` has no such cells; what it
doesn't declare is refused there, too, but nobody listens to the Engine's socket.
The sandbox declares everything, so it refuses nothing. The dialect `seed` of SitePod has no call that tells of a project.
";

/// By column.
pub type Cells = BTreeMap<&'static str, Column>;

pub struct Column {
    pub provider: &'static str,
    pub basis: Basis,
    pub passed: BTreeSet<String>,
}

/// Compares, or writes where that is wanted. Columns that couldn't be tried stay as they are written.
pub fn compare(cells: &Cells, untried: &[&str]) {
    let file = root().join("PROVIDERS.md");
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    if !untried.is_empty() {
        return compare_columns(cells, &written);
    }
    let text = text(cells);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &text).expect("the table");
        return;
    }
    let differs = written.lines().zip(text.lines()).find(|(before, now)| before != now);
    assert!(written == text, "PROVIDERS.md isn't what passed: {differs:?}; look at it, then use UPDATE_GOLDEN=1");
}

/// The cells of those columns that were tried.
fn compare_columns(cells: &Cells, written: &str) {
    for (name, column) in cells {
        let at = written.lines().find(|line| line.starts_with("| feature")).expect("the table's head");
        let at = at.split('|').position(|head| head.trim() == *name).unwrap_or_else(|| panic!("no column {name}"));
        for line in written.lines().filter(|line| line.starts_with("| `")) {
            let row: Vec<&str> = line.split('|').map(str::trim).collect();
            let cell = column.cell(row[1].trim_matches('`'));
            assert_eq!(row[at], cell, "{name}: {}", row[1]);
        }
    }
}

fn text(cells: &Cells) -> String {
    let promised: BTreeSet<&str> = ROWS.into();
    let features: BTreeSet<&String> =
        cells.values().flat_map(|column| &column.passed).filter(|name| !promised.contains(name.as_str())).collect();
    let mut text = HEAD.to_owned();
    table(&mut text, "feature", cells, features.into_iter().map(|name| (format!("`{name}`"), name.as_str())));
    text += PROMISES;
    table(&mut text, "promise", cells, ROWS.into_iter().map(|name| (name.to_owned(), name)));
    text
}

fn table<'a>(text: &mut String, of: &str, cells: &Cells, rows: impl Iterator<Item = (String, &'a str)>) {
    let names: Vec<&str> = cells.keys().copied().collect();
    write!(text, "\n| {of} | {} |\n|{} --- |\n", names.join(" | "), " --- |".repeat(names.len())).expect("a text");
    for (shown, name) in rows {
        let row: Vec<&str> = cells.values().map(|column| column.cell(name)).collect();
        writeln!(text, "| {shown} | {} |", row.join(" | ")).expect("a text");
    }
}

impl Column {
    fn cell(&self, name: &str) -> &'static str {
        match self.passed.contains(name) {
            false => "–",
            true if self.basis == Basis::Simulator && judged(self.provider).contains(name) => "spec",
            true => self.basis.word(),
        }
    }
}

/// The features that Prism has judged calls of, by the vendor's document.
fn judged(column: &str) -> BTreeSet<String> {
    let known = endpoints();
    let mut features = BTreeSet::new();
    for (method, path, body) in prism::calls(column) {
        let asked: Vec<&str> = path.split('?').next().unwrap_or_default().split('/').collect();
        let fits = |template: &str| {
            let segments: Vec<&str> = template.split('/').collect();
            segments.len() == asked.len()
                && segments.iter().zip(&asked).all(|(segment, asked)| segment == asked || segment.starts_with('{'))
        };
        let of = known.iter().filter(|one| one.method == method && fits(&one.path));
        let Some(endpoint) = of.min_by_key(|one| one.path.matches('{').count()) else { continue };
        let id = endpoint.operation["operationId"].as_str().expect("an id");
        features.insert(id.to_owned());
        features.extend(fields(id, &body));
    }
    features
}

/// Of a body: `sites.create.region`, `sites.create.kind.plain`.
fn fields(action: &str, body: &Value) -> Vec<String> {
    let mut features: Vec<String> =
        body.as_object().into_iter().flatten().map(|(name, _)| format!("{action}.{name}")).collect();
    if let Some(kind) = body["kind"].as_str() {
        features.push(format!("{action}.kind.{kind}"));
    } else if action == "backups.create" {
        features.push("backups.create.kind.full".to_owned());
    }
    if ["database", "files", "plugins", "themes"].iter().any(|part| !body[*part].is_null()) {
        features.push(format!("{action}.contents"));
    }
    features
}
