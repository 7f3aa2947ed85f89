#![doc = include_str!("../README.md")]

pub mod backups;
pub mod billing;
pub mod clock;
pub mod deployments;
pub mod domains;
pub mod environments;
pub mod error;
mod host;
pub mod json;
pub mod log;
pub mod native;
pub mod operations;
pub mod provider;
pub mod random;
pub mod sites;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod time;
pub mod upstream;
#[doc(hidden)]
pub mod wit;
pub mod wordpress;
mod work;

pub use backups::Backups;
pub use billing::Billing;
pub use deployments::Deployments;
pub use domains::Domains;
pub use environments::Environments;
pub use operations::{Finding, Operations, Progress};
pub use provider::{Auth, Configuration, Description, Endpoint, Provider, Rate, Recovery, UpstreamDeclaration};
pub use sites::Sites;
pub use upstream::Upstream;
pub use wit::imports::portico::provider::types::{
    Backup, BackupKind, BackupStatus, Call, Certificate, Changes, Completion, Contents, Deployment, DeploymentSource,
    DeploymentStatus, DnsRecord, Domain, DomainStatus, Environment, EnvironmentKind, Error, ErrorKind, GitSource, PageRequest,
    Pending, Secret, Site, SiteKind, SiteStatus, SiteUsage, Transfer, TransferPlace, UpstreamPath, Work,
};
pub use wordpress::Wordpress;
pub use work::Page;

/// Exports a provider, and exactly the resources that are named: a component must not export what it doesn't implement.
///
/// `provider!(Mine: sites, backups, operations);`, once in the crate's `lib.rs`. On other targets than wasm it only checks that
/// the traits are there, so that native tests link.
#[macro_export]
macro_rules! provider {
    ($provider:ident $(: $($resource:ident),+ $(,)?)?) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "exports are unsafe to name")]
        const _: () = {
            $crate::wit::provider::export_provider!($provider with_types_in $crate::wit::provider);
            $($($crate::export_resource!($resource $provider);)+)?
        };
        const _: () = {
            const fn is_provider<P: $crate::Provider>() {}
            is_provider::<$provider>();
            $($($crate::check_resource!($resource $provider);)+)?
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! export_resource {
    (operations $p:ident) => { $crate::wit::operations::export_operations!($p with_types_in $crate::wit::operations); };
    (sites $p:ident) => { $crate::wit::sites::export_sites!($p with_types_in $crate::wit::work::sites); };
    (environments $p:ident) => { $crate::wit::environments::export_environments!($p with_types_in $crate::wit::work::environments); };
    (backups $p:ident) => { $crate::wit::backups::export_backups!($p with_types_in $crate::wit::work::backups); };
    (domains $p:ident) => { $crate::wit::domains::export_domains!($p with_types_in $crate::wit::work::domains); };
    (deployments $p:ident) => { $crate::wit::deployments::export_deployments!($p with_types_in $crate::wit::work::deployments); };
    (wordpress $p:ident) => { $crate::wit::wordpress::export_wordpress!($p with_types_in $crate::wit::work::wordpress); };
    (billing $p:ident) => { $crate::wit::billing::export_billing!($p with_types_in $crate::wit::billing); };
    ($other:ident $p:ident) => {
        compile_error!(concat!(
            "no resource is called `", stringify!($other),
            "`; there are operations, sites, environments, backups, domains, deployments, wordpress and billing"
        ));
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! check_resource {
    (operations $p:ident) => { const fn operations<P: $crate::Operations>() {} operations::<$p>(); };
    (sites $p:ident) => { const fn sites<P: $crate::Sites>() {} sites::<$p>(); };
    (environments $p:ident) => { const fn environments<P: $crate::Environments>() {} environments::<$p>(); };
    (backups $p:ident) => { const fn backups<P: $crate::Backups>() {} backups::<$p>(); };
    (domains $p:ident) => { const fn domains<P: $crate::Domains>() {} domains::<$p>(); };
    (deployments $p:ident) => { const fn deployments<P: $crate::Deployments>() {} deployments::<$p>(); };
    (wordpress $p:ident) => { const fn wordpress<P: $crate::Wordpress>() {} wordpress::<$p>(); };
    (billing $p:ident) => { const fn billing<P: $crate::Billing>() {} billing::<$p>(); };
    ($other:ident $p:ident) => { $crate::export_resource!($other $p); };
}
