//! Usage of whole accounts. The live API knows neither plans with prices nor invoices.
//!
//! Invariant: the period is the one that was asked for: 30 days, today's included.

use super::{Live, client, client::API, convert, types::Rollup};
use portico_sdk::{Billing, Error, billing::Usage, clock, json, time};
use serde_json::{Map, Value};

const DAY_MILLIS: u64 = 86_400_000;

impl Billing for Live {
    fn get_usage(&self) -> Result<Usage, Error> {
        let accounts = client::accounts(self.account())?;
        let today = clock::now() / DAY_MILLIS * DAY_MILLIS;
        let first = today.saturating_sub(29 * DAY_MILLIS);
        let (mut rollups, mut native) = (Vec::new(), Map::new());
        for account in accounts {
            let request = API.get(["accounts", &account, "usage", "summary"]).query("first_date", date(first));
            let summary: Value = request.query("last_date", date(today)).json()?;
            rollups.push(json::read::<Rollup>(&summary)?);
            native.insert(account, summary);
        }
        let sum = convert::usage(&rollups);
        Ok(Usage {
            sites: Some(self.count_sites()?),
            storage: sum.storage,
            bandwidth: sum.bandwidth,
            visits: sum.visits,
            period_start: Some(first),
            period_end: Some(today.saturating_add(DAY_MILLIS)),
            native: Some(Value::Object(native).to_string()),
        })
    }
}

impl Live {
    fn count_sites(&self) -> Result<u64, Error> {
        let mut count = 0;
        client::find(&["sites"], self.account_filter(), |_| {
            count += 1;
            Ok(None::<()>)
        })?;
        Ok(count)
    }
}

/// `YYYY-mm-dd`.
fn date(millis: u64) -> String {
    time::format_rfc3339(millis).chars().take(10).collect()
}
