//! Sites and what belongs to them: environments, deployments, backups, domains.

use crate::{
    api::{
        backups, blobs, deployments, domains, download, environments, plans, site_details, sites, sites_list,
        spec::{
            Cursors::{None as Whole, Pinned},
            Endpoint,
            Makes::{AChange, AResource},
            delete, get, patch, post, put,
        },
    },
    model::{Backup, Deployment, Domain, Environment, LogLine, Plan, Site, SiteUsage},
};

pub fn endpoints() -> Vec<Endpoint> {
    [sites(), environments(), deployments(), backups(), domains()].into_iter().flatten().collect()
}

fn sites() -> Vec<Endpoint> {
    vec![
        get("/sites", "sites.list", sites_list::list, "All sites of all connections")
            .details(
                "Filtered, merged and sorted here, whatever the hosts can. A connection that fails is named in `errors` on every \
                 page of the walk, and `total` is null then.",
            )
            .query::<sites_list::Parameters>()
            .list::<Site>(Pinned),
        post("/sites", "sites.create", sites::create, "Create a site on a connection")
            .body::<sites::CreateBody>(r#"{"connection": "sandbox", "name": "Client shop", "php_version": "8.3"}"#)
            .operation(AResource),
        get("/sites/{site}", "sites.get", sites::get, "One site").resource::<Site>(),
        patch("/sites/{site}", "sites.update", sites::update, "Change a site")
            .details(
                "`status` (running or stopped) is the same action as start or stop, and `labels` are Portico's own: each comes in a \
                 request of its own. Labels are merged (null removes one) and answer with the site at once.",
            )
            .body::<sites::UpdateBody>(r#"{"name": "Client shop 2"}"#)
            .operation_or::<Site>(),
        delete("/sites/{site}", "sites.delete", sites::delete, "Delete a site for good").operation(AChange),
        post("/sites/{site}/start", "sites.start", sites::start, "Start a stopped site").operation(AChange),
        post("/sites/{site}/stop", "sites.stop", sites::stop, "Stop a running site").operation(AChange),
        post("/sites/{site}/clone", "sites.clone", sites::clone, "Copy a site to a new one")
            .makes_one_of("/sites")
            .body::<sites::CloneBody>(r#"{"name": "Client shop copy"}"#)
            .operation(AResource),
        get("/sites/{site}/usage", "sites.usage", site_details::usage, "Storage, bandwidth and visits of a site")
            .resource::<SiteUsage>(),
        get("/sites/{site}/logs", "sites.logs", site_details::logs, "The last lines of a site's logs")
            .query::<site_details::LogParameters>()
            .list::<LogLine>(Whole),
    ]
}

fn environments() -> Vec<Endpoint> {
    vec![
        get("/sites/{site}/environments", "environments.list", environments::list, "Environments of a site")
            .query::<environments::Parameters>()
            .list::<Environment>(Pinned),
        post("/sites/{site}/environments", "environments.create", environments::create, "Create an environment")
            .body::<environments::CreateBody>(r#"{"name": "staging", "source": "production"}"#)
            .operation(AResource),
        patch("/sites/{site}/environments/{environment}", "environments.update", environments::update, "Change an environment")
            .body::<environments::UpdateBody>(r#"{"php_version": "8.4"}"#)
            .operation(AChange),
        delete(
            "/sites/{site}/environments/{environment}",
            "environments.delete",
            environments::delete,
            "Delete an environment",
        )
        .operation(AChange),
        post(
            "/sites/{site}/environments/{environment}/push",
            "environments.push",
            environments::push,
            "Copy an environment over another",
        )
        .body::<environments::PushBody>(r#"{"target": "production", "database": true, "files": true}"#)
        .operation(AChange),
        get(
            "/sites/{site}/environments/{environment}/current",
            "environments.current",
            environments::current,
            "What is deployed in an environment",
        )
        .resource::<Deployment>(),
    ]
}

fn deployments() -> Vec<Endpoint> {
    vec![
        get("/sites/{site}/deployments", "deployments.list", deployments::list, "Deployments of a site")
            .query::<deployments::ListParameters>()
            .list::<Deployment>(Pinned),
        post("/sites/{site}/deployments", "deployments.create", deployments::create, "Deploy from git or a zip file")
            .details("The host fetches the repository or the zip file; Portico never does.")
            .body::<deployments::CreateBody>(
                r#"{"environment": "staging", "source": {"type": "git", "repository": "https://git.example.com/shop.git", "branch": "main"}}"#,
            )
            .operation(AResource),
        get("/sites/{site}/deployments/{deployment}", "deployments.get", deployments::get, "One deployment, with its log")
            .resource::<Deployment>(),
        post(
            "/sites/{site}/deployments/{deployment}/rollback",
            "deployments.rollback",
            deployments::rollback,
            "Go back to a deployment, or to `previous`",
        )
        .query::<deployments::Parameters>()
        .operation(AChange),
        post(
            "/sites/{site}/deployments/{deployment}/release",
            "deployments.release",
            deployments::release,
            "Point an environment to a committed deployment",
        )
        .body::<deployments::ReleaseBody>(r#"{"environment": "production"}"#)
        .operation(AChange),
        post("/sites/{site}/deployments/plans", "deployments.plan", plans::create, "Plan a deployment by content")
            .details("The answer names the blobs that the host doesn't have yet: upload them, then commit the plan.")
            .body::<plans::CreateBody>(
                r#"{"files": [{"path": "/index.html", "size": 5, "blake3": "ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f", "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}]}"#,
            )
            .kept::<Plan>(201),
        put(
            "/sites/{site}/deployments/plans/{plan}/blobs/{hash}",
            "deployments.upload",
            blobs::upload,
            "Upload a file of a plan by its BLAKE3 hash",
        )
        .details(
            "`Content-Length` is required, `Content-Digest` (`sha-256=:…:`, RFC 9530) is checked too where it is sent. Bytes that turn \
             out wrong are not kept. At most ten uploads at once a plan; after a break, plan again and upload what is still missing.",
        )
        .bytes()
        .kept::<blobs::BlobView<'static>>(201),
        post("/sites/{site}/deployments/plans/{plan}/commit", "deployments.commit", plans::commit, "Make a deployment of a plan")
            .makes_one_of("/sites/{site}/deployments")
            .optional_body::<plans::CommitBody>(r#"{"message": "Release 1.2"}"#)
            .operation(AResource),
    ]
}

fn backups() -> Vec<Endpoint> {
    vec![
        get("/sites/{site}/backups", "backups.list", backups::list, "Backups of a site")
            .query::<backups::Parameters>()
            .list::<Backup>(Pinned),
        post("/sites/{site}/backups", "backups.create", backups::create, "Back a site up")
            .optional_body::<backups::CreateBody>(r#"{"description": "Before the update"}"#)
            .operation(AResource),
        get("/sites/{site}/backups/{backup}", "backups.get", backups::get, "One backup").resource::<Backup>(),
        delete("/sites/{site}/backups/{backup}", "backups.delete", backups::delete, "Delete a backup").operation(AChange),
        get("/sites/{site}/backups/{backup}/download", "backups.download", download::backup, "Download a backup")
            .details("An attachment. A download that breaks off breaks the connection: a file that arrives is whole.")
            .file(),
        post("/sites/{site}/backups/{backup}/restore", "backups.restore", backups::restore, "Restore a site from a backup")
            .details("Without any part named, everything is restored; as soon as one is named, only what is true.")
            .optional_body::<backups::RestoreBody>(r#"{"database": true, "files": true}"#)
            .operation(AChange),
    ]
}

fn domains() -> Vec<Endpoint> {
    vec![
        get("/sites/{site}/domains", "domains.list", domains::list, "Domains of a site")
            .query::<domains::ListParameters>()
            .list::<Domain>(Pinned),
        post("/sites/{site}/domains", "domains.create", domains::create, "Add a domain")
            .body::<domains::CreateBody>(r#"{"name": "www.example.com"}"#)
            .operation(AResource),
        delete("/sites/{site}/domains/{domain}", "domains.delete", domains::delete, "Remove a domain")
            .query::<domains::Parameters>()
            .operation(AChange),
        post("/sites/{site}/domains/{domain}/verify", "domains.verify", domains::verify, "Look at a domain's DNS records now")
            .query::<domains::Parameters>()
            .operation(AChange),
        put(
            "/sites/{site}/domains/{domain}/primary",
            "domains.set_primary",
            domains::set_primary,
            "Make a domain the primary one",
        )
        .query::<domains::Parameters>()
        .operation(AChange),
    ]
}
