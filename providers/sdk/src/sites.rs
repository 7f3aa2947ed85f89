//! Sites: list, get, create, update, delete, start, stop, clone, usage, logs.
//!
//! Native ids go in and out; paging, escaping and the connection's prefix are Portico's. Invariant: every default is `unsupported` with the
//! feature's name, so a call that nobody implemented can't look like a success.

pub use crate::wit::sites::{Admin, LogLine, LogRequest, SiteClone, SiteCreate, SiteUpdate};
use crate::{
    Call, Error, Page, PageRequest, Provider, Site, SiteUsage, Work, error,
    provider::{change, with_current},
    wit,
};

/// Sites: list, get, create, update, delete, start, stop, clone, usage, logs. A call that isn't implemented is `unsupported`.
pub trait Sites: Provider {
    /// Every site that the connection can see, in an order that doesn't change while nothing changes.
    fn list(&self, page: &PageRequest) -> Result<Page<Site>, Error> {
        let _ = (page,);
        Err(error::unsupported("sites.list"))
    }

    fn get(&self, id: &str) -> Result<Site, Error> {
        let _ = (id,);
        Err(error::unsupported("sites.get"))
    }

    fn create(&self, call: &Call, input: SiteCreate) -> Result<Work, Error> {
        let _ = (call, input);
        Err(error::unsupported("sites.create"))
    }

    /// Only what is to change is given.
    fn update(&self, call: &Call, id: &str, input: SiteUpdate) -> Result<Work, Error> {
        let _ = (call, id, input);
        Err(error::unsupported("sites.update"))
    }

    /// Deleting a site that is gone is `not-found`, unless this very operation deleted it.
    fn delete(&self, call: &Call, id: &str) -> Result<Work, Error> {
        let _ = (call, id);
        Err(error::unsupported("sites.delete"))
    }

    /// Starting what runs is done at once.
    fn start(&self, call: &Call, id: &str) -> Result<Work, Error> {
        let _ = (call, id);
        Err(error::unsupported("sites.start"))
    }

    fn stop(&self, call: &Call, id: &str) -> Result<Work, Error> {
        let _ = (call, id);
        Err(error::unsupported("sites.stop"))
    }

    /// The completion's target is the new site.
    fn clone(&self, call: &Call, id: &str, input: SiteClone) -> Result<Work, Error> {
        let _ = (call, id, input);
        Err(error::unsupported("sites.clone"))
    }

    fn usage(&self, id: &str) -> Result<SiteUsage, Error> {
        let _ = (id,);
        Err(error::unsupported("sites.usage"))
    }

    /// The last lines of a log.
    fn logs(&self, id: &str, request: LogRequest) -> Result<Vec<LogLine>, Error> {
        let _ = (id, request);
        Err(error::unsupported("sites.logs"))
    }
}

impl<P: Sites> wit::sites::Guest for P {
    fn list(page: PageRequest) -> Result<wit::sites::Page, Error> {
        with_current(|provider: &P| Sites::list(provider, &page))
            .map(|page| wit::sites::Page { items: page.items, next: page.next })
    }

    fn get(id: String) -> Result<Site, Error> {
        with_current(|provider: &P| Sites::get(provider, &id))
    }

    #[inline(always)]
    fn create(call: Call, input: SiteCreate) -> Result<Work, Error> {
        change(|provider: &P| Sites::create(provider, &call, input))
    }

    #[inline(always)]
    fn update(call: Call, id: String, input: SiteUpdate) -> Result<Work, Error> {
        change(|provider: &P| Sites::update(provider, &call, &id, input))
    }

    #[inline(always)]
    fn delete(call: Call, id: String) -> Result<Work, Error> {
        change(|provider: &P| Sites::delete(provider, &call, &id))
    }

    #[inline(always)]
    fn start(call: Call, id: String) -> Result<Work, Error> {
        change(|provider: &P| Sites::start(provider, &call, &id))
    }

    #[inline(always)]
    fn stop(call: Call, id: String) -> Result<Work, Error> {
        change(|provider: &P| Sites::stop(provider, &call, &id))
    }

    #[inline(always)]
    fn clone(call: Call, id: String, input: SiteClone) -> Result<Work, Error> {
        change(|provider: &P| Sites::clone(provider, &call, &id, input))
    }

    fn usage(id: String) -> Result<SiteUsage, Error> {
        with_current(|provider: &P| Sites::usage(provider, &id))
    }

    fn logs(id: String, request: LogRequest) -> Result<Vec<LogLine>, Error> {
        with_current(|provider: &P| Sites::logs(provider, &id, request))
    }
}
