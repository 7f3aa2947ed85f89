//! Sets logging up: a bounded writer that drops rather than waits, and counts what it dropped.

mod lines;

use crate::{
    access_log::{self, Form},
    config::{Log, LogFormat},
    metrics::Metrics,
};
use anyhow::Context as _;
use lines::{Lines, Output};
use std::{sync::Arc, time::Duration};
use tracing_subscriber::EnvFilter;

/// Keeps the writer alive; lines still waiting are written when it is dropped.
pub struct Logging {
    _output: Output,
    lines: Lines,
}

pub fn start(log: &Log) -> anyhow::Result<Logging> {
    let (lines, output) = lines::to(std::io::stderr()).context("can't start the thread that writes the log")?;
    let filter = EnvFilter::try_new(&log.level).with_context(|| format!("`log.level` is not a filter: {:?}", log.level))?;
    let (form, access) = (form(log.format), lines.clone());
    access_log::install(form, move |line| access.push(line));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines.clone());
    match log.format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
    }
    Ok(Logging { _output: output, lines })
}

const fn form(format: LogFormat) -> Form {
    match format {
        LogFormat::Text => Form::Text,
        LogFormat::Json => Form::Json,
    }
}

impl Logging {
    /// Carries the number of dropped lines into the metrics from time to time.
    pub fn count_drops(&self, metrics: Arc<Metrics>) {
        let lines = self.lines.clone();
        tokio::spawn(async move {
            let mut every = tokio::time::interval(Duration::from_secs(5));
            loop {
                every.tick().await;
                metrics.log_lines_dropped.inc_by(lines.dropped().saturating_sub(metrics.log_lines_dropped.get()));
            }
        });
    }
}
