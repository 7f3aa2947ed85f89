//! `portico token create | list | revoke`
//!
//! Invariant: a token's value goes to standard output, once, and nowhere else.

use super::{Common, runtime};
use crate::{
    app::open_recording,
    clock,
    config::Config,
    model::{Error, Network, OrganizationId, Role, Slug, Timestamp},
    policy::{TokenWish, Tokens},
    store::{self, Cause, Organization, SqliteStore, Store, TokenRecord, TokenStore as _},
};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use std::sync::Arc;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Tokens, or members, that are read at once.
const PAGE: u32 = 200;

#[derive(Subcommand)]
pub enum Command {
    /// Make a token and print it, once
    ///
    /// Works beside a running gateway. The organization is made if it doesn't exist.
    Create(Box<Create>),
    /// List an organization's tokens, without their values
    List {
        #[command(flatten)]
        common: Common,
        /// The organization's slug
        #[arg(long, short)]
        organization: String,
    },
    /// Revoke a token; a running gateway refuses it within five seconds
    Revoke {
        #[command(flatten)]
        common: Common,
        /// The organization's slug
        #[arg(long, short)]
        organization: String,
        /// The token's id, or how its value begins, as `list` shows both
        token: String,
    },
}

#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    common: Common,
    /// The organization's slug (a-z, 0-9, -)
    #[arg(long, short)]
    organization: String,
    /// What the token is for
    #[arg(long, short, default_value = "cli")]
    name: String,
    /// Days until it expires; never, when it is left out
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    days: Option<u32>,
    /// viewer, operator, admin or owner
    #[arg(long, default_value = "owner", value_parser = role)]
    role: Role,
    /// read, write, or a group with either, such as sites:read; several times for several [default: write]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A connection that it is for; several times for several [default: all]
    #[arg(long = "connection", value_name = "ID", value_parser = slug)]
    connections: Vec<Slug>,
    /// An address or a network (203.0.113.0/24) that it may be used from; several times for several [default: everywhere]
    #[arg(long = "allow-ip", value_name = "NETWORK", value_parser = network)]
    networks: Vec<Network>,
}

fn role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|()| format!("one of {}", Role::ALL.map(Role::as_str).join(", ")))
}

fn slug(text: &str) -> Result<Slug, String> {
    Slug::parse(text).map_err(|error| error.to_string())
}

fn network(text: &str) -> Result<Network, String> {
    text.parse()
}

pub fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Create(asked) => create(*asked),
        Command::List { common, organization } => list(&common, &organization),
        Command::Revoke { common, organization, token } => revoke(&common, &organization, &token),
    }
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the token goes to standard output, and nothing else does")]
fn create(asked: Create) -> anyhow::Result<()> {
    let config = asked.common.load(&Config::default())?;
    let organization = organization_slug(&asked.organization)?;
    runtime()?.block_on(async {
        let store = open_recording(&config).await?;
        let owner = find_or_make(&store, organization).await?;
        let expires_at = asked.days.map(|days| clock::now().plus_millis(i64::from(days) * DAY_MS));
        let wish = TokenWish {
            name: asked.name,
            role: Some(asked.role),
            scopes: some(asked.scopes.clone()),
            connections: some(asked.connections),
            networks: Some(asked.networks),
            expires_at,
        };
        let cause = Arc::new(Cause::new(Some(owner.id), "operator", "tokens.create"));
        let made = store::caused_by(cause, Tokens::create_as_operator(&store, owner.id, wish)).await;
        store.close().await;
        let (token, record) = made.map_err(|error| at_option(error, &asked.scopes))?;
        println!("{}", *token);
        let until = expires_at.map_or_else(|| "it doesn't expire".to_owned(), |at| format!("it expires at {at}"));
        eprintln!("Token {} of {}; {until}. It is shown this once: keep it safe.", record.prefix, owner.slug);
        Ok(())
    })
}

/// None: nothing was given.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// Names the option as it was given, where the words don't.
fn at_option(error: Error, scopes: &[String]) -> anyhow::Error {
    let field = error.field.as_deref();
    let index = field.and_then(|field| field.strip_prefix("scopes[")?.strip_suffix(']')?.parse::<usize>().ok());
    match index.and_then(|index| scopes.get(index)) {
        Some(scope) => anyhow::Error::new(error).context(format!("--scope {scope:?}")),
        None => error.into(),
    }
}

