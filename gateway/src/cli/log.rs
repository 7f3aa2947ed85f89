//! Sets logging up: a bounded writer that drops rather than waits, and counts what it dropped.

use crate::{
    config::{Log, LogFormat},
    metrics::Metrics,
};
use anyhow::Context as _;
use std::{sync::Arc, time::Duration};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Keeps the writer alive; lines still waiting are written when it is dropped.
pub struct Logging {
    _guard: WorkerGuard,
    dropped: ErrorCounter,
}

pub fn start(log: &Log) -> anyhow::Result<Logging> {
    let (writer, guard) = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(16 * 1024).finish(std::io::stderr());
    let dropped = writer.error_counter();
    let filter = EnvFilter::try_new(&log.level).with_context(|| format!("`log.level` is not a filter: {:?}", log.level))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match log.format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
    }
    Ok(Logging { _guard: guard, dropped })
}

impl Logging {
    /// Carries the number of dropped lines into the metrics from time to time.
    pub fn count_drops(&self, metrics: Arc<Metrics>) {
        let counter = self.dropped.clone();
        tokio::spawn(async move {
            let mut every = tokio::time::interval(Duration::from_secs(5));
            loop {
                every.tick().await;
                let total = counter.dropped_lines() as u64;
                metrics.log_lines_dropped.inc_by(total.saturating_sub(metrics.log_lines_dropped.get()));
            }
        });
    }
}
