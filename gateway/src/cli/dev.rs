//! `portico dev`

use super::{Common, log, run_gateway};
use crate::{
    app::{
        App,
        demo::{self, Demo},
    },
    config::{Config, Log, LogFormat},
    policy::{LimitsConfig, Mode, RegistrationConfig},
};

pub fn run(common: &Common) -> anyhow::Result<()> {
    let defaults = Config {
        log: Log { format: LogFormat::Text, level: "info,access=warn".to_owned() },
        grants: demo::grants(),
        limits: LimitsConfig::unhurried(),
        registration: RegistrationConfig { mode: Mode::Open },
        ..Config::default()
    };
    let config = common.load(&defaults)?;
    let logging = log::start(&config.log)?;
    run_gateway(async {
        let token_file = config.data_dir.join("dev-token");
        let app = App::start(config).await?;
        logging.count_drops(app.metrics());
        let demo = demo::prepare(&app).await?;
        greet(&app, &demo, &token_file);
        app.run().await
    })
}

#[expect(clippy::print_stdout, reason = "the greeting is what the command is for")]
fn greet(app: &App, demo: &Demo, token_file: &std::path::Path) {
    let (api, admin) = (format!("{}://{}", app.scheme(), app.address()), app.admin_address());
    let Demo { token, connection, .. } = demo;
    println!(
        r#"
Portico is listening on {api} (try it: {api}/docs, metrics: http://{admin}/metrics). Ctrl-C stops it.

People log in, too: POST /auth/register makes an account, with an organization of its own.

  export PORTICO={api}/api/v1
  export TOKEN={token}          # also in {file}

Paste these, one after the other:
{again}
  # 1. create a site on the sandbox, and wait until its operation has finished
  curl -sSw '\n' -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -H 'Prefer: wait=20' \
       -d '{{"connection": "{connection}", "name": "My first site"}}' $PORTICO/sites

  # 2. take its id from the list of all sites
  SITE=$(curl -sS -H "Authorization: Bearer $TOKEN" $PORTICO/sites | sed 's/.*"data":\[{{"id":"\([^"]*\)".*/\1/'); echo $SITE

  # 3. back it up in the background, and watch the operation finish
  OP=$(curl -sS -X POST -H "Authorization: Bearer $TOKEN" -H 'Prefer: respond-async' $PORTICO/sites/$SITE/backups | sed 's/.*"id":"\(op_[0-9a-f]*\)".*/\1/')
  curl -sSw '\n' -H "Authorization: Bearer $TOKEN" "$PORTICO/operations/$OP?wait=20s"

  # 4. add a domain, see what DNS record it wants
  curl -sSw '\n' -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{{"name": "www.example.com"}}' $PORTICO/sites/$SITE/domains

  # 5. delete the site
  curl -sSw '\n' -X DELETE -H "Authorization: Bearer $TOKEN" -H 'Prefer: wait=20' $PORTICO/sites/$SITE
"#,
        file = token_file.display(),
        again = again(demo)
    );
}

/// The line that comes before the others when the connection that is made at the first start was deleted.
fn again(demo: &Demo) -> String {
    if demo.is_there {
        return String::new();
    }
    format!(
        r#"
  # 0. the sandbox connection was deleted, so make another
  curl -sSw '\n' -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
       -d '{{"id": "{}", "provider": "sandbox", "name": "Sandbox"}}' $PORTICO/connections
"#,
        demo.connection
    )
}
