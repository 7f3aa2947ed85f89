//! GET sites: one list over all connections.
//!
//! Invariant: filtered, merged and sorted by (key, id) here, since most upstreams can't sort; a connection that fails leaves an
//! entry in `errors` for the whole walk, and `total` is null.

use super::{
    Api, Caller, Fresh, Shared,
    cursor::Scope,
    extract,
    labels::{self, Wanted},
    problem::Problem,
    walk::{self, Missing, Page, Stretch, Walk},
};
use crate::{
    dispatch::{Connection, Freshness, Look, Snapshot},
    model::{Labels, Query as Ask, Site, SiteKind, SiteStatus, form},
    policy::Principal,
};
use axum::{
    Extension,
    extract::{FromRequestParts, State},
    response::Response,
};
use http::{HeaderMap, request::Parts};
use serde::{Deserialize, Serialize, Serializer};
use std::{cmp::Ordering, sync::Arc};

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Slugs, separated by commas.
    #[schemars(with = "Option<form::Slugs>")]
    connection: Option<String>,
    #[schemars(with = "Option<form::SlugText>")]
    provider: Option<String>,
    status: Option<SiteStatus>,
    kind: Option<SiteKind>,
    /// A part of the name, in any case.
    name: Option<String>,
    /// A part of the name, the URL, a primary domain or a label's value, in any case.
    #[schemars(with = "Option<form::Text<100>>")]
    q: Option<String>,
    /// `key`, or `key:value`; given several times, a site must have them all.
    #[serde(default)]
    #[schemars(with = "Vec<form::LabelFilter>", length(max = 32))]
    label: Vec<String>,
    #[serde(default)]
    sort: Sort,
    #[serde(default)]
    order: Order,
    #[schemars(with = "Option<form::Limit>")]
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, schemars::JsonSchema)]
#[schemars(rename = "SiteSort")]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    #[default]
    Name,
    Status,
    CreatedAt,
    UpdatedAt,
    Url,
    Connection,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[schemars(rename = "SortOrder")]
#[serde(rename_all = "snake_case")]
pub enum Order {
    #[default]
    Asc,
    Desc,
}

pub async fn list(
    State(api): Shared,
    Extension(principal): Caller,
    Fresh(freshness): Fresh,
    Asked(parameters): Asked,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = walk::limit(parameters.limit)?;
    let scope = Scope { sealer: &api.sealer, principal: &principal, question: parameters.question()? };
    let stretch = match &parameters.cursor {
        Some(cursor) => api.walks.resume(cursor, limit, &scope)?,
        None => api.walks.begin(gather(&api, &principal, &parameters, freshness).await?, limit, &scope, digest)?,
    };
    let page = page(&stretch);
    stretch.read(&headers, !page.errors.is_empty()).answer_list(&page)
}

impl Parameters {
    /// What a cursor is bound to: everything but the position and the page's size.
    fn question(&self) -> Result<String, Problem> {
        let which = (&self.connection, &self.provider, self.status, self.kind, &self.name, &self.q, &self.label);
        let question = (which, self.sort, self.order);
        let bytes = super::respond::to_bytes(&question)?;
        Ok(format!("sites {}", String::from_utf8_lossy(&bytes)))
    }

    fn compare(&self, one: &Site, other: &Site) -> Ordering {
        let by_key = match self.sort {
            Sort::Name => one.name.cmp(&other.name),
            Sort::Status => one.status.as_str().cmp(other.status.as_str()),
            Sort::CreatedAt => one.created_at.cmp(&other.created_at),
            Sort::UpdatedAt => one.updated_at.cmp(&other.updated_at),
            Sort::Url => one.url.cmp(&other.url),
            Sort::Connection => one.connection.cmp(&other.connection),
        };
        let ordered = by_key.then_with(|| one.id.cmp(&other.id));
        if self.order == Order::Desc { ordered.reverse() } else { ordered }
    }
}

/// The parameters, of which `label` may come more than once.
pub struct Asked(Parameters);

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let (label, rest) = extract::repeated(parts.uri.query().unwrap_or_default(), "label");
        let parameters: Parameters = extract::query(&rest)?;
        Ok(Self(Parameters { label, ..parameters }))
    }
}

/// Which sites are kept.
struct Sieve<'a> {
    parameters: &'a Parameters,
    name: Option<String>,
    text: Option<String>,
    labels: Vec<Wanted>,
}

