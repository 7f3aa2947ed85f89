//! Engine to model: sites, their status and what is passed along; and the judgements that creation and start depend on.
//!
//! Pure. Invariant: no value of a container's environment and no output of a probe leaves here.

use crate::{
    spec::{Kind, Role, label, slug},
    types::{Container, Inspect},
    world::{Condition, World, ended_by_request},
};
use portico_sdk::{Site, SiteKind, SiteStatus, time};
use serde_json::{Value, json};

/// A site that isn't complete for longer than this isn't being made any more.
const MAKING: u64 = 60 * 60 * 1000;
/// Without a probe, a container that has been up for so long (milliseconds) counts as well.
const SETTLED: u64 = 2_000;
/// Starting again so often means that it won't come up.
const MAX_RESTARTS: u32 = 3;
/// What `native` of one site may take.
const MAX_NATIVE: usize = 64 * 1024;

pub fn site(namespace: &str, id: &str, world: &World, now: u64) -> Site {
    let spec = world.spec(namespace);
    let web = world.container(namespace, Role::Web);
    let port = web.and_then(|web| web.port(namespace));
    let url = spec.as_ref().zip(port).and_then(|(spec, port)| spec.url(port));
    let name = spec.as_ref().map_or_else(|| id.to_owned(), |spec| spec.name.clone());
    Site {
        id: id.to_owned(),
        slug: slug(&name),
        name,
        kind: match spec.as_ref().map(|spec| spec.kind) {
            Some(Kind::Plain) => SiteKind::Plain,
            _ => SiteKind::Wordpress,
        },
        status: status(namespace, world, now),
        url,
        wordpress_version: None,
        php_version: None,
        environments: Vec::new(),
        usage: None,
        created_at: spec.map(|spec| spec.created),
        updated_at: None,
        native: None,
    }
}

