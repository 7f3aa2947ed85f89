//! Bodies of the Engine's create requests.
//!
//! Pure. Invariant: nothing here asks for a privilege, a device, a host's folder or a host's namespace: volumes are named ones,
//! and ports are bound to the address that the connection says.

use crate::{
    spec::{Names, Role, Spec, label},
    types::{Config, Image},
};
use portico_sdk::{Error, error, random};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NANOSECONDS: u64 = 1_000_000_000;

/// Of the site's own database. They live in its containers' environments and nowhere else.
pub struct Credentials {
    pub database: String,
    pub user: String,
    pub password: String,
}

impl Credentials {
    pub fn random() -> Self {
        Self { database: "wordpress".into(), user: "wordpress".into(), password: random::password(32) }
    }

    pub fn read_back(config: &Config) -> Result<Self, Error> {
        let value = |name: &str| {
            let missing = || error::internal(format!("the database container has no {name} in its environment"));
            config.env(name).map(str::to_owned).ok_or_else(missing)
        };
        Ok(Self { database: value("MARIADB_DATABASE")?, user: value("MARIADB_USER")?, password: value("MARIADB_PASSWORD")? })
    }
}

pub fn network(names: &Names, spec: &Spec) -> Result<Value, Error> {
    Ok(json!({"Name": names.network(), "Driver": "bridge", "CheckDuplicate": true, "Labels": names.anchor(spec)?}))
}

pub fn volume(names: &Names, role: Role) -> Value {
    json!({"Name": names.part(role), "Labels": names.labels(role.word())})
}

/// The variables of the official `mariadb` image and those of `mysql`, so that either will do.
pub fn database(names: &Names, spec: &Spec, network: &str, credentials: &Credentials) -> Value {
    let mut env = BTreeMap::new();
    for prefix in ["MARIADB", "MYSQL"] {
        env.insert(format!("{prefix}_DATABASE"), credentials.database.clone());
        env.insert(format!("{prefix}_USER"), credentials.user.clone());
        env.insert(format!("{prefix}_PASSWORD"), credentials.password.clone());
        env.insert(format!("{prefix}_RANDOM_ROOT_PASSWORD"), "yes".to_owned());
    }
    json!({
        "Image": spec.database,
        "Env": lines(env),
        "Labels": names.labels(Role::Database.word()),
        "HostConfig": host_config(spec, network, Some((names.part(Role::DatabaseFiles), "/var/lib/mysql"))),
    })
}

/// `image` tells whether the image has a probe of its own, which goes before ours.
pub fn web(names: &Names, spec: &Spec, network: &str, port: u16, database: Option<&Credentials>, image: &Image) -> Value {
    let mut env = spec.environment.clone();
    if let Some(credentials) = database {
        env.insert("WORDPRESS_DB_HOST".into(), names.part(Role::Database));
        env.insert("WORDPRESS_DB_NAME".into(), credentials.database.clone());
        env.insert("WORDPRESS_DB_USER".into(), credentials.user.clone());
        env.insert("WORDPRESS_DB_PASSWORD".into(), credentials.password.clone());
    }
    let mut labels = names.labels(Role::Web.word());
    labels.insert(label(names.namespace(), "port"), port.to_string());
    let inside = format!("{}/tcp", spec.container_port);
    let files = spec.keeps_files().then(|| (names.part(Role::WebFiles), "/var/www/html"));
    let mut host = host_config(spec, network, files);
    host["PortBindings"] = json!({inside.as_str(): [{"HostIp": spec.address, "HostPort": port.to_string()}]});
    let mut body = json!({
        "Image": spec.image,
        "Env": lines(env),
        "Labels": labels,
        "ExposedPorts": {inside: {}},
        "HostConfig": host,
    });
    if let Some(signal) = &spec.stop_signal {
        body["StopSignal"] = json!(signal);
    }
    if spec.probe && !image.probes_itself() {
        body["Healthcheck"] = probe(spec);
    }
    body
}

