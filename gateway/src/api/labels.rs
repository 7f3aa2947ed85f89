//! Labels of sites in requests: checked, changed and searched for.
//!
//! Invariant: Portico keeps labels itself, so a change of them alone makes no operation and answers with the site; what a key
//! or a value may be is decided here and nowhere else.

use super::{Api, extract::still_admitted, mutation::Manner, names, problem::Problem, respond, served_by};
use crate::{
    dispatch::{Connection, Freshness},
    model::{Answer, Labels, MAX_LABELS, Query, ResourceId},
    policy::{Admission, Principal},
};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use std::{collections::BTreeMap, sync::Arc};

const MAX_KEY: usize = 63;
/// Characters.
const MAX_VALUE: usize = 255;
/// Changes in one request: as many to remove as to set.
const MAX_CHANGES: usize = 2 * MAX_LABELS as usize;

pub type Changes = BTreeMap<String, Option<String>>;

/// Labels of a new site.
pub fn checked(labels: Labels) -> Result<Labels, Problem> {
    labels.iter().try_for_each(|(key, value)| check(key, Some(value)))?;
    if labels.len() > MAX_LABELS as usize {
        return Err(Problem::invalid("labels", format!("a site has at most {MAX_LABELS} labels, not {}", labels.len())));
    }
    Ok(labels)
}

fn check(key: &str, value: Option<&String>) -> Result<(), Problem> {
    if !is_key(key) {
        return Err(Problem::invalid("labels", format!("{key:?} is no key: {}", KEY_FORM)));
    }
    value.map_or(Ok(()), |value| check_value(&format!("labels.{key}"), value))
}

const KEY_FORM: &str = "1 to 63 of a-z, 0-9, '.', '_', '/' and '-', beginning with a letter or digit";

fn is_key(key: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let allowed = |byte: u8| plain(byte) || matches!(byte, b'.' | b'_' | b'/' | b'-');
    (1..=MAX_KEY).contains(&key.len()) && key.bytes().next().is_some_and(plain) && key.bytes().all(allowed)
}

fn check_value(field: &str, value: &str) -> Result<(), Problem> {
    let length = value.chars().count();
    if length > MAX_VALUE {
        return Err(Problem::invalid(field, format!("at most {MAX_VALUE} characters, not {length}")));
    }
    if value.chars().any(char::is_control) { Err(Problem::invalid(field, "no control characters")) } else { Ok(()) }
}

/// A label that a site must have to be in a list: `key`, or `key:value`.
pub struct Wanted {
    key: String,
    value: Option<String>,
}

impl Wanted {
    /// The values of the parameter `label`, all of which must be met.
    pub fn all(texts: &[String]) -> Result<Vec<Self>, Problem> {
        if texts.len() > MAX_LABELS as usize {
            return Err(Problem::invalid("label", format!("at most {MAX_LABELS} times, not {}", texts.len())));
        }
        texts.iter().map(|text| Self::parse(text)).collect()
    }

    fn parse(text: &str) -> Result<Self, Problem> {
        let (key, value) = text.split_once(':').map_or((text, None), |(key, value)| (key, Some(value)));
        if !is_key(key) {
            return Err(Problem::invalid("label", format!("key or key:value, and {key:?} is no key: {KEY_FORM}")));
        }
        value.map_or(Ok(()), |value| check_value("label", value))?;
        Ok(Self { key: key.to_owned(), value: value.map(str::to_owned) })
    }

    pub fn is_met(&self, labels: Option<&Labels>) -> bool {
        let found = labels.and_then(|labels| labels.get(&self.key));
        found.is_some_and(|found| self.value.as_ref().is_none_or(|wanted| wanted == found))
    }
}

impl Api {
    /// Changes labels of a site that is there, and answers with the site.
    pub(super) async fn change_labels(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
        connection: &Arc<Connection>,
        id: ResourceId,
        changes: Changes,
        manner: &Manner,
    ) -> Result<Response, Problem> {
        let sender = (Arc::clone(principal), manner.waiting.admission());
        let Some(key) = manner.key_of(principal) else { return self.labels_changed(sender, connection, id, changes).await };
        let fingerprint = self.fingerprint(&("labels", connection.record.id, &id.native, &changes))?;
        let (api, connection) = (Arc::clone(self), Arc::clone(connection));
        let change = async move { api.labels_changed(sender, &connection, id, changes).await.into_response() };
        self.once(key, fingerprint, change).await
    }

    async fn labels_changed(
        &self,
        (principal, admission): (Arc<Principal>, Option<Admission>),
        connection: &Arc<Connection>,
        id: ResourceId,
        changes: Changes,
    ) -> Result<Response, Problem> {
        if changes.len() > MAX_CHANGES {
            return Err(Problem::invalid("labels", format!("at most {MAX_CHANGES} changes in one request")));
        }
        changes.iter().try_for_each(|(key, value)| check(key, value.as_ref()))?;
        let query = Query::SitesGet { site: id.native.clone() };
        let snapshot = self.dispatch.query(connection, query, Freshness::Cached).await?;
        let Answer::Site(site) = &snapshot.answer else { return Err(super::answer_of_another_kind()) };
        // The host may have taken its time.
        still_admitted(admission.as_ref(), &principal).await?;
        // The host's own spelling of the id, whatever else it takes.
        let own = ResourceId::parse(&site.id).map_or(id.native, |id| id.native);
        self.dispatch.change_labels(connection, &own, changes).await?;
        let labels = connection.labels.of(&site.id).unwrap_or_default();
        let mut response = respond::json(StatusCode::OK, respond::to_bytes(&site.with(&labels))?);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(served_by(connection, response))
    }
}

/// The parameter `q`, in lower case.
pub fn search(text: Option<&str>) -> Result<Option<String>, Problem> {
    names::text("q", text, 100)?;
    Ok(text.map(str::to_lowercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(key: &str, value: &str) -> Labels {
        [(key.to_owned(), value.to_owned())].into()
    }

    #[test]
    fn keys_and_values_have_one_form() {
        let long = "k".repeat(63);
        for good in ["a", "0", "team", "example.com/cost-center_1", long.as_str()] {
            assert!(checked(label(good, "")).is_ok(), "{good}");
        }
        for bad in ["", "A", "-a", "/a", ".a", "a b", "ä", "a:b", "a\u{0}", &"k".repeat(64)] {
            assert!(checked(label(bad, "x")).is_err(), "{bad}");
        }
        for (value, fits) in [("ä".repeat(255), true), ("ä".repeat(256), false), ("a\nb".to_owned(), false)] {
            assert_eq!(checked(label("k", &value)).is_ok(), fits, "{value}");
        }
        let many = |count: u32| (0..count).map(|n| (format!("k{n}"), String::new())).collect::<Labels>();
        assert!(checked(many(MAX_LABELS)).is_ok() && checked(many(MAX_LABELS + 1)).is_err());
    }

    #[test]
    fn finds_by_key_and_by_value() {
        let labels = label("team", "web:eu");
        for (text, met) in [("team", true), ("team:web:eu", true), ("team:web", false), ("team:", false), ("other", false)] {
            let wanted = Wanted::parse(text).unwrap_or_else(|problem| panic!("{text}: {}", problem.detail));
            assert_eq!((wanted.is_met(Some(&labels)), wanted.is_met(None)), (met, false), "{text}");
        }
        for bad in ["", ":x", "Team", "team:a\u{7}"] {
            assert!(Wanted::parse(bad).is_err(), "{bad}");
        }
    }
}