/// What of a site only its containers' own descriptions tell.
pub fn with_details(mut site: Site, parts: &[(&str, Value)]) -> Site {
    let web = parts.iter().find(|(part, _)| *part == "web").map(|(_, web)| web);
    let env = |name: &str| {
        let entries = web?.pointer("/Config/Env")?.as_array()?;
        entries.iter().find_map(|entry| Some(entry.as_str()?.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
    };
    site.php_version = env("PHP_VERSION");
    site.wordpress_version = env("WORDPRESS_VERSION");
    site.native = Some(native(parts));
    site
}

pub fn status(namespace: &str, world: &World, now: u64) -> SiteStatus {
    let Some(spec) = world.spec(namespace) else { return SiteStatus::Error };
    let condition = |role| world.container(namespace, role).map_or(Condition::Created, Container::condition);
    let web = condition(Role::Web);
    let conditions = if spec.database.is_some() { vec![web, condition(Role::Database)] } else { vec![web] };
    let any = |wanted: Condition| conditions.contains(&wanted);
    if any(Condition::Removing) {
        SiteStatus::Deleting
    } else if any(Condition::Failed) || any(Condition::Unhealthy) {
        SiteStatus::Error
    } else if any(Condition::Created) {
        if now.saturating_sub(spec.created) < MAKING { SiteStatus::Provisioning } else { SiteStatus::Error }
    } else if any(Condition::Paused) {
        SiteStatus::Suspended
    } else if any(Condition::Stopped) {
        // A web server without its database serves nothing but errors.
        if web == Condition::Stopped { SiteStatus::Stopped } else { SiteStatus::Error }
    } else if any(Condition::Starting) {
        SiteStatus::Provisioning
    } else {
        SiteStatus::Running
    }
}

/// Whether a started web container serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Ready,
    /// Seconds that it has been up.
    Waiting(u64),
    /// It ended, or keeps ending.
    Ended(String),
    TooLate(String),
}

pub fn verdict(web: &Inspect, timeout: u32, now: u64) -> Verdict {
    let state = &web.state;
    if web.restart_count >= MAX_RESTARTS || !(state.running || state.restarting) {
        return Verdict::Ended(ending(web));
    }
    // Clocks of two machines may differ: a start in the future counts as just now.
    let up = now.saturating_sub(time::parse_rfc3339(&state.started_at).unwrap_or(now));
    let well = match &state.health {
        Some(health) if health.status != "none" => health.status == "healthy",
        _ => up >= SETTLED,
    };
    if well && !state.restarting {
        Verdict::Ready
    } else if up > u64::from(timeout) * 1000 {
        Verdict::TooLate(format!("the site didn't become healthy in {timeout} s{}", probe_says(web)))
    } else {
        Verdict::Waiting(up / 1000)
    }
}

fn ending(web: &Inspect) -> String {
    let state = &web.state;
    let why = if state.oom_killed {
        "was killed because it needed more memory than it may use".to_owned()
    } else if !state.error.is_empty() {
        format!("couldn't run: {}", crate::error::one_line(&state.error))
    } else if ended_by_request(Some(state.exit_code)) {
        "was stopped".to_owned()
    } else {
        format!("ended with code {}", state.exit_code)
    };
    format!("the web container {why}")
}

/// The probe's first line of output. Ours writes none; an image's own may.
fn probe_says(web: &Inspect) -> String {
    let log = web.state.health.as_ref().and_then(|health| health.log.last());
    match log.map(|log| crate::error::one_line(&log.output)) {
        Some(output) if !output.is_empty() => format!("; its probe says: {output}"),
        _ => String::new(),
    }
}

/// A port of the range that nothing on the Engine has: the first free one at or after a random place.
pub fn free_port(range: (u16, u16), taken: &[u16], random: u32) -> Option<u16> {
    let (first, last) = range;
    let count = u32::from(last.checked_sub(first)?) + 1;
    let candidates = (0..count).filter_map(|step| u16::try_from(u32::from(first) + (random % count + step) % count).ok());
    candidates.into_iter().find(|port| !taken.contains(port))
}

/// Published now, or by a site of ours that is stopped.
pub fn taken_ports(namespace: &str, containers: &[Container]) -> Vec<u16> {
    let name = label(namespace, "port");
    let published = containers.iter().flat_map(|container| container.ports.iter().filter_map(|port| port.public_port));
    let labelled = containers.iter().filter_map(|container| container.labels.get(&name)?.parse().ok());
    published.chain(labelled).collect()
}

/// The Engine's own words about each part, less environments' values, our spec and probes' outputs.
fn native(parts: &[(&str, Value)]) -> String {
    let mut all = serde_json::Map::new();
    for (part, value) in parts {
        let mut value = value.clone();
        strip(&mut value);
        all.insert((*part).to_owned(), value);
    }
    let text = Value::Object(all).to_string();
    if text.len() <= MAX_NATIVE {
        return text;
    }
    let ids = parts.iter().map(|(part, value)| ((*part).to_owned(), json!({"Id": value["Id"], "Name": value["Name"]})));
    Value::Object(ids.collect()).to_string()
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|name, _| !name.ends_with(".spec"));
            if let Some(Value::Object(health)) = object.get_mut("Health") {
                health.remove("Log");
            }
            if let Some(Value::Array(env)) = object.get_mut("Env") {
                env.iter_mut().for_each(|entry| *entry = name_of(entry));
            }
            object.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Of an environment's entry `NAME=value`.
fn name_of(entry: &Value) -> Value {
    entry.as_str().and_then(|entry| entry.split_once('=')).map_or(Value::Null, |(name, _)| json!(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{settings::Settings, spec::tests::input, types::Volumes};
    use portico_sdk::json;
    use std::collections::BTreeMap;

    const NS: &str = "portico";

    fn listed(name: &str) -> Container {
        let all: Vec<Value> = serde_json::from_str(include_str!("../tests/captured/containers.json")).unwrap();
        let name = format!("/{name}");
        let found = all.into_iter().find(|container| container["Names"][0] == name.as_str()).unwrap();
        json::read(&found).unwrap()
    }

    fn inspected(name: &str) -> Inspect {
        let mut all: BTreeMap<String, Inspect> = serde_json::from_str(include_str!("../tests/captured/inspects.json")).unwrap();
        all.remove(name).unwrap()
    }

    /// A site whose web container is the captured one of this name, and whose database is another.
    fn world(web: Option<&str>, database: Option<&str>) -> World {
        let mut world = World {
            networks: serde_json::from_str(include_str!("../tests/captured/networks.json")).unwrap(),
            ..World::default()
        };
        let mut settings = Settings { database: database.is_some(), ..Settings::default() };
        settings.publish.hostname = Some("host.example".into());
        let spec = crate::spec::Spec::new(&settings, &input("My site"), 1000).unwrap();
        world.networks[0].labels.insert("portico.spec".into(), serde_json::to_string(&spec).unwrap());
        for (name, role) in [(web, "web"), (database, "db")] {
            if let Some(mut container) = name.filter(|name| !name.is_empty()).map(listed) {
                container.labels.insert("portico.role".into(), role.into());
                world.containers.push(container);
            }
        }
        world
    }

    #[test]
    fn conditions_of_real_containers() {
        for (name, expected) in [
            ("created", Condition::Created),
            ("healthy", Condition::Running),
            ("plainrun", Condition::Running),
            ("unhealthy", Condition::Unhealthy),
            ("starting", Condition::Starting),
            ("restarting", Condition::Starting),
            ("failed", Condition::Failed),
            ("stopped", Condition::Stopped),
            ("paused", Condition::Paused),
        ] {
            assert_eq!(listed(name).condition(), expected, "{name}");
        }
    }

    #[test]
    fn status_of_sites() {
        let soon = 2000;
        for (web, database, now, expected) in [
            (Some("healthy"), Some("plainrun"), soon, SiteStatus::Running),
            (Some("healthy"), None, soon, SiteStatus::Running),
            (Some("starting"), Some("plainrun"), soon, SiteStatus::Provisioning),
            (Some("unhealthy"), Some("plainrun"), soon, SiteStatus::Error),
            (Some("healthy"), Some("failed"), soon, SiteStatus::Error),
            (Some("healthy"), Some("stopped"), soon, SiteStatus::Error),
            (Some("stopped"), Some("stopped"), soon, SiteStatus::Stopped),
            (Some("stopped"), Some("plainrun"), soon, SiteStatus::Stopped),
            (Some("paused"), Some("plainrun"), soon, SiteStatus::Suspended),
            (Some("created"), Some("plainrun"), soon, SiteStatus::Provisioning),
            (Some("healthy"), Some(""), soon, SiteStatus::Provisioning),
            (None, Some("plainrun"), soon, SiteStatus::Provisioning),
            (None, Some("plainrun"), 1000 + MAKING, SiteStatus::Error),
        ] {
            assert_eq!(status(NS, &world(web, database), now), expected, "{web:?} {database:?} at {now}");
        }
        let mut headless = world(Some("healthy"), None);
        headless.networks.clear();
        assert_eq!(status(NS, &headless, soon), SiteStatus::Error, "a container without its network");
    }

    #[test]
    fn a_site_from_labels() {
        let site = site(NS, "s1", &world(Some("healthy"), Some("plainrun")), 2000);
        assert_eq!((site.name.as_str(), site.slug.as_deref()), ("My site", Some("my-site")));
        assert_eq!(site.url.as_deref(), Some("http://host.example:20001"));
        assert_eq!(site.created_at, Some(1000));
    }

    #[test]
    fn native_is_the_inspect_without_values_of_the_environment() {
        let inspect: Value = serde_json::from_str(include_str!("../tests/captured/inspect.json")).unwrap();
        let bare = site(NS, "s1", &world(Some("healthy"), None), 2000);
        let site = with_details(bare.clone(), &[("web", inspect.clone())]);
        assert_eq!(site.php_version.as_deref(), Some("8.2.1"));
        let native: Value = serde_json::from_str(&site.native.unwrap()).unwrap();
        assert_eq!(native["web"]["Config"]["Env"], json!(["SECRET", "PHP_VERSION", "PATH"]));
        assert_eq!(native["web"]["State"]["Health"], json!({"Status": "healthy", "FailingStreak": 0}));
        assert_eq!(native["web"]["HostConfig"], inspect["HostConfig"], "the rest is as the Engine said it");

        let mut huge = inspect;
        huge["Config"]["Labels"]["big"] = json!("x".repeat(MAX_NATIVE));
        let native: Value = serde_json::from_str(&with_details(bare, &[("web", huge.clone())]).native.unwrap()).unwrap();
        assert_eq!(native["web"], json!({"Id": huge["Id"], "Name": "/healthy"}));
    }

    #[test]
    fn verdicts_on_real_containers() {
        let at = |text: &str| time::parse_rfc3339(text).unwrap();
        let (early, late) = (at("2026-11-22T23:47:56Z"), at("2026-11-22T23:59:00Z"));
        for (name, now, expected) in [
            ("healthy", early, Verdict::Ready),
            ("plainrun", early, Verdict::Waiting(0)),
            ("plainrun", late, Verdict::Ready),
            ("starting", early, Verdict::Waiting(0)),
            ("unhealthy", early, Verdict::Waiting(1)),
            ("restarting", early, Verdict::Ended("the web container ended with code 4".into())),
            ("failed", early, Verdict::Ended("the web container ended with code 3".into())),
            ("stopped", early, Verdict::Ended("the web container was stopped".into())),
        ] {
            assert_eq!(verdict(&inspected(name), 180, now), expected, "{name}");
        }
        let Verdict::TooLate(why) = verdict(&inspected("unhealthy"), 180, late) else { panic!() };
        assert!(why.starts_with("the site didn't become healthy in 180 s; its probe says: OCI runtime exec failed"), "{why}");
    }

    #[test]
    fn ports() {
        let containers = [listed("healthy"), listed("stopped")];
        assert_eq!(taken_ports(NS, &containers), [20_001, 20_001]);
        assert_eq!(free_port((20_000, 20_003), &[20_001, 20_002], 1), Some(20_003));
        assert_eq!(free_port((20_000, 20_001), &[20_001], 3), Some(20_000));
        assert_eq!(free_port((20_000, 20_001), &[20_000, 20_001], 7), None);
        assert_eq!(free_port((1, 65_535), &[], u32::MAX), Some(1));
    }

    #[test]
    fn volumes_of_a_real_engine() {
        let volumes: Volumes = serde_json::from_str(include_str!("../tests/captured/volumes.json")).unwrap();
        assert_eq!(volumes.volumes[0].name, "portico-s1-web-files");
        let none: Volumes = json::read(&json!({"Volumes": null, "Warnings": null})).unwrap();
        assert!(none.volumes.is_empty());
    }
}
