//! Usage of the whole company. Kinsta's API has no subscription and no invoices.
//!
//! Invariant: no more than so many sites are asked one by one, since an answer must come within the caller's deadline.

use crate::{Kinsta, client, types, usage};
use portico_sdk::{Billing, Error, billing::Usage, json};

/// Three requests a site: with more, sums are left out, and the number of sites is told alone.
const MAX_SITES: usize = 20;

impl Billing for Kinsta {
    fn get_usage(&self) -> Result<Usage, Error> {
        let sites = client::sites(self.company()?)?;
        let ids =
            sites.iter().map(json::read::<types::Site>).map(|site| site.map(|site| site.id)).collect::<Result<Vec<_>, _>>()?;
        let number = ids.len() as u64;
        let (mut visits, mut bandwidth) = if ids.len() > MAX_SITES { (None, None) } else { (Some(0), Some(0)) };
        for id in ids.iter().filter(|_| ids.len() <= MAX_SITES) {
            let (of_visits, of_bandwidth) = usage::traffic(id)?;
            visits = sum(visits, of_visits);
            bandwidth = sum(bandwidth, of_bandwidth);
        }
        let (period_start, period_end, native) = (None, None, None);
        Ok(Usage { sites: Some(number), storage: None, bandwidth, visits, period_start, period_end, native })
    }
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.zip(other).and_then(|(one, other)| one.checked_add(other))
}
