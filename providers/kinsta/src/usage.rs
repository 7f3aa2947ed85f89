//! What a site uses this month, and all sites together.
//!
//! Invariant: a sum that isn't complete is none, never the part of it that could be asked.

use crate::{client, convert, place};
use portico_sdk::{Error, SiteUsage};

/// Kinsta gives no unit; its own pages show these numbers as bytes.
pub fn of_site(company: &str, id: &str) -> Result<SiteUsage, Error> {
    let place = place(id, None)?;
    let (visits, bandwidth) = traffic(id)?;
    let storage = convert::latest(&client::disk_space(company, place.id())?);
    Ok(SiteUsage { storage, bandwidth, visits })
}

/// Visits, and bytes of the servers and the CDN together.
pub fn traffic(site: &str) -> Result<(Option<u64>, Option<u64>), Error> {
    let visits = convert::count(client::visits(site)?);
    let server = convert::count(client::bandwidth(site, "bandwidth")?);
    let cdn = convert::count(client::bandwidth(site, "cdn-bandwidth")?);
    Ok((visits, server.zip(cdn).and_then(|(server, cdn)| server.checked_add(cdn))))
}
