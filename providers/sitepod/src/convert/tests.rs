//! Tables from the server's code (live) and the API overview (seed).

use super::*;
use serde_json::json;

const TIME: u64 = 1_705_314_600_000;

#[test]
fn projects_are_sites() {
    let value = json!({
        "id": "abc", "name": "my-site", "subdomain": "my-site", "owner_id": "u1",
        "created_at": "2024-01-15 10:30:00.000Z", "updated_at": "2024-01-15 10:30:00.000Z",
    });
    let site = site(&value, Some("my-site.pods.example")).unwrap();
    assert_eq!((site.id.as_str(), site.kind, site.created_at), ("my-site", SiteKind::StaticFiles, Some(TIME)));
    assert_eq!(site.url.as_deref(), Some("https://my-site.pods.example"));
    let names: Vec<&str> = site.environments.iter().map(|environment| environment.id.as_str()).collect();
    assert_eq!(names, [PROD, BETA]);
    assert!(site.native.unwrap().contains("owner_id"));
    assert!(super::site(&json!({"id": "abc"}), None).is_err());
}

#[test]
fn images_are_deployments() {
    for (value, status, environment, message) in [
        (
            json!({"image_id": "i", "created_at": "2024-01-15T10:30:00Z", "git_commit": "c"}),
            DeploymentStatus::Committed,
            None,
            None,
        ),
        (
            json!({"image_id": "i", "created_at": "2024-01-15 10:30:00.000Z", "git_message": "v1", "deployed_to": ["beta"]}),
            DeploymentStatus::Completed,
            Some("beta"),
            Some("v1"),
        ),
        (
            json!({"image_id": "i", "created_at": "2024-01-15 10:30:00.000Z", "deployed_to": ["prod", "beta", "odd"]}),
            DeploymentStatus::Completed,
            Some("prod"),
            None,
        ),
    ] {
        let told = deployment(&image(&value).unwrap(), None);
        assert_eq!((told.status, told.environment.as_deref(), told.message.as_deref()), (status, environment, message));
        assert_eq!(told.created_at, Some(TIME));
    }
    assert!(image(&json!({"id": "record"})).is_err());
    let now = current(&json!({"image_id": "i", "content_hash": "c", "deployed_at": "2024-01-15T10:30:00.5Z"}), BETA).unwrap();
    assert_eq!((now.environment.as_deref(), now.status), (Some("beta"), DeploymentStatus::Completed));
    assert_eq!((now.created_at, now.completed_at), (None, Some(TIME + 500)));
}

#[test]
fn domains_and_their_states() {
    let value =
        json!({"domain": "My-Site.pods.example", "slug": "/", "type": "system", "status": "active", "is_primary": true});
    let told = domain(&value).unwrap();
    assert_eq!((told.name.as_str(), told.primary, told.status), ("my-site.pods.example", true, DomainStatus::Active));
    let pending = domain(&json!({"domain": "a.example", "status": "pending", "verification_token": "proof"})).unwrap();
    assert_eq!(pending.status, DomainStatus::PendingVerification);
    assert_eq!(
        (pending.verification[0].name.as_str(), pending.verification[0].value.as_str()),
        ("_sitepod.a.example", "proof")
    );
    assert_eq!(domain(&json!({"domain": "a.example", "status": "odd"})).unwrap().status, DomainStatus::Error);
    assert!(domain(&json!({"domain": "."})).is_err() && domain(&json!([])).is_err());
}

#[test]
fn lists_are_bare_or_named_and_environments_have_two_names() {
    for (answer, count) in
        [(json!([1]), Some(1)), (json!({"items": [1, 2]}), Some(2)), (json!({"items": null}), Some(0)), (json!(7), None)]
    {
        assert_eq!(items(answer, "items").ok().map(|items| items.len()), count);
    }
    for (wanted, expected) in [
        (None, Some(PROD)),
        (Some("production"), Some(PROD)),
        (Some("staging"), Some(BETA)),
        (Some("beta"), Some(BETA)),
        (Some("x"), None),
    ] {
        assert_eq!(environment(wanted), expected);
    }
}
