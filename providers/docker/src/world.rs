//! What exists on the Engine of one site, and what that means.
//!
//! Pure. In go lists filtered by label; out come a site's parts and its state. Invariant: labels alone decide what belongs
//! to a site, so a site survives the loss of everything that Portico knows.

use crate::{
    spec::{Role, Spec, label},
    types::{Container, Labels, Network, Volume},
};
use portico_sdk::json;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub struct World {
    pub networks: Vec<Network>,
    pub containers: Vec<Container>,
    pub volumes: Vec<Volume>,
}

/// How far a container is from answering visitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Made, never started.
    Created,
    /// Up, but its probe hasn't succeeded yet; or about to be started again.
    Starting,
    Running,
    Unhealthy,
    Paused,
    /// Ended by request.
    Stopped,
    /// Ended by itself, with a code.
    Failed,
    Removing,
}

/// The next thing that a creation has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    MakeDatabase,
    StartDatabase,
    MakeWeb,
    StartWeb,
    Wait,
}

impl World {
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && self.containers.is_empty() && self.volumes.is_empty()
    }

    /// None without a network, or when its label can't be read (somebody else's).
    pub fn spec(&self, namespace: &str) -> Option<Spec> {
        let name = label(namespace, "spec");
        self.networks.iter().find_map(|network| json::from_str(network.labels.get(&name)?).ok())
    }

    pub fn container(&self, namespace: &str, role: Role) -> Option<&Container> {
        self.containers.iter().find(|container| has_role(namespace, &container.labels, role))
    }

    pub fn is_canceled(&self, namespace: &str) -> bool {
        self.volumes.iter().any(|volume| has_role(namespace, &volume.labels, Role::Canceled))
    }

    /// Of a site whose network is there.
    pub fn next_step(&self, namespace: &str, spec: &Spec) -> Step {
        let condition = |role| self.container(namespace, role).map(Container::condition);
        match (spec.database.is_some(), condition(Role::Database)) {
            (true, None) => return Step::MakeDatabase,
            (true, Some(Condition::Created)) => return Step::StartDatabase,
            _ => {}
        }
        match condition(Role::Web) {
            None => Step::MakeWeb,
            Some(Condition::Created) => Step::StartWeb,
            Some(_) => Step::Wait,
        }
    }

    /// What is still there, for a message.
    pub fn names(&self) -> String {
        let containers = self.containers.iter().map(|container| format!("container {}", short(&container.id)));
        let volumes = self.volumes.iter().map(|volume| format!("volume {}", volume.name));
        let networks = self.networks.iter().map(|network| format!("network {}", network.name));
        containers.chain(volumes).chain(networks).collect::<Vec<_>>().join(", ")
    }

    /// A world for each site, sorted by the site's id.
    pub fn by_site(self, namespace: &str) -> BTreeMap<String, Self> {
        let name = label(namespace, "site");
        let mut sites: BTreeMap<String, Self> = BTreeMap::new();
        let site = |labels: &Labels| labels.get(&name).cloned().unwrap_or_default();
        for network in self.networks {
            sites.entry(site(&network.labels)).or_default().networks.push(network);
        }
        for container in self.containers {
            sites.entry(site(&container.labels)).or_default().containers.push(container);
        }
        sites
    }
}

impl Container {
    pub fn condition(&self) -> Condition {
        match self.state.as_str() {
            "created" => Condition::Created,
            "running" if self.status.contains("(unhealthy)") => Condition::Unhealthy,
            "running" if self.status.contains("(health: starting)") => Condition::Starting,
            "running" => Condition::Running,
            "restarting" => Condition::Starting,
            "paused" => Condition::Paused,
            "removing" => Condition::Removing,
            "exited" if ended_by_request(exit_code(&self.status)) => Condition::Stopped,
            _ => Condition::Failed,
        }
    }

    /// The port that the site has, also while it is stopped.
    pub fn port(&self, namespace: &str) -> Option<u16> {
        self.labels.get(&label(namespace, "port"))?.parse().ok()
    }
}

/// Ended by itself, or by a signal: SIGKILL (after the time to stop was over) and SIGTERM count as wished.
pub fn ended_by_request(code: Option<i64>) -> bool {
    matches!(code, Some(0 | 137 | 143))
}

/// From `Exited (1) 3 minutes ago`.
fn exit_code(status: &str) -> Option<i64> {
    status.strip_prefix("Exited (")?.split_once(')')?.0.parse().ok()
}

fn has_role(namespace: &str, labels: &Labels, role: Role) -> bool {
    labels.get(&label(namespace, "role")).is_some_and(|word| word == role.word())
}

/// An id as the Engine's own tools show it.
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
