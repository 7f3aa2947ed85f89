//! An installation of the simulated panel: what is in it, and how it looks in lists.
//!
//! Invariant: the fields of the document's example are all there, and one more that must never be shown.

use super::DB_PASSWORD;
use serde_json::{Value, json};

pub struct Installation {
    pub id: String,
    pub domain: String,
    /// Inside the domain's home.
    pub path: String,
    pub title: String,
    pub version: String,
    pub debug: bool,
    pub maintenance: bool,
    pub cache: bool,
    pub disable_file_edit: bool,
    pub file_protection: bool,
    pub hide_login: bool,
    pub plugins: Vec<Extension>,
    pub themes: Vec<Extension>,
    pub backups: Vec<Backup>,
    /// Names and passwords.
    pub users: Vec<(String, String)>,
    /// What is searched and replaced in.
    pub content: String,
    /// Changes that leave nothing else to look at, such as `cache/flush`.
    pub done: Vec<String>,
}

pub struct Extension {
    pub slug: String,
    pub version: String,
    pub active: bool,
}

pub struct Backup {
    pub id: String,
    pub description: Value,
    /// Looks until it is complete.
    pub left: u32,
}

impl Installation {
    pub fn new(id: String, domain: &str, path: &str, title: &str) -> Self {
        let extension = |slug: &str, active| Extension { slug: slug.to_owned(), version: "1.0".to_owned(), active };
        Self {
            id,
            domain: domain.to_owned(),
            path: path.to_owned(),
            title: title.to_owned(),
            version: "6.9.3".to_owned(),
            debug: false,
            maintenance: false,
            cache: false,
            disable_file_edit: false,
            file_protection: false,
            hide_login: false,
            plugins: vec![extension("akismet", false)],
            themes: vec![extension("twentytwentyfive", true), extension("twentytwentyfour", false)],
            backups: Vec::new(),
            users: Vec::new(),
            content: format!("http://{domain} and http://{domain}/shop"),
            done: Vec::new(),
        }
    }

    /// As the document has it; `db_password` is ours.
    pub fn json(&self) -> Value {
        let (id, domain) = (&self.id, &self.domain);
        json!({
            "id": id, "domain": domain, "domain_id": 0, "path": format!("/var/www/domains/{domain}/{}", self.path),
            "version": self.version, "site_title": self.title, "site_url": format!("https://{domain}"),
            "admin_url": format!("https://{domain}/wp-admin/"), "db_name": "anna_g2if7lvk", "db_user": "anna_g2if7lvk",
            "db_host": "localhost", "table_prefix": "wp_u9fh_", "debug": self.debug, "multisite": false,
            "db_password": DB_PASSWORD,
        })
    }

    /// The toolkit's plugins or themes.
    pub fn extensions(&mut self, plural: &str) -> Option<&mut Vec<Extension>> {
        match plural {
            "plugins" => Some(&mut self.plugins),
            "themes" => Some(&mut self.themes),
            _ => None,
        }
    }

    /// False: there is no such backup.
    pub fn restore(&mut self, body: &Value) -> bool {
        let known = self.backups.iter().find(|backup| body["backup_id"] == backup.id.as_str()).map(|backup| backup.id.clone());
        self.done.extend(known.iter().map(|id| format!("restore {id}")));
        known.is_some()
    }
}

impl Extension {
    /// As WP-CLI has it.
    pub fn json(&self) -> Value {
        let (status, update) = (if self.active { "active" } else { "inactive" }, self.version == "1.0");
        let update = if update { "available" } else { "none" };
        json!({"name": self.slug, "title": format!("The {}", self.slug), "status": status, "version": self.version,
            "update": update, "update_version": "1.1"})
    }
}

impl Backup {
    pub fn json(&self, installation: &str) -> Value {
        let status = if self.left > 0 { "running" } else { "completed" };
        json!({"id": self.id, "installation_id": installation, "status": status, "description": self.description,
            "size": 4096, "created_at": "2026-01-15T10:30:00Z"})
    }
}
