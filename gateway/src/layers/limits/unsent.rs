//! Large answers that lie in memory: counted from their head until their client has taken them.
//!
//! In goes an answer; out it comes with its bytes counted, or not at all. Invariant: bytes are counted as long as anything holds them,
//! buffers of the protocol included, since what counts them goes with them. Bodies that stream aren't counted: of those there is never
//! more here than a piece.

use crate::{
    api::lane,
    model::OrganizationId,
    policy::{Busy, Lane, Owed, PIECE, Repeatable, Unsent},
};
use axum::{
    body::Body,
    extract::{MatchedPath, Request},
    response::Response,
};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::Method;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// Whose answer it is, and to what.
pub struct Asked {
    organization: OrganizationId,
    method: Method,
    looks_up: bool,
}

impl Asked {
    pub fn new(request: &Request, organization: OrganizationId) -> Self {
        let matched = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let looks_up = lane::of(request.method(), matched).0 == Lane::LookUp;
        Self { organization, method: request.method().clone(), looks_up }
    }

    /// Before anything is done. What is only read can be refused when it is there; what was changed, or shown once, is told.
    pub fn may_begin(&self, unsent: &Unsent) -> Result<(), Busy> {
        let only_reads = self.method.is_safe() && !self.looks_up;
        if only_reads { Ok(()) } else { unsent.may_begin(self.organization) }
    }

    /// The same answer, counted where it is large. The answer to HEAD leaves without its body.
    pub fn counted(&self, unsent: &Arc<Unsent>, response: Response) -> Result<Response, Busy> {
        if !is_large(response.body()) || self.method == Method::HEAD {
            return Ok(response);
        }
        let can_be_refused = self.can_be_refused(&response);
        let (parts, body) = response.into_parts();
        let body = match whole(body) {
            Ok(bytes) if can_be_refused => held(unsent.take(self.organization, bytes.len())?, bytes),
            Ok(bytes) => held(unsent.count(self.organization, bytes.len()), bytes),
            Err(body) => body,
        };
        Ok(Response::from_parts(parts, body))
    }

    /// Whether the client can ask again: nothing was changed, and nothing is in it that is shown once.
    fn can_be_refused(&self, response: &Response) -> bool {
        self.method == Method::GET && (!self.looks_up || response.extensions().get::<Repeatable>().is_some())
    }
}

fn is_large(body: &Body) -> bool {
    body.size_hint().exact().is_some_and(|size| size > PIECE as u64)
}

/// The bytes of a body that lies in memory; or else the body as it was.
fn whole(mut body: Body) -> Result<Bytes, Body> {
    let size = body.size_hint();
    // What lies in memory comes at once, and in one piece. What streams may know its size, too, and have its first piece already.
    let Some(first) = body.frame().now_or_never() else { return Err(body) };
    match first {
        Some(Ok(frame)) if frame.data_ref().is_some_and(|data| Some(data.len() as u64) == size.exact()) => {
            Ok(frame.into_data().unwrap_or_default())
        }
        first => Err(Body::new(Begun { first: Some(first), size, rest: body })),
    }
}

/// Every piece of these bytes holds what is owed, wherever it lies.
fn held(owed: Owed, bytes: Bytes) -> Body {
    Body::from(Bytes::from_owner(Held { bytes, _owed: owed }))
}

struct Held {
    bytes: Bytes,
    _owed: Owed,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

type Piece = Result<Frame<Bytes>, axum::Error>;

/// A body that streams, and whose first piece was looked at.
struct Begun {
    first: Option<Option<Piece>>,
    /// Before that was taken.
    size: SizeHint,
    rest: Body,
}

impl HttpBody for Begun {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        match self.first.take() {
            Some(first) => Poll::Ready(first),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.first.is_some() { self.size } else { self.rest.size_hint() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt as _, stream};
    use http_body_util::StreamBody;
    use prometheus::IntGauge;
    use std::convert::Infallible;

    const LARGE: usize = PIECE + 1;

    fn asked(method: Method, looks_up: bool) -> Asked {
        Asked { organization: OrganizationId(uuid::Uuid::from_u128(1)), method, looks_up }
    }

    /// Of which one answer fills all there is.
    fn full() -> (Arc<Unsent>, IntGauge, Owed) {
        let gauge = IntGauge::new("unsent", "unsent").unwrap();
        let unsent = Unsent::new(LARGE, gauge.clone());
        let owed = unsent.count(asked(Method::GET, false).organization, LARGE);
        (unsent, gauge, owed)
    }

