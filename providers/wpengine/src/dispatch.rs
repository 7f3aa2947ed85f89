//! One dialect or the other, for every call that one of them has.
//!
//! Invariant: nothing is decided here; what a dialect doesn't implement is `unsupported` by the SDK's own defaults.

use crate::{WpEngine, live::Live, seed::Seed};
use portico_sdk::{
    Backup, Backups, Billing, Call, Deployment, Deployments, Domain, Domains, Environment, Environments, Error, Finding,
    Operations, Page, PageRequest, Progress, Site, SiteUsage, Sites, Transfer, Wordpress, Work,
    backups::{BackupCreate, RestoreInput},
    billing::Usage,
    deployments::DeploymentCreate,
    domains::DomainCreate,
    environments::{EnvironmentCreate, PushInput},
    sites::{SiteClone, SiteCreate, SiteUpdate},
    wordpress::{CacheAction, Status, Target},
};

/// What only one dialect has is the SDK's "unsupported" in the other.
impl Domains for Seed {}
impl Wordpress for Seed {}
impl Billing for Seed {}
impl Deployments for Live {}

/// `Trait { function(argument: Type, …) -> Answer; … }`: hands each call on to the connection's dialect.
macro_rules! dispatch {
    ($($resource:ident { $($function:ident($($name:ident: $type:ty),*) -> $answer:ty;)+ })+) => {$(
        impl $resource for WpEngine {
            $(fn $function(&self, $($name: $type),*) -> Result<$answer, Error> {
                match self {
                    Self::Live(live) => $resource::$function(live, $($name),*),
                    Self::Seed(seed) => $resource::$function(seed, $($name),*),
                }
            })+
        }
    )+};
}

dispatch! {
    Operations {
        poll(operation_id: &str, handle: &str) -> Progress;
        reconcile(operation_id: &str, action: &str, args: &str) -> Finding;
        cancel(operation_id: &str, handle: &str) -> ();
    }
    Sites {
        list(page: &PageRequest) -> Page<Site>;
        get(id: &str) -> Site;
        create(call: &Call, input: SiteCreate) -> Work;
        update(call: &Call, id: &str, input: SiteUpdate) -> Work;
        delete(call: &Call, id: &str) -> Work;
        start(call: &Call, id: &str) -> Work;
        stop(call: &Call, id: &str) -> Work;
        clone(call: &Call, id: &str, input: SiteClone) -> Work;
        usage(id: &str) -> SiteUsage;
    }
    Environments {
        list(site: &str, page: &PageRequest) -> Page<Environment>;
        create(call: &Call, site: &str, input: EnvironmentCreate) -> Work;
        delete(call: &Call, site: &str, id: &str) -> Work;
        push(call: &Call, site: &str, id: &str, input: PushInput) -> Work;
        current(site: &str, id: &str) -> Option<Deployment>;
    }
    Backups {
        list(site: &str, environment: Option<&str>, page: &PageRequest) -> Page<Backup>;
        get(site: &str, id: &str) -> Backup;
        create(call: &Call, site: &str, input: BackupCreate) -> Work;
        delete(call: &Call, site: &str, id: &str) -> Work;
        restore(call: &Call, site: &str, id: &str, input: RestoreInput) -> Work;
        download(site: &str, id: &str) -> Transfer;
    }
    Domains {
        list(site: &str, environment: Option<&str>, page: &PageRequest) -> Page<Domain>;
        create(call: &Call, site: &str, input: DomainCreate) -> Work;
        delete(call: &Call, site: &str, environment: Option<&str>, name: &str) -> Work;
        verify(call: &Call, site: &str, environment: Option<&str>, name: &str) -> Work;
        set_primary(call: &Call, site: &str, environment: Option<&str>, name: &str) -> Work;
    }
    Deployments {
        list(site: &str, environment: Option<&str>, page: &PageRequest) -> Page<Deployment>;
        get(site: &str, id: &str) -> Deployment;
        create(call: &Call, site: &str, input: DeploymentCreate) -> Work;
    }
    Wordpress {
        get_status(target: &Target) -> Status;
        change_cache(call: &Call, target: &Target, action: CacheAction) -> Work;
    }
    Billing {
        get_usage() -> Usage;
    }
}
