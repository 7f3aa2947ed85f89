//! The access log: one line a request, written by hand, since it is the one line that is written as often as requests come.
//!
//! In go what is known of an answered request, and once where lines go; out come lines in the log's own form. Invariant: a line
//! holds the path without its query and without a secret, and of headers the ids that trace the request alone; what a client
//! can choose is escaped, and a line is one line.

mod path;

pub use path::without_secrets;

use crate::{clock, model::Timestamp};
use std::{cell::RefCell, fmt, io::Write as _, net::IpAddr, sync::OnceLock, time::Duration};
use uuid::{Uuid, fmt::Hyphenated};

/// What the log's lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Json,
}

/// An answered request.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    pub request_id: &'a str,
    pub trace_id: Option<&'a dyn fmt::Display>,
    pub client: Option<IpAddr>,
    /// Whose request it was, of who is known: what kind of principal, and which.
    pub principal: Option<(&'static str, Uuid)>,
    pub method: &'a str,
    pub path: &'a str,
    pub status: u16,
    pub took: Duration,
    /// When it was answered.
    pub at: Timestamp,
}

type Sink = Box<dyn Fn(&[u8]) + Send + Sync>;

static OUTPUT: OnceLock<(Form, Sink)> = OnceLock::new();

/// Says where lines go, once a process; before, and after a second call, nothing changes.
pub fn install(form: Form, sink: impl Fn(&[u8]) + Send + Sync + 'static) {
    // The log is set up at one place; whoever tries again has the first one's output.
    let _ = OUTPUT.set((form, Box::new(sink)));
}

/// Writes the line, unless the log's filter leaves out `access` at level info.
pub fn write(line: &Line<'_>) {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    if !tracing::enabled!(target: "access", tracing::Level::INFO) {
        return;
    }
    let Some((form, sink)) = OUTPUT.get() else { return };
    BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        line.put(*form, buffer);
        sink(buffer);
    });
}

impl Line<'_> {
    fn put(&self, form: Form, out: &mut Vec<u8>) {
        match form {
            Form::Json => self.put_json(out),
            Form::Text => self.put_text(out),
        }
    }

    fn put_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"timestamp\":\"");
        put_time(self.at, out);
        out.extend_from_slice(b"\",\"level\":\"INFO\",\"request_id\":");
        quote(self.request_id, out);
        // Hexadecimal digits and addresses need no escape.
        put_if(b",\"trace_id\":\"", self.trace_id, b"\"", out);
        self.put_client(b",\"client\":\"", b"\"", out);
        self.put_principal(b",\"principal\":\"", b"\"", out);
        out.extend_from_slice(b",\"method\":\"");
        out.extend_from_slice(self.method.as_bytes());
        out.extend_from_slice(b"\",\"path\":");
        quote(&without_secrets(self.path), out);
        out.extend_from_slice(b",\"status\":");
        put_number(self.status.into(), out);
        out.extend_from_slice(b",\"micros\":");
        put_number(self.micros(), out);
        out.extend_from_slice(b",\"target\":\"access\"}\n");
    }

    fn put_text(&self, out: &mut Vec<u8>) {
        put_time(self.at, out);
        out.extend_from_slice(b"  INFO access: request_id=");
        quote(self.request_id, out);
        put_if(b" trace_id=", self.trace_id, b"", out);
        self.put_client(b" client=", b"", out);
        self.put_principal(b" principal=", b"", out);
        out.extend_from_slice(b" method=\"");
        out.extend_from_slice(self.method.as_bytes());
        out.extend_from_slice(b"\" path=");
        quote(&without_secrets(self.path), out);
        out.extend_from_slice(b" status=");
        put_number(self.status.into(), out);
        out.extend_from_slice(b" micros=");
        put_number(self.micros(), out);
        out.push(b'\n');
    }

    fn put_client(&self, before: &[u8], after: &[u8], out: &mut Vec<u8>) {
        let Some(IpAddr::V4(address)) = self.client else { return put_if(before, self.client, after, out) };
        out.extend_from_slice(before);
        for (number, byte) in address.octets().into_iter().enumerate() {
            out.extend_from_slice(if number == 0 { b"" } else { b"." });
            put_number(byte.into(), out);
        }
        out.extend_from_slice(after);
    }

    fn put_principal(&self, before: &[u8], after: &[u8], out: &mut Vec<u8>) {
        let Some((kind, id)) = self.principal else { return };
        let mut text = [0; Hyphenated::LENGTH];
        for part in [before, kind.as_bytes(), b":", id.hyphenated().encode_lower(&mut text).as_bytes(), after] {
            out.extend_from_slice(part);
        }
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX)
    }
}

