//! Lists that go through a site's installs one after the other.
//!
//! Pure. Invariant: a cursor, `install:offset`, names the install that it goes on in, so nothing is skipped when another is
//! made or removed meanwhile.

use super::types::Install;
use portico_sdk::{Error, error::invalid_input};

/// Where a page begins: index of the install, and the offset there. None in a site without installs.
pub fn place(installs: &[Install], cursor: Option<&str>) -> Result<Option<(usize, u64)>, Error> {
    let Some(cursor) = cursor else { return Ok((!installs.is_empty()).then_some((0, 0))) };
    let (install, offset) = cursor.rsplit_once(':').unwrap_or_default();
    let index = installs.iter().position(|one| one.id == install);
    match (index, offset.parse()) {
        (Some(index), Ok(offset)) => Ok(Some((index, offset))),
        _ => Err(invalid_input("cursor", "this cursor isn't one of ours")),
    }
}

/// The cursor after a page that ended at `offset`, or with the install's last item.
pub fn next(installs: &[Install], index: usize, offset: Option<u64>) -> Option<String> {
    match (offset, installs.get(index), installs.get(index + 1)) {
        (Some(offset), Some(same), _) => Some(format!("{}:{offset}", same.id)),
        (_, _, Some(following)) => Some(format!("{}:0", following.id)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_sdk::json;
    use serde_json::json;

    #[test]
    fn one_install_after_the_other() {
        let installs: Vec<Install> = json::read(&json!([{"id": "a", "name": "aaa"}, {"id": "b", "name": "bbb"}])).unwrap();
        assert_eq!(place(&installs, None).unwrap(), Some((0, 0)));
        assert_eq!(next(&installs, 0, Some(100)).as_deref(), Some("a:100"));
        assert_eq!(place(&installs, Some("a:100")).unwrap(), Some((0, 100)));
        assert_eq!(next(&installs, 0, None).as_deref(), Some("b:0"));
        assert_eq!(place(&installs, Some("b:0")).unwrap(), Some((1, 0)));
        assert_eq!(next(&installs, 1, None), None);
        assert_eq!(place(&[], None).unwrap(), None);
        for bad in ["", "a", "c:0", "a:x"] {
            assert_eq!(place(&installs, Some(bad)).unwrap_err().field.as_deref(), Some("cursor"));
        }
    }
}
