//! The marks by which an operation finds again what it has made, where WP Engine has no place for a key.
//!
//! Pure. Invariant: the same operation always gives the same marks, and two operations practically never the same: a name's
//! mark has 36^6 values, a description carries the operation's whole id.

/// The longest site name that the live API takes (its own example of an error).
pub const LONGEST_SITE_NAME: usize = 40;
const MARK: usize = 6;

/// A new site's name until it has its install: `Torque Magazine (k3f9x2)`.
pub fn site_name(name: &str, operation: &str) -> String {
    let start: String = name.chars().take(LONGEST_SITE_NAME - MARK - 3).collect();
    format!("{} ({})", start.trim_end(), of(operation))
}

/// An install's name (`^[a-z][a-z0-9]{2,13}$`) out of a site's: `torquemak3f9x2`.
pub fn install_name(name: &str, operation: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase());
    let start: String = letters.skip_while(char::is_ascii_digit).take(8).collect();
    format!("{}{}", if start.is_empty() { "wp" } else { &start }, of(operation))
}

/// Of a backup: what the user said, and the operation.
pub fn description(said: Option<&str>, operation: &str) -> String {
    format!("{} ({operation})", said.unwrap_or("Made by Portico"))
}

/// Without the operation.
pub fn without(description: &str) -> &str {
    let marked = description
        .rsplit_once('(')
        .filter(|(_, mark)| mark.starts_with("op_") && mark.ends_with(')') && mark.len() > "op_)".len());
    marked.and_then(|(said, _)| said.strip_suffix(' ')).unwrap_or(description)
}

pub fn is_of(description: Option<&str>, operation: &str) -> bool {
    description.is_some_and(|text| text.ends_with(&format!(" ({operation})")))
}

/// FNV-1a (64 bits) of the operation's id, its low digits in base 36.
fn of(operation: &str) -> String {
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut rest = operation.bytes().fold(0xcbf2_9ce4_8422_2325, hash);
    let digit = |_| {
        let digit = u32::try_from(rest % 36).unwrap_or_default();
        rest /= 36;
        char::from_digit(digit, 36).unwrap_or('0')
    };
    (0..MARK).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const OPERATION: &str = "op_0192f0c1a2b34d5e8f90123456789abc";

    #[test]
    fn names_fit_the_vendors_patterns() {
        for name in ["Torque Magazine", "", "1234 5", "ÄÖÜ", "x", &"long ".repeat(20)] {
            let site = site_name(name, OPERATION);
            assert!(site.chars().count() <= LONGEST_SITE_NAME, "{site}");
            let install = install_name(name, OPERATION);
            assert!((3..=14).contains(&install.len()), "{install}");
            assert!(install.starts_with(|c: char| c.is_ascii_lowercase()), "{install}");
            assert!(install.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{install}");
        }
    }

    #[test]
    fn operations_have_marks_of_their_own() {
        let marks: BTreeSet<String> = (0..10_000).map(|n| of(&format!("op_{n:032x}"))).collect();
        assert_eq!(marks.len(), 10_000);
        assert_eq!(site_name("a", OPERATION), site_name("a", OPERATION));
    }

    #[test]
    fn descriptions_come_back_as_they_were_given() {
        for said in ["Pre-deploy snapshot", "a (b)", "x (op_)"] {
            let marked = description(Some(said), OPERATION);
            assert!(is_of(Some(&marked), OPERATION) && !is_of(Some(&marked), "op_1"));
            assert_eq!(without(&marked), said);
            assert_eq!(without(said), said);
        }
        assert!(!is_of(None, OPERATION));
        assert_eq!(without("Weekly automatic backup"), "Weekly automatic backup");
    }
}
