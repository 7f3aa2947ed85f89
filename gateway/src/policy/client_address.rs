//! Where a request comes from.
//!
//! A request extension that the server sets. Invariant: it is the peer of the connection, or what a trusted proxy said; never
//! what a client says of itself.

use std::net::IpAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);
