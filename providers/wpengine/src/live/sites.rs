//! Sites: list, get, rename, delete, usage. How one is made is in `make`.
//!
//! Invariant: a site's state is that of its installs; a site alone tells none.

use super::{Live, client, client::API, convert, make, types::InstallUsage};
use portico_sdk::{
    Call, Error, Page, PageRequest, Site, SiteUsage, Sites, Work,
    sites::{SiteClone, SiteCreate, SiteUpdate},
};
use serde_json::{Value, json};

/// Pages of installs that one page of sites may cost. Installs that aren't among them have the status `unknown`.
const INSTALL_PAGES: u32 = 10;

impl Sites for Live {
    fn list(&self, page: &PageRequest) -> Result<Page<Site>, Error> {
        let page = client::model_page(&["sites"], self.account_filter(), page)?;
        let installs = self.installs_of(&page.items)?;
        let items = page.items.into_iter().map(|site| convert::site(site, &installs)).collect::<Result<_, _>>()?;
        Ok(Page { items, next: page.next })
    }

    /// Installs say more of themselves alone: the version of WordPress above all.
    fn get(&self, id: &str) -> Result<Site, Error> {
        let site = client::site_value(id)?;
        let installs = installs_alone(&site)?;
        convert::site(site, &installs)
    }

    fn create(&self, call: &Call, input: SiteCreate) -> Result<Work, Error> {
        make::site(self, call, &input)
    }

    fn update(&self, _call: &Call, id: &str, input: SiteUpdate) -> Result<Work, Error> {
        if let Some(name) = &input.name {
            make::check_name(name)?;
            API.patch(["sites", id]).json_body(&json!({"name": name})).send()?;
        }
        Ok(Work::done_with(id))
    }

    fn delete(&self, _call: &Call, id: &str) -> Result<Work, Error> {
        API.delete(["sites", id]).send()?;
        Ok(Work::done())
    }

    fn clone(&self, call: &Call, id: &str, input: SiteClone) -> Result<Work, Error> {
        make::clone(self, call, id, &input)
    }

    /// The last 30 days, which is what the vendor sums without dates.
    fn usage(&self, id: &str) -> Result<SiteUsage, Error> {
        let installs = client::installs(&client::site(id)?)?;
        let rollup = |install: super::types::Install| {
            let usage: InstallUsage = API.get(["installs", &install.id, "usage"]).json()?;
            Ok(usage.metrics_rollup)
        };
        Ok(convert::usage(&installs.into_iter().map(rollup).collect::<Result<Vec<_>, Error>>()?))
    }
}

/// Each install of a site as it is alone.
pub fn installs_alone(site: &Value) -> Result<Vec<Value>, Error> {
    let inside = site["installs"].as_array().map(Vec::as_slice).unwrap_or_default();
    inside.iter().filter_map(|install| install["id"].as_str()).map(client::install_value).collect()
}

/// Whether `id` was still missing; it isn't any more.
fn take(missing: &mut Vec<&str>, id: &str) -> bool {
    let place = missing.iter().position(|missing| *missing == id);
    place.map(|place| missing.swap_remove(place)).is_some()
}

impl Live {
    /// Out of the account's list of installs, which tells more than the list of sites does.
    fn installs_of(&self, sites: &[Value]) -> Result<Vec<Value>, Error> {
        let inside = sites.iter().filter_map(|site| site["installs"].as_array()).flatten();
        let mut missing: Vec<&str> = Vec::new();
        for id in inside.filter_map(|install| install["id"].as_str()) {
            if !missing.contains(&id) {
                missing.push(id);
            }
        }
        let (mut found, mut offset) = (Vec::new(), 0);
        for _ in 0..INSTALL_PAGES {
            if missing.is_empty() {
                break;
            }
            let (installs, next) = client::page(&["installs"], self.account_filter(), offset, 100)?;
            let wanted = installs.into_iter().filter(|install| install["id"].as_str().is_some_and(|id| take(&mut missing, id)));
            found.extend(wanted);
            let Some(next) = next else { break };
            offset = next;
        }
        Ok(found)
    }
}
