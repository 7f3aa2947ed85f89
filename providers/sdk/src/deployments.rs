//! Deployments of a site: list, get, create, rollback, release, and plans of files.
//!
//! Native ids go in and out; paging, escaping and the connection's prefix are Portico's. Invariant: every default is `unsupported` with the
//! feature's name, so a call that nobody implemented can't look like a success.

pub use crate::wit::deployments::{DeploymentCreate, File, PlanAnswer, PlanInput};
use crate::{
    Call, Deployment, Error, Page, PageRequest, Provider, Transfer, Work, error,
    provider::{change, with_current},
    wit,
};

/// Deployments of a site: list, get, create, rollback, release, and plans of files. A call that isn't implemented is `unsupported`.
pub trait Deployments: Provider {
    fn list(&self, site: &str, environment: Option<&str>, page: &PageRequest) -> Result<Page<Deployment>, Error> {
        let _ = (site, environment, page);
        Err(error::unsupported("deployments.list"))
    }

    fn get(&self, site: &str, id: &str) -> Result<Deployment, Error> {
        let _ = (site, id);
        Err(error::unsupported("deployments.get"))
    }

    fn create(&self, call: &Call, site: &str, input: DeploymentCreate) -> Result<Work, Error> {
        let _ = (call, site, input);
        Err(error::unsupported("deployments.create"))
    }

    /// Back to `id`, or to the one before the current when it is none.
    fn rollback(&self, call: &Call, site: &str, environment: Option<&str>, id: Option<&str>) -> Result<Work, Error> {
        let _ = (call, site, environment, id);
        Err(error::unsupported("deployments.rollback"))
    }

    /// Point an environment to a committed deployment.
    fn release(&self, call: &Call, site: &str, environment: &str, id: &str) -> Result<Work, Error> {
        let _ = (call, site, environment, id);
        Err(error::unsupported("deployments.release"))
    }

    /// Not an operation: it changes nothing that anybody can see.
    fn plan(&self, site: &str, input: PlanInput) -> Result<PlanAnswer, Error> {
        let _ = (site, input);
        Err(error::unsupported("deployments.plan"))
    }

    /// Where the blob with this BLAKE3 hash and size goes.
    fn upload(&self, site: &str, plan: &str, hash: &str, size: u64) -> Result<Transfer, Error> {
        let _ = (site, plan, hash, size);
        Err(error::unsupported("deployments.plan"))
    }

    /// The completion's target is the deployment, `committed`.
    fn commit(&self, call: &Call, site: &str, plan: &str, message: Option<&str>) -> Result<Work, Error> {
        let _ = (call, site, plan, message);
        Err(error::unsupported("deployments.plan"))
    }
}

impl<P: Deployments> wit::deployments::Guest for P {
    fn list(site: String, environment: Option<String>, page: PageRequest) -> Result<wit::deployments::Page, Error> {
        with_current(|provider: &P| Deployments::list(provider, &site, environment.as_deref(), &page))
            .map(|page| wit::deployments::Page { items: page.items, next: page.next })
    }

    fn get(site: String, id: String) -> Result<Deployment, Error> {
        with_current(|provider: &P| Deployments::get(provider, &site, &id))
    }

    #[inline(always)]
    fn create(call: Call, site: String, input: DeploymentCreate) -> Result<Work, Error> {
        change(|provider: &P| Deployments::create(provider, &call, &site, input))
    }

    #[inline(always)]
    fn rollback(call: Call, site: String, environment: Option<String>, id: Option<String>) -> Result<Work, Error> {
        change(|provider: &P| Deployments::rollback(provider, &call, &site, environment.as_deref(), id.as_deref()))
    }

    #[inline(always)]
    fn release(call: Call, site: String, environment: String, id: String) -> Result<Work, Error> {
        change(|provider: &P| Deployments::release(provider, &call, &site, &environment, &id))
    }

    fn plan(site: String, input: PlanInput) -> Result<PlanAnswer, Error> {
        with_current(|provider: &P| Deployments::plan(provider, &site, input))
    }

    fn upload(site: String, plan: String, hash: String, size: u64) -> Result<Transfer, Error> {
        with_current(|provider: &P| Deployments::upload(provider, &site, &plan, &hash, size))
    }

    #[inline(always)]
    fn commit(call: Call, site: String, plan: String, message: Option<String>) -> Result<Work, Error> {
        change(|provider: &P| Deployments::commit(provider, &call, &site, &plan, message.as_deref()))
    }
}
