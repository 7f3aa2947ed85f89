//! `portico check`

use super::{Common, log, runtime};
use crate::{app::App, config::Config};

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub fn run(common: &Common) -> anyhow::Result<()> {
    let config = common.load(&Config::default())?;
    let _logging = log::start(&config.log)?;
    runtime()?.block_on(async {
        let dispatch = App::check(&config).await?;
        for provider in dispatch.providers().all() {
            let description = provider.description();
            println!("provider {} {}: {}", description.name, description.version, description.summary);
        }
        println!("configuration, certificate, data folder and providers are in order");
        Ok(())
    })
}
