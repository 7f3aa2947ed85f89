//! Where a request came from: the client's address, and whether it came over TLS.
//!
//! In go the address of the TCP peer and the forwarding header that the operator's proxies write; out comes the client.
//! Invariant: a header is read only when the peer is a trusted proxy, from right to left, and only as far as trusted hops
//! vouch for it: what a client writes there itself never counts. One header is read, the one that was configured: a proxy that
//! writes one of them hands on the other as the client sent it.

use crate::model::Network;
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Request extension: who is at the other end, as far as it can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

/// Request extension: it came over TLS, to this gateway or to a trusted proxy. A request without it came in plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secure;

/// The header in which trusted proxies say for whom they ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, and `X-Forwarded-Proto` beside it.
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<Network>,
    header: ForwardedHeader,
}

/// Entries of a chain that are looked at: longer ones are nonsense.
const MAX_HOPS: usize = 16;

impl TrustedProxies {
    pub const fn new(networks: Vec<Network>, header: ForwardedHeader) -> Self {
        Self { networks, header }
    }

    pub fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// The client behind a trusted proxy, and whether it asked over TLS. Call it only when the peer is trusted.
    pub fn behind(&self, proxy: IpAddr, headers: &HeaderMap) -> (ClientAddress, bool) {
        let (client, https) = match self.header {
            ForwardedHeader::XForwardedFor => {
                let hops = entries(headers, "x-forwarded-for").map(address);
                let nearest = entries(headers, "x-forwarded-proto").next();
                (self.walk(proxy, hops), nearest.is_some_and(|proto| proto.eq_ignore_ascii_case("https")))
            }
            ForwardedHeader::Forwarded => {
                let hops = entries(headers, "forwarded").map(|element| parameter(element, "for").and_then(address));
                let nearest = entries(headers, "forwarded").next().and_then(|element| parameter(element, "proto"));
                (self.walk(proxy, hops), nearest.is_some_and(|proto| proto.eq_ignore_ascii_case("https")))
            }
        };
        (ClientAddress(client), https)
    }

    /// The first hop that isn't ours; an entry that can't be read ends the way at the last that could.
    fn walk(&self, proxy: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut last = proxy;
        for hop in hops.take(MAX_HOPS) {
            let Some(hop) = hop else { return last };
            last = hop;
            if !self.trusts(hop) {
                return last;
            }
        }
        last
    }
}

/// The members of a list header, over all of its lines, the last one first.
fn entries<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().rev();
    lines.flat_map(|line: &HeaderValue| line.to_str().unwrap_or("unreadable").rsplit(',')).map(str::trim)
}

/// `for="[2001:db8::1]:4711"` of a `Forwarded` element.
fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let value = pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()?;
    Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// An address, with or without a port; IPv6 ones may stand in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let plain = || text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok().filter(IpAddr::is_ipv6);
    plain().or_else(with_port).or_else(bracketed).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(header: ForwardedHeader) -> TrustedProxies {
        TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()], header)
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn the_client_is_the_first_from_the_right_that_is_not_ours() {
        for (lines, client) in [
            (&[] as &[&str], "10.0.0.1"),
            (&["203.0.113.7"], "203.0.113.7"),
            (&["1.2.3.4, 203.0.113.7"], "203.0.113.7"),
            (&["1.2.3.4", "203.0.113.7"], "203.0.113.7"),
            (&["203.0.113.7, 10.1.1.1"], "203.0.113.7"),
            (&["203.0.113.7,10.1.1.1 ,  10.2.2.2"], "203.0.113.7"),
            (&["203.0.113.7:4711"], "203.0.113.7"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["::ffff:203.0.113.7"], "203.0.113.7"),
            (&["10.9.9.9"], "10.9.9.9"),
            (&["203.0.113.7, nonsense"], "10.0.0.1"),
            (&["nonsense, 203.0.113.7"], "203.0.113.7"),
            (&["nonsense, 10.1.1.1"], "10.1.1.1"),
            (&["203.0.113.7, "], "10.0.0.1"),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            let (found, https) = proxies(ForwardedHeader::XForwardedFor).behind("10.0.0.1".parse().unwrap(), &headers(&lines));
            assert_eq!((found, https), (ClientAddress(client.parse().unwrap()), false), "{lines:?}");
        }
        let long = vec!["10.1.1.1"; 1000].join(",");
        let (found, _) = proxies(ForwardedHeader::XForwardedFor)
            .behind("10.0.0.1".parse().unwrap(), &headers(&[("x-forwarded-for", &format!("203.0.113.7,{long}"))]));
        assert_eq!(found.0.to_string(), "10.1.1.1");
    }

    #[test]
    fn forwarded_is_read_by_its_own_rules() {
        for (line, client, https) in [
            ("for=203.0.113.7", "203.0.113.7", false),
            ("For=\"203.0.113.7:47\";proto=https;by=10.0.0.1", "203.0.113.7", true),
            ("for=1.2.3.4;proto=https, for=203.0.113.7;proto=http", "203.0.113.7", false),
            ("proto=https; for=\"[2001:db8::1]:4711\"", "2001:db8::1", true),
            ("for=203.0.113.7, for=_hidden", "10.0.0.1", false),
            ("for=203.0.113.7, for=unknown", "10.0.0.1", false),
            ("by=203.0.113.7", "10.0.0.1", false),
        ] {
            let (found, secure) =
                proxies(ForwardedHeader::Forwarded).behind("10.0.0.1".parse().unwrap(), &headers(&[("forwarded", line)]));
            assert_eq!((found, secure), (ClientAddress(client.parse().unwrap()), https), "{line}");
        }
    }

    #[test]
    fn only_the_configured_header_is_read() {
        let both = headers(&[("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=2.2.2.2"), ("x-forwarded-proto", "https")]);
        let proxy = "10.0.0.1".parse().unwrap();
        let (client, https) = proxies(ForwardedHeader::XForwardedFor).behind(proxy, &both);
        assert_eq!((client.0.to_string().as_str(), https), ("1.1.1.1", true));
        let (client, https) = proxies(ForwardedHeader::Forwarded).behind(proxy, &both);
        assert_eq!((client.0.to_string().as_str(), https), ("2.2.2.2", false));
        assert!(!proxies(ForwardedHeader::Forwarded).trusts("203.0.113.7".parse().unwrap()));
    }
}
