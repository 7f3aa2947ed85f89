//! The toolkit's answers: plugins, themes, caches, security, checksums, links. None of their bodies is documented.
//!
//! Pure. The usual spellings are WP-CLI's, which the panel runs. Invariant: what isn't found is none, and a list of files is told only
//! where the answer has one.

use super::{
    id_of, native_of,
    read::{as_flag, as_text, find, flag, object, text},
};
use portico_sdk::{
    Error,
    error::internal,
    wordpress::{Cache, Extension, Security},
};
use serde_json::{Value, json};

/// Its id is what the panel's calls name it by: its slug, as WP-CLI's `name` is.
pub fn extension(value: &Value) -> Result<Extension, Error> {
    let told = id_of(value, &["slug", "name", "plugin", "theme", "stylesheet", "file", "id"], "a plugin or theme")?;
    let id = slug(&told).to_owned();
    let status = text(value, &["status"]).map(|status| status.to_ascii_lowercase());
    Ok(Extension {
        name: text(value, &["title", "display_name", "label", "name"]).unwrap_or_else(|| id.clone()),
        version: text(value, &["version"]),
        // Of a multisite it is `active-network`.
        active: status
            .map_or_else(|| flag(value, &["active", "is_active"]).unwrap_or(false), |word| word.starts_with("active")),
        update: update(value),
        native: native_of(value),
        id,
    })
}

/// `akismet` of `akismet/akismet.php`, which is how WordPress itself names a plugin; `hello` of `hello.php`.
pub fn slug(name: &str) -> &str {
    let folder = name.split('/').find(|part| !part.is_empty()).unwrap_or(name);
    folder.strip_suffix(".php").filter(|rest| !rest.is_empty()).unwrap_or(folder)
}

/// The newest version, if there is a newer one: WP-CLI tells `update` ("available", "none") and `update_version`.
fn update(value: &Value) -> Option<String> {
    let newest = text(value, &["update_version", "new_version", "latest_version"]);
    match find(value, &["update", "update_available", "has_update"], |value| Some(value.clone())) {
        None => newest.filter(|newest| Some(newest) != text(value, &["version"]).as_ref()),
        Some(Value::String(word)) if word == "available" => newest,
        Some(Value::String(word)) if word.starts_with(|first: char| first.is_ascii_digit()) => Some(word),
        Some(told) => newest.filter(|_| as_flag(&told) == Some(true)),
    }
}

pub fn cache(answer: &Value) -> Cache {
    let inside = object(answer.clone(), &["cache"]);
    let kinds = ["object", "page", "cdn"];
    let on = |kind: &&str| {
        let names = [format!("{kind}_cache"), format!("{kind}_cache_enabled"), (*kind).to_owned()];
        flag(&inside, &names.each_ref().map(String::as_str)) == Some(true)
    };
    let mut known: Vec<String> = kinds.into_iter().filter(on).map(str::to_owned).collect();
    if let Some(Value::Array(told)) = inside.get("kinds").or_else(|| inside.get("types")) {
        known.extend(told.iter().filter_map(as_text));
    } else if let Some(kind) = text(&inside, &["type", "cache_type"]) {
        known.push(kind);
    }
    known.sort();
    known.dedup();
    let enabled = flag(&inside, &["enabled", "active", "is_enabled", "cache_enabled", "status"]).unwrap_or(!known.is_empty());
    Cache { enabled, kinds: known, native: native_of(answer) }
}

pub fn security(answer: &Value) -> Security {
    let inside = object(answer.clone(), &["security"]);
    let off = flag(&inside, &["disable_file_edit", "file_edit_disabled", "disallow_file_edit"]);
    Security {
        file_edit: flag(&inside, &["file_edit", "file_edit_enabled"]).or_else(|| off.map(|off| !off)),
        file_protection: flag(&inside, &["file_protection", "file_protection_enabled"]),
        hide_login: flag(&inside, &["hide_login", "hide_login_enabled", "login_hidden"]),
        debug: flag(&inside, &["debug", "debug_enabled", "wp_debug"]),
        native: native_of(answer),
    }
}

/// `{"modified", "missing", "unknown"}` as far as they are told, and `valid` where that is.
pub fn checksums(answer: &Value) -> Value {
    let inside = object(answer.clone(), &["checksums", "result"]);
    let valid = flag(&inside, &["valid", "verified", "ok", "passed"]);
    let mut details = json!({});
    for (ours, names) in [
        ("modified", ["modified", "changed", "mismatched", "failed"]),
        ("missing", ["missing", "missing_files", "not_found", "absent"]),
        ("unknown", ["unknown", "unexpected", "extra", "should_not_exist"]),
    ] {
        match find(&inside, &names, paths) {
            Some(paths) => details[ours] = paths.into(),
            // What verifies has nothing of these.
            None if valid == Some(true) => details[ours] = json!([]),
            None => {}
        }
    }
    if let Some(valid) = valid {
        details["valid"] = valid.into();
    }
    details
}

