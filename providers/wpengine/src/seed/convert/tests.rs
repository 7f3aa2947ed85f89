//! Tables from the seed's own examples.

use super::*;
use portico_sdk::ErrorKind;
use serde_json::json;

fn whole_site() -> Value {
    json!({"id": "site_12345", "name": "My WordPress Site", "environment": "production", "created_at": "2023-01-15T12:00:00Z",
        "updated_at": "2023-03-10T09:45:00Z", "url": "https://mysite.wpengine.com", "status": "active", "php_version": "8.1",
        "wordpress_version": "6.2", "disk_usage": {"used": 2.5, "total": 10, "unit": "GB"},
        "bandwidth": {"current_month": 15.7, "unit": "GB"},
        "environments": [{"name": "production", "url": "https://mysite.wpengine.com"},
            {"name": "staging", "url": "https://stagingmysite.wpengine.com"},
            {"name": "development", "url": "https://devmysite.wpengine.com"}]})
}

#[test]
fn sites() {
    let whole = site(whole_site()).unwrap();
    assert_eq!(
        (whole.id.as_str(), whole.name.as_str(), whole.status),
        ("site_12345", "My WordPress Site", SiteStatus::Running)
    );
    assert_eq!((whole.php_version.as_deref(), whole.wordpress_version.as_deref()), (Some("8.1"), Some("6.2")));
    assert_eq!((whole.created_at, whole.updated_at), (Some(1_673_784_000_000), Some(1_678_441_500_000)));
    assert_eq!(whole.usage, Some(SiteUsage { storage: Some(2_500_000_000), bandwidth: Some(15_700_000_000), visits: None }));
    assert!(whole.native.unwrap().contains("\"total\":10"));
    let environments: Vec<_> = whole.environments.iter().map(|one| (one.id.as_str(), one.kind, one.status)).collect();
    assert_eq!(
        environments,
        [
            ("production", EnvironmentKind::Production, SiteStatus::Running),
            ("staging", EnvironmentKind::Staging, SiteStatus::Unknown),
            ("development", EnvironmentKind::Development, SiteStatus::Unknown),
        ]
    );

    let new = site(json!({"id": "site_54321", "name": "New WordPress Site", "environment": "production",
        "created_at": "2023-04-01T10:30:00Z", "url": "https://newsite.wpengine.com", "status": "provisioning",
        "estimated_completion_time": "2023-04-01T10:45:00Z"}))
    .unwrap();
    assert_eq!((new.status, new.usage, new.environments.len()), (SiteStatus::Provisioning, None, 0));
    assert!(new.native.unwrap().contains("estimated_completion_time"));
    for (word, status) in [
        ("inactive", SiteStatus::Stopped),
        ("deleting", SiteStatus::Deleting),
        ("suspended", SiteStatus::Suspended),
        ("failed", SiteStatus::Error),
        ("other", SiteStatus::Unknown),
    ] {
        assert_eq!(site_status(Some(word)), status);
    }
    assert_eq!(site(json!({"id": 7})).unwrap_err().kind, ErrorKind::Internal);
}

#[test]
fn sizes() {
    for (text, bytes) in [
        ("1.2GB", Some(1_200_000_000)),
        ("1.1 gb", Some(1_100_000_000)),
        ("512MiB", Some(536_870_912)),
        ("17", Some(17)),
        ("0B", Some(0)),
        ("GB", None),
        ("1.2.3GB", None),
        ("-1GB", None),
        ("9999999TB", None),
        ("1 parsec", None),
        ("", None),
    ] {
        assert_eq!(size(text), bytes, "{text}");
    }
}

