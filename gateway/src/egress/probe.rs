//! Probing: what works and what fails on the way to an upstream, step by step.
//!
//! In goes a bound upstream; out come checks in the order in which a request would meet them, ending at the first failure.
//! Invariant: it goes the same way as a request (same resolution, same grants, same trust), and sends no request but a session's
//! login: a probe changes nothing at the upstream and shows no address of an internal name.

use super::{
    Flow, Lane,
    bind::Upstream,
    connector::{Place, Target},
    tls,
};
use crate::model::Error;
use rustls::ClientConfig;
use serde::Serialize;
use std::{net::SocketAddr, sync::Arc};
use tokio::time::Instant;

/// One step of the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// `grant`, `dns`, `connect`, `tls` or `login`.
    pub name: &'static str,
    pub ok: bool,
    /// What was found, or what to do.
    pub detail: String,
}

impl Check {
    fn good(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, ok: true, detail: detail.into() }
    }

    fn bad(name: &'static str, error: Error) -> Self {
        if let Some(internal) = &error.internal {
            tracing::info!(internal, "a check of a connection failed: {}", error.message);
        }
        Self { name, ok: false, detail: error.message }
    }
}

pub(super) async fn probe(upstream: &Upstream) -> Vec<Check> {
    let mut checks = Vec::with_capacity(4);
    // The checks before the failed one stay; the failed one ends the list.
    match walk(&upstream.target, &mut checks).await {
        Ok(()) => checks.extend(login(upstream).await),
        Err(failed) => checks.push(failed),
    }
    checks
}

/// Whoever asks may have mended what a login was refused for, so it is tried.
async fn login(upstream: &Upstream) -> Option<Check> {
    upstream.session.as_ref()?.forgive();
    let deadline = Instant::now() + upstream.shared.config.total_timeout();
    let outcome = async {
        let mut turn = upstream.limits.turn(Flow::present(Lane::Reads), deadline).await?;
        upstream.sign_in(Flow::present(Lane::Reads), deadline, &mut turn).await
    };
    Some(match outcome.await {
        Ok(_) => Check::good("login", format!("{} accepts the login", upstream.target.label)),
        Err(error) => Check::bad("login", error),
    })
}

async fn walk(target: &Target, checks: &mut Vec<Check>) -> Result<(), Check> {
    let label = &target.label;
    let addresses = match &target.place {
        Place::Socket { path, .. } => {
            checks.push(Check::good("grant", format!("{label} is granted")));
            target.open_socket(path).await.map_err(|error| Check::bad("connect", error))?;
            checks.push(Check::good("connect", format!("{label} accepts connections")));
            return Ok(());
        }
        Place::Host { host, port, allowance } => {
            let found = target.resolve(host, *port, allowance).await;
            let step = |error: &Error| if error.code() == "grant_missing" { "grant" } else { "dns" };
            found.map_err(|error| Check::bad(step(&error), error))?
        }
    };
    checks.push(Check::good("dns", format!("{label} has {} usable addresses", addresses.len())));
    checks.push(Check::good("grant", format!("{label} may be reached")));
    connect(target, &addresses, checks).await
}

async fn connect(target: &Target, addresses: &[SocketAddr], checks: &mut Vec<Check>) -> Result<(), Check> {
    let label = &target.label;
    let stream = target.connect(addresses).await.map_err(|error| Check::bad("connect", error))?;
    checks.push(Check::good("connect", format!("{label} accepts connections")));
    if let Some(config) = &target.tls {
        checks.push(handshake(target, stream, config).await?);
    }
    Ok(())
}

async fn handshake(target: &Target, stream: tokio::net::TcpStream, config: &Arc<ClientConfig>) -> Result<Check, Check> {
    let stream = target.handshake(stream, config).await.map_err(|error| Check::bad("tls", error))?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let fingerprint = certificate.map(tls::fingerprint).unwrap_or_default();
    Ok(Check::good("tls", format!("the certificate is trusted (SHA-256 {fingerprint})")))
}
