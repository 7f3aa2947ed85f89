//! API tokens as the store keeps them.
//!
//! In go records and hashes; out come records. Invariant: a token itself never comes here, only its SHA-256; a token that was
//! deleted is gone, and its hash opens nothing.

use super::{Actor, Measured};
use crate::model::{Error, Network, OrganizationId, Role, Slug, Timestamp};
use async_trait::async_trait;
use uuid::Uuid;

/// Tokens of one organization: more than a machine for each site, and few enough to look through.
pub const MAX_TOKENS: u32 = 1000;

#[derive(Clone, Debug)]
pub struct TokenRecord {
    pub id: Uuid,
    pub organization: OrganizationId,
    pub name: String,
    /// SHA-256 of the whole token: tokens have 256 bits of entropy, so a plain hash is enough.
    pub hash: [u8; 32],
    /// The first characters, to tell tokens apart.
    pub prefix: String,
    pub role: Role,
    /// Words, as they were given.
    pub scopes: Vec<String>,
    /// None: all of the organization.
    pub connections: Option<Vec<Slug>>,
    /// Where it may be used from; none are everywhere.
    pub networks: Vec<Network>,
    /// A principal's name, or `operator`.
    pub created_by: String,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    /// To the minute.
    pub last_used_at: Option<Timestamp>,
    /// The hash before the last rotation, and until when it is good.
    pub previous: Option<([u8; 32], Timestamp)>,
}

/// What a rotation replaces.
#[derive(Clone, Debug)]
pub struct TokenRotation {
    /// Of the value that is replaced: where it is another one by now, nothing is.
    pub present: [u8; 32],
    pub hash: [u8; 32],
    pub prefix: String,
    /// The present value is good until then.
    pub previous_until: Timestamp,
}

/// Errors are `Kind::Gateway` unless a method says otherwise.
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// The operator's way, measured by nobody. `Conflict` with the code `too_many_tokens` when the organization has
    /// [`MAX_TOKENS`].
    async fn token_insert(&self, token: &TokenRecord) -> Result<(), Error>;
    /// The same for somebody, who gives no role above their own.
    async fn token_make(&self, token: &TokenRecord, by: &Actor) -> Measured<()>;
    /// By the present hash or the one before; whether that is still good is the caller's to judge.
    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, Error>;
    async fn token(&self, organization: OrganizationId, id: Uuid) -> Result<Option<TokenRecord>, Error>;
    /// In the order of their ids, which is that of their making, beginning after `after`.
    async fn tokens(&self, organization: OrganizationId, after: Option<Uuid>, limit: u32) -> Result<Vec<TokenRecord>, Error>;
    /// False: there is no such token, or it has another value by now.
    async fn token_rotate(&self, of: OrganizationId, id: Uuid, rotation: &TokenRotation, by: &Actor) -> Measured<bool>;
    /// The operator's way, measured by nobody. False: there is no such token.
    async fn token_delete(&self, organization: OrganizationId, id: Uuid) -> Result<bool, Error>;
    /// The same for somebody, who takes no role above their own.
    async fn token_revoke(&self, organization: OrganizationId, id: Uuid, by: &Actor) -> Measured<bool>;
    /// When tokens were last used, all in one transaction; those that are gone are left out.
    async fn tokens_used(&self, uses: &[(Uuid, Timestamp)]) -> Result<(), Error>;
}