impl<'a> Sieve<'a> {
    fn new(parameters: &'a Parameters) -> Result<Self, Problem> {
        let name = parameters.name.as_deref().map(str::to_lowercase);
        let (text, labels) = (labels::search(parameters.q.as_deref())?, Wanted::all(&parameters.label)?);
        Ok(Self { parameters, name, text, labels })
    }

    fn keeps(&self, site: &Site, look: &Look<'_>) -> bool {
        let Parameters { status, kind, .. } = *self.parameters;
        status.is_none_or(|status| site.status == status)
            && kind.is_none_or(|kind| site.kind == kind)
            && self.name.as_ref().is_none_or(|wanted| contains(&site.name, wanted))
            && (self.labels.is_empty() && self.text.is_none() || self.speaks(site, look.of(&site.id).map(|labels| &**labels)))
    }

    fn speaks(&self, site: &Site, labels: Option<&Labels>) -> bool {
        self.labels.iter().all(|wanted| wanted.is_met(labels))
            && self.text.as_ref().is_none_or(|wanted| {
                let domains = site.environments.iter().filter_map(|one| one.primary_domain.as_ref());
                let values = labels.into_iter().flat_map(|labels| labels.values());
                let mut texts = [&site.name].into_iter().chain(&site.url).chain(domains).chain(values);
                texts.any(|text| contains(text, wanted))
            })
    }
}

/// In any case; `wanted` is in lower case.
fn contains(text: &str, wanted: &str) -> bool {
    text.to_lowercase().contains(wanted)
}

async fn gather(api: &Api, principal: &Principal, parameters: &Parameters, freshness: Freshness) -> Result<Walk, Problem> {
    // Before anything is asked: a filter that can't be is refused.
    let sieve = Sieve::new(parameters)?;
    let connections = selected(api, principal, parameters).await?;
    let gathered = api.dispatch.gather(&connections, &Ask::SitesList, freshness).await;
    let mut rows = Vec::new();
    for (part, (snapshot, shelf)) in gathered.parts.iter().zip(&gathered.shelves).enumerate() {
        let look = shelf.look();
        let kept = sites(snapshot).iter().enumerate().filter(|(_, site)| sieve.keeps(site, &look));
        rows.extend(kept.map(|(index, _)| (position(part), position(index))));
    }
    let at = |(part, index): (u32, u32)| &sites(&gathered.parts[part as usize])[index as usize];
    rows.sort_unstable_by(|&one, &other| parameters.compare(at(one), at(other)));
    Ok(Walk { parts: gathered.parts, shelves: gathered.shelves, rows, failures: gathered.failures })
}

async fn selected(api: &Api, principal: &Principal, parameters: &Parameters) -> Result<Vec<Arc<Connection>>, Problem> {
    let mut connections = match &parameters.connection {
        None => api.connections(principal).await?,
        Some(slugs) => {
            let mut named = Vec::new();
            for slug in slugs.split(',') {
                named.push(api.connection(principal, &super::names::connection("connection", slug)?).await?);
            }
            named.sort_by(|one, other| one.record.slug.cmp(&other.record.slug));
            named.dedup_by(|one, other| one.record.id == other.record.id);
            named
        }
    };
    if let Some(provider) = &parameters.provider {
        api.check_provider(provider, &connections)?;
        connections.retain(|connection| connection.record.provider == *provider);
    }
    Ok(connections)
}

/// Labels are put in where a page is written.
fn digest(walk: &Walk) -> Option<u128> {
    walk::digest(walk.rows.iter().map(|&(part, index)| &sites(&walk.parts[part as usize])[index as usize]))
}

fn sites(snapshot: &Snapshot) -> &[Site] {
    snapshot.answer.sites()
}

/// A connection lists far fewer than 2^32 sites: the host bounds it.
fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// A site of a page, and its labels as they are now.
struct Row<'a> {
    site: &'a Site,
    labels: Option<Arc<Labels>>,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.labels {
            None => self.site.serialize(serializer),
            Some(labels) => self.site.with(labels).serialize(serializer),
        }
    }
}

fn page(stretch: &Stretch) -> Page<Row<'_>> {
    let walk = &stretch.walk;
    let row = |&(part, index): &(u32, u32)| {
        let site = &sites(&walk.parts[part as usize])[index as usize];
        Row { site, labels: walk.shelves[part as usize].of(&site.id) }
    };
    Page {
        data: walk.rows[stretch.range.clone()].iter().map(row).collect(),
        next_cursor: stretch.next.clone(),
        total: walk.total(),
        as_of: walk.as_of(),
        errors: walk.failures.iter().map(Missing::from).collect(),
    }
}
