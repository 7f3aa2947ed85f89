//! Dispatch as the carrier of operations: every changing call, poll and look-up goes to its provider through here.
//!
//! Invariant: what is cached of a connection is outdated when a mutation may have reached its host, or what its provider keeps
//! here, and when it ends, so that a client reads its own writes. One that never left outdates nothing.

use super::{Carrier, Connection, Dispatch, Freshness, StillAllowed, feature, for_good, wordpress};
use crate::{
    host::{CallContext, Configured},
    model::{
        Action, Answer, Completion, ConnectionId, Error, Finding, Kind, Labels, Mutation, Progress, Query, Recovery, Work,
    },
};
use async_trait::async_trait;
use serde_json::value::RawValue;
use std::sync::Arc;

impl Dispatch {
    /// Refuses a mutation that the connection's provider doesn't support, before an operation is made of it.
    pub async fn require(&self, connection: &Connection, mutation: &Mutation) -> Result<Arc<Configured>, Error> {
        let configured = connection.configured(&self.providers).await?;
        feature::require_mutation(configured.configuration(), mutation).map_err(|error| connection.blame(error))?;
        Ok(configured)
    }

    async fn target(&self, id: ConnectionId) -> Result<(Arc<Connection>, Arc<Configured>), Error> {
        let connection = self.registry.by_id(id).await?;
        let configured = connection.configured(&self.providers).await?;
        Ok((connection, configured))
    }

    /// None: it was deleted, and its labels with it.
    async fn present(&self, id: ConnectionId) -> Result<Option<Arc<Connection>>, Error> {
        match self.registry.by_id(id).await {
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }
}

#[async_trait]
impl Carrier for Arc<Dispatch> {
    async fn allow(&self, connection: ConnectionId, mutation: &Mutation) -> Result<StillAllowed, Error> {
        let Mutation::SitesDelete { site } = mutation else { return Ok(for_good()) };
        let connection = self.registry.by_id(connection).await?;
        self.leave_to_delete(&connection, site).await
    }

    async fn recovery(&self, connection: ConnectionId, action: Action) -> Result<Recovery, Error> {
        Ok(self.target(connection).await?.1.configuration().recovery(action))
    }

    async fn mutate(&self, connection: ConnectionId, mutation: &Mutation, context: &CallContext) -> Result<Work, Error> {
        let (connection, configured) = self.target(connection).await?;
        let _watch = Watch::new(&connection, &configured, mutation);
        let outcome = self.host.mutate(&configured, mutation, context).await;
        connection.health.note(&outcome);
        outcome.map_err(|error| connection.blame(error))
    }

    async fn poll(&self, connection: ConnectionId, handle: &str, context: &CallContext) -> Result<Progress, Error> {
        let (connection, configured) = self.target(connection).await?;
        let outcome = self.host.poll(&configured, handle, context).await;
        connection.health.note(&outcome);
        match outcome {
            Ok(Progress::Failed(error)) => Ok(Progress::Failed(connection.blame(error))),
            other => other.map_err(|error| connection.blame(error)),
        }
    }

    async fn reconcile(&self, connection: ConnectionId, mutation: &Mutation, context: &CallContext) -> Result<Finding, Error> {
        let (connection, configured) = self.target(connection).await?;
        self.host.reconcile(&configured, mutation, context).await.map_err(|error| connection.blame(error))
    }

    async fn cancel(&self, connection: ConnectionId, handle: &str, context: &CallContext) -> Result<(), Error> {
        let (connection, configured) = self.target(connection).await?;
        feature::require_cancel(configured.configuration()).map_err(|error| connection.blame(error))?;
        self.host.cancel(&configured, handle, context).await.map_err(|error| connection.blame(error))
    }

    async fn result(
        &self,
        connection: ConnectionId,
        mutation: &Mutation,
        completion: &Completion,
        _context: &CallContext,
    ) -> Result<Option<Box<RawValue>>, Error> {
        let (connection, configured) = self.target(connection).await?;
        let reads =
            read_back(mutation, completion).filter(|query| feature::require_query(configured.configuration(), query).is_ok());
        let Some(query) = reads else { return Ok(completion.details.clone()) };
        connection.outdate(touched(mutation));
        let snapshot = self.query(&connection, query, Freshness::Live).await?;
        let labels = match (mutation, &snapshot.answer) {
            // The store gives them to the new site when its operation is finished.
            (Mutation::SitesCreate(input), _) => Arc::new(input.labels.clone()),
            (_, Answer::Site(site)) => connection.labels.of(&site.id).unwrap_or_default(),
            _ => Arc::default(),
        };
        as_result(&snapshot.answer, &labels, mutation, completion)
    }

    fn changed(&self, connection: ConnectionId, mutation: &Mutation) {
        self.registry.outdate(connection, touched(mutation));
    }

    async fn labels_coming(&self, connection: ConnectionId, site: &str, labels: &Labels) -> Result<(), Error> {
        if let Some(connection) = self.present(connection).await? {
            connection.labels.announce(&connection.record, site, labels).await;
        }
        Ok(())
    }