/// WordPress itself, asked from inside: this page answers 200 before and after the installation, and 500 without a database.
/// PHP asks, since every WordPress image has it. Failures don't count while the site may still be starting. A first page compiles
/// much, and on a busy machine takes its time: it has Docker's own default.
fn probe(spec: &Spec) -> Value {
    let url = format!("http://127.0.0.1:{}/wp-admin/install.php", spec.container_port);
    let script = format!("exit(@file_get_contents('{url}') === false ? 1 : 0);");
    json!({
        "Test": ["CMD", "php", "-r", script],
        "Interval": u64::from(spec.probe_interval) * NANOSECONDS,
        "Timeout": 30 * NANOSECONDS,
        "Retries": 3,
        "StartPeriod": u64::from(spec.health_timeout) * NANOSECONDS,
    })
}

fn host_config(spec: &Spec, network: &str, volume: Option<(String, &str)>) -> Value {
    let mut config = json!({"NetworkMode": network, "RestartPolicy": {"Name": "unless-stopped"}});
    if let Some((name, target)) = volume {
        config["Mounts"] = json!([{"Type": "volume", "Source": name, "Target": target}]);
    }
    if let Some(memory) = spec.memory {
        config["Memory"] = json!(memory);
    }
    if let Some(cpus) = spec.nano_cpus {
        config["NanoCpus"] = json!(cpus);
    }
    config
}

fn lines(env: BTreeMap<String, String>) -> Vec<String> {
    env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{settings::Settings, spec::tests::input};
    use portico_sdk::json;

    fn spec() -> Spec {
        let mut settings = Settings::default();
        settings.environment.insert("WORDPRESS_DB_HOST".into(), "elsewhere".into());
        settings.environment.insert("EXTRA".into(), "1=2".into());
        settings.resources.memory = Some(300_000_000);
        settings.resources.cpus = Some(0.5);
        Spec::new(&settings, &input("a"), 0).unwrap()
    }

    fn credentials() -> Credentials {
        Credentials { database: "d".into(), user: "u".into(), password: "p=w".into() }
    }

    #[test]
    fn web_container() {
        let names = Names::of_operation("ns", "op_1");
        let body = web(&names, &spec(), "net", 20_001, Some(&credentials()), &Image { config: None });
        assert_eq!(
            body["Env"],
            json!([
                "EXTRA=1=2",
                "WORDPRESS_DB_HOST=ns-1-db",
                "WORDPRESS_DB_NAME=d",
                "WORDPRESS_DB_PASSWORD=p=w",
                "WORDPRESS_DB_USER=u"
            ])
        );
        assert_eq!(
            body["HostConfig"],
            json!({
                "NetworkMode": "net",
                "RestartPolicy": {"Name": "unless-stopped"},
                "Mounts": [{"Type": "volume", "Source": "ns-1-web-files", "Target": "/var/www/html"}],
                "Memory": 300_000_000, "NanoCpus": 500_000_000,
                "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "20001"}]},
            })
        );
        assert_eq!(body["Labels"], json!({"ns.site": "1", "ns.operation": "op_1", "ns.role": "web", "ns.port": "20001"}));
        assert_eq!(body["StopSignal"], "SIGWINCH");
        assert_eq!(body["Healthcheck"]["Interval"], 5_000_000_000_u64);
        assert_eq!(body["Healthcheck"]["Timeout"], 30_000_000_000_u64);
    }

    #[test]
    fn an_image_with_a_probe_keeps_it() {
        let image: Image = json::read(&json!({"Config": {"Healthcheck": {"Test": ["CMD", "true"]}}})).unwrap();
        let none: Image = json::read(&json!({"Config": {"Healthcheck": {"Test": ["NONE"]}}})).unwrap();
        let names = Names::of_operation("ns", "op_1");
        assert!(web(&names, &spec(), "net", 1, None, &image).get("Healthcheck").is_none());
        assert!(web(&names, &spec(), "net", 1, None, &none).get("Healthcheck").is_some());
    }

    #[test]
    fn credentials_are_read_back_from_what_the_database_got() {
        let body = database(&Names::of_operation("ns", "op_1"), &spec(), "net", &credentials());
        let config: Config = json::read(&json!({"Env": body["Env"]})).unwrap();
        assert_eq!(Credentials::read_back(&config).unwrap().password, "p=w");
        assert_eq!(body["HostConfig"]["Mounts"][0]["Source"], "ns-1-db-files");
        let empty: Config = json::read(&json!({"Env": null})).unwrap();
        assert!(Credentials::read_back(&empty).is_err());
    }
}
