//! A request in flight: from its head to the last byte of its answer, or to where it was broken off.
//!
//! In goes a connection's life; it is told of the request's beginning and end. Invariant: every beginning has one end, whether
//! the answer was taken whole, failed, or was dropped on the way.

use super::life::{Life, Turn};
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
    /// While it is the client's turn.
    handed: Option<Turn>,
    whole: bool,
}

impl Flight {
    pub fn begin(life: &Arc<Life>, version: Version) -> Self {
        let multiplexed = version == Version::HTTP_2;
        life.begin_request(multiplexed);
        Self { life: Arc::clone(life), multiplexed, handed: None, whole: false }
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
        self.handed = Some(self.life.hand());
    }

    fn take_back(&mut self) {
        if let Some(turn) = self.handed.take() {
            self.life.take_back(turn);
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

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Body as _;
    use std::{convert::Infallible, future::poll_fn, time::Duration};
    use tokio::time::{Instant, advance};

    /// Asks for the next piece; whether there was one.
    async fn next(answer: &mut Watched) -> bool {
        poll_fn(|context| Pin::new(&mut *answer).poll_frame(context)).await.is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn each_piece_waits_from_when_it_was_handed() {
        let pieces = futures_util::stream::iter(["one", "two"].map(Ok::<_, Infallible>));
        let life = Arc::new(Life::new());
        let begun = Instant::now();
        let mut answer = Flight::begin(&life, Version::HTTP_2).answer(Body::from_stream(pieces));
        advance(Duration::from_secs(1)).await;
        assert_eq!(life.untaken_since(), Some(begun), "it waits for its window");
        for seconds in [1, 5] {
            assert!(next(&mut answer).await);
            // Something else moves.
            advance(Duration::from_secs(4)).await;
            life.touch();
            assert_eq!(life.untaken_since(), Some(begun + Duration::from_secs(seconds)));
        }
        assert!(!next(&mut answer).await);
        assert_eq!(life.untaken_since(), None);
        assert_eq!(life.rests_since(), None);
        drop(answer);
        assert_eq!(life.rests_since(), Some(begun + Duration::from_secs(9)));
    }
}
