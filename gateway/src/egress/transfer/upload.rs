//! Uploads: a client's body, piece by piece as the upstream takes it.
//!
//! In go a prepared request, what the bytes must be, and the bytes; out comes the word that the upstream has all of them.
//! Invariant: the last bytes leave only after the hash of everything was right, so an upstream that keeps to the announced
//! length keeps nothing of a wrong blob. Each upload has a connection of its own: its bytes are gone after the first attempt,
//! so it must not meet a connection that has gone stale, and dropping it closes the connection at once.

use super::{
    check::{Check, Expected, SourceFault},
    progress::{Phase, Progress},
};
use crate::{
    egress::{
        Flow, Lane,
        bind::Upstream,
        fault,
        limits::{Turn, Verdict},
        request::Prepared,
        retry::{self, Failure},
        session::Pass,
    },
    model::{Error, Kind},
};
use bytes::Bytes;
use http::{StatusCode, response::Parts};
use http_body::{Body, Frame, SizeHint};
use hyper::client::conn::http1;
use prometheus::IntCounter;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::time::Instant;

/// Whose fault it is that an upload failed.
#[derive(Debug)]
pub enum UploadError {
    Source(SourceFault),
    Upstream(Error),
}

impl From<Error> for UploadError {
    fn from(error: Error) -> Self {
        Self::Upstream(error)
    }
}

impl From<SourceFault> for UploadError {
    fn from(fault: SourceFault) -> Self {
        Self::Source(fault)
    }
}

impl Upstream {
    pub(super) async fn upload<B>(&self, prepared: &Prepared, expected: Expected, source: B) -> Result<(), UploadError>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let config = &self.shared.config;
        let deadline = Instant::now() + config.total_timeout();
        let mut turn = self.limits.bulk_turn(Flow::present(Lane::Changes), deadline).await?;
        let pass = self.sign_in(Flow::present(Lane::Changes), deadline, &mut turn).await?;
        self.limits.earn();
        let mut check = Check::new(expected);
        // Nothing comes, so there is nothing that could be held back.
        let is_whole = check.size() == 0 && check.take(&[])?;
        let progress = Arc::new(Progress::new(config.transfer_idle(), config.total_timeout()));
        if is_whole {
            progress.moved(Phase::Answer);
        }
        let uploaded = self.shared.meters.uploaded.clone();
        let pieces = Pieces { held: None, last: None, is_whole };
        let outgoing = Outgoing { source, check, pieces, progress: Arc::clone(&progress), uploaded };
        let began = Instant::now();
        let sending = progress.watch(self.put(prepared, pass.as_ref(), outgoing));
        let sent = probing(sending, &progress, &mut turn).await;
        // What was wrong with the bytes comes first: it is why the rest failed.
        if let Some(fault) = progress.fault() {
            return Err(fault.into());
        }
        let answer = match sent {
            Ok(answer) => answer,
            Err(Phase::Source) => return Err(SourceFault::Idle.into()),
            Err(_) => Err(fault::too_late(&self.target.label)),
        };
        let parts = answer.inspect_err(|error| turn.judge(verdict(error, &progress)))?;
        self.limits.heed(parts.status, &parts.headers, began);
        turn.judge(retry::verdict(parts.status));
        if let (Some(session), Some(pass)) = (&self.session, &pass)
            && parts.status == StatusCode::UNAUTHORIZED
        {
            turn.asks_more();
            let deadline = Instant::now() + config.total_timeout();
            if session.renewed(pass, Flow::present(Lane::Changes), deadline).await?.is_some() {
                // The bytes are gone, but the session is there for those that come again.
                let message = format!("the session at {} had ended and was renewed; send the blob again", self.target.label);
                return Err(Error::new(Kind::Unavailable, message).with_retry_after(1).into());
            }
        }
        self.judge(&parts, progress.phase()).map_err(UploadError::from)
    }

    fn judge(&self, parts: &Parts, phase: Phase) -> Result<(), Error> {
        if !parts.status.is_success() {
            return Err(self.refusal(parts));
        }
        if phase != Phase::Answer {
            let message = format!("{} answered before it had the whole blob", self.target.label);
            return Err(Error::new(Kind::Internal, message));
        }
        Ok(())
    }

    async fn put<B>(&self, prepared: &Prepared, pass: Option<&Pass>, outgoing: Outgoing<B>) -> Result<Parts, Error>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let (config, label) = (&self.shared.config, &self.target.label);
        let size = outgoing.check.size();
        let request = prepared.http1(self, pass, size)?.map(|()| outgoing);
        let socket = self.target.open_http1().await?.reading_on();
        let mut builder = http1::Builder::new();
        builder.max_headers(config.response_headers).max_buf_size(config.response_header_bytes);
        let (mut sender, connection) = builder.handshake(socket).await.map_err(|error| fault::broke(&error, label))?;
        let mut connection = std::pin::pin!(connection);
        let mut answer = std::pin::pin!(sender.send_request(request));
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            // It carries the request; when it ends first, the answer says why.
            _ = &mut connection => answer.await,
        };
        answer.map(|response| response.into_parts().0).map_err(|error| fault::broke(&error, label))
    }
}

