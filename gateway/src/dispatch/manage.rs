//! Making, changing and deleting connections.
//!
//! Invariant: a connection is stored only after its settings fit the provider's schema, the provider configured it, and egress
//! granted its upstreams; secrets are sealed before they are stored. Deleting one never touches its upstream.

use super::{Connection, Dispatch, secrets};
use crate::{
    clock, egress,
    host::Provider,
    model::{Configuration, ConnectionId, Error, Kind, OrganizationId, Slug, TlsTrust, check_settings},
    policy,
    store::{self, ConnectionRecord},
};
use serde_json::value::RawValue;
use std::{collections::BTreeMap, sync::Arc};
use zeroize::Zeroizing;

pub struct NewConnection {
    pub slug: Slug,
    pub provider: String,
    pub name: String,
    pub settings: serde_json::Value,
    pub secrets: BTreeMap<String, Zeroizing<String>>,
    pub tls: TlsTrust,
}

/// Only what is to change.
#[derive(Default)]
pub struct Patch {
    pub name: Option<String>,
    pub settings: Option<serde_json::Value>,
    pub secrets: BTreeMap<String, SecretChange>,
    pub tls: Option<TlsTrust>,
}

pub enum SecretChange {
    Set(Zeroizing<String>),
    Remove,
}

/// A connection as it is to be stored: it fits, it can be configured and bound, and its secrets are sealed.
pub struct Draft(ConnectionRecord);

impl Dispatch {
    /// Calls the provider; stores nothing.
    pub async fn new_connection(&self, organization: OrganizationId, new: NewConnection) -> Result<Draft, Error> {
        let now = clock::now();
        let record = ConnectionRecord {
            id: ConnectionId(uuid::Uuid::now_v7()),
            organization,
            slug: new.slug,
            provider: new.provider,
            name: new.name,
            settings: new.settings,
            tls: new.tls,
            secrets: BTreeMap::new(),
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        let changes = new.secrets.into_iter().map(|(name, value)| (name, SecretChange::Set(value))).collect();
        // Whoever is refused has no connection of that name.
        let nameless = |error| Error { connection: None, ..error };
        check_settings(&record.settings).and_then(|()| egress::check_trust(&record.tls)).map_err(nameless)?;
        self.prepared(record, changes).await.map(Draft).map_err(nameless)
    }

    pub async fn create_connection(self: &Arc<Self>, Draft(record): Draft) -> Result<Arc<Connection>, Error> {
        let (organization, slug) = (record.organization, record.slug.clone());
        self.to_the_end(organization, |this| async move { this.store.connection_insert(&record).await }).await?;
        self.connection(organization, &slug).await
    }

    /// Whether a connection of the organization has, or ever had, this slug.
    pub async fn slug_was_used(&self, organization: OrganizationId, slug: &Slug) -> Result<bool, Error> {
        self.store.connection_slug_used(organization, slug).await
    }

    /// Calls the provider; stores nothing.
    pub async fn changed_connection(&self, present: &Connection, patch: Patch) -> Result<Draft, Error> {
        // Those in memory may be sealed under a master key that was replaced since.
        let mut record = present.stored().await?;
        // What is stored already stays good, whatever is refused today: it mustn't be in the way of replacing a secret.
        patch.settings.as_ref().map_or(Ok(()), check_settings)?;
        patch.tls.as_ref().map_or(Ok(()), egress::check_trust)?;
        record.revision += 1;
        record.updated_at = clock::now();
        record.name = patch.name.unwrap_or(record.name);
        record.settings = patch.settings.unwrap_or(record.settings);
        record.tls = patch.tls.unwrap_or(record.tls);
        self.prepared(record, patch.secrets).await.map(Draft)
    }

    /// `Conflict` where it was changed since the draft was made.
    pub async fn update_connection(self: &Arc<Self>, Draft(record): Draft) -> Result<Arc<Connection>, Error> {
        let (id, organization, slug) = (record.id, record.organization, record.slug.clone());
        let change = |this: Arc<Self>| async move {
            this.store.connection_update(&record).await?;
            this.host.forget(id);
            Ok(())
        };
        self.to_the_end(organization, change).await?;
        self.connection(organization, &slug).await
    }

    pub async fn delete_connection(self: &Arc<Self>, present: &Connection, force: bool) -> Result<(), Error> {
        let id = present.record.id;
        let delete = |this: Arc<Self>| async move {
            this.store.connection_delete(id, force).await?;
            this.host.forget(id);
            this.egress.forget(id);
            Ok(())
        };
        self.to_the_end(present.record.organization, delete).await
    }

    /// Writes, and takes what was written into view, in a task of its own: a client that leaves in the middle must not leave
    /// the gateway with the old settings. The view is refreshed after a failed write too, which may be a conflict with another.
    async fn to_the_end<F>(
        self: &Arc<Self>,
        organization: OrganizationId,
        write: impl FnOnce(Arc<Self>) -> F,
    ) -> Result<(), Error>
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let this = Arc::clone(self);
        let write = write(Arc::clone(self));
        let task = tokio::spawn(policy::on_this_trail(store::inherit(async move {
            let written = write.await;
            this.registry.refresh(organization).await;
            written
        })));
        task.await.map_err(|error| Error::gateway(format_args!("a change of a connection ended early: {error}")))?
    }

