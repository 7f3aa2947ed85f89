//! Imports between the rooms of the gateway go one way.
//!
//! In goes a file of `gateway/src`, out come the imports that it may not have. Invariant: a room that isn't in the table is an
//! error, so the table is the whole of the truth, and ARCHITECTURE.md has a row for each of them. Tests inside a room may
//! import what they need.

use super::{check, source::File};

/// A request goes through these from left to right, and each may import those to its right.
const WAY: [&str; 8] = ["server", "hot_path", "layers", "api", "operations", "dispatch", "host", "egress"];

/// Rooms beside the way: what each may import. Everyone on the way may import all of them.
const SIDE: [(&str, &[&str]); 9] = [
    ("access_log", &["clock", "model"]),
    ("model", &[]),
    ("clock", &["model"]),
    ("wipe", &[]),
    ("seal", &["model", "wipe"]),
    ("metrics", &["model"]),
    ("store", &["clock", "metrics", "model", "seal"]),
    ("policy", &["clock", "metrics", "model", "store", "wipe"]),
    ("events", &["clock", "metrics", "model", "policy", "store"]),
];

/// These put the rooms together and may import everything; no room may import them.
const ABOVE: [&str; 5] = ["lib", "main", "cli", "app", "config"];

/// Of those above, what is only a crate's root and promises nothing.
const ROOTS: [&str; 2] = ["lib", "main"];

pub fn imports(file: &File) -> Vec<String> {
    let Some(inside) = file.path.strip_prefix("gateway/src/") else { return Vec::new() };
    let room = inside.split(['/', '.']).next().unwrap_or_default();
    if ABOVE.contains(&room) {
        return Vec::new();
    }
    let Some(allowed) = allowed(room) else {
        return vec![format!("{}:1: the room `{room}` has no place in tests/tidy/rooms.rs", file.path)];
    };
    named(&file.shipped)
        .into_iter()
        .filter(|(_, other)| *other != room && is_room(other) && !allowed.contains(other))
        .map(|(offset, other)| {
            file.at(&file.shipped, offset, &format!("`{room}` may not import `{other}`: imports go rightwards only"))
        })
        .collect()
}

/// Whoever reads ARCHITECTURE.md finds every room in its table.
pub fn rows(file: &File) -> Vec<String> {
    if file.path != "ARCHITECTURE.md" {
        return Vec::new();
    }
    let rooms = WAY.into_iter().chain(SIDE.into_iter().map(|(room, _)| room)).chain(ABOVE);
    let missing = rooms.filter(|room| !ROOTS.contains(room) && !has_row(&file.text, room));
    missing.map(|room| format!("{}:1: the room `{room}` has no row in the table of rooms", file.path)).collect()
}

fn has_row(text: &str, room: &str) -> bool {
    let row = format!("| `{room}` | ");
    text.lines().any(|line| line.starts_with(&row))
}

fn is_room(name: &str) -> bool {
    WAY.contains(&name) || ABOVE.contains(&name) || SIDE.iter().any(|(side, _)| *side == name)
}

fn allowed(room: &str) -> Option<Vec<&'static str>> {
    if let Some((_, allowed)) = SIDE.iter().find(|(side, _)| *side == room) {
        return Some(allowed.to_vec());
    }
    let place = WAY.iter().position(|one| *one == room)?;
    Some(WAY[place + 1..].iter().copied().chain(SIDE.iter().map(|(side, _)| *side)).collect())
}

/// The first names after `crate::`, also in groups, with where they are.
fn named(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (offset, _) in code.match_indices("crate::") {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        if offset > 0 && (is_word(&code.as_bytes()[offset - 1]) || code.as_bytes()[offset - 1] == b'$') {
            continue;
        }
        let start = offset + "crate::".len();
        if code[start..].starts_with('{') {
            found.extend(group(code, start + 1));
        } else {
            found.push((start, word(code, start)));
        }
    }
    found
}

fn word(code: &str, start: usize) -> &str {
    let rest = &code[start..];
    let end = rest.find(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    &rest[..end.unwrap_or(rest.len())]
}

/// The first name of each path in `{a::b, c::{d, e}}`.
fn group(code: &str, start: usize) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let (mut depth, mut fresh) = (1_usize, true);
    for (offset, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => break,
            b'}' => depth -= 1,
            b',' if depth == 1 => fresh = true,
            _ if byte.is_ascii_whitespace() => {}
            _ if fresh && depth == 1 => {
                found.push((offset, word(code, offset)));
                fresh = false;
            }
            _ => {}
        }
    }
    found
}

#[test]
fn leftward_imports_are_caught() {
    let wrong = Some("may not import");
    for (path, text, wanted) in [
        ("gateway/src/host.rs", "use crate::egress::Upstreams;", None),
        ("gateway/src/host/call.rs", "use crate::{model::Error, egress};", None),
        ("gateway/src/egress.rs", "use crate::host::Host;", wrong),
        ("gateway/src/egress/dial.rs", "use crate::{model::{Error, Kind}, dispatch::Dispatch};", wrong),
        ("gateway/src/model/id.rs", "fn f() { crate::store::g() }", wrong),
        ("gateway/src/store.rs", "use crate::operations::Carrier;", wrong),
        ("gateway/src/api.rs", "use crate::app::App;", wrong),
        ("gateway/src/app.rs", "use crate::api::Api;", None),
        ("gateway/src/model.rs", "#[cfg(test)] mod tests { use crate::store::Store; }", None),
        ("gateway/src/model.rs", "// use crate::store::Store;", None),
        ("gateway/src/attic.rs", "", Some("no place")),
        ("tests/whole/main.rs", "use crate::store;", None),
    ] {
        check(imports, path, text, wanted);
    }
}

#[test]
fn rooms_without_a_row_are_caught() {
    let described = |rooms: &[&str]| rooms.iter().map(|room| format!("| `{room}` | does | promises |\n")).collect::<String>();
    let beside = SIDE.map(|(room, _)| room);
    let most = [described(&WAY), described(&beside)].concat();
    let all = [most.clone(), described(&["cli", "app", "config"])].concat();
    check(rows, "ARCHITECTURE.md", &all, None);
    check(rows, "ARCHITECTURE.md", &most, Some("the room `config` has no row"));
    check(rows, "ARCHITECTURE.md", &all.replace("| `clock` |", "`clock`"), Some("the room `clock` has no row"));
    check(rows, "README.md", "", None);
}
