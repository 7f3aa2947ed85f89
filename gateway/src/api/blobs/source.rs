//! A request's body that is lent to an upload, and taken back when that fails.
//!
//! Invariant: one of the two reads at a time; after an upload has ended, what it left over can be taken in, so that the client
//! reads the answer instead of a reset.

use crate::{api::extract, api::problem::Problem};
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

#[derive(Clone)]
pub struct Source(Arc<Mutex<Lent>>);

struct Lent {
    body: Body,
    /// The client waits for leave to send (`Expect: 100-continue`), which the first reading gives.
    asks: bool,
}

impl Source {
    pub fn new(headers: &HeaderMap, body: Body) -> Self {
        Self(Arc::new(Mutex::new(Lent { body, asks: headers.contains_key(header::EXPECT) })))
    }

    /// Takes in some of what wasn't read. Who still asks for leave to send reads the answer without it.
    pub async fn discard(&self) {
        let rest = {
            let mut lent = self.lock();
            (!lent.asks).then(|| std::mem::take(&mut lent.body))
        };
        if let Some(mut rest) = rest {
            extract::discard(&mut rest).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for Source {
    type Data = Bytes;
    type Error = Problem;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
        let early = |_| Problem::malformed("the body ended early");
        let mut lent = self.lock();
        lent.asks = false;
        Pin::new(&mut lent.body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(early)))
    }

    fn is_end_stream(&self) -> bool {
        self.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().body.size_hint()
    }
}
