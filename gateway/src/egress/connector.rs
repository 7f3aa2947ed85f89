//! The connector: the only place where an outbound socket is opened.
//!
//! In goes a [`Target`] that was bound; out comes a connected socket, after TLS where it is https. Invariant: names are
//! resolved here, every address is judged by the operator's grants, and the socket goes to exactly an address that passed,
//! so a name that resolves differently the next moment gains nothing. It knows no HTTP.

use super::{
    address::Network,
    grant::{Allowance, Denied},
    socket::Socket,
    tls,
};
use crate::model::{Error, Kind};
use futures_util::future::BoxFuture;
use http::Uri;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Of the addresses of a name so many are tried.
const MAX_ADDRESSES: usize = 4;

/// Where one upstream is, and what is allowed there.
pub(super) struct Target {
    pub place: Place,
    /// Some for https.
    pub tls: Option<Arc<ClientConfig>>,
    connect_timeout: Duration,
    /// For messages: host and port, never a path.
    pub label: String,
}

pub(super) enum Place {
    Host { host: url::Host<String>, port: u16, allowance: Allowance },
    Socket { name: String, path: PathBuf },
}

impl Target {
    pub(super) fn new(place: Place, tls: Option<Arc<ClientConfig>>, connect_timeout: Duration) -> Self {
        let label = match &place {
            Place::Host { host, port, .. } => format!("{host}:{port}"),
            Place::Socket { name, .. } => format!("the socket {name:?}"),
        };
        Self { place, tls, connect_timeout, label }
    }

    async fn open(&self) -> Result<Socket, Error> {
        self.open_with(self.tls.as_ref()).await
    }

    /// For who drives the connection itself.
    pub(super) async fn open_http1(&self) -> Result<Socket, Error> {
        self.open_with(self.tls.as_ref().map(tls::http1_only).as_ref()).await
    }

    async fn open_with(&self, tls: Option<&Arc<ClientConfig>>) -> Result<Socket, Error> {
        let stream = match &self.place {
            Place::Socket { path, .. } => return self.open_socket(path).await,
            Place::Host { host, port, allowance } => self.connect(&self.resolve(host, *port, allowance).await?).await?,
        };
        let Some(config) = tls else { return Ok(Socket::new(stream, false)) };
        let stream = self.handshake(stream, config).await?;
        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Socket::new(stream, h2))
    }

    pub(super) async fn open_socket(&self, path: &PathBuf) -> Result<Socket, Error> {
        let stream = self.within(UnixStream::connect(path)).await?;
        let stream = stream.map_err(|error| {
            let why = if error.kind() == io::ErrorKind::NotFound { "isn't there" } else { "refuses connections" };
            unavailable(format!("{} {why}; check that its service runs", self.label), &error)
        })?;
        Ok(Socket::new(stream, false))
    }

    /// The addresses that may be connected to.
    pub(super) async fn resolve(
        &self,
        host: &url::Host<String>,
        port: u16,
        allowance: &Allowance,
    ) -> Result<Vec<SocketAddr>, Error> {
        let addresses: Vec<SocketAddr> = match host {
            url::Host::Ipv4(address) => vec![(*address, port).into()],
            url::Host::Ipv6(address) => vec![(*address, port).into()],
            url::Host::Domain(name) => {
                let found = self.within(tokio::net::lookup_host((name.as_str(), port))).await?;
                found
                    .map_err(|error| unavailable(format!("the name {name} can't be resolved; check it for typos"), &error))?
                    .collect()
            }
        };
        if addresses.is_empty() {
            return Err(Error::new(Kind::Unavailable, format!("the name {host} has no address")));
        }
        self.judge(host, allowance, addresses)
    }

    /// Keeps those addresses that may be reached; an error if there is none.
    fn judge(&self, host: &url::Host<String>, allowance: &Allowance, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Error> {
        let plain = self.tls.is_none();
        let (mut allowed, mut denied) = (Vec::new(), Vec::new());
        for address in found {
            match allowance.permits(address.ip(), plain) {
                Ok(()) => allowed.push(address),
                Err(why) => denied.push((address.ip(), why)),
            }
        }
        if !allowed.is_empty() {
            allowed.truncate(MAX_ADDRESSES);
            return Ok(allowed);
        }
        Err(refused(host, allowance, &denied, plain))
    }

    pub(super) async fn connect(&self, addresses: &[SocketAddr]) -> Result<TcpStream, Error> {
        let mut last = None;
        for address in addresses {
            match self.within(TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true).map_err(|error| unavailable(self.label.clone(), &error))?;
                    return Ok(stream);
                }
                Ok(Err(error)) => last = Some(unavailable(format!("{} {}", self.label, connect_words(&error)), &error)),
                Err(late) => last = Some(late),
            }
        }
        Err(last.unwrap_or_else(|| Error::new(Kind::Unavailable, format!("{} has no address", self.label))))
    }

    pub(super) async fn handshake(&self, stream: TcpStream, config: &Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, Error> {
        let Place::Host { host, .. } = &self.place else {
            return Err(Error::gateway("TLS was asked for on a Unix socket"));
        };
        let name = match host {
            url::Host::Domain(name) => ServerName::try_from(name.clone())
                .map_err(|_| Error::new(Kind::InvalidInput, format!("{name} is not a name that a certificate can hold")))?,
            url::Host::Ipv4(address) => ServerName::from(IpAddr::V4(*address)),
            url::Host::Ipv6(address) => ServerName::from(IpAddr::V6(*address)),
        };
        let connector = TlsConnector::from(Arc::clone(config));
        let done = self.within(connector.connect(name, stream)).await?;
        done.map_err(|error| tls::handshake_failed(&self.label, &error))
    }

    async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        timeout(self.connect_timeout, work).await.map_err(|_| {
            let seconds = self.connect_timeout.as_secs();
            Error::new(Kind::Timeout, format!("{} couldn't be reached in {seconds} s", self.label))
        })
    }
}

