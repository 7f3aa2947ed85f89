//! `portico user`

use super::{Common, runtime, token};
use crate::{
    app::{open_recording, open_store},
    config::Config,
    model::{Role, Slug},
    policy::{Asker, Email, Passwords, PasswordsConfig, generate_password, new_user},
    store::{self, Cause, MemberRecord, Organization, PasswordChange, SqliteStore, UserStore as _},
};
use anyhow::{Context as _, bail};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What a new user is.
pub struct NewUser<'a> {
    pub organization: &'a str,
    pub email: &'a str,
    pub name: Option<&'a str>,
    pub role: Role,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the password goes to standard output, and nothing else does")]
pub fn create(common: &Common, new: &NewUser<'_>) -> anyhow::Result<()> {
    let config = common.load(&Config::default())?;
    let slug = token::organization_slug(new.organization)?;
    let email = address(new.email)?;
    let name = new.name.unwrap_or(&email.address).to_owned();
    runtime()?.block_on(async {
        let store = open_recording(&config).await?;
        if store.user_by_email(&email.key).await?.is_some() {
            bail!(
                "there is a user {}: `portico user reset` gives a new password, and invitations lead to more organizations",
                new.email
            );
        }
        let organization = token::find_or_make(&store, slug).await?;
        let (password, kept) = generated().await?;
        let user = new_user(email, name, kept);
        let cause = Cause::new(Some(organization.id), "operator", "users.create").about(format!("/members/{}", user.id));
        store::caused_by(Arc::new(cause), store.user_register(&user, &organization, new.role)).await?;
        store.close().await;
        println!("{}", *password);
        eprintln!(
            "{} is {} of {}. The password is shown this once: it can be changed after the first login.",
            user.email,
            new.role.as_str(),
            organization.slug
        );
        Ok(())
    })
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the password goes to standard output, and nothing else does")]
pub fn reset(common: &Common, email: &str) -> anyhow::Result<()> {
    let config = common.load(&Config::default())?;
    let email = address(email)?;
    runtime()?.block_on(async {
        let store = open_recording(&config).await?;
        let user = store.user_by_email(&email.key).await?;
        let user = user.with_context(|| format!("there is no user {}: `portico user list` shows them", email.address))?;
        let (password, kept) = generated().await?;
        let memberships = store.user_memberships(user.id).await?;
        let cause = Cause::new(None, "operator", "users.reset").about(format!("/members/{}", user.id));
        let reset = async {
            // The user is the same person in all of them.
            store::concerns(memberships.iter().map(|membership| membership.organization.id));
            store.user_set_password(user.id, &kept, PasswordChange::Operator).await
        };
        if !store::caused_by(Arc::new(cause), reset).await? {
            bail!("{} was deleted meanwhile", user.email);
        }
        store.close().await;
        println!("{}", *password);
        eprintln!("The new password of {}, shown this once. All sessions of this user have ended.", user.email);
        Ok(())
    })
}

#[expect(clippy::print_stdout, reason = "the list is what the command is for")]
pub fn list(common: &Common, organization: Option<&str>) -> anyhow::Result<()> {
    let config = common.load(&Config::default())?;
    let slug = organization.map(token::organization_slug).transpose()?;
    runtime()?.block_on(async {
        let store = open_store(&config).await?;
        let everyone = members(&store, slug.as_ref()).await;
        store.close().await;
        let everyone = everyone?;
        println!("organization\trole\taddress\tsince");
        for (of, member) in everyone {
            println!("{}\t{}\t{}\t{}", of.slug, member.role.as_str(), member.email, member.created_at);
        }
        Ok(())
    })
}

/// Of this organization, or of all.
async fn members(store: &SqliteStore, slug: Option<&Slug>) -> anyhow::Result<Vec<(Organization, MemberRecord)>> {
    if let Some(slug) = slug {
        token::existing(store, slug).await?;
    }
    let everyone = store.everyone().await?;
    Ok(everyone.into_iter().filter(|(of, _)| slug.is_none_or(|slug| of.slug == *slug)).collect())
}

fn address(text: &str) -> anyhow::Result<Email> {
    Email::parse(text).with_context(|| format!("{text:?} is not an e-mail address"))
}

async fn generated() -> anyhow::Result<(Zeroizing<String>, String)> {
    let password = generate_password()?;
    let kept = Passwords::new(&PasswordsConfig::default()).hash(Asker::Operator, password.clone()).await?;
    Ok((password, kept))
}
