//! Backups of a site: list, get, create, delete, restore, download.
//!
//! Native ids go in and out; paging, escaping and the connection's prefix are Portico's. Invariant: every default is `unsupported` with the
//! feature's name, so a call that nobody implemented can't look like a success.

pub use crate::wit::backups::{BackupCreate, RestoreInput};
use crate::{
    Backup, Call, Error, Page, PageRequest, Provider, Transfer, Work, error,
    provider::{change, with_current},
    wit,
};

/// Backups of a site: list, get, create, delete, restore, download. A call that isn't implemented is `unsupported`.
pub trait Backups: Provider {
    /// Of one environment, or of all when it is none.
    fn list(&self, site: &str, environment: Option<&str>, page: &PageRequest) -> Result<Page<Backup>, Error> {
        let _ = (site, environment, page);
        Err(error::unsupported("backups.list"))
    }

    fn get(&self, site: &str, id: &str) -> Result<Backup, Error> {
        let _ = (site, id);
        Err(error::unsupported("backups.get"))
    }

    fn create(&self, call: &Call, site: &str, input: BackupCreate) -> Result<Work, Error> {
        let _ = (call, site, input);
        Err(error::unsupported("backups.create"))
    }

    fn delete(&self, call: &Call, site: &str, id: &str) -> Result<Work, Error> {
        let _ = (call, site, id);
        Err(error::unsupported("backups.delete"))
    }

    /// The completion's target is the backup. Where the end can't be observed, `details` says `{"verified": false}`.
    fn restore(&self, call: &Call, site: &str, id: &str, input: RestoreInput) -> Result<Work, Error> {
        let _ = (call, site, id, input);
        Err(error::unsupported("backups.restore"))
    }

    /// Where the bytes come from; Portico streams them.
    fn download(&self, site: &str, id: &str) -> Result<Transfer, Error> {
        let _ = (site, id);
        Err(error::unsupported("backups.download"))
    }
}

impl<P: Backups> wit::backups::Guest for P {
    fn list(site: String, environment: Option<String>, page: PageRequest) -> Result<wit::backups::Page, Error> {
        with_current(|provider: &P| Backups::list(provider, &site, environment.as_deref(), &page))
            .map(|page| wit::backups::Page { items: page.items, next: page.next })
    }

    fn get(site: String, id: String) -> Result<Backup, Error> {
        with_current(|provider: &P| Backups::get(provider, &site, &id))
    }

    #[inline(always)]
    fn create(call: Call, site: String, input: BackupCreate) -> Result<Work, Error> {
        change(|provider: &P| Backups::create(provider, &call, &site, input))
    }

    #[inline(always)]
    fn delete(call: Call, site: String, id: String) -> Result<Work, Error> {
        change(|provider: &P| Backups::delete(provider, &call, &site, &id))
    }

    #[inline(always)]
    fn restore(call: Call, site: String, id: String, input: RestoreInput) -> Result<Work, Error> {
        change(|provider: &P| Backups::restore(provider, &call, &site, &id, input))
    }

    fn download(site: String, id: String) -> Result<Transfer, Error> {
        with_current(|provider: &P| Backups::download(provider, &site, &id))
    }
}