    #[tokio::test]
    async fn bytes_count_until_the_last_of_them_is_let_go() {
        let (unsent, gauge, before) = full();
        drop(before);
        let answer = || Response::new(Body::from(vec![7_u8; LARGE]));
        let response = asked(Method::GET, false).counted(&unsent, answer()).unwrap();
        assert_eq!((response.body().size_hint().exact(), gauge.get()), (Some(LARGE as u64), LARGE as i64));
        let mut body = response.into_body();
        let mut bytes = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let part = bytes.split_to(1);
        assert!(bytes.len() == PIECE && part.iter().chain(&bytes).all(|byte| *byte == 7));
        drop(bytes);
        assert_eq!(gauge.get(), LARGE as i64, "a part of them is a reason to keep all of them");
        assert_eq!(asked(Method::GET, false).counted(&unsent, answer()).err(), Some(Busy::UnsentOfOrganization));
        drop(part);
        assert_eq!(gauge.get(), 0);
        assert!(asked(Method::GET, false).counted(&unsent, answer()).is_ok());
    }

    #[test]
    fn only_what_can_be_had_again_is_refused() {
        for (method, looks_up, repeatable, size, refused, counted) in [
            (Method::GET, false, false, LARGE, true, 0),
            (Method::GET, false, false, PIECE, false, 0),
            (Method::HEAD, false, false, LARGE, false, 0),
            (Method::POST, false, false, LARGE, false, LARGE),
            (Method::GET, true, false, LARGE, false, LARGE),
            (Method::GET, true, true, LARGE, true, 0),
        ] {
            let (unsent, gauge, before) = full();
            let mut answer = Response::new(Body::from(vec![0_u8; size]));
            if repeatable {
                answer.extensions_mut().insert(Repeatable);
            }
            let what = format!("{method} {looks_up} {repeatable} {size}");
            let outcome = asked(method, looks_up).counted(&unsent, answer);
            assert_eq!(outcome.is_err(), refused, "{what}");
            drop(before);
            assert_eq!(gauge.get(), counted as i64, "{what}");
            drop(outcome);
            assert_eq!(gauge.get(), 0, "{what}");
        }
    }

    #[test]
    fn what_must_be_told_begins_where_there_is_room() {
        let (unsent, _, before) = full();
        let begins = |method, looks_up| asked(method, looks_up).may_begin(&unsent).is_ok();
        assert!(begins(Method::GET, false) && begins(Method::HEAD, false));
        assert!(!begins(Method::GET, true) && !begins(Method::POST, false) && !begins(Method::DELETE, false));
        drop(before);
        assert!(begins(Method::GET, true) && begins(Method::POST, false));
    }

    /// A stream that says its size, as a download does.
    struct Announced(StreamBody<stream::BoxStream<'static, Streamed>>, u64);

    type Streamed = Result<Frame<Bytes>, Infallible>;

    impl HttpBody for Announced {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Streamed>> {
            Pin::new(&mut self.0).poll_frame(context)
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.1)
        }
    }

    #[tokio::test]
    async fn what_streams_is_not_counted_and_arrives_whole() {
        for is_late in [false, true] {
            let (unsent, gauge, _before) = full();
            let pieces = stream::iter([PIECE, 5, PIECE].map(|size| Streamed::Ok(Frame::data(Bytes::from(vec![3_u8; size])))));
            let pause = stream::iter(is_late.then_some(())).then(|()| tokio::task::yield_now());
            let pieces = pause.filter_map(|()| std::future::ready(None::<Streamed>)).chain(pieces).boxed();
            let size = (2 * PIECE + 5) as u64;
            let answer = Response::new(Body::new(Announced(StreamBody::new(pieces), size)));
            let response = asked(Method::GET, false).counted(&unsent, answer).unwrap();
            assert_eq!((response.body().size_hint().exact(), response.body().is_end_stream()), (Some(size), false));
            let mut body = response.into_body();
            let mut sizes = Vec::new();
            while let Some(frame) = body.frame().await {
                sizes.push(frame.unwrap().into_data().unwrap().len());
            }
            assert_eq!((sizes, gauge.get()), (vec![PIECE, 5, PIECE], LARGE as i64), "{is_late}");
        }
    }
}
