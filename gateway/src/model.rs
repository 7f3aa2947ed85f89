//! The normalized model: what sites and all that belongs to them, bills, operations and connections are, whatever host they
//! live on.
//!
//! Invariant: plain types with serde, and nothing else. No IO, no HTTP, no wasm, no clock; every room may import this one.

mod billing;
mod call;
mod connection;
mod deployment;
mod error;
mod event;
pub mod form;
mod id;
mod network;
mod operation;
mod provider;
mod resource;
mod role;
mod time;
mod transfer;
mod wordpress;

pub use billing::{BillingAnswer, BillingQuery, CheckoutInput, Invoice, Money, Period, Subscription, Usage};
pub use call::{
    Action, Answer, BackupCreate, Completion, DeploymentCreate, DeploymentSource, DomainCreate, EnvironmentCreate,
    EnvironmentUpdate, Finding, Mutation, Pending, PlanFile, PlanInput, Preparation, Prepared, Progress, PushInput, Query,
    RestoreInput, Secret, SiteAdmin, SiteClone, SiteCreate, SiteUpdate, Work,
};
pub use connection::{ConnectionId, ConnectionSpec, OrganizationId, SecretValue, Secrets, TlsTrust, check_settings};
pub use deployment::{Changes, Deployment, DeploymentStatus, Plan, Source, SourceKind};
pub use error::{Error, Kind};
pub use event::EventType;
pub use id::{IdError, ResourceId, Slug, escape, unescape};
pub use network::Network;
pub use operation::{Operation, OperationId, OperationStatus, Target};
pub use provider::{
    Auth, Configuration, Description, Endpoint, Features, Rate, Recovery, SecretDescription, SessionAuth, UpstreamDeclaration,
};
pub use resource::{
    Backup, BackupKind, BackupStatus, Certificate, Contents, DnsRecord, Domain, DomainStatus, Environment, EnvironmentKind,
    Labels, LogLine, MAX_LABELS, Native, Site, SiteKind, SiteStatus, SiteUsage, SiteView,
};
pub use role::Role;
pub use time::Timestamp;
pub use transfer::{Transfer, TransferAsked, TransferPlace};
pub use wordpress::{
    CacheAction, CachePurge, CoreUpdate, Extension, ExtensionAction, ExtensionInstall, ExtensionKind, LoginLink, Maintenance,
    PasswordReset, SearchReplace, SecurityChange, WordpressAnswer, WordpressCache, WordpressChange, WordpressDatabase,
    WordpressMutation, WordpressQuery, WordpressSecurity, WordpressStatus, WordpressTarget, WordpressUpdates,
};
