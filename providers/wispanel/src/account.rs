//! The account behind the key: its package and what it may use.
//!
//! Invariant: two documented reads, `/auth/me` and the installations; the panel has no prices and no invoices.

use crate::{WisPanel, client, convert};
use portico_sdk::{
    Billing, Error,
    billing::{Subscription, Usage},
};

impl Billing for WisPanel {
    fn get_subscription(&self) -> Result<Subscription, Error> {
        convert::subscription(&client::me()?)
    }

    /// The limits of the package ride in `native`; -1 there means none.
    fn get_usage(&self) -> Result<Usage, Error> {
        let me = client::me()?;
        Ok(convert::usage(client::installations()?.len(), &me))
    }
}
