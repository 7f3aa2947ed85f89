//! The store: what must survive the process.
//!
//! Invariant: only this room knows SQL, and what a method acknowledged is durable.

use crate::model::{ConnectionId, Error, OrganizationId, Slug, Timestamp, TlsTrust};
use async_trait::async_trait;
use std::collections::BTreeMap;
use uuid::Uuid;

#[derive(Clone, Debug)]
pub struct Organization {
    pub id: OrganizationId,
    pub slug: Slug,
    pub name: String,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct TokenRecord {
    pub id: Uuid,
    pub organization: OrganizationId,
    pub name: String,
    /// SHA-256 of the whole token: tokens have 256 bits of entropy, so a plain hash is enough.
    pub hash: [u8; 32],
    /// The first characters, to tell tokens apart.
    pub prefix: String,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct ConnectionRecord {
    pub id: ConnectionId,
    pub organization: OrganizationId,
    pub slug: Slug,
    pub provider: String,
    pub name: String,
    pub settings: serde_json::Value,
    pub tls: TlsTrust,
    pub secrets: BTreeMap<String, SealedSecret>,
    pub revision: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct SealedSecret {
    pub sealed: Vec<u8>,
    pub updated_at: Timestamp,
}

/// Errors are `Kind::Gateway` unless a method says otherwise.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    async fn organization_insert(&self, organization: &Organization) -> Result<(), Error>;
    async fn organization_by_slug(&self, slug: &Slug) -> Result<Option<Organization>, Error>;
    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>, Error>;

    async fn token_insert(&self, token: &TokenRecord) -> Result<(), Error>;
    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, Error>;

    /// `Conflict` when the slug is or was in use in the organization: slugs are never reused.
    async fn connection_insert(&self, connection: &ConnectionRecord) -> Result<(), Error>;
    /// Writes a new revision; `Conflict` unless the stored revision is `connection.revision - 1`.
    async fn connection_update(&self, connection: &ConnectionRecord) -> Result<(), Error>;
    /// Removes it and its state, keeps its slug taken. `Conflict` while operations run, unless `force`. False: there was none.
    async fn connection_delete(&self, id: ConnectionId, force: bool) -> Result<bool, Error>;
    async fn connection(&self, id: ConnectionId) -> Result<Option<ConnectionRecord>, Error>;
    async fn connections(&self, organization: OrganizationId) -> Result<Vec<ConnectionRecord>, Error>;

    async fn state_load(&self, connection: ConnectionId) -> Result<Vec<(String, Vec<u8>)>, Error>;
    async fn state_set(&self, connection: ConnectionId, key: &str, value: &[u8]) -> Result<(), Error>;
    async fn state_delete(&self, connection: ConnectionId, key: &str) -> Result<(), Error>;
}
