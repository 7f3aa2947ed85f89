//! Domains of a site: list, create, delete, verify, set_primary.
//!
//! Native ids go in and out; paging, escaping and the connection's prefix are Portico's. Invariant: every default is `unsupported` with the
//! feature's name, so a call that nobody implemented can't look like a success.

pub use crate::wit::domains::DomainCreate;
use crate::{
    Call, Domain, Error, Page, PageRequest, Provider, Work, error,
    provider::{change, with_current},
    wit,
};

/// Domains of a site: list, create, delete, verify, set_primary. A call that isn't implemented is `unsupported`.
pub trait Domains: Provider {
    fn list(&self, site: &str, environment: Option<&str>, page: &PageRequest) -> Result<Page<Domain>, Error> {
        let _ = (site, environment, page);
        Err(error::unsupported("domains.list"))
    }

    fn create(&self, call: &Call, site: &str, input: DomainCreate) -> Result<Work, Error> {
        let _ = (call, site, input);
        Err(error::unsupported("domains.create"))
    }

    fn delete(&self, call: &Call, site: &str, environment: Option<&str>, name: &str) -> Result<Work, Error> {
        let _ = (call, site, environment, name);
        Err(error::unsupported("domains.delete"))
    }

    /// Ask the upstream to look at the DNS records now.
    fn verify(&self, call: &Call, site: &str, environment: Option<&str>, name: &str) -> Result<Work, Error> {
        let _ = (call, site, environment, name);
        Err(error::unsupported("domains.verify"))
    }

    fn set_primary(&self, call: &Call, site: &str, environment: Option<&str>, name: &str) -> Result<Work, Error> {
        let _ = (call, site, environment, name);
        Err(error::unsupported("domains.set_primary"))
    }
}

impl<P: Domains> wit::domains::Guest for P {
    fn list(site: String, environment: Option<String>, page: PageRequest) -> Result<wit::domains::Page, Error> {
        with_current(|provider: &P| Domains::list(provider, &site, environment.as_deref(), &page))
            .map(|page| wit::domains::Page { items: page.items, next: page.next })
    }

    #[inline(always)]
    fn create(call: Call, site: String, input: DomainCreate) -> Result<Work, Error> {
        change(|provider: &P| Domains::create(provider, &call, &site, input))
    }

    #[inline(always)]
    fn delete(call: Call, site: String, environment: Option<String>, name: String) -> Result<Work, Error> {
        change(|provider: &P| Domains::delete(provider, &call, &site, environment.as_deref(), &name))
    }

    #[inline(always)]
    fn verify(call: Call, site: String, environment: Option<String>, name: String) -> Result<Work, Error> {
        change(|provider: &P| Domains::verify(provider, &call, &site, environment.as_deref(), &name))
    }

    #[inline(always)]
    fn set_primary(call: Call, site: String, environment: Option<String>, name: String) -> Result<Work, Error> {
        change(|provider: &P| Domains::set_primary(provider, &call, &site, environment.as_deref(), &name))
    }
}
