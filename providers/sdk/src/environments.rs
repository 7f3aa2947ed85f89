//! Environments of a site: list, create, update, delete, push, current.
//!
//! Native ids go in and out; paging, escaping and the connection's prefix are Portico's. Invariant: every default is `unsupported` with the
//! feature's name, so a call that nobody implemented can't look like a success.

pub use crate::wit::environments::{EnvironmentCreate, EnvironmentUpdate, PushInput};
use crate::{
    Call, Deployment, Environment, Error, Page, PageRequest, Provider, Work, error,
    provider::{change, with_current},
    wit,
};

/// Environments of a site: list, create, update, delete, push, current. A call that isn't implemented is `unsupported`.
pub trait Environments: Provider {
    fn list(&self, site: &str, page: &PageRequest) -> Result<Page<Environment>, Error> {
        let _ = (site, page);
        Err(error::unsupported("environments.list"))
    }

    fn create(&self, call: &Call, site: &str, input: EnvironmentCreate) -> Result<Work, Error> {
        let _ = (call, site, input);
        Err(error::unsupported("environments.create"))
    }

    fn update(&self, call: &Call, site: &str, id: &str, input: EnvironmentUpdate) -> Result<Work, Error> {
        let _ = (call, site, id, input);
        Err(error::unsupported("environments.update"))
    }

    fn delete(&self, call: &Call, site: &str, id: &str) -> Result<Work, Error> {
        let _ = (call, site, id);
        Err(error::unsupported("environments.delete"))
    }

    /// Copy from environment `id` to `input.target`.
    fn push(&self, call: &Call, site: &str, id: &str, input: PushInput) -> Result<Work, Error> {
        let _ = (call, site, id, input);
        Err(error::unsupported("environments.push"))
    }

    /// What is deployed there; none: nothing yet.
    fn current(&self, site: &str, id: &str) -> Result<Option<Deployment>, Error> {
        let _ = (site, id);
        Err(error::unsupported("environments.current"))
    }
}

impl<P: Environments> wit::environments::Guest for P {
    fn list(site: String, page: PageRequest) -> Result<wit::environments::Page, Error> {
        with_current(|provider: &P| Environments::list(provider, &site, &page))
            .map(|page| wit::environments::Page { items: page.items, next: page.next })
    }

    #[inline(always)]
    fn create(call: Call, site: String, input: EnvironmentCreate) -> Result<Work, Error> {
        change(|provider: &P| Environments::create(provider, &call, &site, input))
    }

    #[inline(always)]
    fn update(call: Call, site: String, id: String, input: EnvironmentUpdate) -> Result<Work, Error> {
        change(|provider: &P| Environments::update(provider, &call, &site, &id, input))
    }

    #[inline(always)]
    fn delete(call: Call, site: String, id: String) -> Result<Work, Error> {
        change(|provider: &P| Environments::delete(provider, &call, &site, &id))
    }

    #[inline(always)]
    fn push(call: Call, site: String, id: String, input: PushInput) -> Result<Work, Error> {
        change(|provider: &P| Environments::push(provider, &call, &site, &id, input))
    }

    fn current(site: String, id: String) -> Result<Option<Deployment>, Error> {
        with_current(|provider: &P| Environments::current(provider, &site, &id))
    }
}
