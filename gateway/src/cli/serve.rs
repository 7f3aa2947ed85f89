//! `portico serve`

use super::{Common, log, run_gateway};
use crate::{app::App, config::Config};

pub fn run(common: &Common) -> anyhow::Result<()> {
    let config = common.load(&Config::default())?;
    let logging = log::start(&config.log)?;
    run_gateway(async {
        let app = App::start(config).await?;
        logging.count_drops(app.metrics());
        tracing::info!(listen = %app.address(), admin = %app.admin_address(), "listening");
        app.run().await
    })
}
