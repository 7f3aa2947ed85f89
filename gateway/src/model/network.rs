//! Blocks of IP addresses, as operators write them.
//!
//! In goes text; out comes a block that says whether an address lies in it. Invariant: a block that would hold every address is
//! refused: whoever means "all" must not write it where networks are named; one of IPv4 addresses that was written as IPv6 is
//! the block of IPv4 that it means, as clients' addresses are.

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
    /// `prefix` is at most the width of the address; written ones are checked when they are parsed.
    pub const fn new(address: IpAddr, prefix: u8) -> Self {
        Self { address, prefix }
    }

    pub const fn v4(octets: [u8; 4], prefix: u8) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])), prefix }
    }

    pub const fn v6(first: u16, second: u16, prefix: u8) -> Self {
        Self { address: IpAddr::V6(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0)), prefix }
    }

    /// The block of this one address.
    pub const fn single(address: IpAddr) -> Self {
        Self { address, prefix: width(address) }
    }

    /// Whether every address of this block lies in the other.
    pub fn is_inside(&self, other: &Self) -> bool {
        self.prefix >= other.prefix && other.contains(self.address)
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

/// Bits before the IPv4 address in an IPv6 one that holds it (`::ffff:203.0.113.5`).
const BEFORE_MAPPED: u8 = 96;

/// What is written in IPv6 about IPv4 would hold nobody as it stands, since addresses are asked about in their own form. None: it
/// names IPv4 addresses, and its prefix reaches beyond them. A block around all of them that names none, `::/8`, is one of IPv6.
fn in_own_form(address: IpAddr, prefix: u8) -> Option<Network> {
    let mapped = match address {
        IpAddr::V6(address) => address.to_ipv4_mapped(),
        IpAddr::V4(_) => None,
    };
    match mapped {
        Some(mapped) => Some(Network { address: IpAddr::V4(mapped), prefix: prefix.checked_sub(BEFORE_MAPPED)? }),
        None => Some(Network { address, prefix }),
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

/// The address and the prefix as they are written.
fn written(text: &str) -> Result<(IpAddr, u8), String> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let wrong = || format!("{text:?} is not a network; write it as 10.0.0.0/8, fd00::/8 or 192.168.1.10");
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most = width(address);
    let prefix = prefix.map_or(Ok(most), |prefix| prefix.parse().map_err(|_| wrong()))?;
    if prefix > most { Err(wrong()) } else { Ok((address, prefix)) }
}

impl Network {
    /// One that was taken once, perhaps before it would have been refused: then it holds nobody, as it did.
    pub fn kept(text: &str) -> Result<Self, String> {
        text.parse().or_else(|_| written(text).map(|(address, prefix)| Self { address, prefix }))
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = written(text)?;
        let beyond = || {
            format!(
                "{text:?} names IPv4 addresses, which begin at /{BEFORE_MAPPED} in IPv6; write the IPv4 network: 10.0.0.0/8"
            )
        };
        let network = in_own_form(address, prefix).ok_or_else(beyond)?;
        if network.prefix == 0 {
            return Err(format!("{text:?} would open every address; name the networks that are meant"));
        }
        Ok(network)
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

#[cfg(test)]
mod tests {
    use super::*;

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
            ("::ffff:203.0.113.5", "203.0.113.5", true),
            ("::ffff:203.0.113.5", "203.0.113.6", false),
            ("::ffff:10.0.0.0/104", "10.9.8.7", true),
            ("::ffff:a00:0/104", "11.0.0.0", false),
            ("::/8", "::1", true),
            ("::/8", "10.9.8.7", false),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{network} {address}");
            assert_eq!(network.to_string().parse(), Ok(network));
        }
        for (inner, outer, inside) in [
            ("10.0.0.0/8", "10.0.0.0/8", true),
            ("10.1.0.0/16", "10.0.0.0/8", true),
            ("10.0.0.0/7", "10.0.0.0/8", false),
            ("11.0.0.1", "10.0.0.0/8", false),
            ("fd00::/16", "10.0.0.0/8", false),
        ] {
            let inner: Network = inner.parse().unwrap();
            assert_eq!(inner.is_inside(&outer.parse().unwrap()), inside, "{inner} {outer}");
        }
        for wrong in ["", "10.0.0.0/33", "10.0.0.0/", "::/129", "0.0.0.0/0", "::/0", "localhost", "10.0.0.0/8/8"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ipv4_written_as_ipv6_is_ipv4_or_refused() {
        for (text, plain) in [
            ("::ffff:203.0.113.5", "203.0.113.5/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:128.0.0.0/97", "128.0.0.0/1"),
            ("::/8", "::/8"),
            ("fd00::/8", "fd00::/8"),
        ] {
            assert_eq!(text.parse::<Network>().map(|network| network.to_string()).as_deref(), Ok(plain), "{text}");
        }
        for (text, why) in [
            ("::ffff:10.0.0.0/95", "begin at /96"),
            ("::ffff:0:0/64", "begin at /96"),
            ("::ffff:0:0/96", "every address"),
            ("::/0", "every address"),
            ("::ffff:10.0.0.0/129", "not a network"),
        ] {
            let error = text.parse::<Network>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        // Kept from when it was taken, it is still read, and holds nobody.
        let kept = Network::kept("::ffff:0:0/96").unwrap();
        assert!(!kept.contains("203.0.113.5".parse().unwrap()) && Network::kept(&kept.to_string()) == Ok(kept));
        assert_eq!(Network::kept("::ffff:10.0.0.0/104"), "10.0.0.0/8".parse());
        assert!(Network::kept("::ffff:10.0.0.0/129").is_err());
    }
}
