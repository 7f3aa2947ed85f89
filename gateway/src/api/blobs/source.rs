//! A request's body that is lent to an upload, and taken back when that fails.
//!
//! Invariant: one of the two reads at a time; after an upload has ended, what it left over can be taken in, so that the client
//! reads the answer instead of a reset.

use crate::{api::extract, api::problem::Problem};
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

#[derive(Clone)]
pub struct Source(Arc<Mutex<Body>>);

impl Source {
    pub fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    pub async fn discard(&self) {
        let mut rest = std::mem::take(&mut *self.lock());
        extract::discard(&mut rest).await;
    }

    fn lock(&self) -> MutexGuard<'_, Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for Source {
    type Data = Bytes;
    type Error = Problem;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
        let early = |_| Problem::malformed("the body ended early");
        Pin::new(&mut *self.lock()).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(early)))
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().size_hint()
    }
}
