//! The command line.
//!
//! Invariant: commands are thin: they read configuration, call a room, and print; every failure says what to do next.

mod audit;
mod backup;
mod check;
mod dev;
mod log;
mod provider;
mod secrets;
mod serve;
mod token;
mod user;

use crate::{
    app,
    config::{Config, Overrides},
    model::Role,
};
use clap::{Args, Parser, Subcommand};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// For what still runs on threads of its own when a gateway has ended.
const LEAVING: Duration = Duration::from_secs(1);

/// One API over every host, through sandboxed providers: sites, backups, domains, WordPress, bills, and the work on them.
#[derive(Parser)]
#[command(
    name = "portico",
    version,
    arg_required_else_help = true,
    after_help = "\
Configuration: defaults < file < environment < flags. Every key can be set by environment, with __ between levels:
  PORTICO_LISTEN=127.0.0.1:8081 PORTICO_LOG__LEVEL=debug portico serve

Start here: `portico dev` prints a token and curl lines to paste."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start with embedded defaults: a demo organization, a sandbox connection, a token, everything in ./.portico
    ///
    /// Not for the public: it grants loopback upstreams over plain http, and the demo organization the local Docker Engine.
    Dev(Common),
    /// Start the gateway
    Serve(Common),
    /// Check the configuration and its certificate, look at the data folder and load every provider, without serving
    ///
    /// Changes nothing; works beside a running gateway.
    Check(Common),
    /// Make, list and revoke API tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Check the audit log
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look at and replace the master key
    #[command(subcommand)]
    Secrets(SecretsCommand),
    /// Copy the database, also while the gateway serves
    ///
    /// The copy is whole and checked. It holds no key: keep the master key elsewhere, since secrets open with nothing else.
    Backup {
        #[command(flatten)]
        common: Common,
        /// The file to make; one that exists is never replaced
        #[arg(value_name = "DESTINATION")]
        destination: PathBuf,
    },
    /// Make users, list them, give them new passwords
    #[command(subcommand)]
    User(UserCommand),
    /// Look at and build provider components
    #[command(subcommand)]
    Provider(ProviderCommand),
    /// Compile a component from standard input (internal: how components are compiled in a process of their own)
    #[command(name = "__compile", hide = true)]
    Compile,
}

#[derive(Args)]
struct Common {
    /// The configuration file (TOML); config/portico.toml is the commented example
    #[arg(long, short, env = "PORTICO_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the API listens [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where health and metrics listen [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    /// Database, key and compiled components [default: .portico]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

#[derive(Subcommand)]
enum SecretsCommand {
    /// Tell which master key sealed how much
    Status(Common),
    /// Replace the master key, and seal everything anew, also while the gateway serves
    ///
    /// Backups from before open with the old key alone: have a copy of it first, and keep that as long as you keep them.
    ///
    /// A rotation that was cut off is finished by running it again. With the key in the environment or from a command, give the new and
    /// the old key there, in this order and separated by a space, start the gateway with them (for a command: send it SIGHUP), and run
    /// this with the same. A key that was taken away opens for ten minutes more.
    Rotate {
        #[command(flatten)]
        common: Common,
        /// Leave the old key beside the new one, so that cursors of earlier pages open; run it again without this to end
        #[arg(long)]
        keep_old: bool,
    },
    /// Print a new master key, for the environment or a vault
    Generate,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Find rows of the audit log that were altered, put in, moved or taken out; name the first one
    ///
    /// Each row carries a hash over the row before and itself, under a key that is derived from the master key; a head record under
    /// the same key says which row is the last. So whoever can write the database but hasn't the key is found out, also when the
    /// newest rows are cut off. What can't be found without a note from outside is a whole older database in the place of this one:
    /// note the line that a check prints somewhere else, and give it to the next one.
    ///
    /// Changes nothing; works beside a running gateway. The exit code is 0 when the log is whole.
    Verify {
        #[command(flatten)]
        common: Common,
        /// A row and its hash as an earlier check printed them: it must still be there as it was
        #[arg(long, value_name = "ROW:HASH")]
        noted: Option<String>,
    },
}

#[derive(Subcommand)]
enum UserCommand {
    /// Make a user with a generated password, and print it, once
    ///
    /// Works beside a running gateway. The organization is made if it doesn't exist.
    Create {
        #[command(flatten)]
        common: Common,
        /// The organization's slug (a-z, 0-9, -)
        #[arg(long, short)]
        organization: String,
        /// The address to log in with
        #[arg(long, short)]
        email: String,
        /// The person's name [default: the address]
        #[arg(long, short)]
        name: Option<String>,
        /// viewer, operator, admin or owner
        #[arg(long, short, value_parser = role, default_value = "owner")]
        role: Role,
    },
    /// Give a user a generated password, print it, once, and end all of the user's sessions
    ///
    /// Works beside a running gateway, which takes up to five seconds to notice.
    Reset {
        #[command(flatten)]
        common: Common,
        /// The user's address
        email: String,
    },
    /// List users: organization, role, address, since when
    List {
        #[command(flatten)]
        common: Common,
        /// Only of this organization
        #[arg(long, short)]
        organization: Option<String>,
    },
}

fn role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|()| "viewer, operator, admin or owner".to_owned())
}

