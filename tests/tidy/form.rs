//! The form of files: a head that says what they are for, a length that can be read, nothing unfinished.
//!
//! In goes a file, out come the places that break the form. Invariant: a rule looks at code, not at comments and strings, where
//! that makes a difference.

use super::{check, source::File};

const LONGEST: usize = 600;

/// Generated code and golden files are not written by hand.
pub fn length(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    if !file.is_rust() || lines <= LONGEST {
        return Vec::new();
    }
    vec![format!("{}:{LONGEST}: {lines} lines, at most {LONGEST}: it wants to be two files", file.path)]
}

pub fn head(file: &File) -> Vec<String> {
    if !file.is_rust() || file.text.starts_with("//! ") || file.text.starts_with("#![doc = ") {
        return Vec::new();
    }
    vec![format!("{}:1: begin with //! what this file does, and its invariant", file.path)]
}

pub fn place(file: &File) -> Vec<String> {
    if !file.path.ends_with("/mod.rs") {
        return Vec::new();
    }
    vec![format!("{}:1: name it after its folder, beside the folder (foo.rs and foo/)", file.path)]
}

pub fn unwrap(file: &File) -> Vec<String> {
    let source = file.path.starts_with("gateway/src/") || file.path.starts_with("providers/");
    let shipped = source && !file.path.contains("/tests/");
    if !file.is_rust() || !shipped {
        return Vec::new();
    }
    let unwraps =
        file.shipped.match_indices(".unwrap()").map(|(offset, _)| (offset, "unwrap: raise the error, or say why not"));
    let reasoned = file.code.contains("expect(clippy::expect_used");
    let expects = file.shipped.match_indices(".expect(").filter(|_| !reasoned);
    let expects = expects.map(|(offset, _)| (offset, "expect without #[expect(clippy::expect_used, reason = …)]"));
    unwraps.chain(expects).map(|(offset, what)| file.at(&file.shipped, offset, what)).collect()
}

pub fn unfinished(file: &File) -> Vec<String> {
    if !file.is_rust() {
        return Vec::new();
    }
    let macros = ["todo!", "unimplemented!"].into_iter().flat_map(|word| file.code.match_indices(word));
    macros
        .map(|(offset, word)| file.at(&file.code, offset, &format!("{word} is a promise to a user that isn't kept")))
        .collect()
}

pub fn ignored(file: &File) -> Vec<String> {
    if !file.is_rust() {
        return Vec::new();
    }
    let bare = file.code.match_indices("#[ignore]");
    bare.map(|(offset, _)| file.at(&file.code, offset, "an ignored test says why: #[ignore = \"because …\"]")).collect()
}

/// Every library has `doctest = false`: running none takes rustdoc as long as reading the whole crate.
pub fn example(file: &File) -> Vec<String> {
    if !file.is_rust() {
        return Vec::new();
    }
    let docs = file.text.lines().enumerate().filter_map(|(line, text)| {
        let doc = ["///", "//!"].iter().find_map(|mark| text.trim_start().strip_prefix(mark))?;
        doc.trim_start().strip_prefix("```").map(|language| (line + 1, language.trim()))
    });
    // Each second one ends a block.
    let opening = docs.step_by(2).filter(|(_, language)| language.is_empty() || language.starts_with("rust"));
    opening.map(|(line, _)| format!("{}:{line}: examples in docs aren't run: make it a test", file.path)).collect()
}

/// Paths and hosts of one developer's machine mean nothing on another.
pub fn machine(file: &File) -> Vec<String> {
    // Put together here, so that this file doesn't hold them.
    let words =
        [("/wo", "rk/wt"), ("/wo", "rk/main"), ("/wo", "rk/shared"), ("/ho", "me/"), ("/root/", ".cargo"), ("arti", "factory")];
    let words = words.map(|(one, two)| format!("{one}{two}"));
    let found = words.iter().flat_map(|word| file.text.match_indices(word.as_str()));
    found.map(|(offset, word)| file.at(&file.text, offset, &format!("{word} belongs to one machine"))).collect()
}

/// A fault that passes, such as a full disk, must not leave the service dead: systemd gives up after a few failures.
pub fn unit(file: &File) -> Vec<String> {
    if !file.path.ends_with(".service") {
        return Vec::new();
    }
    let below = |section: &str, line: &str| {
        let from = file.text.lines().skip_while(|one| *one != section).skip(1);
        from.take_while(|one| !one.starts_with('[')).any(|one| one == line)
    };
    let wanted = [("[Unit]", "StartLimitIntervalSec=0"), ("[Service]", "Restart=on-failure"), ("[Service]", "RestartSec=5")];
    let missing = wanted.iter().filter(|(section, line)| !below(section, line));
    missing.map(|(section, line)| format!("{}:1: {line} is missing below {section}: it may give up", file.path)).collect()
}

#[test]
fn units_that_give_up_are_caught() {
    let good = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=on-failure\nRestartSec=5\n[Install]\n";
    check(unit, "config/a.service", good, None);
    check(unit, "config/a.service", &good.replace("RestartSec=5\n", ""), Some("RestartSec=5"));
    let astray = good.replace("StartLimitIntervalSec=0\n", "").replace("[Install]", "StartLimitIntervalSec=0");
    check(unit, "config/a.service", &astray, Some("below [Unit]"));
    check(unit, "README.md", "", None);
}

#[test]
fn broken_form_is_caught() {
    check(head, "gateway/src/a.rs", "use b;", Some("begin with"));
    check(head, "gateway/src/a.rs", "//! A.\n", None);
    check(head, "Makefile", "all:", None);
    check(length, "gateway/src/a.rs", &"\n".repeat(601), Some("two files"));
    check(length, "gateway/src/a.rs", &"\n".repeat(600), None);
    check(place, "gateway/src/a/mod.rs", "", Some("foo.rs"));
    check(unfinished, "tests/a.rs", concat!("to", "do!()"), Some("promise"));
    check(unfinished, "tests/a.rs", concat!("// to", "do!()"), None);
    check(ignored, "tests/a.rs", concat!("#[ig", "nore]"), Some("says why"));
    check(ignored, "tests/a.rs", "#[ignore = \"because it needs a GPU\"]", None);
    for (text, wanted) in [
        ("/// ```\n/// a();\n/// ```", Some("a.rs:1: examples")),
        ("/// ```toml\n/// a = 1\n/// ```\n\n  //! ```rust\n  //! ```", Some("a.rs:5: examples")),
        ("/// ```toml\n/// a = 1\n/// ```", None),
        ("/// Between ```` ```sh ```` and the end.", None),
    ] {
        check(example, "gateway/src/a.rs", text, wanted);
    }
    check(machine, "README.md", concat!("cd /ho", "me/me"), Some("one machine"));
    check(machine, "README.md", "cd portico", None);
}

#[test]
fn unwraps_are_caught_outside_tests() {
    for (path, text, wanted) in [
        ("gateway/src/a.rs", "fn a() { b.unwrap() }", Some("unwrap")),
        ("providers/sdk/src/a.rs", "fn a() { b.expect(\"c\") }", Some("expect without")),
        ("gateway/src/a.rs", "#[expect(clippy::expect_used, reason = \"r\")]\nfn a() { b.expect(\"c\") }", None),
        ("gateway/src/a.rs", "#[cfg(test)]\nmod tests { fn a() { b.unwrap() } }", None),
        ("gateway/src/a.rs", "fn a() { b.unwrap_or(1) } // b.unwrap()", None),
        ("tests/src/lib.rs", "fn a() { b.unwrap() }", None),
    ] {
        check(unwrap, path, text, wanted);
    }
}