#[test]
fn backups() {
    let whole =
        backup(json!({"id": "backup_54321", "site_id": "site_12345", "description": "Pre-update backup", "type": "full",
        "status": "completed", "created_at": "2023-03-15T10:30:00Z", "completed_at": "2023-03-15T10:45:00Z", "size": "1.2GB",
        "download_url": "https://wpengineapi.com/v1/sites/site_12345/backups/backup_54321/download",
        "contents": {"database": true, "files": true, "plugins": false, "themes": true}}))
        .unwrap();
    assert_eq!((whole.kind, whole.status, whole.size), (BackupKind::Full, BackupStatus::Completed, Some(1_200_000_000)));
    assert_eq!(whole.contents, ModelContents { database: true, files: true, plugins: false, themes: true });
    let short = backup(json!({"id": "b", "type": "database", "status": "in_progress", "description": "a (op_0)"})).unwrap();
    assert_eq!((short.status, short.description.as_deref()), (BackupStatus::Running, Some("a")));
    assert_eq!(short.contents, ModelContents { database: true, files: false, plugins: false, themes: false });
    for (word, status) in [
        ("pending", BackupStatus::Pending),
        ("failed", BackupStatus::Failed),
        ("deleting", BackupStatus::Deleting),
        ("new word", BackupStatus::Running),
    ] {
        assert_eq!(backup_status(word), status, "{word}");
    }
}

#[test]
fn deployments() {
    let whole = deployment(json!({"id": "deploy_12345", "site_id": "site_12345", "environment": "production",
        "source": {"type": "git", "repository": "github.com/username/repo", "branch": "main", "commit": "a1b2c3d4e5f6"},
        "status": "completed", "created_at": "2023-03-20T15:30:00Z", "completed_at": "2023-03-20T15:35:00Z",
        "logs": "Deployment started\nDeploying...", "changes": {"added": 5, "modified": 10, "deleted": 2}}))
    .unwrap();
    let git = GitSource {
        repository: "github.com/username/repo".into(),
        branch: Some("main".into()),
        commit: Some("a1b2c3d4e5f6".into()),
    };
    assert_eq!((whole.source, whole.status), (DeploymentSource::Git(git), DeploymentStatus::Completed));
    assert_eq!(whole.changes, Some(Changes { added: 5, modified: 10, deleted: 2 }));
    assert_eq!(whole.logs.as_deref(), Some("Deployment started\nDeploying..."));
    let zip = deployment(json!({"id": "d", "source": {"type": "zip", "zip_url": "https://a/z.zip"}, "status": "in_progress"}))
        .unwrap();
    assert_eq!((zip.source, zip.status), (DeploymentSource::Zip("https://a/z.zip".into()), DeploymentStatus::Running));
    for (word, status) in [
        ("queued", DeploymentStatus::Pending),
        ("failed", DeploymentStatus::Failed),
        ("cancelled", DeploymentStatus::Canceled),
        ("new word", DeploymentStatus::Running),
    ] {
        assert_eq!(deployment_status(word), status, "{word}");
    }
    assert_eq!(end_of(format!("é{}", "x".repeat(LONGEST_LOG - 1))).len(), LONGEST_LOG - 1);
}

#[test]
fn pages_end() {
    let listing = |value: Value| next_page(&read::<Listing>(&value).unwrap());
    assert_eq!(
        listing(
            json!({"results": [], "pagination": {"total": 15, "count": 2, "per_page": 2, "current_page": 1, "total_pages": 8}})
        ),
        Some(2)
    );
    assert_eq!(listing(json!({"results": [], "pagination": {"current_page": 8, "total_pages": 8}})), None);
    assert_eq!(listing(json!({"results": []})), None);
}

#[test]
fn downloads_stay_below_the_base() {
    const BASE: &str = "https://wpengineapi.com/v1";
    let path = below(BASE, "https://wpengineapi.com/v1/sites/s/backups/b/download").unwrap();
    assert_eq!(path, ["sites", "s", "backups", "b", "download"]);
    for elsewhere in [
        "https://evil.example/v1/sites",
        "https://wpengineapi.com/v1@evil.example/x",
        "https://wpengineapi.com/v1.evil/x",
        "https://wpengineapi.com/v1/../admin",
        "https://wpengineapi.com/v1/%2e%2e/admin",
        "https://wpengineapi.com/v1//x",
        "https://wpengineapi.com/v1/x?y=1",
        "",
    ] {
        assert_eq!(below(BASE, elsewhere), None, "{elsewhere}");
    }
}
