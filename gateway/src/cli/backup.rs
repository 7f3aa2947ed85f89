//! `portico backup`

use super::{Common, runtime};
use crate::{
    app::{self, Saved},
    config::{Config, KeySource},
};
use std::path::Path;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "how far it is goes to standard error, how it ended to output")]
pub fn run(common: &Common, destination: &Path) -> anyhow::Result<()> {
    let config = common.load(&Config::default())?;
    let mut tell = |line: String| eprintln!("{line}");
    let saved = runtime()?.block_on(app::backup(&config, destination, &mut tell))?;
    let Saved { bytes, schema, keys } = saved;
    println!("{} holds the whole database: {bytes} bytes, schema {schema}, checked", destination.display());
    println!("What else to keep:");
    let ids = keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    let place = match config.keys.source {
        KeySource::File => format!(" ({})", config.key_file().display()),
        KeySource::Environment | KeySource::Command => String::new(),
    };
    println!("- master key {ids}{place}, apart from this copy: secrets open with nothing else");
    if let Some(file) = &common.config {
        println!("- the configuration: {}", file.display());
    }
    if let Some(folder) = &config.providers.dir {
        println!("- the providers' components: {}", folder.display());
    }
    Ok(())
}
