//! Downloads: an upstream's body, piece by piece as the client takes it.
//!
//! In goes a prepared GET; out come a few fields of the answer and a body. Invariant: a body that isn't whole never ends as if
//! it were: whatever is wrong after the first byte is an error of the body, and cuts the client's connection. When either side
//! stalls or leaves, the upstream's request is dropped.

use crate::{
    egress::{
        Flow, Lane,
        bind::Upstream,
        fault,
        limits::{Turn, Verdict},
        request::Prepared,
        response,
        retry::{self, Failure},
    },
    model::{Error, Kind},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, header, response::Parts};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

/// What of an answer's header may reach a client. The length is the body's own.
const KEPT: [HeaderName; 3] = [header::CONTENT_TYPE, header::LAST_MODIFIED, header::ETAG];

/// A download that has begun.
pub struct Download {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// Bytes, exactly, if known.
    pub size: Option<u64>,
    pub file_name: Option<String>,
    pub body: DownloadBody,
}

pub struct DownloadBody {
    pieces: mpsc::Receiver<Piece>,
    size: Option<u64>,
}

enum Piece {
    Data(Bytes),
    End,
    Broken(Error),
}

impl Upstream {
    /// `who`: connection and provider, for the log.
    pub(super) async fn download(
        self: &Arc<Self>,
        prepared: &Prepared,
        size: Option<u64>,
        who: (&Arc<str>, &Arc<str>),
    ) -> Result<Download, Error> {
        let label = &self.target.label;
        let deadline = Instant::now() + self.shared.config.total_timeout();
        let mut turn = self.limits.bulk_turn(Flow::present(Lane::Reads), deadline).await?;
        let started = Instant::now();
        let answer = timeout_at(deadline, self.follow(prepared, Flow::present(Lane::Reads), deadline)).await;
        let answer = answer.unwrap_or_else(|_| Err(Failure::other(fault::too_late(label))));
        let head = retry::verdict_of(&answer, started.elapsed());
        turn.answered();
        // Without a session it never left.
        if answer.is_ok() {
            self.limits.earn();
        }
        let begun = answer.map_err(Error::from).and_then(|answer| self.begun(answer, size));
        // Without a body that is wanted, its head is all that it says.
        let (parts, body, size) = begun.inspect_err(|_| turn.judge(head))?;
        let (sender, pieces) = mpsc::channel(1);
        let who = (Arc::clone(who.0), Arc::clone(who.1));
        tokio::spawn(Pump { upstream: Arc::clone(self), body, size, who, turn }.run(sender));
        let headers = self.kept(&parts);
        let body = DownloadBody { pieces, size };
        Ok(Download { status: parts.status.as_u16(), headers, size, file_name: None, body })
    }

    /// The answer, if it is the one that was wanted, and its size.
    fn begun(&self, answer: http::Response<Incoming>, size: Option<u64>) -> Result<(Parts, Incoming, Option<u64>), Error> {
        let (parts, body) = answer.into_parts();
        response::check(&parts, &self.target.label, &self.shared.config)?;
        // Any other success is not the whole of it: no part was asked for.
        if parts.status != StatusCode::OK {
            return Err(self.refusal(&parts));
        }
        let size = self.agree(size, body.size_hint().exact())?;
        Ok((parts, body, size))
    }

    /// `said`: by the provider; `announced`: by the upstream.
    fn agree(&self, said: Option<u64>, announced: Option<u64>) -> Result<Option<u64>, Error> {
        let label = &self.target.label;
        if let (Some(said), Some(announced)) = (said, announced)
            && said != announced
        {
            return Err(Error::new(Kind::Internal, format!("{label} sends {announced} bytes where it had said {said}")));
        }
        let size = announced.or(said);
        if size.is_some_and(|size| size > self.shared.config.transfer_max_bytes) {
            return Err(self.too_much());
        }
        Ok(size)
    }

