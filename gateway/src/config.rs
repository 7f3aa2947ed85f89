//! Configuration: defaults < file < `PORTICO_` environment < flags.
//!
//! In go a TOML file, the environment and flags; out comes one checked value. Invariant: an unknown key is an error that names
//! the nearest known one, and no secret is ever part of it (the section `keys` says only where the master key is). Each room defines its own
//! section; no room but `app` and the commands sees the whole.

mod unknown;

use crate::{
    api::ApiConfig,
    dispatch::CacheConfig,
    egress::{EgressConfig, Grant},
    events::EventsConfig,
    host::Limits,
    policy::{CorsConfig, LimitsConfig, PasswordsConfig, RegistrationConfig, SessionsConfig},
    server::{ServerConfig, TlsConfig},
    store::{AuditConfig, OperationsConfig},
};
use anyhow::Context as _;
use figment::{
    Figment,
    providers::{Env, Format as _, Serialized, Toml},
};
use serde::{Deserialize, Serialize};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    pub admin_listen: SocketAddr,
    /// Database, key, compiled components.
    pub data_dir: PathBuf,
    pub keys: Keys,
    pub log: Log,
    pub server: ServerConfig,
    pub tls: TlsConfig,
    pub cors: CorsConfig,
    /// Limits on requests.
    pub limits: LimitsConfig,
    pub api: ApiConfig,
    pub cache: CacheConfig,
    pub events: EventsConfig,
    pub operations: OperationsConfig,
    pub audit: AuditConfig,
    pub registration: RegistrationConfig,
    pub sessions: SessionsConfig,
    pub passwords: PasswordsConfig,
    pub providers: Providers,
    /// Limits on components.
    pub host: Limits,
    pub egress: EgressConfig,
    /// What connections may reach beyond public https addresses.
    pub grants: Vec<Grant>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    /// `info`, or a filter such as `info,access=off`.
    pub level: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// Where the master key comes from; never the key itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    pub source: KeySource,
    /// Relative to the data folder.
    pub file: PathBuf,
    /// A program and its arguments.
    pub command: Vec<String>,
    pub command_seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    File,
    Environment,
    Command,
}

impl Default for Keys {
    fn default() -> Self {
        Self { source: KeySource::File, file: PathBuf::from("key"), command: Vec::new(), command_seconds: 10 }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Providers {
    /// Folder of more components (`*.wasm`), beside those in the binary.
    pub dir: Option<PathBuf>,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Json, level: "info".to_owned() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9090)),
            data_dir: PathBuf::from(".portico"),
            keys: Keys::default(),
            log: Log::default(),
            server: ServerConfig::default(),
            tls: TlsConfig::default(),
            cors: CorsConfig::default(),
            limits: LimitsConfig::default(),
            api: ApiConfig::default(),
            cache: CacheConfig::default(),
            events: EventsConfig::default(),
            operations: OperationsConfig::default(),
            audit: AuditConfig::default(),
            registration: RegistrationConfig::default(),
            sessions: SessionsConfig::default(),
            passwords: PasswordsConfig::default(),
            providers: Providers::default(),
            host: Limits::default(),
            egress: EgressConfig::default(),
            grants: Vec::new(),
        }
    }
}

/// Flags that override everything; only those that were given are set.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Overrides {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_listen: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
}

impl Config {
    pub fn load(defaults: &Self, file: Option<&Path>, overrides: &Overrides) -> anyhow::Result<Self> {
        if let Some(file) = file {
            std::fs::metadata(file).with_context(|| format!("the configuration file {} can't be read", file.display()))?;
        }
        let figment = Figment::from(Serialized::defaults(defaults));
        let figment = file.iter().fold(figment, |figment, file| figment.merge(Toml::file_exact(file)));
        // PORTICO_CONFIG names the file itself, and PORTICO_MASTER_KEY is no configuration; `__` separates levels: PORTICO_LOG__LEVEL.
        // Kubernetes gives every pod variables of a service named portico; they are none of ours.
        let service = |key: &str| key.starts_with("service_") || key == "port" || key.starts_with("port_");
        let environment =
            Env::prefixed("PORTICO_").ignore(&["config", "master_key"]).filter(move |key| !service(key.as_str())).split("__");
        let figment = figment.merge(environment).merge(Serialized::defaults(overrides));
        figment.extract().map_err(|error| anyhow::anyhow!(unknown::explain(error)))
    }

    pub fn key_file(&self) -> PathBuf {
        self.data_dir.join(&self.keys.file)
    }

    pub fn database(&self) -> PathBuf {
        self.data_dir.join("portico.db")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, overrides: &Overrides) -> anyhow::Result<Config> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portico.toml");
        std::fs::write(&path, file).unwrap();
        Config::load(&Config::default(), Some(&path), overrides)
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let overrides = Overrides { data_dir: Some("flag".into()), ..Overrides::default() };
        let config = load("listen = \"127.0.0.1:1\"\ndata_dir = \"file\"\n[log]\nlevel = \"debug\"", &overrides).unwrap();
        assert_eq!(config.listen.port(), 1);
        assert_eq!(config.admin_listen.port(), 9090);
        assert_eq!(config.data_dir, Path::new("flag"));
        assert_eq!((config.log.level.as_str(), config.log.format), ("debug", LogFormat::Json));
    }

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        for (file, wanted) in [
            ("listn = \"127.0.0.1:1\"", "did you mean `listen`"),
            ("[server]\nmax_conections = 5", "did you mean `max_connections`"),
            ("[log]\nzzz = 5", "known here: format, level"),
            ("listen = \"here\"", "listen"),
            ("[server]\npublic_url = \"https://portico.example.com/x\"", "write \"https://portico.example.com\""),
        ] {
            let text = format!("{:#}", load(file, &Overrides::default()).unwrap_err());
            assert!(text.contains(wanted) && text.contains("portico.toml"), "{text}");
        }
    }

    #[test]
    fn the_commented_example_is_the_defaults() {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/portico.toml");
        let mut text = std::fs::read_to_string(example).unwrap();
        let config = load(&text, &Overrides::default()).unwrap();
        assert_eq!(serde_json::to_value(&config).unwrap(), serde_json::to_value(Config::default()).unwrap());
        // Every key stands in it.
        for key in ["dir", "certificate", "key", "public_url"] {
            text = text.replace(&format!("# {key} ="), &format!("{key} ="));
        }
        let written: toml::Table = text.parse().unwrap();
        let sections = serde_json::to_value(Config::default()).unwrap();
        for (section, keys) in sections.as_object().unwrap() {
            assert!(written.contains_key(section), "{section} is missing in {example}");
            for key in keys.as_object().into_iter().flat_map(|keys| keys.keys()) {
                assert!(written[section].get(key).is_some(), "{section}.{key} is missing in {example}");
            }
        }
    }
}