    /// Checks the record as a whole, seals the changed secrets, and proves that it can be configured and bound.
    async fn prepared(
        &self,
        mut record: ConnectionRecord,
        changes: BTreeMap<String, SecretChange>,
    ) -> Result<ConnectionRecord, Error> {
        let provider = self.providers.get(&record.provider)?;
        known_secrets(&provider, &changes)?;
        let configuration = self.try_configure(&provider, &record).await?;
        for (name, change) in changes {
            match change {
                SecretChange::Remove => drop(record.secrets.remove(&name)),
                SecretChange::Set(value) => {
                    let sealed = secrets::seal(&self.sealer, &record, &configuration, &name, &value)?;
                    record.secrets.insert(name, sealed);
                }
            }
        }
        secrets::renew(&self.sealer, &mut record, &configuration)?;
        required_secrets(&provider, &record)?;
        self.try_connection(&record).await?;
        Ok(record)
    }

    async fn try_configure(&self, provider: &Arc<Provider>, record: &ConnectionRecord) -> Result<Configuration, Error> {
        let draft = self.draft(record).await?;
        self.host.configure(provider, &draft.spec()).await
    }

    async fn try_connection(&self, record: &ConnectionRecord) -> Result<(), Error> {
        self.draft(record).await?.configured(&self.providers).await.map(drop).map_err(as_input)
    }

    async fn draft(&self, record: &ConnectionRecord) -> Result<Connection, Error> {
        let owner = self.store.organization(record.organization).await?;
        let owner = owner.ok_or_else(|| Error::new(Kind::NotFound, "there is no such organization"))?;
        Ok(self.registry.connection(record.clone(), &owner, Arc::default()))
    }

    /// Configures the connection if that wasn't done yet; a failure shows in its health.
    pub async fn learn_features(&self, connection: &Connection) {
        if let Err(error) = connection.configured(&self.providers).await {
            connection.health.note::<()>(&Err(error));
        }
    }

    /// Checks `options` of a new site against the provider's schema.
    pub async fn check_site_options(&self, connection: &Connection, options: &RawValue) -> Result<(), Error> {
        let provider = self.providers.get(&connection.record.provider)?;
        let value: serde_json::Value = serde_json::from_str(options.get()).map_err(Error::gateway)?;
        provider.check_site_options(&value)
    }
}

/// Codes that say more than `invalid_input` does, also of what was sent: the API's document has them under its status, too.
const SAID: [&str; 2] = ["grant_missing", "secret_unbound"];

/// What a connection can't be configured or bound for is wrong in what was sent, as long as nothing was called.
pub fn as_input(error: Error) -> Error {
    match error.kind {
        Kind::Unauthenticated | Kind::Forbidden => {
            let code = error.code.filter(|code| SAID.contains(&code.as_str()));
            Error { kind: Kind::InvalidInput, code, ..error }
        }
        _ => error,
    }
}

fn known_secrets(provider: &Provider, changes: &BTreeMap<String, SecretChange>) -> Result<(), Error> {
    let declared = &provider.description().secrets;
    let unknown = changes.keys().find(|name| declared.iter().all(|secret| secret.name != **name));
    unknown.map_or(Ok(()), |name| {
        let known = declared.iter().map(|secret| secret.name.as_str()).collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "none".to_owned() } else { known };
        let message = format!("{} has no secret {name}; it takes: {known}", provider.description().name);
        Err(Error::new(Kind::InvalidInput, message).with_field(format!("secrets.{name}")))
    })
}

fn required_secrets(provider: &Provider, record: &ConnectionRecord) -> Result<(), Error> {
    let declared = provider.description().secrets.iter();
    let mut missing = declared.filter(|secret| secret.required && !record.secrets.contains_key(&secret.name));
    missing.next().map_or(Ok(()), |secret| {
        let message = format!("{} is missing: {}", secret.name, secret.description);
        Err(Error::new(Kind::InvalidInput, message).with_field(format!("secrets.{}", secret.name)))
    })
}
