//! Bulk bytes: a backup on its way to a client, a blob on its way to an upstream.
//!
//! In goes a place that a provider named; out comes a body that streams, or the word that a whole body has arrived. Invariant:
//! a place is below an upstream of the connection, by the rules for guests' requests, or at a blob origin that was declared and
//! granted, which gets no credential; and no more than a few pieces are held at any time, however long the body is.

mod check;
mod download;
mod progress;
mod upload;

pub use check::{Expected, SourceFault};
pub use download::{Download, DownloadBody};
pub use upload::UploadError;

use super::{Request, Upstreams, bind::Upstream, request::Prepared, retry_after};
use crate::model::{Error, Kind, Transfer, TransferPlace};
use bytes::Bytes;
use http::{Method, response::Parts};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Stands for bytes that aren't known yet: a guarded upstream takes them only where it takes any.
const ANY: &[u8] = b"\0";

impl Upstreams {
    /// Begins a download; its body streams.
    pub async fn download(&self, transfer: &Transfer) -> Result<Download, Error> {
        let (upstream, prepared) = self.locate(transfer, None)?;
        let started = Instant::now();
        let outcome = upstream.download(&prepared, transfer.size, (&self.slug, &self.provider)).await;
        upstream.count(outcome.as_ref().err(), started.elapsed());
        let download = outcome.map_err(|error| self.placed(error))?;
        Ok(Download { file_name: transfer.file_name.clone(), ..download })
    }

    /// Sends a whole body, whose last bytes leave only when all of it is as it was expected to be.
    pub async fn upload<B>(&self, transfer: &Transfer, expected: Expected, source: B) -> Result<(), UploadError>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let (upstream, prepared) = self.locate(transfer, Some(Bytes::from_static(ANY)))?;
        let started = Instant::now();
        let outcome = upstream.upload(&prepared, expected, source).await;
        match &outcome {
            Ok(()) => upstream.count(None, started.elapsed()),
            Err(UploadError::Upstream(error)) => upstream.count(Some(error), started.elapsed()),
            // That says nothing about the upstream.
            Err(UploadError::Source(_)) => {}
        }
        outcome.map_err(|error| match error {
            UploadError::Upstream(error) => UploadError::Upstream(self.placed(error)),
            source => source,
        })
    }

    fn locate(&self, transfer: &Transfer, body: Option<Bytes>) -> Result<(Arc<Upstream>, Prepared), Error> {
        let unknown = |_| Error::new(Kind::Internal, "the provider named a method that isn't one");
        let method = Method::from_bytes(transfer.method.as_bytes()).map_err(unknown)?;
        let located = match &transfer.place {
            TransferPlace::Upstream { name, path, query } => {
                let upstream = self.find(name)?;
                let request = Request {
                    upstream: name.clone(),
                    method,
                    path: path.clone(),
                    query: query.clone(),
                    headers: transfer.headers.clone(),
                    body,
                    timeout: None,
                    keyed: false,
                };
                Prepared::new(upstream, &request, &upstream.shared.config).map(|prepared| (Arc::clone(upstream), prepared))
            }
            TransferPlace::Blob(url) => self.blob(url, method, &transfer.headers),
        };
        located.map_err(|error| self.placed(error))
    }

    fn blob(&self, url: &str, method: Method, headers: &[(String, String)]) -> Result<(Arc<Upstream>, Prepared), Error> {
        let wrong = || Error::new(Kind::Internal, "the provider named a blob by something that isn't a plain https URL");
        let url = url::Url::parse(url).ok().filter(|url| url.scheme() == "https" && url.has_host()).ok_or_else(wrong)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong());
        }
        let origin = url.origin().ascii_serialization();
        let upstream = self.blobs.iter().find(|blob| blob.name == origin).ok_or_else(|| missing(&origin))?;
        let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        Ok((Arc::clone(upstream), Prepared::blob(upstream, method, target, headers)?))
    }
}

/// Only the origin is told: the rest of such a URL is often a credential.
fn missing(origin: &str) -> Error {
    let message = format!(
        "bulk bytes are at {origin}, which isn't granted to this connection; to allow it, the provider declares it among the \
         blob-origins of an upstream, and the operator adds to the configuration:\n[egress]\nblob_origins = [\"{origin}\"]"
    );
    Error::new(Kind::Forbidden, message).with_code("grant_missing")
}

impl Upstream {
    fn count(&self, error: Option<&Error>, took: Duration) {
        let outcome = error.map_or(Ok(200), |error| error.upstream_status.ok_or(error));
        self.shared.meters.outcome(outcome, took);
    }

    /// What an answer means that isn't the one that was wanted.
    fn refusal(&self, parts: &Parts) -> Error {
        let status = parts.status.as_u16();
        let kind = match status {
            401 => Kind::Unauthenticated,
            403 => Kind::Forbidden,
            404 => Kind::NotFound,
            429 => Kind::RateLimited,
            500..=599 => Kind::Unavailable,
            _ => Kind::Internal,
        };
        let mut error = Error::new(kind, format!("{} answered {status} where bulk bytes were asked for", self.target.label));
        error.upstream_status = Some(status);
        if let Some(pause) = retry_after::wait(parts.status, &parts.headers) {
            error.retry_after = u32::try_from(pause.as_secs().max(1)).ok();
        }
        error
    }
}
