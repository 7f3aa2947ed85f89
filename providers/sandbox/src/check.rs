//! Checks of what users give: versions, places, addresses, names.
//!
//! Invariant: a refusal names the field and what would be fine. Pure.

use portico_sdk::{Error, error};

pub const PHP_VERSIONS: &[&str] = &["8.1", "8.2", "8.3", "8.4"];
pub const WORDPRESS_VERSIONS: &[&str] = &["6.6", "6.7", "6.8"];
const REGIONS: &[&str] = &["eu-central", "us-east", "ap-south"];
const TEMPLATES: &[&str] = &["blank", "blog", "shop"];

pub fn php_version(version: Option<&str>) -> Result<(), Error> {
    one_of("php_version", version, PHP_VERSIONS)
}

pub fn wordpress_version(version: Option<&str>) -> Result<(), Error> {
    one_of("wordpress_version", version, WORDPRESS_VERSIONS)
}

pub fn region(region: Option<&str>) -> Result<(), Error> {
    one_of("region", region, REGIONS)
}

pub fn template(template: Option<&str>) -> Result<(), Error> {
    one_of("template", template, TEMPLATES)
}

fn one_of(field: &str, value: Option<&str>, known: &[&str]) -> Result<(), Error> {
    match value {
        Some(value) if !known.contains(&value) => {
            Err(error::invalid_input(field, format!("{value} isn't available here; take one of {}", known.join(", "))))
        }
        _ => Ok(()),
    }
}

/// `en`, `en_US`
pub fn locale(locale: Option<&str>) -> Result<(), Error> {
    let fits = |text: &str| {
        let (language, country) = text.split_once('_').map_or((text, None), |(language, country)| (language, Some(country)));
        let lower = (2..=3).contains(&language.len()) && language.bytes().all(|byte| byte.is_ascii_lowercase());
        lower && country.is_none_or(|country| country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()))
    };
    match locale {
        Some(text) if !fits(text) => Err(error::invalid_input("locale", format!("{text} isn't a locale; write it as en_US"))),
        _ => Ok(()),
    }
}

pub fn email(field: &str, email: &str) -> Result<(), Error> {
    let fits = email.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.') && !host.contains('@'));
    if fits && !email.contains(char::is_whitespace) {
        return Ok(());
    }
    Err(error::invalid_input(field, "this isn't an email address; write it as name@example.com"))
}

/// A user's name in WordPress.
pub fn user(field: &str, user: &str) -> Result<(), Error> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@ ".contains(&byte);
    if (1..=60).contains(&user.len()) && user.bytes().all(fits) {
        return Ok(());
    }
    Err(error::invalid_input(field, "a user's name has 1 to 60 letters, digits, spaces and . _ - @"))
}

pub fn text(field: &str, text: Option<&str>, most: usize) -> Result<(), Error> {
    match text {
        Some(text) if text.chars().count() > most => {
            Err(error::invalid_input(field, format!("this is longer than {most} characters")))
        }
        _ => Ok(()),
    }
}

/// 1 to 100 characters, no control characters.
pub fn name(field: &str, name: &str) -> Result<(), Error> {
    let length = name.chars().count();
    if name.trim().is_empty() || length > 100 || name.chars().any(char::is_control) {
        return Err(error::invalid_input(field, "a name has 1 to 100 characters, and no control characters"));
    }
    Ok(())
}

/// Lower-case A-labels, at least two, the first may be `*`.
pub fn domain(field: &str, name: &str) -> Result<(), Error> {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let plain = name.strip_prefix("*.").unwrap_or(name);
    if name.len() <= 253 && plain.contains('.') && plain.split('.').all(label) {
        return Ok(());
    }
    Err(error::invalid_input(field, format!("{name} isn't a domain; write it in lower case, as www.example.com")))
}

/// `https://…`
pub fn https(field: &str, url: &str) -> Result<(), Error> {
    let rest = url.strip_prefix("https://").unwrap_or("");
    if !rest.is_empty()
        && !rest.starts_with('/')
        && url.len() <= 500
        && !url.contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return Ok(());
    }
    Err(error::invalid_input(field, "this isn't an https address of at most 500 characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(is_fine: impl Fn(&str) -> bool, fine: &[&str], refused: &[&str]) {
        for text in fine {
            assert!(is_fine(text), "{text} was refused");
        }
        for text in refused {
            assert!(!is_fine(text), "{text} was taken");
        }
    }

    #[test]
    fn values_are_checked() {
        check(|it| php_version(Some(it)).is_ok(), &["8.3"], &["5.6", "", "8.3.1"]);
        check(|it| locale(Some(it)).is_ok(), &["en", "en_US", "ckb"], &["EN", "en-US", "en_us", "english", ""]);
        check(|it| email("e", it).is_ok(), &["a@b.example"], &["a", "@b.c", "a@b", "a@b@c.d", "a b@c.d"]);
        check(|it| user("u", it).is_ok(), &["admin", "a.b@c"], &["", "a/b", "ä"]);
        check(|it| name("n", it).is_ok(), &["Blog", "日本"], &["", " ", "a\nb"]);
        check(
            |it| domain("d", it).is_ok(),
            &["example.com", "www.example.com", "*.example.com", "xn--bcher-kva.example"],
            &["example", "Example.com", "example.com.", "a..b", "-a.b", "a_b.c", "*.*.a.b", "*", ""],
        );
        check(
            |it| https("u", it).is_ok(),
            &["https://a.example/x.zip"],
            &["http://a.example", "https://", "https:///x", "https://a b"],
        );
    }
}
