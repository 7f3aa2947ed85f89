//! Source files, and which part of them is code, which is test.
//!
//! In go paths and texts, out come [`File`]s whose `code` has neither comments nor strings, and whose `shipped` also lacks test
//! modules; both keep every line in its place. Invariant: `code`, `shipped` and `text` have the same number of lines.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

pub struct File {
    /// Below the root of the checkout, with `/`.
    pub path: String,
    pub text: String,
    pub code: String,
    pub shipped: String,
}

impl File {
    pub fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") { blank_out(text) } else { text.to_owned() };
        let shipped = without_tests(&code);
        Self { path: path.to_owned(), text: text.to_owned(), code, shipped }
    }

    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// `path:line: what`, for a byte offset in any of the texts.
    pub fn at(&self, of: &str, offset: usize, what: &str) -> String {
        let line = of[..offset].matches('\n').count() + 1;
        format!("{}:{line}: {what}", self.path)
    }
}

/// Every text file of the checkout that people write; what is built isn't there.
pub fn repository() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the checkout");
    let mut paths = Vec::new();
    collect(root, &mut paths);
    let mut files: Vec<File> = paths.iter().filter_map(|path| read(root, path)).collect();
    let tests: HashSet<String> = files.iter().flat_map(test_modules).collect();
    for file in &mut files {
        let stem = file.path.trim_end_matches(".rs");
        if tests.iter().any(|module| stem == module || stem.starts_with(&format!("{module}/"))) {
            file.shipped = blank_lines(&file.code);
        }
    }
    files
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the checkout") {
        let entry = entry.expect("an entry of the checkout");
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kind = entry.file_type().expect("the kind of an entry");
        if kind.is_dir() && name != "target" && (!name.starts_with('.') || name == ".ci") {
            collect(&entry.path(), paths);
        } else if kind.is_file() && name != "Cargo.lock" && name != ".git" {
            paths.push(entry.path());
        }
    }
}

fn read(root: &Path, path: &Path) -> Option<File> {
    let text = std::fs::read_to_string(path).ok()?;
    let below = path.strip_prefix(root).expect("it was found below the root");
    Some(File::new(&below.to_string_lossy(), &text))
}

/// Modules that `#[cfg(test)] mod name;` keeps in files of their own, as paths without `.rs`.
fn test_modules(file: &File) -> Vec<String> {
    let folder = match file.path.rsplit_once('/') {
        Some((folder, "lib.rs" | "main.rs")) => folder.to_owned(),
        _ => file.path.trim_end_matches(".rs").to_owned(),
    };
    let after_attribute = file.code.split("#[cfg(test)]").skip(1);
    let names = after_attribute.filter_map(|rest| {
        let item = rest.trim_start();
        let item = item.strip_prefix("pub(crate) ").or_else(|| item.strip_prefix("pub(super) ")).unwrap_or(item);
        item.strip_prefix("mod ")?.split_once(';')
    });
    names.filter(|(name, _)| name.chars().all(is_word)).map(|(name, _)| format!("{folder}/{name}")).collect()
}

/// The code with the bodies of `#[cfg(test)]` items blanked.
fn without_tests(code: &str) -> String {
    let mut shipped = code.to_owned();
    let mut from = 0;
    while let Some(found) = shipped[from..].find("#[cfg(test)]") {
        let start = from + found;
        let end = end_of_item(&shipped, start);
        let blank = blank_lines(&shipped[start..end]);
        shipped.replace_range(start..end, &blank);
        from = end;
    }
    shipped
}

/// An item ends at its `;`, or where its braces close.
fn end_of_item(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(start + "#[cfg(test)]".len()) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return offset + 1,
            b'}' => depth = depth.saturating_sub(1),
            b';' if depth == 0 => return offset + 1,
            _ => {}
        }
    }
    code.len()
}

fn blank_lines(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// Spaces in place of comments, strings and characters.
fn blank_out(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = skipped(bytes, at);
        if end > at {
            out.push_str(&blank_lines(&text[at..end]));
            at = end;
        } else {
            // A word is copied whole, so that the `r` of `for"…"` can't begin a raw string.
            let word = bytes[at..].iter().take_while(|byte| is_word(char::from(**byte))).count().max(1);
            out.extend(bytes[at..at + word].iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { ' ' }));
            at += word;
        }
    }
    out
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// Where the comment or literal that begins at `at` ends; `at` itself when none does.
fn skipped(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => at + block_comment(rest),
        [b'"', ..] => at + quoted(rest, 0),
        [b'b' | b'c', b'"', ..] => at + quoted(rest, 1),
        [b'r', b'"' | b'#', ..] => at + raw(rest, 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] => at + raw(rest, 2),
        [b'\'', b'\\', _, tail @ ..] => at + 3 + tail.iter().position(|byte| *byte == b'\'').map_or(0, |end| end + 1),
        // Without a closing quote it is a lifetime.
        [b'\'', first, tail @ ..] => {
            let more = tail.iter().take_while(|byte| !first.is_ascii() && !byte.is_ascii()).count();
            if tail.get(more) == Some(&b'\'') { at + 3 + more } else { at }
        }
        _ => at,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

fn quoted(rest: &[u8], prefix: usize) -> usize {
    let mut at = prefix + 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// 0 when it isn't a raw string but a raw identifier (`r#type`).
fn raw(rest: &[u8], prefix: usize) -> usize {
    let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(prefix + hashes) != Some(&b'"') {
        return 0;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = prefix + hashes + 1;
    let end = rest[body..].windows(close.len()).position(|window| window == close);
    end.map_or(rest.len(), |end| body + end + close.len())
}

#[test]
fn comments_strings_and_tests_are_no_code() {
    let text = "let a = \"x.unwrap()\"; // b.unwrap()\n/* c /* d */ e */ f('\\'', 'Q', r#\"h\"i\"#);\nfn j<'k>() {}\n\
                #[cfg(test)]\nmod tests { fn l() { m } }\nn";
    let file = File::new("gateway/src/a.rs", text);
    for gone in ["unwrap", " c ", " d ", " e ", "Q", "h\"i"] {
        assert!(!file.code.contains(gone), "{gone:?} is in {:?}", file.code);
    }
    for stays in ["let a =", "f(", "fn j<'k>() {}", "mod tests", "\nn"] {
        assert!(file.code.contains(stays), "{stays:?} is not in {:?}", file.code);
    }
    assert!(!file.shipped.contains("mod tests") && file.shipped.ends_with("\nn"), "{:?}", file.shipped);
    assert_eq!(file.text.matches('\n').count(), file.shipped.matches('\n').count());
}

#[test]
fn test_modules_in_files_of_their_own_are_found() {
    let file = File::new("gateway/src/store.rs", "#[cfg(test)]\npub(crate) mod suite;\nmod sqlite;\n#[cfg(test)]\nmod tests;");
    assert_eq!(test_modules(&file), ["gateway/src/store/suite", "gateway/src/store/tests"]);
}