/// Names of files, or objects that have one.
fn paths(value: &Value) -> Option<Vec<String>> {
    let path = |item: &Value| as_text(item).or_else(|| text(item, &["path", "file", "name"]));
    Some(value.as_array()?.iter().filter_map(path).collect())
}

/// How many replacements there were.
pub fn replacements(answer: &Value) -> Option<u64> {
    let inside = object(answer.clone(), &["result"]);
    super::read::number(&inside, &["replacements", "replaced", "total", "count", "changes"])
}

/// The link that logs in once.
pub fn link(answer: &Value) -> Result<String, Error> {
    let inside = object(answer.clone(), &["login", "result"]);
    let url = text(&inside, &["url", "login_url", "auto_login_url", "autologin_url", "link", "redirect_url"]);
    let is_web = |url: &String| url.starts_with("https://") || url.starts_with("http://");
    url.filter(is_web).ok_or_else(|| internal("WisPanel told no link to log in with"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_as_wp_cli_tells_them_and_otherwise() {
        for (value, id, active, update) in [
            (
                json!({"name": "wordfence", "status": "active", "update": "available", "update_version": "8.1", "version": "8.0"}),
                "wordfence",
                true,
                Some("8.1"),
            ),
            (json!({"name": "wordfence", "status": "inactive", "update": "none", "version": "8.0"}), "wordfence", false, None),
            (json!({"name": "a", "status": "active-network", "update": false, "update_version": "2"}), "a", true, None),
            (json!({"slug": "akismet", "name": "Akismet", "active": true, "update": "5.4"}), "akismet", true, Some("5.4")),
            (json!({"slug": "akismet", "active": 0, "version": "5", "latest_version": "5"}), "akismet", false, None),
            (json!({"slug": "akismet", "version": "5", "latest_version": "6"}), "akismet", false, Some("6")),
            (
                json!({"stylesheet": "twentytwentyfive", "has_update": true, "new_version": "1.2"}),
                "twentytwentyfive",
                false,
                Some("1.2"),
            ),
        ] {
            let told = extension(&value).unwrap();
            assert_eq!((told.id.as_str(), told.active, told.update.as_deref()), (id, active, update), "{value}");
        }
        assert_eq!(extension(&json!({"name": "akismet", "title": "Akismet Anti-spam"})).unwrap().name, "Akismet Anti-spam");
        for (name, id) in [("akismet/akismet.php", "akismet"), ("hello.php", "hello"), (".php", ".php"), ("/", "/"), ("a", "a")]
        {
            assert_eq!(extension(&json!({"plugin": name})).unwrap().id, id);
        }
        for value in [json!({}), json!([]), json!("akismet"), json!({"name": ""})] {
            assert!(extension(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn caches() {
        for (answer, enabled, kinds) in [
            (json!({"enabled": true}), true, vec![]),
            (json!({"success": true, "data": {"enabled": false, "type": "page"}}), false, vec!["page"]),
            (json!({"object_cache": {"enabled": true}, "page_cache": false}), true, vec!["object"]),
            (json!({"cache": {"status": "enabled", "kinds": ["page", "object"]}}), true, vec!["object", "page"]),
            (json!({}), false, vec![]),
        ] {
            let told = cache(&answer);
            assert_eq!((told.enabled, told.kinds), (enabled, kinds.into_iter().map(str::to_owned).collect()), "{answer}");
        }
    }

    #[test]
    fn switches_of_security() {
        let told = security(&json!({"data": {"disable_file_edit": true, "hide_login": {"enabled": false}, "wp_debug": "on"}}));
        assert_eq!(
            (told.file_edit, told.file_protection, told.hide_login, told.debug),
            (Some(false), None, Some(false), Some(true))
        );
        assert_eq!(security(&json!({"file_edit": true})).file_edit, Some(true));
        assert_eq!(security(&json!([])).file_edit, None);
    }

    #[test]
    fn checksums_tell_what_they_found() {
        for (answer, expected) in [
            (json!({"valid": true}), json!({"valid": true, "modified": [], "missing": [], "unknown": []})),
            (
                json!({"data": {"modified": ["wp-load.php"], "extra": [{"file": "x.php"}]}}),
                json!({"modified": ["wp-load.php"], "unknown": ["x.php"]}),
            ),
            (json!({"verified": false}), json!({"valid": false})),
            (json!({"success": true, "message": "Success"}), json!({})),
        ] {
            assert_eq!(checksums(&answer), expected, "{answer}");
        }
    }

    #[test]
    fn links_and_counts() {
        for answer in [json!({"url": "https://a.example/?t=1"}), json!({"data": {"login_url": "https://a.example/?t=1"}})] {
            assert_eq!(link(&answer).unwrap(), "https://a.example/?t=1", "{answer}");
        }
        assert!(link(&json!({"url": "javascript:alert(1)"})).is_err() && link(&json!({})).is_err());
        for (answer, count) in [
            (json!({"replacements": 12}), Some(12)),
            (json!({"data": {"count": "3"}}), Some(3)),
            (json!({"success": true}), None),
        ] {
            assert_eq!(replacements(&answer), count, "{answer}");
        }
    }
}
