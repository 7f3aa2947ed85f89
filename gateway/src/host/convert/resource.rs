//! Sites, backups and domains: from the contract's records to the model's.
//!
//! Invariant: ids leave here escaped and, for sites, whole; `native` is JSON, byte for byte.

use super::{check_id, native, time};
use crate::model::{
    Backup, BackupKind, BackupStatus, Certificate, Contents, DnsRecord, Domain, DomainStatus, Environment, EnvironmentKind,
    Error, LogLine, Site, SiteKind, SiteStatus, SiteUsage, escape,
};
use portico_bindings::{exports::portico::provider::sites, portico::provider::types};
use std::{collections::BTreeMap, sync::Arc};

/// Whose resources they are.
#[derive(Clone)]
pub(in crate::host) struct Scope {
    pub(in crate::host) connection: Arc<str>,
    pub(in crate::host) provider: Arc<str>,
}

impl Scope {
    /// The whole id of a site.
    pub(super) fn whole(&self, native: &str) -> String {
        [&*self.connection, "~", &escape(native)].concat()
    }
}

pub(in crate::host) fn site(scope: &Scope, site: types::Site) -> Result<Site, Error> {
    check_id("site", &site.id)?;
    Ok(Site {
        id: scope.whole(&site.id),
        connection: scope.connection.clone(),
        provider: scope.provider.clone(),
        name: site.name,
        slug: site.slug,
        kind: match site.kind {
            types::SiteKind::Wordpress => SiteKind::Wordpress,
            types::SiteKind::Plain => SiteKind::Plain,
            types::SiteKind::StaticFiles => SiteKind::Static,
        },
        status: status(site.status),
        url: site.url,
        wordpress_version: site.wordpress_version,
        php_version: site.php_version,
        environments: site.environments.into_iter().map(environment).collect::<Result<_, _>>()?,
        usage: site.usage.map(usage),
        labels: BTreeMap::new(),
        created_at: time(site.created_at)?,
        updated_at: time(site.updated_at)?,
        native: native(site.native)?,
    })
}

pub(in crate::host) const fn site_kind(kind: SiteKind) -> types::SiteKind {
    match kind {
        SiteKind::Wordpress => types::SiteKind::Wordpress,
        SiteKind::Plain => types::SiteKind::Plain,
        SiteKind::Static => types::SiteKind::StaticFiles,
    }
}

const fn status(status: types::SiteStatus) -> SiteStatus {
    match status {
        types::SiteStatus::Provisioning => SiteStatus::Provisioning,
        types::SiteStatus::Running => SiteStatus::Running,
        types::SiteStatus::Stopped => SiteStatus::Stopped,
        types::SiteStatus::Suspended => SiteStatus::Suspended,
        types::SiteStatus::Deleting => SiteStatus::Deleting,
        types::SiteStatus::Error => SiteStatus::Error,
        types::SiteStatus::Unknown => SiteStatus::Unknown,
    }
}

pub(in crate::host) const fn usage(usage: types::SiteUsage) -> SiteUsage {
    SiteUsage { storage: usage.storage, bandwidth: usage.bandwidth, visits: usage.visits }
}

pub(in crate::host) fn log_line(line: sites::LogLine) -> Result<LogLine, Error> {
    Ok(LogLine { at: time(line.at)?, source: line.source, text: line.text })
}

pub(in crate::host) const fn environment_kind(kind: EnvironmentKind) -> types::EnvironmentKind {
    match kind {
        EnvironmentKind::Production => types::EnvironmentKind::Production,
        EnvironmentKind::Staging => types::EnvironmentKind::Staging,
        EnvironmentKind::Development => types::EnvironmentKind::Development,
    }
}

pub(in crate::host) fn environment(environment: types::Environment) -> Result<Environment, Error> {
    check_id("environment", &environment.id)?;
    Ok(Environment {
        id: escape(&environment.id),
        name: environment.name,
        kind: match environment.kind {
            types::EnvironmentKind::Production => EnvironmentKind::Production,
            types::EnvironmentKind::Staging => EnvironmentKind::Staging,
            types::EnvironmentKind::Development => EnvironmentKind::Development,
        },
        status: status(environment.status),
        url: environment.url,
        primary_domain: environment.primary_domain,
        php_version: environment.php_version,
        wordpress_version: environment.wordpress_version,
        native: native(environment.native)?,
    })
}

