//! Bulk bytes: what is moved between a client and an upstream, and where the upstream keeps it.
//!
//! In go native ids; out comes a place that a provider named. Invariant: the bytes themselves are never part of the model: they
//! stream past it, and no guest sees them.

use super::Action;

/// What is to be moved. Ids are native.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferAsked {
    BackupDownload {
        site: String,
        backup: String,
    },
    BlobUpload {
        site: String,
        plan: String,
        /// BLAKE3, 64 lower-case hexadecimal digits.
        hash: String,
        /// Bytes.
        size: u64,
    },
}

impl TransferAsked {
    pub const fn action(&self) -> Action {
        match self {
            Self::BackupDownload { .. } => Action::BackupsDownload,
            Self::BlobUpload { .. } => Action::DeploymentsUpload,
        }
    }
}

/// A provider's answer: one request that the gateway sends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub place: TransferPlace,
    pub method: String,
    pub headers: Vec<(String, String)>,
    /// Bytes, exactly, if known.
    pub size: Option<u64>,
    /// For a download.
    pub file_name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferPlace {
    /// Below an upstream of the connection, with its credential.
    Upstream { name: String, path: Vec<String>, query: Vec<(String, String)> },
    /// An https URL at a blob origin, without any credential.
    Blob(String),
}
