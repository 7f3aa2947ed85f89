//! A request in flight: from its head to the last byte of its answer, or to where it was broken off.
//!
//! In goes a connection's life; it is told of the request's beginning and end. Invariant: every beginning has one end, whether
//! the answer was taken whole, failed, or was dropped on the way. An answer is handed out in pieces, the next one when the protocol has
//! room for it, so that what isn't taken stays here.

use super::life::{Life, Turn};
use crate::policy::PIECE;
use axum::body::Body;
use bytes::Bytes;
use http::Version;
use http_body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Over HTTP/2, what of an answer may lie in its buffers unseen: as often as there are streams.
const SMALL: usize = 8 * 1024;

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
        Watched { body, rest: Bytes::new(), flight: self }
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

impl Flight {
    /// What leaves in one piece.
    const fn at_once(&self) -> usize {
        if self.multiplexed { SMALL } else { PIECE }
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
    /// Of what came at once, and leaves in pieces.
    rest: Bytes,
    flight: Flight,
}

impl Watched {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(http_body::Body::poll_frame(Pin::new(&mut self.body), context)) {
                Some(Ok(frame)) if frame.data_ref().is_some_and(|data| data.len() > self.flight.at_once()) => {
                    self.rest = frame.into_data().unwrap_or_default();
                }
                other => return Poll::Ready(other),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(self.next_piece()))))
    }

    /// Over HTTP/2 the last byte is a piece of its own: h2 has room for it when all that came before fits the client's window, and takes
    /// whole whatever has room for its first byte. The last piece is a copy: the protocol may keep it after the flight has ended, and
    /// all of the answer with it.
    fn next_piece(&mut self) -> Bytes {
        let left = self.rest.len();
        match () {
            () if left > PIECE => self.rest.split_to(PIECE),
            () if left > 1 && self.flight.multiplexed => self.rest.split_to(left - 1),
            () => Bytes::copy_from_slice(&std::mem::take(&mut self.rest)),
        }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        this.flight.take_back();
        let polled = this.poll_piece(context);
        match &polled {
            Poll::Ready(Some(Ok(_))) => {
                this.flight.whole = this.is_end_stream();
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
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64) + self.body.size_hint()
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

    fn answer(version: Version, body: impl Into<Body>) -> Watched {
        Flight::begin(&Arc::new(Life::new()), version).answer(body.into())
    }

    /// The next piece, which is data.
    async fn piece(answer: &mut Watched) -> Option<Bytes> {
        let polled = poll_fn(|context| Pin::new(&mut *answer).poll_frame(context)).await;
        polled.map(|frame| frame.unwrap().into_data().unwrap())
    }

    #[tokio::test]
    async fn an_answer_goes_in_pieces_and_its_size_is_known_throughout() {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            for (size, pieces, multiplexed) in [
                (0, 0, 0),
                (1, 1, 1),
                (SMALL, 1, 1),
                (SMALL + 1, 1, 2),
                (PIECE, 1, 2),
                (PIECE + 1, 2, 2),
                (3 * PIECE, 3, 4),
                (3 * PIECE + 7, 4, 5),
            ] {
                let pieces = if version == Version::HTTP_2 { multiplexed } else { pieces };
                let whole: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
                let (mut answer, mut taken, mut count) = (answer(version, whole.clone()), Vec::new(), 0);
                loop {
                    let left = size - taken.len();
                    assert_eq!(answer.size_hint().exact(), Some(left as u64), "{size}");
                    assert_eq!((answer.is_end_stream(), answer.flight.whole), (left == 0, left == 0), "{size}");
                    let Some(piece) = piece(&mut answer).await else { break };
                    assert!(piece.len() <= PIECE);
                    taken.extend_from_slice(&piece);
                    count += 1;
                }
                assert!(taken == whole && count == pieces, "{count} pieces of {size} bytes");
            }
        }
    }

    #[tokio::test]
    async fn the_last_piece_keeps_nothing_of_the_others() {
        struct Owner(Vec<u8>, #[expect(dead_code, reason = "held until the bytes go")] Arc<()>);
        impl AsRef<[u8]> for Owner {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        let held = Arc::new(());
        let mut answer = answer(Version::HTTP_2, Bytes::from_owner(Owner(vec![1; PIECE + 1], Arc::clone(&held))));
        let first = piece(&mut answer).await.unwrap();
        let last = piece(&mut answer).await.unwrap();
        drop(answer);
        assert_eq!((last.len(), Arc::strong_count(&held)), (1, 2));
        drop(first);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