/// A refusal with the grant that is missing.
fn refused(host: &url::Host<String>, allowance: &Allowance, denied: &[(IpAddr, Denied)], plain: bool) -> Error {
    let inside = denied.iter().filter(|(_, why)| why.block().is_some());
    let mut networks: Vec<Network> = inside.map(|(address, _)| Network::single(*address)).collect();
    if let (url::Host::Domain(name), false) = (host, networks.is_empty()) {
        return refused_name(name, allowance, denied, plain);
    }
    networks.truncate(1);
    let what = denied.iter().find_map(|(_, why)| if let Denied::Reserved(reserved) = why { Some(reserved.what) } else { None });
    let why = what.map_or_else(|| "can't be reached over plain http".to_owned(), |what| format!("is at a {what} address"));
    allowance.missing(&host.to_string(), &why, &networks, plain).with_internal(addresses(denied))
}

/// What an internal name server answers is not for tenants: they could learn from it which names there are, and in which networks.
/// The log has that, and the lines to add.
fn refused_name(name: &str, allowance: &Allowance, denied: &[(IpAddr, Denied)], plain: bool) -> Error {
    let mut networks: Vec<Network> = Vec::new();
    for block in denied.iter().filter_map(|(_, why)| why.block()) {
        if !networks.contains(&block.network) {
            networks.push(block.network);
        }
    }
    let lines = allowance.missing(name, "isn't at a public address", &networks, plain).message;
    let beside = if plain { " and http" } else { "" };
    let message = format!("{name} isn't at a public address; ask the operator for a grant with its network{beside}");
    let internal = format!("it is at {}: {lines}", addresses(denied));
    Error::new(Kind::Forbidden, message).with_code("grant_missing").with_internal(internal)
}

fn addresses(denied: &[(IpAddr, Denied)]) -> String {
    denied.iter().map(|(address, _)| address.to_string()).collect::<Vec<_>>().join(", ")
}