/// The time as RFC 3339 has it, to the millisecond. Its seconds are written once for all lines of one.
fn put_time(at: Timestamp, out: &mut Vec<u8>) {
    thread_local! {
        static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
    }
    let now = at.as_millis();
    let (second, millis) = (now.div_euclid(1000), now.rem_euclid(1000));
    SECOND.with_borrow_mut(|(written, text)| {
        if *written != second {
            *text = clock::from_unix(second).to_string();
            text.truncate(text.trim_end_matches('Z').len());
            *written = second;
        }
        out.extend_from_slice(text.as_bytes());
    });
    let digit = |of: i64| b'0' + (millis / of % 10) as u8;
    out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1), b'Z']);
}

fn put_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn put_if(before: &[u8], value: Option<impl fmt::Display>, after: &[u8], out: &mut Vec<u8>) {
    let Some(value) = value else { return };
    out.extend_from_slice(before);
    // Writing to memory doesn't fail.
    let _ = write!(out, "{value}");
    out.extend_from_slice(after);
}

/// As a JSON string; nothing in it can end the line or begin another field.
fn quote(text: &str, out: &mut Vec<u8>) {
    // Strings always have a JSON form, and memory takes it.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(form: Form, path: &str) -> String {
        let line = Line {
            request_id: "r-1",
            trace_id: Some(&"0af7"),
            client: "::1".parse().ok(),
            principal: Some(("token", Uuid::from_u128(1))),
            method: "GET",
            path,
            status: 200,
            took: Duration::from_micros(42),
            at: clock::now(),
        };
        let mut out = Vec::new();
        line.put(form, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_json_whatever_the_path_holds() {
        for path in ["/api/v1/sites", "/a\"b\\c", "/\n{\"level\":\"ERROR\"}"] {
            let text = put(Form::Json, path);
            assert_eq!(text.matches('\n').count(), 1, "{text}");
            let line: serde_json::Value = serde_json::from_str(&text).unwrap();
            let at: crate::model::Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
            assert!((0..10_000).contains(&(clock::now().as_millis() - at.as_millis())), "{text}");
            assert_eq!((&line["path"], &line["status"], &line["micros"]), (&path.into(), &200.into(), &42.into()));
            assert_eq!(
                (&line["target"], &line["request_id"], &line["method"]),
                (&"access".into(), &"r-1".into(), &"GET".into())
            );
            assert_eq!(line["principal"], "token:00000000-0000-0000-0000-000000000001");
        }
    }

    #[test]
    fn a_line_holds_no_value_of_a_token() {
        let value = "x".repeat(43);
        for form in [Form::Json, Form::Text] {
            let text = put(form, &format!("/api/v1/tokens/ptk_{value}"));
            assert!(text.contains("\"/api/v1/tokens/ptk_xxxxxx…\"") && !text.contains(&value), "{text}");
        }
    }

    #[test]
    fn a_line_of_text_reads_as_the_others_do() {
        let text = put(Form::Text, "/a b");
        assert!(
            text.ends_with(
                "  INFO access: request_id=\"r-1\" trace_id=0af7 client=::1 principal=token:00000000-0000-0000-0000-000000000001 \
                 method=\"GET\" path=\"/a b\" status=200 micros=42\n"
            ),
            "{text}"
        );
    }
}
