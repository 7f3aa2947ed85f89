//! Tells each request where its connection comes from.
//!
//! In goes the peer's address, out comes a service that puts it into every request as [`ClientAddress`]. Invariant: no request
//! reaches the layers without one.

use crate::policy::ClientAddress;
use http::Request;
use std::net::IpAddr;

#[derive(Clone)]
pub struct Of<S> {
    inner: S,
    peer: IpAddr,
}

pub const fn of<S>(peer: IpAddr, inner: S) -> Of<S> {
    Of { inner, peer }
}

impl<B, S: hyper::service::Service<Request<B>>> hyper::service::Service<Request<B>> for Of<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(ClientAddress(self.peer));
        self.inner.call(request)
    }
}
