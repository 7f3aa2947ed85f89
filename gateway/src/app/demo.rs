//! The demo organization of `portico dev`: a sandbox connection, and a token to start with.
//!
//! Invariant: made once and found again at the next start; the token file is readable by its owner alone.

use super::App;
use crate::{
    clock,
    dispatch::NewConnection,
    egress::{Grant, Guard},
    model::{OrganizationId, Slug, TlsTrust},
    policy::mint_token,
    store::{self, Cause, Organization, Store as _, TokenStore as _},
};
use anyhow::Context as _;
use std::{fs, path::Path, sync::Arc};

const ORGANIZATION: &str = "demo";
const SANDBOX: &str = "sandbox";

/// What there is to begin with.
pub struct Demo {
    pub token: String,
    /// A connection to the sandbox. When all of them were deleted: an id for another.
    pub connection: Slug,
    pub is_there: bool,
}

/// Makes what is missing.
pub async fn prepare(app: &App) -> anyhow::Result<Demo> {
    let organization = organization(app).await?;
    let slug = Slug::parse(SANDBOX)?;
    // Once deleted, it stays away: its id can't be used again.
    if !app.dispatch.slug_was_used(organization.id, &slug).await? {
        let new = NewConnection {
            slug,
            provider: SANDBOX.to_owned(),
            name: "Sandbox".to_owned(),
            settings: serde_json::json!({}),
            secrets: Default::default(),
            tls: TlsTrust::default(),
        };
        let draft =
            app.dispatch.new_connection(organization.id, new).await.context("can't configure the sandbox connection")?;
        app.dispatch.create_connection(draft).await.context("can't make the sandbox connection")?;
    }
    let token = token(app, organization.id).await?;
    let all = app.dispatch.connections(organization.id).await?;
    let of_sandbox = all.iter().filter(|one| one.record.provider == SANDBOX).map(|one| &one.record.slug);
    // The one that was made here, if there is a choice.
    let connection = of_sandbox.min_by_key(|slug| slug.as_str() != SANDBOX);
    let is_there = connection.is_some();
    let connection = match connection {
        Some(slug) => slug.clone(),
        None => unused(app, organization.id).await?,
    };
    Ok(Demo { token, connection, is_there })
}

/// An id that no connection has or had.
async fn unused(app: &App, organization: OrganizationId) -> anyhow::Result<Slug> {
    let mut number = 2;
    loop {
        let slug = Slug::parse(&format!("{SANDBOX}-{number}"))?;
        if !app.dispatch.slug_was_used(organization, &slug).await? {
            return Ok(slug);
        }
        number += 1;
    }
}

async fn organization(app: &App) -> anyhow::Result<Organization> {
    let slug = Slug::parse(ORGANIZATION)?;
    if let Some(organization) = app.store.organization_by_slug(&slug).await? {
        return Ok(organization);
    }
    let organization =
        Organization { id: OrganizationId(uuid::Uuid::now_v7()), slug, name: "Demo".to_owned(), created_at: clock::now() };
    app.store.organization_insert(&organization).await?;
    Ok(organization)
}

async fn token(app: &App, organization: OrganizationId) -> anyhow::Result<String> {
    let file = app.config.data_dir.join("dev-token");
    match fs::read_to_string(&file) {
        Ok(token) => Ok(token.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let (token, record) = mint_token(organization, "dev", None)?;
            let cause = Cause::new(Some(organization), "operator", "tokens.create").about(format!("/tokens/{}", record.id));
            store::caused_by(Arc::new(cause), app.store.token_insert(&record)).await?;
            super::private::write(&file, format!("{}\n", *token).as_bytes())?;
            Ok(token.to_string())
        }
        Err(error) => Err(error).with_context(|| format!("can't read {}", file.display())),
    }
}

/// What `portico dev` grants: loopback upstreams over http, and the machine's own Docker Engine where there is one.
pub fn grants() -> Vec<Grant> {
    let nothing = Grant {
        organization: "*".to_owned(),
        provider: "*".to_owned(),
        component: None,
        upstream: None,
        networks: Vec::new(),
        http: false,
        socket: None,
        socket_name: None,
        guard: None,
    };
    let networks = ["127.0.0.0/8", "::1/128"].iter().filter_map(|network| network.parse().ok()).collect();
    let mut grants = vec![Grant { networks, http: true, ..nothing.clone() }];
    let engine = Path::new("/var/run/docker.sock");
    if engine.exists() {
        grants.push(Grant {
            organization: ORGANIZATION.to_owned(),
            provider: "docker".to_owned(),
            socket: Some(engine.to_owned()),
            socket_name: Some("engine".to_owned()),
            guard: Some(Guard::DockerEngine),
            ..nothing
        });
    }
    grants
}
