//! `portico check`

use super::{Common, log, runtime};
use crate::{app::App, config::Config};
use std::net::{Ipv4Addr, SocketAddr};

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub fn run(common: &Common) -> anyhow::Result<()> {
    let mut config = common.load(&Config::default())?;
    // The gateway may be running: its ports are its own, so the check takes others.
    config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.admin_listen = config.listen;
    let _logging = log::start(&config.log)?;
    runtime()?.block_on(async {
        let app = App::start(config).await?;
        for provider in app.dispatch.providers().all() {
            let description = provider.description();
            println!("provider {} {}: {}", description.name, description.version, description.summary);
        }
        println!("configuration, data folder and providers are in order");
        Ok(())
    })
}
