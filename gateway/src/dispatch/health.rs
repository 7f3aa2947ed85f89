//! How a connection fares, told by its last call.
//!
//! Invariant: only what says something about the upstream counts: a user's wrong input leaves health as it is.

use crate::{
    clock,
    model::{Error, Kind, Timestamp},
};
use serde::Serialize;
use std::sync::Mutex;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// Not called since the gateway started or the connection changed.
    Unknown,
    Healthy,
    Failing,
}

#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ConnectionHealth")]
pub struct Report {
    pub status: HealthStatus,
    pub checked_at: Option<Timestamp>,
    pub detail: Option<String>,
}

pub struct Health(Mutex<Report>);

impl Default for Health {
    fn default() -> Self {
        Self(Mutex::new(Report { status: HealthStatus::Unknown, checked_at: None, detail: None }))
    }
}

impl Health {
    pub fn report(&self) -> Report {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(super) fn note<T>(&self, outcome: &Result<T, Error>) {
        let (status, detail) = match outcome {
            Ok(_) => (HealthStatus::Healthy, None),
            Err(error) if speaks_of_upstream(error.kind) => (HealthStatus::Failing, Some(error.message.clone())),
            Err(_) => return,
        };
        let report = Report { status, checked_at: Some(clock::now()), detail };
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = report;
    }
}

const fn speaks_of_upstream(kind: Kind) -> bool {
    matches!(kind, Kind::Unauthenticated | Kind::Forbidden | Kind::Unavailable | Kind::Timeout | Kind::Internal | Kind::Trapped)
}
