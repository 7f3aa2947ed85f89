//! Domains: one list of Kinsta tells the names, another one which are active and primary, a third the DNS records.
//!
//! Pure. Invariant: a domain that no list calls active is pending, and shows the records that are asked for.

use super::native;
use crate::types;
use portico_sdk::{DnsRecord, Domain, DomainStatus, Error, json};
use serde_json::{Value, json};

/// `value`: one of `GET …/{env}/domains`; `environment`: the one that it belongs to. The id is the name.
pub fn domain(value: Value, environment: &types::Environment) -> Result<Domain, Error> {
    let known = json::read::<types::SiteDomain>(&value)?;
    let other = environment.domains.iter().find(|other| other.id == known.id);
    let primary = environment.primary_domain.as_ref().is_some_and(|primary| primary.id == known.id);
    // The seed's environments say nothing about it: what is among an environment's domains is in use there.
    let active = other.is_some_and(|other| other.is_active.unwrap_or(true));
    Ok(Domain {
        id: known.name.to_ascii_lowercase(),
        name: known.name.to_ascii_lowercase(),
        environment: Some(environment.id.clone()),
        primary,
        status: if active { DomainStatus::Active } else { DomainStatus::PendingVerification },
        verification: Vec::new(),
        certificate: None,
        native: native(value),
    })
}

/// The records that prove ownership; those that point to Kinsta go into `native`.
pub fn records(mut domain: Domain, records: types::Records) -> Result<Domain, Error> {
    let native = domain.native.as_deref().map(json::from_str::<Value>).transpose()?;
    if let Some(Value::Object(mut object)) = native {
        object.insert("pointing_records".to_owned(), json!(records.pointing_records));
        domain.native = Some(Value::Object(object).to_string());
    }
    let record = |record: types::Record| DnsRecord { record_type: record.kind, name: record.name, value: record.value };
    domain.verification = records.verification_records.into_iter().map(record).collect();
    Ok(domain)
}
