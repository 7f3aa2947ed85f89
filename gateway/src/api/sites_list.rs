//! GET sites: one list over all connections.
//!
//! Invariant: filtered, merged and sorted by (key, id) here, since most upstreams can't sort; a connection that fails leaves an
//! entry in `errors` for the whole walk, and `total` is null.

use super::{
    Api, Caller, Fresh, Shared,
    cursor::Scope,
    extract::Query,
    problem::Problem,
    respond::Read,
    walk::{self, Missing, Page, Stretch, Walk},
};
use crate::{
    dispatch::{Connection, Freshness, Snapshot},
    model::{Query as Ask, Site, SiteStatus},
    policy::Principal,
};
use axum::{Extension, extract::State, response::Response};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, sync::Arc};

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Slugs, separated by commas.
    connection: Option<String>,
    provider: Option<String>,
    status: Option<SiteStatus>,
    /// A part of the name, in any case.
    name: Option<String>,
    #[serde(default)]
    sort: Sort,
    #[serde(default)]
    order: Order,
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
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = walk::limit(parameters.limit)?;
    let scope = Scope { sealer: &api.sealer, principal: &principal, question: parameters.question()? };
    let stretch = match &parameters.cursor {
        Some(cursor) => api.walks.resume(cursor, limit, &scope)?,
        None => api.walks.begin(gather(&api, &principal, &parameters, freshness).await?, limit, &scope)?,
    };
    let page = page(&stretch);
    Read { request: &headers, as_of: page.as_of, partial: !page.errors.is_empty() }.answer(&page)
}

impl Parameters {
    /// What a cursor is bound to: everything but the position and the page's size.
    fn question(&self) -> Result<String, Problem> {
        let question = (&self.connection, &self.provider, self.status, &self.name, self.sort, self.order);
        let bytes = super::respond::to_bytes(&question)?;
        Ok(format!("sites {}", String::from_utf8_lossy(&bytes)))
    }

    fn keeps(&self, site: &Site, wanted_name: Option<&str>) -> bool {
        self.status.is_none_or(|status| site.status == status)
            && wanted_name.is_none_or(|wanted| site.name.to_lowercase().contains(wanted))
    }

    fn compare(&self, one: &Site, other: &Site) -> Ordering {
        let by_key = match self.sort {
            Sort::Name => one.name.cmp(&other.name),
            Sort::Status => one.status.as_str().cmp(other.status.as_str()),
            Sort::CreatedAt => one.created_at.cmp(&other.created_at),
            Sort::UpdatedAt => one.updated_at.cmp(&other.updated_at),
        };
        let ordered = by_key.then_with(|| one.id.cmp(&other.id));
        if self.order == Order::Desc { ordered.reverse() } else { ordered }
    }
}

async fn gather(api: &Api, principal: &Principal, parameters: &Parameters, freshness: Freshness) -> Result<Walk, Problem> {
    let connections = selected(api, principal, parameters).await?;
    let gathered = api.dispatch.gather(&connections, &Ask::SitesList, freshness).await;
    let wanted_name = parameters.name.as_deref().map(str::to_lowercase);
    let mut rows = Vec::new();
    for (part, snapshot) in gathered.parts.iter().enumerate() {
        let kept = sites(snapshot).iter().enumerate().filter(|(_, site)| parameters.keeps(site, wanted_name.as_deref()));
        rows.extend(kept.map(|(index, _)| (position(part), position(index))));
    }
    let at = |(part, index): (u32, u32)| &sites(&gathered.parts[part as usize])[index as usize];
    rows.sort_unstable_by(|&one, &other| parameters.compare(at(one), at(other)));
    Ok(Walk { parts: gathered.parts, rows, failures: gathered.failures })
}

async fn selected(api: &Api, principal: &Principal, parameters: &Parameters) -> Result<Vec<Arc<Connection>>, Problem> {
    let mut connections = match &parameters.connection {
        None => api.dispatch.connections(principal.organization).await?,
        Some(slugs) => {
            let mut named = Vec::new();
            for slug in slugs.split(',') {
                named.push(api.dispatch.connection(principal.organization, &super::names::slug(slug)?).await?);
            }
            named.sort_by(|one, other| one.record.slug.cmp(&other.record.slug));
            named.dedup_by(|one, other| one.record.id == other.record.id);
            named
        }
    };
    if let Some(provider) = &parameters.provider {
        connections.retain(|connection| connection.record.provider == *provider);
    }
    Ok(connections)
}

fn sites(snapshot: &Snapshot) -> &[Site] {
    snapshot.answer.sites()
}

/// A connection lists far fewer than 2^32 sites: the host bounds it.
fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn page(stretch: &Stretch) -> Page<&Site> {
    let walk = &stretch.walk;
    let data = walk.rows[stretch.range.clone()].iter();
    Page {
        data: data.map(|&(part, index)| &sites(&walk.parts[part as usize])[index as usize]).collect(),
        next_cursor: stretch.next.clone(),
        total: walk.total(),
        as_of: walk.as_of(),
        errors: walk.failures.iter().map(Missing::from).collect(),
    }
}
