//! What a provider says of itself (`describe`) and of a connection (`configure`).
//!
//! Invariant: every name that later decides something (slug, secrets, upstreams, features, actions) was checked here; how an
//! upstream may be reached is egress's to decide.

mod upstreams;

use crate::{
    host::{check::Exported, trap::broken},
    model::{Configuration, Description, Error, Features, Recovery, SecretDescription},
};
use portico_bindings::exports::portico::provider::provider as guest;
use std::collections::{BTreeMap, BTreeSet};

const MAX_SLUG: usize = 32;
const MAX_SENTENCE: usize = 500;
const MAX_SCHEMA: usize = 256 * 1024;
const MAX_SECRETS: usize = 32;
/// Seconds: nobody wants to see an older list.
const MAX_CACHE: u32 = 3600;

pub(in crate::host) fn description(description: guest::Description) -> Result<Description, Error> {
    if !is_slug(&description.name) {
        return Err(broken(format_args!(
            "its name {:?} is not 1 to {MAX_SLUG} characters of a-z, 0-9 and -",
            description.name
        )));
    }
    let texts = [("title", &description.title), ("summary", &description.summary), ("version", &description.version)];
    for (what, text) in texts {
        if text.is_empty() || text.len() > MAX_SENTENCE || text.chars().any(char::is_control) {
            return Err(broken(format_args!("its {what} is empty, has control characters, or more than {MAX_SENTENCE} bytes")));
        }
    }
    Ok(Description {
        settings_schema: schema("settings-schema", &description.settings_schema)?,
        site_options_schema: description.site_options_schema.map(|text| schema("site-options-schema", &text)).transpose()?,
        secrets: secrets(description.secrets)?,
        name: description.name,
        title: description.title,
        summary: description.summary,
        version: description.version,
        documentation_url: description.documentation_url,
    })
}

fn is_slug(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_SLUG).contains(&name.len()) && !name.starts_with('-') && name.bytes().all(allowed)
}

fn schema(what: &str, text: &str) -> Result<serde_json::Value, Error> {
    if text.len() > MAX_SCHEMA {
        return Err(broken(format_args!("its {what} has more than {MAX_SCHEMA} bytes")));
    }
    let schema: serde_json::Value =
        serde_json::from_str(text).map_err(|error| broken(format_args!("its {what} is not JSON: {error}")))?;
    if schema.is_object() { Ok(schema) } else { Err(broken(format_args!("its {what} is not a JSON object"))) }
}

fn secrets(declared: Vec<guest::SecretDescription>) -> Result<Vec<SecretDescription>, Error> {
    if declared.len() > MAX_SECRETS {
        return Err(broken(format_args!("it declares more than {MAX_SECRETS} secrets")));
    }
    let mut names = BTreeSet::new();
    let mut check = |secret: guest::SecretDescription| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let fits = (1..=64).contains(&secret.name.len()) && secret.name.bytes().all(allowed);
        if !fits {
            return Err(broken(format_args!("the secret name {:?} is not 1 to 64 characters of a-z, 0-9 and _", secret.name)));
        }
        if !names.insert(secret.name.clone()) {
            return Err(broken(format_args!("it declares the secret {} twice", secret.name)));
        }
        let guest::SecretDescription { name, title, description, required } = secret;
        Ok(SecretDescription { name, title, description, required })
    };
    declared.into_iter().map(&mut check).collect()
}

/// `exported`: the interfaces that stand behind features. `secrets`: those that `describe` declared.
pub(in crate::host) fn configuration(
    configuration: guest::Configuration,
    exported: &Exported,
    secrets: &[SecretDescription],
) -> Result<Configuration, Error> {
    for feature in &configuration.features {
        exported.check_feature(feature)?;
    }
    Ok(Configuration {
        features: Features(configuration.features.into_iter().collect()),
        upstreams: upstreams::convert(configuration.upstreams, secrets)?,
        recovery: recovery(configuration.recovery, exported)?,
        cache: cache(configuration.cache, exported)?,
    })
}

fn recovery(declared: Vec<(String, guest::Recovery)>, exported: &Exported) -> Result<BTreeMap<String, Recovery>, Error> {
    let convert = |(action, recovery): (String, guest::Recovery)| {
        exported.check_action(&action)?;
        let recovery = match recovery {
            guest::Recovery::Keyed => Recovery::Keyed,
            guest::Recovery::LookUp if exported.operations => Recovery::LookUp,
            guest::Recovery::LookUp => {
                let text = format!(
                    "recovery of {action} is look-up, but the component doesn't export portico:provider/operations; export it"
                );
                return Err(broken(text));
            }
            guest::Recovery::Neither => Recovery::Neither,
        };
        Ok((action, recovery))
    };
    declared.into_iter().map(convert).collect()
}

fn cache(declared: Vec<(String, u32)>, exported: &Exported) -> Result<BTreeMap<String, u32>, Error> {
    let convert = |(action, seconds): (String, u32)| {
        exported.check_action(&action)?;
        Ok((action, seconds.min(MAX_CACHE)))
    };
    declared.into_iter().map(convert).collect()
}
