//! Sites of the simulated Kinsta, and how they look as JSON.
//!
//! Invariant: every field that the document requires is in the JSON.

use crate::Answer;
use serde_json::{Value, json};

pub struct Site {
    pub id: String,
    pub name: String,
    pub environments: Vec<Environment>,
}

pub struct Environment {
    pub id: String,
    pub name: String,
    pub wordpress: Option<String>,
    pub php: String,
    pub domains: Vec<Domain>,
    /// The primary domain's id.
    pub primary: String,
    pub backups: Vec<Backup>,
    pub plugins: Vec<Extension>,
    pub themes: Vec<Extension>,
    pub has_edge_cache: bool,
}

pub struct Domain {
    pub id: String,
    pub name: String,
    pub active: bool,
}

pub struct Backup {
    pub id: u64,
    pub note: String,
}

/// A plugin or a theme.
pub struct Extension {
    pub name: String,
    pub version: String,
    pub active: bool,
}

impl Site {
    pub fn json(&self) -> Value {
        let environments: Vec<Value> = self.environments.iter().map(Environment::json).collect();
        json!({"id": self.id, "name": self.name.to_lowercase(), "display_name": self.name, "company_id": super::COMPANY, "status": "live",
            "siteLabels": [], "environments": environments})
    }
}

impl Domain {
    fn json(&self) -> Value {
        json!({"id": self.id, "name": self.name, "site_id": null, "is_active": self.active, "type": "live"})
    }
}

impl Environment {
    pub fn json(&self) -> Value {
        let primary = self.domains.iter().find(|domain| domain.id == self.primary).map(Domain::json);
        json!({
            "id": self.id, "name": self.name.to_lowercase(), "display_name": self.name, "is_blocked": false, "id_edge_cache": self.has_edge_cache.then_some(&self.id),
            "cdn_cache_id": self.id, "is_opt_out_from_automatic_php_update": false, "web_root": "/", "image_optimization_type": "off",
            "is_additional_sftp_accounts_enabled": false, "is_premium": false, "wordpress_version": self.wordpress,
            "domains": self.domains.iter().map(Domain::json).collect::<Vec<_>>(), "primaryDomain": primary,
            "ssh_connection": {"ssh_port": "22", "ssh_ip": {"external_ip": "192.0.2.1"}},
            "container_info": {"id": self.id, "php_engine_version": format!("php{}", self.php)},
        })
    }

    pub fn read(&self, path: &[&str]) -> Option<Answer> {
        let inside = match path {
            ["backups"] => {
                let backup = |backup: &Backup| json!({"id": backup.id, "name": "b", "note": backup.note, "type": "manual", "created_at": 1_665_382_600_770_u64});
                json!({"display_name": self.name, "backups": self.backups.iter().map(backup).collect::<Vec<_>>()})
            }
            ["domains"] => {
                let domain = |domain: &Domain| json!({"id": domain.id, "name": domain.name, "uses_cloudflare_dns": false});
                json!({"site_domains": self.domains.iter().map(domain).collect::<Vec<_>>()})
            }
            ["plugins"] => {
                self.container("wp_plugins", &json!({"data": self.plugins.iter().map(Extension::json).collect::<Vec<_>>()}))
            }
            ["themes"] => {
                self.container("wp_themes", &json!({"data": self.themes.iter().map(Extension::json).collect::<Vec<_>>()}))
            }
            ["logs"] => json!({"container_info": {"logs": "192.0.2.7 [28/Oct/2025:10:30:00 +0000] GET / 200\n"}}),
            ["analytics", "diskspace"] => {
                let points = json!([{"key": "2025-10-28T00:00:00", "value": "1000"}]);
                let data = json!([{"name": "diskSpaceUsage", "total": 1000, "dataset": points}]);
                return Some(Answer::Json(
                    202,
                    json!({"analytics": {"analytics_response": {"key": "diskSpaceUsage", "data": data}}}),
                ));
            }
            _ => return None,
        };
        Some(Answer::Json(200, json!({ "environment": inside })))
    }

    fn container(&self, name: &str, data: &Value) -> Value {
        json!({"id": self.id, "container_info": {"id": self.id, name: data}})
    }

    /// The toolkit's plugins, or its themes.
    pub fn extensions(&mut self, kind: &str) -> &mut Vec<Extension> {
        if kind.starts_with("theme") { &mut self.themes } else { &mut self.plugins }
    }

    /// As much of WP-CLI as is asked of it.
    pub fn run(&mut self, command: &str) {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            ["wp", kind @ ("plugin" | "theme"), action, name, ..] => {
                self.extend(kind, action, name, words.contains(&"--activate"))
            }
            ["wp", "core", "update", rest @ ..] => {
                let version = rest.iter().find_map(|word| word.strip_prefix("--version=")).unwrap_or("6.4.3");
                self.wordpress = Some(version.to_owned());
            }
            _ => {}
        }
    }

    fn extend(&mut self, kind: &str, action: &str, name: &str, activate: bool) {
        let all = self.extensions(kind);
        match action {
            "delete" => all.retain(|one| one.name != name),
            "install" => all.push(Extension { name: name.to_owned(), version: "1.0.1".to_owned(), active: activate }),
            // Of themes, one is active.
            "activate" if kind == "theme" => all.iter_mut().for_each(|one| one.active = one.name == name),
            _ => all.iter_mut().filter(|one| one.name == name).for_each(|one| one.active = action == "activate"),
        }
    }
}

impl Extension {
    fn json(&self) -> Value {
        let update = if self.version == "1.0.1" { "none" } else { "available" };
        let status = if self.active { "active" } else { "inactive" };
        json!({"name": self.name, "title": self.name, "status": status, "version": self.version, "update": update, "update_version": "1.0.1", "update_status": ""})
    }
}
