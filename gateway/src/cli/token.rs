//! `portico token create`

use super::{Common, runtime};
use crate::{
    app::open_store,
    clock,
    config::Config,
    model::{OrganizationId, Slug},
    policy::mint_token,
    store::{self, Cause, Organization, Store},
};
use anyhow::Context as _;
use std::sync::Arc;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the token goes to standard output, and nothing else does")]
pub fn create(common: &Common, organization: &str, name: &str, days: Option<u32>) -> anyhow::Result<()> {
    let config = common.load(&Config::default())?;
    let slug = Slug::parse(organization).with_context(|| format!("--organization {organization:?}"))?;
    runtime()?.block_on(async {
        let store = open_store(&config).await?;
        let owner = find_or_make(&store, slug).await?;
        let expires_at = days.map(|days| clock::now().plus_millis(i64::from(days) * DAY_MS));
        let (token, record) = mint_token(owner.id, name, expires_at)?;
        let cause = Cause::new(Some(owner.id), "operator", "tokens.create").about(format!("/tokens/{}", record.id));
        store::caused_by(Arc::new(cause), store.token_insert(&record)).await?;
        store.close().await;
        println!("{}", *token);
        let until = expires_at.map_or_else(|| "it doesn't expire".to_owned(), |at| format!("it expires at {at}"));
        eprintln!("Token {} of {}; {until}. It is shown this once: keep it safe.", record.prefix, owner.slug);
        Ok(())
    })
}

async fn find_or_make(store: &dyn Store, slug: Slug) -> anyhow::Result<Organization> {
    if let Some(found) = store.organization_by_slug(&slug).await? {
        return Ok(found);
    }
    let name = slug.as_str().to_owned();
    let organization = Organization { id: OrganizationId(uuid::Uuid::now_v7()), slug, name, created_at: clock::now() };
    store.organization_insert(&organization).await?;
    Ok(organization)
}
