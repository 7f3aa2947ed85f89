//! SitePod's answers to Portico's model, and plans to its bodies.
//!
//! Pure. Live shapes are those of the server's code; the seed shows plan and commit alone, and its other answers are assumed to be the
//! live ones. Invariant: any JSON gives a value or an error, and `native` holds what came.

mod plan;

pub use plan::{Planned, plan_body, planned};

use portico_sdk::{
    Deployment, DeploymentSource, DeploymentStatus, DnsRecord, Domain, DomainStatus, Environment, EnvironmentKind, Error, Site,
    SiteKind, SiteStatus, error::internal, json, native, time,
};
use serde_json::Value;

pub const PROD: &str = "prod";
pub const BETA: &str = "beta";

/// No answer that is handed on holds one; should a later server's do, it stays out.
const SECRET: &[&str] = &["token", "password", "secret", "verification_token"];

/// SitePod's name of an environment; production when none is named.
pub fn environment(wanted: Option<&str>) -> Option<&'static str> {
    match wanted {
        None | Some("prod" | "production") => Some(PROD),
        Some("beta" | "staging") => Some(BETA),
        Some(_) => None,
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn moment(value: &Value, name: &str) -> Option<u64> {
    time::parse_rfc3339(value.get(name)?.as_str()?)
}

/// The items of a list, bare or below `name`.
pub fn items(answer: Value, name: &str) -> Result<Vec<Value>, Error> {
    let inside = match answer {
        Value::Object(mut object) => object.remove(name).unwrap_or_default(),
        other => other,
    };
    match inside {
        Value::Array(items) => Ok(items),
        // Go writes an empty slice as null.
        Value::Null => Ok(Vec::new()),
        _ => Err(internal(format!("SitePod answered something that holds no list of {name}"))),
    }
}

/// Whatever is made here is served at once, so a project is `running`.
pub fn environments(primary: Option<&str>) -> Vec<Environment> {
    let of = |name: &str, kind, domain: Option<&str>| Environment {
        status: SiteStatus::Running,
        url: domain.map(|domain| format!("https://{domain}")),
        primary_domain: domain.map(str::to_owned),
        ..Environment::new(name, name, kind)
    };
    vec![of(PROD, EnvironmentKind::Production, primary), of(BETA, EnvironmentKind::Staging, None)]
}

/// `primary`: the project's primary domain, where it was asked for.
pub fn site(value: &Value, primary: Option<&str>) -> Result<Site, Error> {
    let name = text(value, "name").filter(|name| name.len() <= 512);
    let name = name.ok_or_else(|| internal("SitePod told a project without a name"))?;
    Ok(Site {
        created_at: moment(value, "created_at"),
        updated_at: moment(value, "updated_at"),
        slug: text(value, "subdomain"),
        native: native::secret_free(value.clone(), SECRET),
        ..named_site(&name, primary)
    })
}

/// A project of which only the name is known.
pub fn named_site(name: &str, primary: Option<&str>) -> Site {
    Site {
        kind: SiteKind::StaticFiles,
        status: SiteStatus::Running,
        url: primary.map(|domain| format!("https://{domain}")),
        environments: environments(primary),
        ..Site::new(name, name)
    }
}

/// An image, as `history` and `images` tell it.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    pub id: String,
    pub content_hash: Option<String>,
    pub created_at: Option<u64>,
    /// Where it is served now.
    pub deployed_to: Vec<&'static str>,
    message: Option<String>,
    native: Value,
}

pub fn image(value: &Value) -> Result<Image, Error> {
    let id = text(value, "image_id").filter(|id| id.len() <= 512);
    let deployed = value.get("deployed_to").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Ok(Image {
        id: id.ok_or_else(|| internal("SitePod told an image without an id"))?,
        content_hash: text(value, "content_hash"),
        created_at: moment(value, "created_at"),
        deployed_to: deployed.iter().filter_map(|name| environment(Some(name.as_str()?))).collect(),
        message: text(value, "git_message").or_else(|| text(value, "message")),
        native: value.clone(),
    })
}

/// `environment`: the one that was asked about, if one was.
pub fn deployment(image: &Image, environment: Option<&str>) -> Deployment {
    let served = image.deployed_to.iter().find(|name| environment.is_none_or(|wanted| wanted == **name));
    let status = if image.deployed_to.is_empty() { DeploymentStatus::Committed } else { DeploymentStatus::Completed };
    Deployment {
        id: image.id.clone(),
        environment: served.map(|name| (*name).to_owned()),
        source: DeploymentSource::Files,
        status,
        message: image.message.clone(),
        changes: None,
        logs: None,
        url: None,
        created_at: image.created_at,
        completed_at: image.created_at,
        native: native::secret_free(image.native.clone(), SECRET),
    }
}

/// What `current` tells: image and time of its release.
pub fn current(value: &Value, environment: &'static str) -> Result<Deployment, Error> {
    let image = Image { deployed_to: vec![environment], created_at: None, ..image(value)? };
    Ok(Deployment { completed_at: moment(value, "deployed_at"), ..deployment(&image, Some(environment)) })
}

pub fn domain(value: &Value) -> Result<Domain, Error> {
    let name = text(value, "domain").map(|name| name.trim_end_matches('.').to_ascii_lowercase());
    let name = name.filter(|name| !name.is_empty() && name.len() <= 253);
    let name = name.ok_or_else(|| internal("SitePod told a domain without its name"))?;
    let status = match text(value, "status").as_deref() {
        Some("active" | "verified") | None => DomainStatus::Active,
        Some("pending") => DomainStatus::PendingVerification,
        Some(_) => DomainStatus::Error,
    };
    let proof = text(value, "verification_token").filter(|_| status == DomainStatus::PendingVerification);
    let record = |value| DnsRecord { record_type: "TXT".to_owned(), name: format!("_sitepod.{name}"), value };
    Ok(Domain {
        id: name.clone(),
        environment: Some(PROD.to_owned()),
        primary: value.get("is_primary").and_then(Value::as_bool).unwrap_or(false),
        status,
        verification: proof.map(record).into_iter().collect(),
        certificate: None,
        native: native::secret_free(value.clone(), SECRET),
        name,
    })
}

/// Everything that an answer goes through, for tests with any bytes.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let Ok(value) = json::parse(bytes) else { return };
    for name in ["projects", "items", "images", "domains"] {
        let Ok(items) = items(value.clone(), name) else { continue };
        for item in &items {
            drop((site(item, None), domain(item), current(item, PROD)));
            drop(image(item).map(|image| deployment(&image, Some(BETA))));
        }
    }
    drop((site(&value, Some("a.example")), image(&value), domain(&value), current(&value, BETA), planned(&value)));
}

#[cfg(test)]
mod tests;
