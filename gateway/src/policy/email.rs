//! E-mail addresses as people type them, in the one form that accounts are kept under.
//!
//! In goes text; out come the address to show and the key to compare. Invariant: two spellings that reach the same mailbox at
//! any host we know of (case, white space around) have the same key, so nobody can register as somebody else in capitals.

const MAX: usize = 254;
const MAX_LOCAL: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// As it was typed, trimmed, the domain in lower case.
    pub address: String,
    /// All of it in lower case.
    pub key: String,
}

impl Email {
    /// None: it can't be the address of a mailbox (RFC 5321, without quoted local parts and address literals).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@')?;
        let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && !"@\"(),:;<>[\\]".contains(c);
        let fits = text.len() <= MAX && (1..=MAX_LOCAL).contains(&local.len()) && local.chars().all(is_plain);
        (fits && is_domain(domain)).then(|| {
            let address = format!("{local}@{}", domain.to_lowercase());
            Self { key: address.to_lowercase(), address }
        })
    }
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    domain.contains('.') && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_one_form() {
        for (text, expected) in [
            ("anna@example.com", Some(("anna@example.com", "anna@example.com"))),
            (" Anna.B@EXAMPLE.com\n", Some(("Anna.B@example.com", "anna.b@example.com"))),
            ("a+b'c@bücher.example", Some(("a+b'c@bücher.example", "a+b'c@bücher.example"))),
            ("", None),
            ("anna", None),
            ("@example.com", None),
            ("anna@", None),
            ("anna@localhost", None),
            ("anna@-a.com", None),
            ("anna@a..com", None),
            ("an na@example.com", None),
            ("a@b@example.com", None),
            ("anna\u{0}@example.com", None),
            ("\"a b\"@example.com", None),
            (&format!("{}@example.com", "a".repeat(65)), None),
            (&format!("a@{}.com", "b.".repeat(130)), None),
        ] {
            let found = Email::parse(text);
            let found = found.as_ref().map(|email| (email.address.as_str(), email.key.as_str()));
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
