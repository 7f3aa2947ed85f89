//! Sites: WordPress installations.
//!
//! Invariant: the panel's list decides what there is; a place that has an installation never gets another one.

use crate::{WisPanel, client, convert};
use portico_sdk::{Error, Page, PageRequest, Site, Sites, error::not_found};

pub fn unknown() -> Error {
    not_found("WisPanel doesn't know this installation")
}

impl Sites for WisPanel {
    fn list(&self, page: &PageRequest) -> Result<Page<Site>, Error> {
        let all = client::installations()?.iter().map(convert::site).collect::<Result<Vec<_>, _>>()?;
        Ok(convert::page(all, |site| &site.id, page))
    }

    fn get(&self, id: &str) -> Result<Site, Error> {
        convert::site(&client::installation(id)?.ok_or_else(unknown)?)
    }
}
