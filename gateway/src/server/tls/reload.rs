//! A renewed certificate is taken without a restart.
//!
//! In go the two files, looked at every few seconds and on SIGHUP; out comes the pair for new handshakes. Invariant: only a
//! whole, valid pair replaces the one in use; connections and their sessions stay, and a bad pair is told once, with its reason,
//! in the log and in a metric. One whose time is to come is looked at again then.

use super::{
    Tls,
    pair::{Content, Pair},
};
use crate::{clock, model::Timestamp};
use anyhow::{Context as _, anyhow};
use std::{sync::Arc, time::Duration};
use tokio::{signal::unix::Signal, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(2);

/// What was seen of the files, by fingerprint; none while they can't be read.
#[derive(Default)]
struct Seen {
    last: Option<[u8; 32]>,
    used: Option<[u8; 32]>,
    refused: Option<Refused>,
}

struct Refused {
    content: Option<[u8; 32]>,
    /// From when it is valid, where nothing else is wrong with it.
    again: Option<Timestamp>,
}

impl Refused {
    fn stands(&self, content: Option<[u8; 32]>) -> bool {
        self.content == content && self.again.is_none_or(|again| clock::now() < again)
    }
}

/// Why a pair isn't taken.
struct Unusable {
    why: anyhow::Error,
    again: Option<Timestamp>,
}

impl From<anyhow::Error> for Unusable {
    fn from(why: anyhow::Error) -> Self {
        Self { why, again: None }
    }
}

/// Watches the files until `shutdown`, and looks at once when the gateway is told to by `hangup`.
pub async fn watch(tls: Arc<Tls>, mut hangup: Signal, shutdown: CancellationToken) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = Seen { used: Some(tls.fingerprint), last: Some(tls.fingerprint), ..Seen::default() };
    loop {
        let asked = tokio::select! {
            () = shutdown.cancelled() => return,
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
        let known = (now.is_some() && now == self.used) || self.refused.as_ref().is_some_and(|refused| refused.stands(now));
        if !asked && (known || !settled) {
            return;
        }
        match content.map_err(Unusable::from).and_then(|content| usable(tls, &content)) {
            Ok(pair) => {
                tls.take(&pair);
                (self.used, self.refused) = (now, None);
                tls.metrics.tls_reloads.with_label_values(&["ok"]).inc();
                let expires = clock::from_unix(pair.not_after);
                tracing::info!(%expires, certificate = %tls.files.certificate.display(), "took the TLS certificate");
            }
            Err(Unusable { why, again }) => {
                self.refused = Some(Refused { content: now, again });
                tls.metrics.tls_reloads.with_label_values(&["failed"]).inc();
                tracing::error!("the TLS certificate stays as it was, the new one can't be used: {why:#}");
            }
        }
    }
}

/// A pair that would be refused by every client doesn't replace one that works.
fn usable(tls: &Tls, content: &Content) -> Result<Pair, Unusable> {
    let pair = tls.files.parse(content, &tls.provider)?;
    let now = clock::now();
    let path = tls.files.certificate.display();
    let (from, until) = (clock::from_unix(pair.not_before), clock::from_unix(pair.not_after));
    if now >= until {
        return Err(anyhow!("`tls.certificate` {path} expired at {until}").into());
    }
    if now < from {
        let why = anyhow!("`tls.certificate` {path} is valid from {from}, which is to come");
        return Err(Unusable { why, again: Some(from) });
    }
    Ok(pair)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{metrics::Metrics, server::tls::TlsConfig};
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    fn write(folder: &Path, from: i32, until: i32) {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(folder.join("certificate.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        fs::set_permissions(folder.join("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[tokio::test]
    async fn a_certificate_is_looked_at_again_when_its_time_has_come() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| Some(folder.path().join(name));
        write(folder.path(), 2020, 2090);
        let config = TlsConfig { certificate: file("certificate.pem"), key: file("key.pem"), ..TlsConfig::default() };
        let tls = Tls::load(&config, &Arc::new(Metrics::new().unwrap())).unwrap().unwrap();
        let failed = || tls.metrics.tls_reloads.with_label_values(&["failed"]).get();
        let mut seen = Seen { used: Some(tls.fingerprint), last: Some(tls.fingerprint), ..Seen::default() };
        write(folder.path(), 2080, 2090);
        for _ in 0..5 {
            seen.look(&tls, false).await;
        }
        assert_eq!(failed(), 1, "it is told once");
        let refused = seen.refused.as_mut().unwrap();
        // 2080-01-01.
        assert_eq!(refused.again, Some(clock::from_unix(3_471_292_800)));
        // As if that were now: the certificate itself still says no, but it is asked.
        refused.again = Some(clock::now());
        seen.look(&tls, false).await;
        assert_eq!(failed(), 2, "it is never looked at again");
        // What is wrong for good is not.
        write(folder.path(), 2010, 2020);
        for _ in 0..5 {
            seen.look(&tls, false).await;
        }
        assert_eq!((failed(), seen.refused.unwrap().again), (3, None));
    }
}
