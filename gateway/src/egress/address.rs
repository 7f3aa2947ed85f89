//! Addresses: which ones belong to the public internet, and which only an operator may open.
//!
//! In goes an address; out comes the reserved block that it lies in, or nothing. Pure: it resolves and connects nothing.
//! Invariant: what isn't known to be public is reserved; an IPv4 address inside an IPv6 one is never taken for public.
//! Sources: the IANA special-purpose registries of IPv4 and IPv6 (RFC 6890 and its updates).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A block of addresses, written as `10.0.0.0/8` or `fd00::/8`; a single address means itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    const fn v4(octets: [u8; 4], prefix: u8) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])), prefix }
    }

    const fn v6(first: u16, second: u16, prefix: u8) -> Self {
        Self { address: IpAddr::V6(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0)), prefix }
    }

    /// The block of this one address.
    pub const fn single(address: IpAddr) -> Self {
        Self { address, prefix: width(address) }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                u64::from(network.to_bits()) >> shift == u64::from(address.to_bits()) >> shift
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

const fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let wrong = || format!("{text:?} is not a network; write it as 10.0.0.0/8, fd00::/8 or 192.168.1.10");
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = width(address);
        let prefix = prefix.map_or(Ok(most), |prefix| prefix.parse().map_err(|_| wrong()))?;
        if prefix > most {
            return Err(wrong());
        }
        if prefix == 0 {
            return Err(format!("{text:?} would open every address; name the networks that are meant"));
        }
        Ok(Self { address, prefix })
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

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
    block(Network { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix: 128 }, "unspecified"),
    block(Network { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 }, "loopback"),
    block(Network { address: IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0)), prefix: 96 }, "IPv4-mapped"),
    block(Network::v6(0, 0, 96), "IPv4-compatible"),
    block(Network::v6(0x64, 0xff9b, 96), "NAT64"),
    block(Network { address: IpAddr::V6(Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0)), prefix: 48 }, "NAT64"),
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

    #[test]
    fn networks_are_read_written_and_matched() {
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.9.8.7", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1/32", "127.0.0.2", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("::1/128", "::1", true),
            ("127.0.0.0/8", "::ffff:127.0.0.1", false),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{network} {address}");
            assert_eq!(network.to_string().parse(), Ok(network));
        }
        for wrong in ["", "10.0.0.0/33", "10.0.0.0/", "::/129", "0.0.0.0/0", "::/0", "localhost", "10.0.0.0/8/8"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
