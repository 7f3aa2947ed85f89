//! Addresses: which ones belong to the public internet, and which only an operator may open.
//!
//! In goes an address; out comes the reserved block that it lies in, or nothing. Pure: it resolves and connects nothing.
//! Invariant: what isn't known to be public is reserved; an IPv4 address inside an IPv6 one is never taken for public.
//! Sources: the IANA special-purpose registries of IPv4 and IPv6 (RFC 6890 and its updates).

pub use crate::model::Network;

use std::net::{IpAddr, Ipv6Addr};

/// A block that no tenant may reach without a grant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reserved {
    pub network: Network,
    pub what: &'static str,
}

const fn block(network: Network, what: &'static str) -> Reserved {
    Reserved { network, what }
}

/// Narrow blocks before those that hold them: the first match names the reason.
static RESERVED: &[Reserved] = &[
    block(Network::v4([0, 0, 0, 0], 8), "unspecified"),
    block(Network::v4([10, 0, 0, 0], 8), "private"),
    block(Network::v4([100, 64, 0, 0], 10), "carrier-grade NAT"),
    block(Network::v4([127, 0, 0, 0], 8), "loopback"),
    block(Network::v4([169, 254, 0, 0], 16), "link-local"),
    block(Network::v4([172, 16, 0, 0], 12), "private"),
    block(Network::v4([192, 0, 0, 0], 24), "protocol assignment"),
    block(Network::v4([192, 0, 2, 0], 24), "documentation"),
    block(Network::v4([192, 88, 99, 0], 24), "6to4 relay"),
    block(Network::v4([192, 168, 0, 0], 16), "private"),
    block(Network::v4([198, 18, 0, 0], 15), "benchmarking"),
    block(Network::v4([198, 51, 100, 0], 24), "documentation"),
    block(Network::v4([203, 0, 113, 0], 24), "documentation"),
    block(Network::v4([224, 0, 0, 0], 4), "multicast"),
    block(Network::v4([240, 0, 0, 0], 4), "reserved"),
    block(Network::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 128), "unspecified"),
    block(Network::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 128), "loopback"),
    block(Network::new(IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0)), 96), "IPv4-mapped"),
    block(Network::v6(0, 0, 96), "IPv4-compatible"),
    block(Network::v6(0x64, 0xff9b, 96), "NAT64"),
    block(Network::new(IpAddr::V6(Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0)), 48), "NAT64"),
    block(Network::v6(0xfc00, 0, 7), "unique local"),
    block(Network::v6(0xfe80, 0, 10), "link-local"),
    block(Network::v6(0xff00, 0, 8), "multicast"),
    block(Network::v6(0x2001, 0, 32), "Teredo"),
    block(Network::v6(0x2001, 2, 48), "benchmarking"),
    block(Network::v6(0x2001, 0, 23), "protocol assignment"),
    block(Network::v6(0x2001, 0xdb8, 32), "documentation"),
    block(Network::v6(0x2002, 0, 16), "6to4"),
    block(Network::v6(0x3fff, 0, 20), "documentation"),
    // Everything outside 2000::/3, the only part that is given out for the public internet.
    block(Network::v6(0, 0, 3), "unassigned"),
    block(Network::v6(0x4000, 0, 2), "unassigned"),
    block(Network::v6(0x8000, 0, 1), "unassigned"),
];

/// None for an address of the public internet.
pub(super) fn reserved(address: IpAddr) -> Option<&'static Reserved> {
    RESERVED.iter().find(|block| block.network.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_and_reserved_addresses() {
        for (address, what) in [
            ("1.1.1.1", None),
            ("9.255.255.255", None),
            ("100.63.255.255", None),
            ("100.128.0.0", None),
            ("172.15.255.255", None),
            ("172.32.0.0", None),
            ("223.255.255.255", None),
            ("2606:4700::1111", None),
            ("2a00:1450::1", None),
            ("0.0.0.0", Some("unspecified")),
            ("0.1.2.3", Some("unspecified")),
            ("10.1.2.3", Some("private")),
            ("100.64.0.1", Some("carrier-grade NAT")),
            ("100.127.255.255", Some("carrier-grade NAT")),
            ("127.0.0.1", Some("loopback")),
            ("127.255.255.255", Some("loopback")),
            ("169.254.169.254", Some("link-local")),
            ("172.16.0.1", Some("private")),
            ("172.31.255.255", Some("private")),
            ("192.0.0.1", Some("protocol assignment")),
            ("192.0.2.1", Some("documentation")),
            ("192.168.0.1", Some("private")),
            ("198.18.0.1", Some("benchmarking")),
            ("198.19.255.255", Some("benchmarking")),
            ("198.51.100.7", Some("documentation")),
            ("203.0.113.7", Some("documentation")),
            ("224.0.0.1", Some("multicast")),
            ("240.0.0.1", Some("reserved")),
            ("255.255.255.255", Some("reserved")),
            ("::", Some("unspecified")),
            ("::1", Some("loopback")),
            ("::2", Some("IPv4-compatible")),
            ("::127.0.0.1", Some("IPv4-compatible")),
            ("::ffff:127.0.0.1", Some("IPv4-mapped")),
            ("::ffff:1.1.1.1", Some("IPv4-mapped")),
            ("64:ff9b::7f00:1", Some("NAT64")),
            ("64:ff9b:1::1", Some("NAT64")),
            ("100::1", Some("unassigned")),
            ("fc00::1", Some("unique local")),
            ("fd00:ec2::254", Some("unique local")),
            ("fe80::1", Some("link-local")),
            ("fec0::1", Some("unassigned")),
            ("ff02::1", Some("multicast")),
            ("2001::1", Some("Teredo")),
            ("2001:2::1", Some("benchmarking")),
            ("2001:10::1", Some("protocol assignment")),
            ("2001:db8::1", Some("documentation")),
            ("2002:7f00:1::", Some("6to4")),
            ("3fff::1", Some("documentation")),
            ("5f00::1", Some("unassigned")),
        ] {
            assert_eq!(reserved(address.parse().unwrap()).map(|block| block.what), what, "{address}");
        }
    }
}
