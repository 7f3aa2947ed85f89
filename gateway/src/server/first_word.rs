//! A client that connects must say something: its first request has a deadline.
//!
//! hyper's own limit on heads begins only when it knows which protocol is spoken, so a client that sends nothing, or half an
//! HTTP/2 preface, would hold its place for ever. Invariant: a connection without a whole request head in time is closed.

use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

/// Tells of the first request that comes through.
#[derive(Clone)]
pub struct Told<S> {
    inner: S,
    spoken: Arc<Notify>,
}

pub fn told<S>(inner: S) -> (Told<S>, Arc<Notify>) {
    let spoken = Arc::new(Notify::new());
    (Told { inner, spoken: Arc::clone(&spoken) }, spoken)
}

impl<R, S: hyper::service::Service<R>> hyper::service::Service<R> for Told<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, request: R) -> Self::Future {
        // Only the watchdog waits, and once: later calls leave a permit that nobody takes.
        self.spoken.notify_one();
        self.inner.call(request)
    }
}

/// Runs the connection, unless no request came in time.
pub async fn or_silence<C>(connection: C, spoken: Arc<Notify>, patience: Duration) -> C::Output
where
    C: Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>>,
{
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = &mut connection => return ended,
        () = spoken.notified() => {}
        () = tokio::time::sleep(patience) => return Err("no request came in time".into()),
    }
    connection.await
}