#[expect(clippy::print_stdout, reason = "the list is what the command is for")]
fn list(common: &Common, organization: &str) -> anyhow::Result<()> {
    with_tokens(common, organization, async |_, tokens| {
        println!("{:36}  {:10}  {:8}  {:24}  {:24}  name", "id", "prefix", "role", "expires", "last used");
        for token in tokens {
            let time = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
            let (role, expires, used) = (token.role.as_str(), time(token.expires_at), time(token.last_used_at));
            println!("{:36}  {:10}  {role:8}  {expires:24}  {used:24}  {}", token.id, token.prefix, token.name);
        }
        Ok(())
    })
}

#[expect(clippy::print_stderr, reason = "says what was done")]
fn revoke(common: &Common, organization: &str, wanted: &str) -> anyhow::Result<()> {
    with_tokens(common, organization, async |store, tokens| {
        let fits = |token: &&TokenRecord| token.id.to_string() == wanted || token.prefix == wanted;
        let token = match tokens.iter().filter(fits).collect::<Vec<_>>()[..] {
            [] => bail!("{organization} has no token {wanted}: `portico token list` shows what it has"),
            [token] => token,
            _ => bail!("several tokens begin with {wanted}: give the id, which `portico token list` shows"),
        };
        let cause = Cause::new(Some(token.organization), "operator", "tokens.delete").about(format!("/tokens/{}", token.id));
        store::caused_by(Arc::new(cause), store.token_delete(token.organization, token.id)).await?;
        eprintln!("Token {} ({}) is revoked; a running gateway refuses it within five seconds.", token.prefix, token.name);
        Ok(())
    })
}

/// Opens the store, reads the organization's tokens, and closes it whatever comes of the work.
fn with_tokens(
    common: &Common,
    organization: &str,
    work: impl AsyncFnOnce(&SqliteStore, Vec<TokenRecord>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let config = common.load(&Config::default())?;
    let slug = organization_slug(organization)?;
    runtime()?.block_on(async {
        let store = open_recording(&config).await?;
        let outcome = match all_tokens(&store, &slug).await {
            Ok(tokens) => work(&store, tokens).await,
            Err(error) => Err(error),
        };
        store.close().await;
        outcome
    })
}

async fn all_tokens(store: &SqliteStore, slug: &Slug) -> anyhow::Result<Vec<TokenRecord>> {
    let organization = existing(store, slug).await?;
    let mut all: Vec<TokenRecord> = Vec::new();
    loop {
        let page = store.tokens(organization.id, all.last().map(|last| last.id), PAGE).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// For commands that make none.
pub async fn existing(store: &dyn Store, slug: &Slug) -> anyhow::Result<Organization> {
    let found = store.organization_by_slug(slug).await?;
    found.with_context(|| format!("there is no organization {slug}: `portico user list` names those that people are in"))
}

pub fn organization_slug(text: &str) -> anyhow::Result<Slug> {
    Slug::parse(text).with_context(|| format!("--organization {text:?}"))
}

/// Tells which of both on standard error: where people may register by themselves, the name may be somebody else's.
#[expect(clippy::print_stderr, reason = "standard output is for what was made")]
pub async fn find_or_make(store: &dyn Store, slug: Slug) -> anyhow::Result<Organization> {
    if let Some(found) = store.organization_by_slug(&slug).await? {
        eprintln!("There is an organization {} since {}; {}.", found.slug, found.created_at, owners(store, found.id).await?);
        return Ok(found);
    }
    let name = slug.as_str().to_owned();
    let organization = Organization { id: OrganizationId(uuid::Uuid::now_v7()), slug, name, created_at: clock::now() };
    store.organization_insert(&organization).await?;
    eprintln!("Made the organization {}.", organization.slug);
    Ok(organization)
}

/// Those of its first page of members.
async fn owners(store: &dyn Store, organization: OrganizationId) -> anyhow::Result<String> {
    let members = store.members(organization, None, PAGE).await?;
    let owners: Vec<_> = members.iter().filter(|one| one.role == Role::Owner).map(|one| one.email.as_str()).collect();
    Ok(match owners.as_slice() {
        [] => "nobody who logs in owns it".to_owned(),
        some => format!("it is owned by {}", some.join(", ")),
    })
}