#[derive(Subcommand)]
enum ProviderCommand {
    /// Tell what a component imports and exports, whether this gateway loads it, and what it says of itself
    Inspect {
        /// A component (.wasm)
        file: PathBuf,
    },
    /// Build a provider crate into a component
    Build {
        /// The crate's folder
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Where the component goes [default: CRATE.wasm]
        #[arg(long, short)]
        out: Option<PathBuf>,
        /// Keep the names of functions, for the backtraces of traps; the component becomes about a sixth larger
        #[arg(long)]
        names: bool,
    },
}

impl Common {
    fn load(&self, defaults: &Config) -> anyhow::Result<Config> {
        let overrides = Overrides { listen: self.listen, admin_listen: self.admin_listen, data_dir: self.data_dir.clone() };
        Config::load(defaults, self.config.as_deref(), &overrides)
    }
}

/// Runs the command that the process was started with.
pub fn run() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Dev(common) => dev::run(&common),
        Command::Serve(common) => serve::run(&common),
        Command::Check(common) => check::run(&common),
        Command::Token(command) => token::run(command),
        Command::Audit(AuditCommand::Verify { common, noted }) => audit::verify(&common, noted.as_deref()),
        Command::Secrets(SecretsCommand::Status(common)) => secrets::status(&common),
        Command::Secrets(SecretsCommand::Rotate { common, keep_old }) => secrets::rotate(&common, keep_old),
        Command::Secrets(SecretsCommand::Generate) => secrets::generate(),
        Command::Backup { common, destination } => backup::run(&common, &destination),
        Command::User(UserCommand::Create { common, organization, email, name, role }) => {
            let new = user::NewUser { organization: &organization, email: &email, name: name.as_deref(), role };
            user::create(&common, &new)
        }
        Command::User(UserCommand::Reset { common, email }) => user::reset(&common, &email),
        Command::User(UserCommand::List { common, organization }) => user::list(&common, organization.as_deref()),
        Command::Provider(ProviderCommand::Inspect { file }) => provider::inspect(&file),
        Command::Provider(ProviderCommand::Build { folder, out, names }) => provider::build(&folder, out.as_deref(), names),
        Command::Compile => Ok(crate::host::compile_child()?),
    }
}

/// Says on standard error why a command failed, and goes on when nobody reads that.
pub fn tell(error: &anyhow::Error) {
    log::say(&format!("portico: {}\n", app::words(error)));
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// At its end nobody waits long for threads that can't be told to stop.
fn run_gateway(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let ended = runtime.block_on(work);
    runtime.shutdown_timeout(LEAVING);
    ended
}
