//! Which features a call needs, down to its fields.
//!
//! Invariant: decided from `configure`'s answer alone, before anything is called; the error names the missing feature.

use super::wordpress;
use crate::model::{
    Action, BackupCreate, Configuration, Contents, DeploymentSource, EnvironmentUpdate, Error, Kind, Mutation, Preparation,
    Query, SiteCreate, SiteKind, SiteUpdate, WordpressChange,
};

pub fn require_query(configuration: &Configuration, query: &Query) -> Result<(), Error> {
    require_action(configuration, query.action())
}

pub fn require_preparation(configuration: &Configuration, preparation: &Preparation) -> Result<(), Error> {
    require_action(configuration, preparation.action())
}

/// Of work that runs at the upstream already.
pub fn require_cancel(configuration: &Configuration) -> Result<(), Error> {
    require(configuration, "operations.cancel")
}

/// An action that no feature stands for is carried by those of its fields.
pub fn require_action(configuration: &Configuration, action: Action) -> Result<(), Error> {
    behind(action).map_or(Ok(()), |feature| require(configuration, feature))
}

pub fn require_mutation(configuration: &Configuration, mutation: &Mutation) -> Result<(), Error> {
    // `create` is one feature plus one for each optional field, as far as the contract names them.
    require_action(configuration, mutation.action())?;
    fields(mutation).into_iter().try_for_each(|field| require(configuration, field))
}

/// The feature of an action: its own name, but where the contract lets one feature stand for several calls, or none for one.
const fn behind(action: Action) -> Option<&'static str> {
    match action {
        Action::DeploymentsCommit | Action::DeploymentsUpload => Some(Action::DeploymentsPlan.as_str()),
        Action::WordpressSecurityUpdate => None,
        action => Some(action.as_str()),
    }
}

fn require(configuration: &Configuration, feature: &str) -> Result<(), Error> {
    if configuration.features.has(feature) {
        return Ok(());
    }
    let message = format!("this connection's provider doesn't support {feature}");
    Err(Error::new(Kind::Unsupported, message).with_field(feature))
}

