//! A request in flight: from its head to the last byte of its answer, or to where it was broken off.
//!
//! In goes a connection's life; it is told of the request's beginning and end. Invariant: every beginning has one end, whether
//! the answer was taken whole, failed, or was dropped on the way.

use super::life::Life;
use axum::body::Body;
use bytes::Bytes;
use http::Version;
use http_body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

pub struct Flight {
    life: Arc<Life>,
    /// Of HTTP/2, where a piece that was taken may wait for its window.
    multiplexed: bool,
    handed: bool,
    whole: bool,
}

impl Flight {
    pub fn begin(life: &Arc<Life>, version: Version) -> Self {
        let multiplexed = version == Version::HTTP_2;
        life.begin_request(multiplexed);
        Self { life: Arc::clone(life), multiplexed, handed: false, whole: false }
    }

    pub fn answer(mut self, body: Body) -> Watched {
        if http_body::Body::is_end_stream(&body) {
            self.whole = true;
            self.life.touch();
        } else {
            self.hand();
        }
        Watched { body, flight: self }
    }

    /// It is the client's turn: over HTTP/2 an answer may wait for its window before the first piece.
    fn hand(&mut self) {
        self.life.hand();
        self.handed = true;
    }

    fn take_back(&mut self) {
        if std::mem::take(&mut self.handed) {
            self.life.take_back();
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.take_back();
        self.life.end_request(self.whole);
    }
}

/// An answer's body that tells how it is taken.
pub struct Watched {
    body: Body,
    flight: Flight,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        this.flight.take_back();
        let polled = Pin::new(&mut this.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(_))) => {
                this.flight.whole = this.body.is_end_stream();
                // Over HTTP/1 the last piece ends the flight as soon as it is taken.
                if this.flight.multiplexed || !this.flight.whole {
                    this.flight.hand();
                }
            }
            Poll::Ready(_) => this.flight.whole = true,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