/// `of`: the native id of the site.
pub(in crate::host) fn backup(scope: &Scope, of: &str, backup: types::Backup) -> Result<Backup, Error> {
    check_id("backup", &backup.id)?;
    let present = &backup.contents;
    Ok(Backup {
        id: escape(&backup.id),
        site: scope.whole(of),
        environment: backup.environment.as_deref().map(escape),
        kind: match backup.kind {
            types::BackupKind::Full => BackupKind::Full,
            types::BackupKind::Database => BackupKind::Database,
            types::BackupKind::Files => BackupKind::Files,
        },
        status: match backup.status {
            types::BackupStatus::Pending => BackupStatus::Pending,
            types::BackupStatus::Running => BackupStatus::Running,
            types::BackupStatus::Completed => BackupStatus::Completed,
            types::BackupStatus::Failed => BackupStatus::Failed,
            types::BackupStatus::Deleting => BackupStatus::Deleting,
        },
        contents: Contents {
            database: present.database,
            files: present.files,
            plugins: present.plugins,
            themes: present.themes,
        },
        description: backup.description,
        size: backup.size,
        created_at: time(backup.created_at)?,
        completed_at: time(backup.completed_at)?,
        native: native(backup.native)?,
    })
}

pub(in crate::host) const fn backup_kind(kind: BackupKind) -> types::BackupKind {
    match kind {
        BackupKind::Full => types::BackupKind::Full,
        BackupKind::Database => types::BackupKind::Database,
        BackupKind::Files => types::BackupKind::Files,
    }
}

pub(in crate::host) const fn contents(contents: &Contents) -> types::Contents {
    types::Contents { database: contents.database, files: contents.files, plugins: contents.plugins, themes: contents.themes }
}

/// `of`: the native id of the site.
pub(in crate::host) fn domain(scope: &Scope, of: &str, domain: types::Domain) -> Result<Domain, Error> {
    check_id("domain", &domain.id)?;
    let record =
        |record: types::DnsRecord| DnsRecord { record_type: record.record_type, name: record.name, value: record.value };
    let certificate = |certificate: types::Certificate| {
        let expires_at = time(certificate.expires_at)?;
        Ok::<_, Error>(Certificate { issuer: certificate.issuer, expires_at, status: certificate.status })
    };
    Ok(Domain {
        id: escape(&domain.id),
        name: domain.name,
        site: scope.whole(of),
        environment: domain.environment.as_deref().map(escape),
        primary: domain.primary,
        status: match domain.status {
            types::DomainStatus::PendingVerification => DomainStatus::PendingVerification,
            types::DomainStatus::Active => DomainStatus::Active,
            types::DomainStatus::Error => DomainStatus::Error,
        },
        verification: domain.verification.into_iter().map(record).collect(),
        certificate: domain.certificate.map(certificate).transpose()?,
        native: native(domain.native)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope { connection: "agency".into(), provider: "sandbox".into() }
    }

    fn guest_site(id: &str, native: Option<&str>) -> types::Site {
        types::Site {
            id: id.into(),
            name: "Shop".into(),
            slug: None,
            kind: types::SiteKind::StaticFiles,
            status: types::SiteStatus::Running,
            url: None,
            wordpress_version: None,
            php_version: None,
            environments: Vec::new(),
            usage: None,
            created_at: Some(0),
            updated_at: None,
            native: native.map(Into::into),
        }
    }

    #[test]
    fn a_site_gets_a_whole_id_and_keeps_native_byte_for_byte() {
        let site = site(&scope(), guest_site("a/b", Some("{\"b\": 1,  \"a\":2}"))).unwrap();
        assert_eq!(site.id, "agency~a=2Fb");
        assert_eq!(site.native.unwrap().get(), "{\"b\": 1,  \"a\":2}");
        assert_eq!(site.created_at.unwrap().to_string(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn what_breaks_the_contract_is_refused() {
        for bad in
            [guest_site("", None), guest_site(&"x".repeat(513), None), guest_site("1", Some("{")), guest_site("1", Some(""))]
        {
            assert!(site(&scope(), bad).is_err());
        }
    }
}
