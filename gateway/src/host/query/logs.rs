//! The last lines of a site's logs.
//!
//! Invariant: no more lines than were asked for; their bytes are bounded as those of every answer.

use crate::{
    host::{
        call::{Running, ask},
        convert,
        trap::broken,
    },
    model::{Error, LogLine},
};
use portico_bindings::exports::portico::provider::sites::LogRequest;

pub(super) async fn last(
    running: Running,
    site: &str,
    environment: Option<&String>,
    source: Option<&String>,
    lines: u32,
) -> Result<Vec<LogLine>, Error> {
    let request = LogRequest { environment: environment.cloned(), source: source.cloned(), lines };
    let (running, answer) = ask!(running, sites.call_logs(site, &request));
    running.rest();
    if answer.len() > lines as usize {
        return Err(broken(format_args!("{} lines of a log where {lines} were asked for", answer.len())));
    }
    answer.into_iter().map(convert::log_line).collect()
}
