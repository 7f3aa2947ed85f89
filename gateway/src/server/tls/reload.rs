//! A renewed certificate is taken without a restart.
//!
//! In go the two files, looked at every few seconds and on SIGHUP; out comes the pair for new handshakes. Invariant: only a
//! whole, valid pair replaces the one in use; connections and their sessions stay, and a bad pair is told once, with its reason,
//! in the log and in a metric.

use super::{
    Tls,
    pair::{Content, Pair},
};
use crate::clock;
use anyhow::{Context as _, ensure};
use std::{sync::Arc, time::Duration};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(2);

/// What was seen of the files, by fingerprint; none while they can't be read.
#[derive(Default)]
struct Seen {
    last: Option<[u8; 32]>,
    used: Option<[u8; 32]>,
    refused: Option<Option<[u8; 32]>>,
}

/// Watches the files until `shutdown`.
pub async fn watch(tls: Arc<Tls>, shutdown: CancellationToken) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup()).context("can't listen for SIGHUP")?;
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = Seen { used: Some(tls.fingerprint), last: Some(tls.fingerprint), ..Seen::default() };
    loop {
        let asked = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = every.tick() => false,
            _ = hangup.recv() => true,
        };
        seen.look(&tls, asked).await;
    }
}

impl Seen {
    async fn look(&mut self, tls: &Arc<Tls>, asked: bool) {
        let files = tls.files.clone();
        let read = tokio::task::spawn_blocking(move || files.read()).await;
        let content = read.context("the task that reads the pair failed").and_then(|content| content);
        let now = content.as_ref().ok().map(Content::fingerprint);
        // Certificate and key are replaced one after the other: wait until they stay as they are.
        let settled = std::mem::replace(&mut self.last, now) == now;
        let known = (now.is_some() && now == self.used) || self.refused == Some(now);
        if !asked && (known || !settled) {
            return;
        }
        match content.and_then(|content| usable(tls, &content)) {
            Ok(pair) => {
                tls.take(&pair);
                (self.used, self.refused) = (now, None);
                tls.metrics.tls_reloads.with_label_values(&["ok"]).inc();
                let expires = clock::from_unix(pair.not_after);
                tracing::info!(%expires, certificate = %tls.files.certificate.display(), "took the TLS certificate");
            }
            Err(error) => {
                self.refused = Some(now);
                tls.metrics.tls_reloads.with_label_values(&["failed"]).inc();
                tracing::error!("the TLS certificate stays as it was, the new one can't be used: {error:#}");
            }
        }
    }
}

/// A pair that would be refused by every client doesn't replace one that works.
fn usable(tls: &Tls, content: &Content) -> anyhow::Result<Pair> {
    let pair = tls.files.parse(content, &tls.provider)?;
    let now = clock::now();
    let path = tls.files.certificate.display();
    let (from, until) = (clock::from_unix(pair.not_before), clock::from_unix(pair.not_after));
    ensure!(now < until, "`tls.certificate` {path} expired at {until}");
    ensure!(now >= from, "`tls.certificate` {path} is valid from {from}, which is to come");
    Ok(pair)
}