fn fields(mutation: &Mutation) -> Vec<&'static str> {
    match mutation {
        Mutation::SitesCreate(input) => site_create(input),
        Mutation::SitesUpdate { input, .. } => site_update(input),
        Mutation::EnvironmentsUpdate { input, .. } => environment_update(input),
        Mutation::DeploymentsCreate { input, .. } => vec![match input.source {
            DeploymentSource::Git { .. } => "deployments.create.git",
            DeploymentSource::Zip { .. } => "deployments.create.zip",
        }],
        Mutation::BackupsCreate { input, .. } => backup_create(input),
        Mutation::BackupsRestore { input, .. } => given(&[
            (input.environment.is_some(), "backups.restore.environment"),
            (!is_everything(input.contents), "backups.restore.contents"),
        ]),
        Mutation::DomainsCreate { input, .. } => given(&[(input.environment.is_some(), "domains.create.environment")]),
        Mutation::Wordpress(mutation) => match &mutation.change {
            WordpressChange::Security(change) => given(&wordpress::security_fields(change)),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn given(pairs: &[(bool, &'static str)]) -> Vec<&'static str> {
    pairs.iter().filter(|(is_given, _)| *is_given).map(|(_, feature)| *feature).collect()
}

fn site_create(input: &SiteCreate) -> Vec<&'static str> {
    given(&[
        (input.kind == SiteKind::Plain, "sites.create.kind.plain"),
        (input.kind == SiteKind::Static, "sites.create.kind.static"),
        (input.domain.is_some(), "sites.create.domain"),
        (input.environment.is_some(), "sites.create.environment"),
        (input.php_version.is_some(), "sites.create.php_version"),
        (input.wordpress_version.is_some(), "sites.create.wordpress_version"),
        (input.locale.is_some(), "sites.create.locale"),
        (input.title.is_some(), "sites.create.title"),
        (input.admin.is_some(), "sites.create.admin"),
        (input.region.is_some(), "sites.create.region"),
        (input.template.is_some(), "sites.create.template"),
    ])
}

fn site_update(input: &SiteUpdate) -> Vec<&'static str> {
    given(&[
        (input.name.is_some(), "sites.update.name"),
        (input.php_version.is_some(), "sites.update.php_version"),
        (input.wordpress_version.is_some(), "sites.update.wordpress_version"),
    ])
}

fn environment_update(input: &EnvironmentUpdate) -> Vec<&'static str> {
    given(&[
        (input.name.is_some(), "environments.update.name"),
        (input.php_version.is_some(), "environments.update.php_version"),
        (input.wordpress_version.is_some(), "environments.update.wordpress_version"),
    ])
}

fn backup_create(input: &BackupCreate) -> Vec<&'static str> {
    let kind = match input.kind {
        crate::model::BackupKind::Full => "backups.create.kind.full",
        crate::model::BackupKind::Database => "backups.create.kind.database",
        crate::model::BackupKind::Files => "backups.create.kind.files",
    };
    given(&[(true, kind), (input.environment.is_some(), "backups.create.environment")])
}

const fn is_everything(contents: Contents) -> bool {
    contents.database && contents.files && contents.plugins && contents.themes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Features, SecurityChange, WordpressMutation, WordpressTarget};

    fn check(features: &[&str], mutation: &Mutation, missing: Option<&str>) {
        let configuration = Configuration {
            features: Features(features.iter().map(|&name| name.to_owned()).collect()),
            upstreams: Vec::new(),
            recovery: Default::default(),
            cache: Default::default(),
        };
        let refused = require_mutation(&configuration, mutation).err();
        assert_eq!(refused.as_ref().and_then(|error| error.field.as_deref()), missing);
        assert!(refused.is_none_or(|error| error.kind == Kind::Unsupported));
    }

    #[test]
    fn names_the_first_missing_feature() {
        let backup = |kind| Mutation::BackupsCreate {
            site: "1".into(),
            input: BackupCreate { environment: None, kind, description: None },
        };
        let full = backup(crate::model::BackupKind::Full);
        check(&[], &full, Some("backups.create"));
        check(&["backups.create"], &full, Some("backups.create.kind.full"));
        check(&["backups.create", "backups.create.kind.full"], &full, None);
        let update = SiteUpdate { php_version: Some("8.3".into()), ..SiteUpdate::default() };
        let update = Mutation::SitesUpdate { site: "1".into(), input: update };
        check(&["sites.update", "sites.update.name"], &update, Some("sites.update.php_version"));
        check(&["sites.update", "sites.update.php_version"], &update, None);
        let update = EnvironmentUpdate { name: Some("qa".into()), ..EnvironmentUpdate::default() };
        let update = Mutation::EnvironmentsUpdate { site: "1".into(), environment: "e".into(), input: update };
        check(&["environments.update"], &update, Some("environments.update.name"));
        check(&["environments.update", "environments.update.name"], &update, None);
        let source = DeploymentSource::Zip { zip_url: "https://a.example/z".into() };
        let input = crate::model::DeploymentCreate { environment: None, source, message: None };
        let create = Mutation::DeploymentsCreate { site: "1".into(), input };
        check(&["deployments.create", "deployments.create.git"], &create, Some("deployments.create.zip"));
        check(&["deployments.create", "deployments.create.zip"], &create, None);
        let commit = Mutation::DeploymentsCommit { site: "1".into(), plan: "p".into(), message: None };
        check(&["deployments.create"], &commit, Some("deployments.plan"));
        check(&["deployments.plan"], &commit, None);
    }

    #[test]
    fn each_field_of_security_is_a_feature_and_the_action_is_none() {
        let change = SecurityChange { file_edit: Some(false), debug: Some(true), ..SecurityChange::default() };
        let target = WordpressTarget { site: "1".into(), environment: None };
        let update = Mutation::Wordpress(WordpressMutation { target, change: WordpressChange::Security(change) });
        check(&["wordpress.security.get"], &update, Some("wordpress.security.file_edit"));
        check(&["wordpress.security.file_edit"], &update, Some("wordpress.security.debug"));
        check(&["wordpress.security.file_edit", "wordpress.security.debug"], &update, None);
    }
}
