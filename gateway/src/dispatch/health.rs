//! How a connection fares, told by its last call.
//!
//! Invariant: only what says something about the upstream counts: a user's wrong input leaves health as it is.

use super::herald::{Herald, Whose};
use crate::{
    clock,
    model::{Error, Kind, Timestamp},
};
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};

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

pub struct Health {
    report: Mutex<Report>,
    whose: Whose,
    herald: Arc<Herald>,
}

impl Health {
    pub(super) const fn new(whose: Whose, herald: Arc<Herald>) -> Self {
        let report = Mutex::new(Report { status: HealthStatus::Unknown, checked_at: None, detail: None });
        Self { report, whose, herald }
    }

    pub fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note<T>(&self, outcome: &Result<T, Error>) {
        let (status, detail) = match outcome {
            Ok(_) => (HealthStatus::Healthy, None),
            Err(error) if speaks_of_upstream(error.kind) => (HealthStatus::Failing, Some(error.message.clone())),
            Err(_) => return,
        };
        let now = Report { status, checked_at: Some(clock::now()), detail };
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        if report.status != status {
            self.herald.tell(&self.whose, report.status, &now);
        }
        *report = now;
    }
}

const fn speaks_of_upstream(kind: Kind) -> bool {
    matches!(kind, Kind::Unauthenticated | Kind::Forbidden | Kind::Unavailable | Kind::Timeout | Kind::Internal | Kind::Trapped)
}
