//! The contract's comments: all that the author of a provider has to go by.
//!
//! In goes a file, out come the functions of `wit/` that say nothing of themselves. Invariant: a comment counts for the line
//! right below it alone.

use super::{check, source::File};

pub fn functions(file: &File) -> Vec<String> {
    if !file.path.starts_with("wit/") || !file.path.ends_with(".wit") {
        return Vec::new();
    }
    let lines = file.text.lines().map(str::trim);
    let before = std::iter::once("").chain(lines.clone());
    let bare = before.zip(lines).enumerate().filter(|(_, (before, line))| is_function(line) && !before.starts_with("///"));
    bare.map(|(index, _)| format!("{}:{}: say above it (///) who calls it, and when", file.path, index + 1)).collect()
}

fn is_function(line: &str) -> bool {
    !line.starts_with("//") && line.contains(": func(")
}

#[test]
fn functions_without_a_comment_are_caught() {
    for (path, text, wanted) in [
        ("wit/a.wit", "interface a {\n  b: func();\n}", Some("wit/a.wit:2: say")),
        ("wit/a.wit", "interface a {\n  /// B.\n  b: func();\n  %list: func(c: u8) -> u8;\n}", Some("wit/a.wit:4: say")),
        ("wit/a.wit", "interface a {\n  /// B.\n\n  b: func();\n}", Some("wit/a.wit:4: say")),
        ("wit/a.wit", "interface a {\n  // B.\n  b: func();\n}", Some("wit/a.wit:3: say")),
        ("wit/a.wit", "interface a {\n  /// B.\n  /// More of it.\n  b: func();\n}", None),
        ("wit/a.wit", "// b: func();\nworld a {\n  include b;\n}", None),
        ("tests/a.rs", "interface a {\n  b: func();\n}", None),
    ] {
        check(functions, path, text, wanted);
    }
}
