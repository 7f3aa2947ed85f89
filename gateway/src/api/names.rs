//! Ids and names from paths and bodies, checked before anything is asked.
//!
//! Invariant: what passes here is safe to hand to a provider as it is; nothing is looked up.

use super::problem::Problem;
use crate::model::{self, ResourceId, Slug};
use uuid::Uuid;

pub const MAX_NAME: usize = 100;
/// A name of [`MAX_NAME`] characters may take four times as many bytes, and an id three times as many again when escaped.
const MAX_ENVIRONMENT: usize = 1536;

/// A site's whole id. An id that can't be one is like one that doesn't exist, but the words say why.
pub fn site_id(text: &str) -> Result<ResourceId, Problem> {
    ResourceId::parse(text).map_err(|error| {
        let native = text.split_once('~').and_then(|(slug, native)| Some(format!("{slug}~{}", escaped(native)?)));
        let spelling = native.map(|id| format!("; write it as {id}")).unwrap_or_default();
        Problem::new(http::StatusCode::BAD_REQUEST, "invalid_id", format!("{text:?} is not a site's id: {error}{spelling}"))
    })
}

/// A connection's id in a path.
pub fn slug(text: &str) -> Result<Slug, Problem> {
    Slug::parse(text).map_err(|error| Problem::new(http::StatusCode::BAD_REQUEST, "invalid_id", format!("{text:?}: {error}")))
}

/// The same in a query or a body, where what doesn't fit is named by its field.
pub fn connection(field: &str, text: &str) -> Result<Slug, Problem> {
    Slug::parse(text).map_err(|error| Problem::invalid(field, format!("{text:?}: {error}")))
}

/// The native id behind a sub-resource's segment.
pub fn native(text: &str) -> Result<String, Problem> {
    model::unescape(text).map_err(|error| {
        let spelling = escaped(text).map(|id| format!("; write it as {id}")).unwrap_or_default();
        let detail = format!("{text:?}: {error}{spelling}");
        Problem::new(http::StatusCode::BAD_REQUEST, "invalid_id", detail)
    })
}

/// How somebody who wrote the id as the host has it is to write it. With a `=` in it, it isn't clear what was meant.
fn escaped(text: &str) -> Option<String> {
    let escaped = model::escape(text);
    let helps = !text.contains('=') && escaped != text && model::unescape(&escaped).is_ok();
    helps.then_some(escaped)
}

/// Who did something, as the audit log names them.
pub fn actor(text: &str) -> Result<(), Problem> {
    let is_id = |id: &str| Uuid::parse_str(id).is_ok_and(|uuid| uuid.hyphenated().to_string() == id);
    let named = matches!(text, "operator" | "nobody");
    let known = named || ["token:", "user:"].iter().any(|kind| text.strip_prefix(kind).is_some_and(is_id));
    known.then_some(()).ok_or_else(|| Problem::invalid("actor", "`operator`, `nobody`, or `token:` or `user:` with an id"))
}

/// What was done, as the audit log names it.
pub fn action(text: &str) -> Result<(), Problem> {
    let mut parts = text.split('.');
    let lower = |part: &str, more: &str| {
        !part.is_empty() && part.chars().all(|letter| letter.is_ascii_lowercase() || more.contains(letter))
    };
    let is_action =
        parts.next().is_some_and(|group| lower(group, "")) && parts.clone().count() <= 2 && parts.all(|part| lower(part, "_"));
    is_action.then_some(()).ok_or_else(|| Problem::invalid("action", "an endpoint's name, such as `connections.create`"))
}

/// A name for people: 1 to 100 characters, none of them a control character, no white space at the ends.
pub fn display_name(field: &str, text: &str) -> Result<(), Problem> {
    let length = text.chars().count();
    if length == 0 || length > MAX_NAME {
        return Err(Problem::invalid(field, format!("1 to {MAX_NAME} characters, not {length}")));
    }
    if text.chars().any(char::is_control) || text.trim() != text {
        return Err(Problem::invalid(field, "no control characters, and no white space at the ends"));
    }
    Ok(())
}

/// Short free text such as a version, a region or a title.
pub fn text(field: &str, value: Option<&str>, max: usize) -> Result<(), Problem> {
    match value {
        Some("") => Err(Problem::invalid(field, "leave it out, or give it a value")),
        Some(text) if text.chars().count() > max => Err(Problem::invalid(field, format!("at most {max} characters"))),
        Some(text) if text.chars().any(char::is_control) => Err(Problem::invalid(field, "no control characters")),
        _ => Ok(()),
    }
}

/// An environment as users name it in bodies and queries: by its name, or by its id as answers write it (escaped).
pub fn environment(field: &str, value: Option<String>) -> Result<Option<String>, Problem> {
    text(field, value.as_deref(), MAX_ENVIRONMENT)?;
    Ok(value.map(|value| model::unescape(&value).unwrap_or(value)))
}

/// The same where one must be named.
pub fn some_environment(field: &str, value: String) -> Result<String, Problem> {
    text(field, Some(&value), MAX_ENVIRONMENT)?;
    Ok(model::unescape(&value).unwrap_or(value))
}