/// The refusal of a host that is an address, before anything is sent; names are judged when they are resolved.
pub(super) fn check_literal(host: &url::Host<String>, allowance: &Allowance, plain: bool) -> Result<(), Error> {
    let address = match host {
        url::Host::Domain(name) if plain && !allowance.knows_http() => {
            return Err(allowance.missing(name, "can't be reached over plain http", &[], true));
        }
        url::Host::Domain(_) => return Ok(()),
        url::Host::Ipv4(address) => IpAddr::V4(*address),
        url::Host::Ipv6(address) => IpAddr::V6(*address),
    };
    allowance.permits(address, plain).map_err(|why| refused(host, allowance, &[(address, why)], plain))
}

fn unavailable(message: String, error: &io::Error) -> Error {
    Error::new(Kind::Unavailable, message).with_internal(error)
}

fn connect_words(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refuses connections; check the port, and that its service runs",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "can't be reached from here",
        _ => "can't be connected to",
    }
}

/// What hyper's client calls for a new connection. The URI is ignored: where to go was settled when the upstream was bound.
#[derive(Clone)]
pub(super) struct Connector(pub Arc<Target>);

impl tower::Service<Uri> for Connector {
    type Response = Socket;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Socket, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let target = Arc::clone(&self.0);
        Box::pin(async move { target.open().await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::{Grant, tests};

    fn judge(grants: &[&str], plain: bool, found: &[&str]) -> Result<Vec<String>, Error> {
        let grants: Vec<Grant> = grants.iter().map(|grant| toml::from_str(grant).unwrap()).collect();
        let host = url::Host::Domain("api.example".to_owned());
        let allowance = tests::allowance(&grants);
        let tls = (!plain).then(|| tls::client_config(&crate::model::TlsTrust::default()).unwrap());
        let found = found.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 443)).collect();
        let place = Place::Host { host: host.clone(), port: 443, allowance: allowance.clone() };
        let target = Target::new(place, tls, Duration::from_secs(1));
        target.judge(&host, &allowance, found).map(|kept| kept.iter().map(|address| address.ip().to_string()).collect())
    }

    #[test]
    fn of_a_names_addresses_only_those_that_passed_are_tried() {
        let private = "organization = \"*\"\nprovider = \"*\"\nnetworks = [\"10.0.0.0/8\"]";
        let mixed = ["127.0.0.1", "1.1.1.1", "10.0.0.1", "::1", "2606:4700::1111"];
        assert_eq!(judge(&[], false, &mixed).unwrap(), ["1.1.1.1", "2606:4700::1111"]);
        assert_eq!(judge(&[private], false, &mixed).unwrap(), ["1.1.1.1", "10.0.0.1", "2606:4700::1111"]);
        assert_eq!(judge(&[], false, &["1.1.1.1"; 9]).unwrap().len(), MAX_ADDRESSES);
        let error = judge(&[], true, &["1.1.1.1"]).unwrap_err();
        assert!(error.message.ends_with("upstream = \"api\"\nhttp = true"), "{}", error.message);
    }

    /// Who could learn the block could map an internal network by its names.
    #[test]
    fn the_refusal_of_an_internal_name_is_the_same_wherever_it_is() {
        let private = "organization = \"*\"\nprovider = \"*\"\nnetworks = [\"10.0.0.0/8\"]";
        for (grants, plain, found, lines) in [
            (&[][..], false, &["127.0.0.1", "::1", "127.0.0.2"][..], "networks = [\"127.0.0.0/8\", \"::1/128\"]"),
            (&[], false, &["192.168.0.1"], "networks = [\"192.168.0.0/16\"]"),
            (&[], true, &["10.0.0.1", "1.1.1.1"], "networks = [\"10.0.0.0/8\"]\nhttp = true"),
            (&[private], true, &["10.0.0.1"], "networks = [\"10.0.0.0/8\"]\nhttp = true"),
        ] {
            let error = judge(grants, plain, found).unwrap_err();
            let beside = if plain { " and http" } else { "" };
            let told = format!("api.example isn't at a public address; ask the operator for a grant with its network{beside}");
            assert_eq!((error.code(), error.message.as_str()), ("grant_missing", told.as_str()));
            // The operator needs it.
            let internal = error.internal.unwrap();
            assert!(internal.ends_with(lines) && internal.contains(found[0]), "{internal}");
        }
    }
}
