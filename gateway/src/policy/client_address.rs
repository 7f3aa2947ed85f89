//! Where a request came from: the client's address, and whether it came over TLS.
//!
//! Invariant: who isn't known is nobody in particular, and a request without a word about TLS came in plain.

use std::net::IpAddr;

/// Request extension: who is at the other end, as far as it can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

/// Request extension: it came over TLS, to this gateway or to a trusted proxy. A request without it came in plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secure;