/// What came of an upload. As a probe it would keep the others away until its client has sent everything, which may take
/// hours.
async fn probing<T>(sending: impl Future<Output = T>, progress: &Progress, turn: &mut Turn) -> T {
    let mut sending = std::pin::pin!(sending);
    if turn.is_probe() {
        tokio::select! {
            biased;
            sent = &mut sending => return sent,
            () = progress.drags() => turn.pass_on(),
        }
    }
    sending.await
}

/// What it says of the upstream that no answer came. One that gives up on a client of ours whose bytes don't come has done no
/// wrong.
fn verdict(error: &Error, progress: &Progress) -> Verdict {
    let phase = progress.phase();
    if error.kind == Kind::Unavailable && phase != Phase::Answer && progress.waited_for_source() >= retry::SILENT {
        return Verdict::Silent;
    }
    let failure = Failure { error: error.clone(), unconnected: phase == Phase::Beginning };
    retry::verdict_of(&Err(failure), progress.silence())
}

/// The client's body on its way, checked.
struct Outgoing<B> {
    source: B,
    check: Check,
    pieces: Pieces,
    progress: Arc<Progress>,
    uploaded: IntCounter,
}

struct Pieces {
    /// The newest that came: it may be the last, so it waits for the next one.
    held: Option<Bytes>,
    /// The last, after everything was right.
    last: Option<Bytes>,
    is_whole: bool,
}

impl<B> Outgoing<B> {
    /// What may leave after this piece came.
    fn take(&mut self, piece: Bytes) -> Result<Option<Bytes>, SourceFault> {
        self.pieces.is_whole = self.check.take(&piece)?;
        if !self.pieces.is_whole {
            return Ok(self.pieces.held.replace(piece));
        }
        Ok(match self.pieces.held.take() {
            Some(held) => {
                self.pieces.last = Some(piece);
                Some(held)
            }
            None => Some(piece),
        })
    }

    fn leave(&self, piece: Bytes) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let is_last = self.pieces.is_whole && self.pieces.last.is_none();
        self.progress.moved(if is_last { Phase::Answer } else { Phase::Upstream });
        self.uploaded.inc_by(piece.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    /// Ends the upstream's request before its announced length.
    fn fail(&self, fault: SourceFault) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.progress.fail(fault);
        Poll::Ready(Some(Err(Error::new(Kind::InvalidInput, "the client's bytes are not what they should be"))))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Outgoing<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Some(last) = this.pieces.last.take() {
            return this.leave(last);
        }
        if this.pieces.is_whole {
            return Poll::Ready(None);
        }
        loop {
            let polled = Pin::new(&mut this.source).poll_frame(cx);
            if polled.is_pending() {
                this.progress.waits_for_source();
            }
            let Some(Ok(frame)) = ready!(polled) else { return this.fail(this.check.incomplete()) };
            let Ok(piece) = frame.into_data() else { continue };
            match this.take(piece) {
                Ok(Some(piece)) => return this.leave(piece),
                Ok(None) => this.progress.moved(Phase::Source),
                Err(fault) => return this.fail(fault),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.check.size())
    }
}
