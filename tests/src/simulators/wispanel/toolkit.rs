//! The toolkit's calls about one installation.
//!
//! The paths and the bodies of maintenance, search and replace and plugins are documented, everything else is assumed: answers come in
//! several shapes on purpose. Invariant: a change answers after it is made, and one that can't be made changes nothing.

use super::{
    Backup, Extension, Installation, Lists, WEAK,
    shapes::{listed, refused, succeeded},
};
use crate::Answer;
use serde_json::{Value, json};

fn ok(value: Value) -> Answer {
    Answer::Json(200, value)
}

impl Installation {
    /// What reading calls tell; none where there is no such call.
    pub fn ask(&mut self, path: &[&str], lists: Lists) -> Option<Answer> {
        Some(match path {
            ["installation"] => {
                let mut whole = self.json();
                whole["maintenance"] = json!({"enabled": self.maintenance});
                ok(json!({"success": true, "data": whole}))
            }
            ["plugins"] => ok(
                json!({"plugins": self.plugins.iter().map(Extension::json).collect::<Vec<_>>(), "total": self.plugins.len()}),
            ),
            ["themes"] => ok(json!(self.themes.iter().map(Extension::json).collect::<Vec<_>>())),
            ["cache"] => ok(json!({"success": true, "data": {"enabled": self.cache, "type": "page"}})),
            ["backups"] => {
                let all = self.backups.iter().map(|backup| backup.json(&self.id)).collect();
                self.backups.iter_mut().for_each(|backup| backup.left = backup.left.saturating_sub(1));
                // One page: how a page is asked for together with an installation is nowhere said.
                let lists = if matches!(lists, Lists::Paged(_)) { Lists::Paged(100) } else { lists };
                listed(lists, "backups", all, None)
            }
            ["security"] => ok(json!({
                "disable_file_edit": self.disable_file_edit, "file_protection": {"enabled": self.file_protection},
                "hide_login": self.hide_login, "wp_debug": self.debug,
            })),
            ["verify-checksums"] => ok(json!({"success": true, "message": "Verified.",
                "data": {"valid": false, "modified": ["wp-includes/version.php"], "missing": [], "unknown": []}})),
            _ => return None,
        })
    }

    /// What changing calls do; `new`: an id for what is made.
    pub fn change(&mut self, path: &[&str], body: &Value, new: &str, looks: u32) -> Option<Answer> {
        match path {
            ["backup"] => {
                let description = body["description"].clone();
                self.backups.push(Backup { id: new.to_owned(), description, left: looks });
                // Tells nothing to find it by.
                Some(succeeded("Backup started"))
            }
            [plural @ ("plugins" | "themes"), verb] => self.extend(plural, verb, body),
            ["cache", verb] => self.cached(verb, body),
            ["security", switch] => self.secure(switch, body["enabled"].as_bool()),
            ["core", "update"] => {
                self.version = body["version"].as_str().unwrap_or("6.9.4").to_owned();
                Some(ok(json!({"success": true, "message": "Core updated.", "data": {"version": self.version}})))
            }
            ["reinstall-core"] => {
                self.done.push("reinstall-core".to_owned());
                Some(succeeded("Core reinstalled"))
            }
            ["maintenance"] => {
                self.maintenance = body["enabled"].as_bool()?;
                Some(succeeded("Maintenance mode changed"))
            }
            ["search-replace"] => {
                let (search, replace) = (body["search"].as_str()?, body["replace"].as_str()?);
                let count = self.content.matches(search).count();
                self.content = self.content.replace(search, replace);
                Some(ok(json!({"success": true, "data": {"replacements": count}})))
            }
            _ => self.people(path, body),
        }
    }

    fn extend(&mut self, plural: &str, verb: &str, body: &Value) -> Option<Answer> {
        let slug = body[plural.trim_end_matches('s')].as_str()?;
        let all = self.extensions(plural)?;
        let place = all.iter().position(|known| known.slug == slug);
        match (verb, place) {
            ("install", None) => {
                let version = body["version"].as_str().unwrap_or("1.1").to_owned();
                all.push(Extension { slug: slug.to_owned(), version, active: false });
            }
            ("install", Some(_)) => return Some(refused(409, "CONFLICT", "It is already installed")),
            (_, None) => return Some(refused(404, "NOT_FOUND", &format!("There is no {slug}"))),
            // Of themes, one is active.
            ("activate", Some(at)) if plural == "themes" => {
                all.iter_mut().enumerate().for_each(|(index, one)| one.active = index == at);
            }
            ("activate", Some(at)) => all[at].active = true,
            ("deactivate", Some(at)) => all[at].active = false,
            ("update", Some(at)) => "1.1".clone_into(&mut all[at].version),
            ("delete", Some(at)) => drop(all.remove(at)),
            _ => return None,
        }
        Some(succeeded(&format!("{verb}: done.")))
    }

    fn cached(&mut self, verb: &str, body: &Value) -> Option<Answer> {
        match verb {
            "enable" | "disable" => self.cache = verb == "enable",
            "flush" => self.done.push("flush".to_owned()),
            "purge" => self.done.push(format!("purge {}", body["urls"])),
            _ => return None,
        }
        Some(succeeded("Cache changed"))
    }

    fn secure(&mut self, switch: &str, enabled: Option<bool>) -> Option<Answer> {
        match switch {
            "disable-file-edit" => self.disable_file_edit = enabled?,
            "file-protection" => self.file_protection = enabled?,
            "hide-login" => self.hide_login = enabled?,
            // Whatever is wanted.
            "toggle-debug" => self.debug = !self.debug,
            _ => return None,
        }
        Some(succeeded("Security changed"))
    }

    fn people(&mut self, path: &[&str], body: &Value) -> Option<Answer> {
        let (name, password) =
            (body["username"].as_str()?.to_owned(), body["password"].as_str().unwrap_or_default().to_owned());
        let place = self.users.iter().position(|(known, _)| *known == name);
        if password == WEAK {
            return Some(refused(400, "VALIDATION_ERROR", &format!("The password {WEAK} is too weak")));
        }
        match (path, place) {
            (["admin", "create"], None) => self.users.push((name, password)),
            (["admin", "create"], Some(_)) => return Some(refused(400, "VALIDATION_ERROR", "This user already exists")),
            (["password", "reset"] | ["auto-login"], None) => return Some(refused(404, "NOT_FOUND", "No such user")),
            (["password", "reset"], Some(at)) => self.users[at].1 = password,
            (["auto-login"], Some(_)) => {
                let url = format!("https://{}/wp-login.php?wis_login={}", self.domain, super::LOGIN);
                return Some(ok(json!({"success": true, "message": format!("Open {url}"), "data": {"login_url": url}})));
            }
            _ => return None,
        }
        // Repeats what it was told, as nobody should.
        Some(succeeded(&format!("The password is {}", body["password"])))
    }
}