    async fn labels_changed(&self, connection: ConnectionId, site: &str) -> Result<(), Error> {
        match self.present(connection).await? {
            Some(connection) => connection.labels.settle(&*self.store, &connection.record, site).await,
            None => Ok(()),
        }
    }
}

/// Outdates what is cached when a call ends, however it does, that changed what its provider keeps in the connection's state: that
/// is no request, so no intent tells of it, and answers may be made of it.
struct Watch<'a> {
    connection: &'a Connection,
    configured: &'a Configured,
    mutation: &'a Mutation,
    before: u64,
}

impl<'a> Watch<'a> {
    fn new(connection: &'a Connection, configured: &'a Configured, mutation: &'a Mutation) -> Self {
        Self { connection, configured, mutation, before: configured.state_revision() }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if self.configured.state_revision() != self.before {
            self.connection.outdate(touched(self.mutation));
        }
    }
}

/// The site whose answers a mutation outdates; none where it makes a new one, or where one goes that may be kept under another
/// spelling of its id: nothing is left to be read that would tell.
fn touched(mutation: &Mutation) -> Option<&str> {
    mutation.site().filter(|_| !matches!(mutation, Mutation::SitesClone { .. } | Mutation::SitesDelete { .. }))
}

/// The query that shows what a mutation made or changed; none where nothing is left to see.
fn read_back(mutation: &Mutation, completion: &Completion) -> Option<Query> {
    let target = completion.target.clone();
    match mutation {
        Mutation::SitesDelete { .. }
        | Mutation::EnvironmentsDelete { .. }
        | Mutation::BackupsDelete { .. }
        | Mutation::DomainsDelete { .. } => None,
        Mutation::SitesCreate(_) | Mutation::SitesClone { .. } => Some(Query::SitesGet { site: target? }),
        Mutation::SitesUpdate { site, .. } | Mutation::SitesStart { site } | Mutation::SitesStop { site } => {
            Some(Query::SitesGet { site: site.clone() })
        }
        // An environment is in its site's list alone.
        Mutation::EnvironmentsCreate { site, .. }
        | Mutation::EnvironmentsUpdate { site, .. }
        | Mutation::EnvironmentsPush { site, .. } => Some(Query::EnvironmentsList { site: site.clone() }),
        Mutation::DeploymentsCreate { site, .. } | Mutation::DeploymentsCommit { site, .. } => {
            Some(Query::DeploymentsGet { site: site.clone(), deployment: target? })
        }
        Mutation::DeploymentsRollback { site, deployment, .. } => {
            Some(Query::DeploymentsGet { site: site.clone(), deployment: target.or_else(|| deployment.clone())? })
        }
        Mutation::DeploymentsRelease { site, deployment, .. } => {
            Some(Query::DeploymentsGet { site: site.clone(), deployment: deployment.clone() })
        }
        Mutation::BackupsCreate { site, .. } => Some(Query::BackupsGet { site: site.clone(), backup: target? }),
        Mutation::BackupsRestore { site, backup, .. } => Some(Query::BackupsGet { site: site.clone(), backup: backup.clone() }),
        Mutation::DomainsCreate { site, input } => domains(site, &input.environment),
        Mutation::DomainsVerify { site, environment, .. } | Mutation::DomainsSetPrimary { site, environment, .. } => {
            domains(site, environment)
        }
        Mutation::Wordpress(mutation) => wordpress::read_back(mutation, completion),
    }
}

/// The same name may stand in several environments.
fn domains(site: &str, environment: &Option<String>) -> Option<Query> {
    Some(Query::DomainsList { site: site.to_owned(), environment: environment.clone() })
}

fn as_result(
    answer: &Answer,
    labels: &Labels,
    mutation: &Mutation,
    completion: &Completion,
) -> Result<Option<Box<RawValue>>, Error> {
    let json = match answer {
        Answer::Site(site) => serde_json::value::to_raw_value(&site.with(labels)),
        Answer::Environments(environments) => {
            let target = completion.target.as_deref().map(crate::model::escape);
            match environments.iter().find(|environment| Some(&environment.id) == target.as_ref()) {
                Some(environment) => serde_json::value::to_raw_value(environment),
                None => return Err(Error::new(Kind::NotFound, "the environment can't be read back")),
            }
        }
        Answer::Deployment(deployment) => serde_json::value::to_raw_value(deployment),
        Answer::Backup(backup) => serde_json::value::to_raw_value(backup),
        Answer::Domains(domains) => {
            let target = completion.target.as_deref();
            match domains.iter().find(|domain| Some(domain.name.as_str()) == target) {
                Some(domain) => serde_json::value::to_raw_value(domain),
                None => return Err(Error::new(Kind::NotFound, "the domain can't be read back")),
            }
        }
        Answer::Wordpress(answer) => match mutation {
            Mutation::Wordpress(mutation) => return wordpress::as_result(answer, mutation, completion),
            _ => return Ok(None),
        },
        Answer::Sites(_)
        | Answer::SiteUsage(_)
        | Answer::SiteLogs(_)
        | Answer::Current(_)
        | Answer::Deployments(_)
        | Answer::Backups(_)
        | Answer::Billing(_) => return Ok(None),
    };
    json.map(Some).map_err(Error::gateway)
}
