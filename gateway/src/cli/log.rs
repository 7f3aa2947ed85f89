//! Sets logging up: a bounded writer that drops rather than waits, and counts what it dropped.

mod lines;

use crate::{
    access_log::{self, Form},
    config::{Log, LogFormat},
    metrics::Metrics,
};
use anyhow::{Context as _, bail};
use lines::{Lines, Output};
use std::{io::Write as _, sync::Arc, time::Duration};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Keeps the writer alive; lines still waiting are written when it is dropped, unless nobody reads them.
pub struct Logging {
    _output: Output,
    lines: Lines,
}

pub fn start(log: &Log) -> anyhow::Result<Logging> {
    let (lines, output) = lines::to(std::io::stderr()).context("can't start the thread that writes the log")?;
    let filter = filter(&log.level)?;
    let (form, access) = (form(log.format), lines.clone());
    access_log::install(form, move |line| access.push(line));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines.clone());
    match log.format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
    }
    Ok(Logging { _output: output, lines })
}

/// A bare word that is no level would be taken for the name of a target, and leave out the lines of all others.
fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    let mut words = level.split(',').filter(|word| !word.is_empty() && !word.contains(['=', '[']));
    if let Some(wrong) = words.find(|word| word.parse::<LevelFilter>().is_err()) {
        bail!(
            "`log.level` is {level:?}, and {wrong:?} is no level: give error, warn, info, debug, trace or off, and after a comma \
             (without a space) what is special for some lines, such as access=off"
        );
    }
    EnvFilter::try_new(level).with_context(|| format!("`log.level` is {level:?}, which is no filter: give a level, say info"))
}

/// Writes a line to standard error, whether there is a log or not.
pub fn say(line: &str) {
    match lines::to(std::io::stderr()) {
        Ok((lines, _output)) => lines.push(line.as_bytes()),
        // Without a thread of its own it may wait; and nobody is left to be told that it failed.
        Err(_) => drop(std::io::stderr().write_all(line.as_bytes())),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for good in ["info", "WARN", "off", "", "info,access=off", "portico::egress=debug", "info,[request]=trace"] {
            assert!(filter(good).is_ok(), "{good:?} was refused");
        }
        for (bad, wrong) in
            [("wran", "\"wran\""), ("info,acces", "\"acces\""), ("info, warn", "\" warn\""), ("info,access=of", "no filter")]
        {
            let error = format!("{:#}", filter(bad).err().unwrap());
            assert!(error.contains(wrong) && error.contains("info"), "{bad:?}: {error}");
        }
    }
}
