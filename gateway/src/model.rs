//! The normalized model: what sites, backups, domains, operations and connections are, whatever host they live on.
//!
//! Invariant: plain types with serde, and nothing else. No IO, no HTTP, no wasm, no clock; every room may import this one.

mod call;
mod connection;
mod error;
mod event;
mod id;
mod operation;
mod provider;
mod resource;
mod time;

pub use call::{
    Action, Answer, BackupCreate, Completion, DomainCreate, Finding, Mutation, Pending, Progress, Query, RestoreInput, Secret,
    SiteAdmin, SiteClone, SiteCreate, SiteUpdate, Work,
};
pub use connection::{ConnectionId, ConnectionSpec, OrganizationId, SecretValue, Secrets, TlsTrust};
pub use error::{Error, Kind};
pub use event::EventType;
pub use id::{IdError, ResourceId, Slug, escape, unescape};
pub use operation::{Operation, OperationId, OperationStatus, Target};
pub use provider::{
    Auth, Configuration, Description, Endpoint, Features, Rate, Recovery, SecretDescription, SessionAuth, UpstreamDeclaration,
};
pub use resource::{
    Backup, BackupKind, BackupStatus, Certificate, Contents, DnsRecord, Domain, DomainStatus, Environment, EnvironmentKind,
    Labels, MAX_LABELS, Native, Site, SiteKind, SiteStatus, SiteUsage, SiteView,
};
pub use time::Timestamp;
