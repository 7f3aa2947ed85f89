//! What a connection sets, its JSON Schema, and the configuration that follows from it.
//!
//! Invariant: everything here is pure; the schema and the struct describe the same fields.

use portico_sdk::{Auth, Configuration, Recovery, UpstreamDeclaration, provider::SessionAuth};
use serde::Deserialize;

pub const UPSTREAM: &str = "panel";

#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub url: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { url: "https://panel.siteico.com".into() }
    }
}

const FEATURES: [&str; 19] = [
    "sites.list",
    "sites.get",
    "sites.create",
    "sites.delete",
    "sites.start",
    "sites.stop",
    "sites.clone",
    "backups.list",
    "backups.get",
    "backups.create",
    "backups.delete",
    "backups.restore",
    "domains.list",
    "domains.create",
    "domains.delete",
    "domains.set_primary",
    "billing.subscription",
    "billing.checkout",
    "billing.invoices",
];

/// Those whose outcome shows afterwards. A backup has no room for an operation's id, and a restore leaves no trace.
const LOOKED_UP: [&str; 9] = [
    "sites.create",
    "sites.delete",
    "sites.start",
    "sites.stop",
    "sites.clone",
    "backups.delete",
    "domains.create",
    "domains.delete",
    "domains.set_primary",
];

impl Settings {
    pub fn configuration(&self) -> Configuration {
        let path = |last: &str| ["api", "auth", last].map(str::to_owned).to_vec();
        let field = |name: &str| (name.to_owned(), name.to_owned());
        let session = SessionAuth {
            login_path: path("login"),
            fields: vec![field("username"), field("password")],
            extra: None,
            token_pointer: None,
            refresh_path: Some(path("refresh")),
        };
        Configuration::new(FEATURES.into_iter().chain(["billing.usage", "backups.create.kind.full"]))
            .with_upstream(UpstreamDeclaration::url(UPSTREAM, &self.url, Auth::Session(session)))
            .with_recovery(LOOKED_UP, Recovery::LookUp)
            .with_cache("billing.subscription", 60)
            .with_cache("billing.invoices", 60)
            .with_cache("billing.usage", 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_sdk::json;
    use serde_json::json;

    #[test]
    fn the_schema_tells_the_default() {
        let schema = json::parse(include_bytes!("settings.schema.json")).unwrap();
        assert_eq!(schema["properties"]["url"]["default"], json!(Settings::default().url));
    }

    #[test]
    fn the_panel_is_logged_into_by_the_host() {
        let configuration = json::from_str::<Settings>("{}").unwrap().configuration();
        let upstream = &configuration.upstreams[0];
        let Auth::Session(session) = &upstream.auth else { panic!("{:?}", upstream.auth) };
        assert_eq!(session.login_path, ["api", "auth", "login"]);
        assert_eq!(session.refresh_path.as_deref().unwrap(), ["api", "auth", "refresh"]);
        assert_eq!((session.fields.len(), &session.token_pointer), (2, &None));
        assert!(json::strict::<Settings>(r#"{"key": "x"}"#).is_err());
    }
}
