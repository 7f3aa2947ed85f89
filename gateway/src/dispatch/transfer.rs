//! Bulk bytes of one connection: its provider says where, egress moves them.
//!
//! In go native ids, and a client's body; out comes an upstream's body, or the word that a blob has arrived. Invariant: the
//! feature is asked for before any call, and the guest's call has ended before the first byte moves.

use super::{Connection, Dispatch, feature};
use crate::{
    egress::{Download, Expected, UploadError},
    host::{CallContext, Configured},
    model::{Action, Error, Transfer, TransferAsked},
    policy,
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// A blob that a client sends for a plan. Ids are native.
#[derive(Clone, Debug)]
pub struct BlobUpload {
    pub site: String,
    pub plan: String,
    /// BLAKE3, as the client wrote it.
    pub hash: String,
    pub expected: Expected,
}

impl Dispatch {
    /// Refuses an action that the connection's provider doesn't support.
    pub async fn require_action(&self, connection: &Connection, action: Action) -> Result<Arc<Configured>, Error> {
        let configured = connection.configured(&self.providers).await?;
        feature::require_action(configured.configuration(), action).map_err(|error| connection.blame(error))?;
        Ok(configured)
    }

    /// Bytes of one bulk transfer, at most.
    pub fn transfer_limit(&self) -> u64 {
        self.egress.transfer_limit()
    }

    pub async fn download_backup(&self, connection: &Connection, site: String, backup: String) -> Result<Download, Error> {
        let (configured, transfer) = self.transfer(connection, &TransferAsked::BackupDownload { site, backup }).await?;
        let outcome = configured.upstreams().download(&transfer).await;
        connection.health.note(&outcome);
        outcome.map_err(|error| connection.blame(error))
    }

    pub async fn upload_blob<B>(&self, connection: &Connection, upload: BlobUpload, source: B) -> Result<(), UploadError>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let BlobUpload { site, plan, hash, expected } = upload;
        let asked = TransferAsked::BlobUpload { site, plan, hash, size: expected.size };
        let (configured, transfer) = self.transfer(connection, &asked).await?;
        match configured.upstreams().upload(&transfer, expected, source).await {
            Err(UploadError::Upstream(error)) => {
                let outcome: Result<(), Error> = Err(connection.blame(error));
                connection.health.note(&outcome);
                outcome.map_err(UploadError::from)
            }
            other => other,
        }
    }

    async fn transfer(&self, connection: &Connection, asked: &TransferAsked) -> Result<(Arc<Configured>, Transfer), Error> {
        let configured = self.require_action(connection, asked.action()).await?;
        let deadline = Instant::now() + Duration::from_millis(self.config.read_deadline_ms);
        let outcome =
            self.host.transfer(&configured, asked, &CallContext { deadline, caller: policy::caller(), operation: None }).await;
        connection.health.note(&outcome);
        let transfer = outcome.map_err(|error| connection.blame(error))?;
        Ok((configured, transfer))
    }
}