/// A domain in the one form that the API knows: lower-case A-labels (RFC 5890) without a trailing dot, `*` as first label.
pub fn domain(field: &str, name: &str) -> Result<(), Problem> {
    let refuse = |why: &str| Err(Problem::invalid(field, format!("{name:?}: {why}")));
    if name.len() > 253 {
        return refuse("a domain has at most 253 characters");
    }
    let bare = name.strip_prefix("*.").unwrap_or(name);
    if !bare.contains('.') {
        return refuse("a domain has at least two labels, such as example.com");
    }
    if bare.split('.').all(is_label) {
        Ok(())
    } else {
        refuse("use lower-case labels of a-z, 0-9 and - (punycode for others), without a trailing dot")
    }
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(allowed)
}

/// A whole address with one of these schemes, as a browser writes it.
pub fn url(field: &str, text: &str, schemes: &[&str]) -> Result<(), Problem> {
    const MAX: usize = 2000;
    // The parser is as lenient as browsers are; hosts need not be.
    let is_plain = !text.chars().any(|character| character.is_control() || character.is_whitespace());
    let has_scheme = schemes.iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://")));
    let fits = text.chars().count() <= MAX && is_plain && has_scheme && url::Url::parse(text).is_ok_and(|url| url.has_host());
    if fits {
        Ok(())
    } else {
        Err(Problem::invalid(field, format!("not an {} address of at most {MAX} characters", schemes.join(" or "))))
    }
}

/// A slug made from a name for people: `Client A & Sons` becomes `client-a-sons`.
pub fn slugify(name: &str) -> Option<Slug> {
    let mut out = String::new();
    for character in name.chars().flat_map(char::to_lowercase) {
        match character {
            'a'..='z' | '0'..='9' => out.push(character),
            _ if !out.is_empty() && !out.ends_with('-') => out.push('-'),
            _ => {}
        }
        if out.len() >= 40 {
            break;
        }
    }
    Slug::parse(out.trim_end_matches('-')).ok()
}

/// `base-2`, for the second of a name.
pub fn numbered(base: &Slug, number: u32) -> Result<Slug, Problem> {
    slug(&format!("{base}-{number}"))
}

/// An address that a mailbox could have; hosts check the rest.
pub fn email(field: &str, text: &str) -> Result<(), Problem> {
    let fits = text.chars().count() <= 254
        && text.split_once('@').is_some_and(|(local, host)| !local.is_empty() && host.contains('.') && !host.contains('@'))
        && !text.chars().any(|character| character.is_control() || character.is_whitespace());
    if fits { Ok(()) } else { Err(Problem::invalid(field, "not an e-mail address")) }
}

#[cfg(test)]
mod agreement;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_have_one_form() {
        for good in ["example.com", "*.example.com", "xn--bcher-kva.example", "a-1.b.co"] {
            assert!(domain("name", good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "com",
            "Example.com",
            "example.com.",
            "-a.com",
            "a..com",
            "*.com",
            "a.*.com",
            "bücher.example",
            "a b.com",
            "a/b.com",
        ] {
            assert!(domain("name", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_as_the_host_has_it_is_told_how_to_be_written() {
        let detail = |text: &str| native(text).unwrap_err().detail.into_owned();
        for (text, written) in [("QA 2", "QA=202"), ("akismet/akismet.php", "akismet=2Fakismet.php"), ("ä", "=C3=A4")] {
            assert!(detail(text).ends_with(&format!("; write it as {written}")), "{}", detail(text));
        }
        for unclear in ["", "..", "a=2f", &"ä".repeat(300)] {
            let detail = detail(unclear);
            assert!(!detail.contains("write it as ") && !detail.contains('~'), "{detail}");
        }
    }

    #[test]
    fn a_connection_outside_of_a_path_is_named_by_its_field() {
        let problem = connection("connection", "UPPER").unwrap_err();
        assert_eq!((problem.status.as_u16(), &*problem.code, &*problem.fields[0].field), (422, "invalid_input", "connection"));
        assert_eq!(slug("UPPER").unwrap_err().status.as_u16(), 400);
        assert!(connection("connection", "a-1").is_ok());
    }

    #[test]
    fn environments_are_named_by_name_or_by_escaped_id() {
        for (given, native) in
            [("production", "production"), ("My Staging", "My Staging"), ("My=20Staging", "My Staging"), ("a=b", "a=b")]
        {
            assert_eq!(environment("environment", Some(given.into())).ok().flatten().as_deref(), Some(native), "{given}");
        }
        assert_eq!(environment("environment", None).ok(), Some(None));
        for bad in ["", "a\nb", &"x".repeat(1537)] {
            assert!(environment("environment", Some(bad.into())).is_err(), "{bad}");
            assert!(some_environment("environment", bad.into()).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_are_whole() {
        let check = |text: &str, schemes: &[&str]| url("u", text, schemes).is_ok();
        for good in ["https://example.com", "https://example.com:8443/a?b=c#d", "https://[::1]/"] {
            assert!(check(good, &["https"]), "{good}");
        }
        let long = format!("https://example.com/{}", "x".repeat(2000));
        for bad in ["", "https://", "https:example.com", "HTTPS://example.com", "http://example.com", "//example.com", &*long] {
            assert!(!check(bad, &["https"]), "{bad}");
        }
        for bad in [" https://example.com", "https://exa mple.com", "https://example.com/\n", "https://ex%ample.com"] {
            assert!(!check(bad, &["https"]), "{bad}");
        }
        assert!(check("http://example.com/", &["https", "http"]));
    }

    #[test]
    fn names_become_slugs() {
        for (name, slug) in [("Client A & Sons", Some("client-a-sons")), ("  Äpfel 7 ", Some("pfel-7")), ("!!!", None)] {
            assert_eq!(slugify(name).as_ref().map(Slug::as_str), slug, "{name}");
        }
    }
}