    fn too_much(&self) -> Error {
        let (label, most) = (&self.target.label, self.shared.config.transfer_max_bytes);
        Error::new(Kind::Internal, format!("{label} sends more than {most} bytes (egress.transfer_max_bytes)"))
    }

    fn kept(&self, parts: &Parts) -> Vec<(String, String)> {
        let headers: &HeaderMap = &parts.headers;
        let kept = KEPT.iter().filter_map(|name| Some((name, headers.get(name)?)));
        kept.map(|(name, value)| (name.as_str().to_owned(), self.shared.redactor.text(value.as_bytes()))).collect()
    }
}

/// Takes pieces from the upstream as the client makes room for them.
struct Pump {
    upstream: Arc<Upstream>,
    body: Incoming,
    size: Option<u64>,
    who: (Arc<str>, Arc<str>),
    /// The upstream's place for one request, taken until the last byte.
    turn: Turn,
}

impl Pump {
    async fn run(mut self, sender: mpsc::Sender<Piece>) {
        let idle = self.upstream.shared.config.transfer_idle();
        let (mut received, mut is_patient) = (0, true);
        loop {
            let next = tokio::select! {
                // The client left.
                () = sender.closed() => return,
                next = self.next(&mut received) => next,
            };
            let is_last = !matches!(next, Piece::Data(_));
            if is_patient || !is_last {
                self.judge(&next);
            } else {
                // An upstream that gives up on a client of ours who takes nothing for so long has done no wrong.
                self.turn.judge(Verdict::Silent);
            }
            if let Piece::Broken(error) = &next {
                tracing::warn!(connection = &*self.who.0, provider = &*self.who.1, "a download was cut: {}", error.message);
            }
            let asked = Instant::now();
            // A client that doesn't take a piece for too long has the rest dropped, as one that leaves.
            if !matches!(timeout(idle, sender.send(next)).await, Ok(Ok(()))) || is_last {
                return;
            }
            is_patient &= asked.elapsed() < retry::SILENT;
        }
    }

    /// The end decides, and a client that leaves before says nothing. Only who waits for a probe can't wait for hours: that bytes come is
    /// enough, and if they stop later, that counts as well.
    fn judge(&mut self, next: &Piece) {
        let idle = self.upstream.shared.config.transfer_idle();
        match next {
            Piece::Data(_) if !self.turn.is_probe() => {}
            Piece::Data(_) | Piece::End => self.turn.judge(Verdict::Good),
            Piece::Broken(error) => self.turn.judge(retry::verdict_of_body(Verdict::Good, Some(error), idle)),
        }
    }

    async fn next(&mut self, received: &mut u64) -> Piece {
        let config = &self.upstream.shared.config;
        let label = &self.upstream.target.label;
        loop {
            let frame = match timeout(config.transfer_idle(), self.body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) if self.size.is_none_or(|size| size == *received) => return Piece::End,
                Ok(None) => return Piece::Broken(Error::new(Kind::Unavailable, format!("{label} ended its answer early"))),
                Ok(Some(Err(error))) => return Piece::Broken(response::broken(label, &error)),
                Err(_) => return Piece::Broken(Error::new(Kind::Timeout, format!("{label} sent nothing for too long"))),
            };
            let Ok(data) = frame.into_data() else { continue };
            *received += data.len() as u64;
            if *received > self.size.unwrap_or(config.transfer_max_bytes) {
                return Piece::Broken(self.upstream.too_much());
            }
            self.upstream.shared.meters.downloaded.inc_by(data.len() as u64);
            return Piece::Data(data);
        }
    }
}

impl Body for DownloadBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(match ready!(self.pieces.poll_recv(cx)) {
            Some(Piece::Data(data)) => Some(Ok(Frame::data(data))),
            Some(Piece::End) => None,
            Some(Piece::Broken(error)) => Some(Err(error)),
            None => Some(Err(Error::new(Kind::Timeout, "the client took nothing for too long"))),
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.size.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
