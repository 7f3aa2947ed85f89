//! The import `log`: lines for the operator.
//!
//! In go a guest's words; out come log events that name provider and connection. Invariant: a line can't forge another one
//! (control characters are escaped), doesn't hold the connection's secrets, and there are never more than the limit in a call.

use crate::host::data::Data;
use crate::model::Secrets;
use portico_bindings::portico::provider::log::{Host, Level};

/// Bytes of a line; the contract says so.
const MAX_LINE: usize = 4096;
/// Shorter ones would blank out ordinary words.
const MIN_SECRET: usize = 4;

impl Host for Data {
    async fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let too_many = self.used.log_lines >= self.limits.log_lines;
        if too_many {
            self.used.log_lines_lost = self.used.log_lines_lost.saturating_add(1);
        }
        if too_many && level != Level::Error {
            return Ok(());
        }
        let line = printable(&message, &self.owner.secrets);
        if level == Level::Error {
            self.last_words = Some(line.clone());
        }
        if too_many {
            return Ok(());
        }
        self.used.log_lines += 1;
        if let Some(meter) = &self.owner.meter {
            meter.log_lines[level as usize].inc();
        }
        let (provider, connection) = (&*self.owner.provider, self.connection());
        match level {
            Level::Debug => tracing::debug!(target: "portico::guest", provider, connection, "{line}"),
            Level::Info => tracing::info!(target: "portico::guest", provider, connection, "{line}"),
            Level::Warn => tracing::warn!(target: "portico::guest", provider, connection, "{line}"),
            Level::Error => tracing::error!(target: "portico::guest", provider, connection, "{line}"),
        }
        Ok(())
    }
}

/// Redacts first and cuts after, so that no part of a secret is left at the cut.
fn printable(message: &str, secrets: &Secrets) -> String {
    let longest = secrets.values().map(|secret| secret.len()).max().unwrap_or(0);
    let looked_at = message.floor_char_boundary(MAX_LINE + longest);
    let mut text = message[..looked_at].to_owned();
    for secret in secrets.values().filter(|secret| secret.len() >= MIN_SECRET) {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), "[redacted]");
        }
    }
    // Where the message went on, its last bytes here may be the beginning of a secret.
    let safe = if looked_at < message.len() { text.len().saturating_sub(longest) } else { text.len() };
    text.truncate(text.floor_char_boundary(safe.min(MAX_LINE)));
    if !text.chars().any(char::is_control) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if character.is_control() {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_one_line_short_and_without_secrets() {
        let secrets: Secrets =
            [("key".to_owned(), "hunter22".to_owned()), ("pin".to_owned(), "a".to_owned())].into_iter().collect();
        let table = [
            ("plain ünicode", "plain ünicode"),
            ("a\nb\x1b[31m\r", "a\\nb\\u{1b}[31m\\r"),
            ("the key is hunter22!", "the key is [redacted]!"),
        ];
        for (message, expected) in table {
            assert_eq!(printable(message, &secrets), expected);
        }
        let long = "x".repeat(MAX_LINE - 4) + "hunter22" + &"y".repeat(100);
        let line = printable(&long, &secrets);
        assert_eq!(line.len(), MAX_LINE);
        assert!(line.ends_with("x[red"), "{}", &line[MAX_LINE - 20..]);
    }
}
