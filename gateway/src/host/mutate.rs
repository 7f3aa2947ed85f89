//! Changing calls, and the calls that follow them: poll, reconcile, cancel.
//!
//! In goes a mutation of the model; out comes what it came to. Invariant: every call here carries its operation's identity.

mod deployments;
mod environments;
mod wordpress;

use super::{
    CallContext, Configured, Host, OperationContext,
    call::{Running, ask},
    convert,
    meter::Asked,
    trap::broken,
};
use crate::model::{
    BackupCreate, DomainCreate, Error, Finding, Mutation, Progress, RestoreInput, SiteClone, SiteCreate, SiteUpdate, Work,
};
use portico_bindings::{
    exports::portico::provider::{backups, domains, sites},
    portico::provider::types::Call,
};
use std::sync::Arc;

fn operation(context: &CallContext) -> Result<&OperationContext, Error> {
    context.operation.as_ref().ok_or_else(|| Error::gateway("a changing call without an operation"))
}

pub(super) async fn mutate(
    host: &Arc<Host>,
    on: &Arc<Configured>,
    mutation: &Mutation,
    context: &CallContext,
) -> Result<Work, Error> {
    let operation = operation(context)?;
    let call = Call { operation_id: operation.id.to_string(), idempotency_key: operation.idempotency_key.clone() };
    let running = Running::start(host, on, Asked::Action(mutation.action()), context).await?;
    let (running, answer) = match mutation {
        Mutation::SitesCreate(input) => ask!(running, sites.call_create(&call, &site_create(input))),
        Mutation::SitesUpdate { site, input } => ask!(running, sites.call_update(&call, site, &site_update(input))),
        Mutation::SitesDelete { site } => ask!(running, sites.call_delete(&call, site)),
        Mutation::SitesStart { site } => ask!(running, sites.call_start(&call, site)),
        Mutation::SitesStop { site } => ask!(running, sites.call_stop(&call, site)),
        Mutation::SitesClone { site, input } => ask!(running, sites.call_clone(&call, site, &site_clone(input))),
        Mutation::EnvironmentsCreate { site, input } => {
            ask!(running, environments.call_create(&call, site, &environments::create(input)))
        }
        Mutation::EnvironmentsUpdate { site, environment, input } => {
            ask!(running, environments.call_update(&call, site, environment, &environments::update(input)))
        }
        Mutation::EnvironmentsDelete { site, environment } => {
            ask!(running, environments.call_delete(&call, site, environment))
        }
        Mutation::EnvironmentsPush { site, environment, input } => {
            ask!(running, environments.call_push(&call, site, environment, &environments::push(input)))
        }
        Mutation::DeploymentsCreate { site, input } => {
            ask!(running, deployments.call_create(&call, site, &deployments::create(input)))
        }
        Mutation::DeploymentsRollback { site, environment, deployment } => {
            ask!(running, deployments.call_rollback(&call, site, environment.as_deref(), deployment.as_deref()))
        }
        Mutation::DeploymentsRelease { site, environment, deployment } => {
            ask!(running, deployments.call_release(&call, site, environment, deployment))
        }
        Mutation::DeploymentsCommit { site, plan, message } => {
            ask!(running, deployments.call_commit(&call, site, plan, message.as_deref()))
        }
        Mutation::BackupsCreate { site, input } => ask!(running, backups.call_create(&call, site, &backup_create(input))),
        Mutation::BackupsDelete { site, backup } => ask!(running, backups.call_delete(&call, site, backup)),
        Mutation::BackupsRestore { site, backup, input } => {
            ask!(running, backups.call_restore(&call, site, backup, &restore(input)))
        }
        Mutation::DomainsCreate { site, input } => ask!(running, domains.call_create(&call, site, &domain_create(input))),
        Mutation::DomainsDelete { site, environment, name } => {
            ask!(running, domains.call_delete(&call, site, environment.as_deref(), name))
        }
        Mutation::DomainsVerify { site, environment, name } => {
            ask!(running, domains.call_verify(&call, site, environment.as_deref(), name))
        }
        Mutation::DomainsSetPrimary { site, environment, name } => {
            ask!(running, domains.call_set_primary(&call, site, environment.as_deref(), name))
        }
        Mutation::Wordpress(mutation) => wordpress::wordpress(running, &call, mutation).await?,
    };
    running.rest();
    let work = convert::work(answer)?;
    if matches!(work, Work::Pending(_)) && !on.provider.exported.operations {
        return Err(broken(
            "it answered pending, but doesn't export portico:provider/operations, so the work can't be followed",
        ));
    }
    Ok(work)
}

pub(super) async fn poll(
    host: &Arc<Host>,
    on: &Arc<Configured>,
    handle: &str,
    context: &CallContext,
) -> Result<Progress, Error> {
    let id = operation(context)?.id.as_str();
    let running = Running::start(host, on, Asked::Poll, context).await?;
    let (running, answer) = ask!(running, operations.call_poll(id, handle));
    running.rest();
    convert::progress(answer)
}

pub(super) async fn reconcile(
    host: &Arc<Host>,
    on: &Arc<Configured>,
    mutation: &Mutation,
    context: &CallContext,
) -> Result<Finding, Error> {
    let id = operation(context)?.id.as_str();
    let args = arguments(mutation)?;
    let running = Running::start(host, on, Asked::Reconcile, context).await?;
    let (running, answer) = ask!(running, operations.call_reconcile(id, mutation.action().as_str(), &args));
    running.rest();
    convert::finding(answer)
}

pub(super) async fn cancel(host: &Arc<Host>, on: &Arc<Configured>, handle: &str, context: &CallContext) -> Result<(), Error> {
    let id = operation(context)?.id.as_str();
    let running = Running::start(host, on, Asked::Cancel, context).await?;
    let (running, ()) = ask!(running, operations.call_cancel(id, handle));
    running.rest();
    Ok(())
}

/// The `args` of a mutation's JSON, without what is ours: the body's fields beside the ids, as the contract says.
fn arguments(mutation: &Mutation) -> Result<String, Error> {
    let failed = |error: serde_json::Error| Error::gateway(format_args!("arguments could not be written: {error}"));
    let mut whole = serde_json::to_value(mutation).map_err(failed)?;
    if let (Mutation::SitesCreate(_), Some(args)) = (mutation, whole["args"].as_object_mut()) {
        args.remove("labels");
    }
    if let Some(args) = whole["args"].as_object_mut()
        && let Some(serde_json::Value::Object(input)) = args.remove("input")
    {
        // No field of a body has the name of an id that stands beside it.
        for (name, value) in input {
            args.entry(name).or_insert(value);
        }
    }
    serde_json::to_string(whole.get("args").unwrap_or(&serde_json::Value::Null)).map_err(failed)
}

fn site_create(input: &SiteCreate) -> sites::SiteCreate {
    let admin = |admin: &crate::model::SiteAdmin| sites::Admin {
        user: admin.user.clone(),
        email: admin.email.clone(),
        password: admin.password.as_ref().map(|password| password.to_string()),
    };
    sites::SiteCreate {
        name: input.name.clone(),
        kind: convert::site_kind(input.kind),
        domain: input.domain.clone(),
        environment: input.environment.clone(),
        php_version: input.php_version.clone(),
        wordpress_version: input.wordpress_version.clone(),
        locale: input.locale.clone(),
        title: input.title.clone(),
        admin: input.admin.as_ref().map(admin),
        region: input.region.clone(),
        template: input.template.clone(),
        options: input.options.get().to_owned(),
    }
}

fn site_update(input: &SiteUpdate) -> sites::SiteUpdate {
    sites::SiteUpdate {
        name: input.name.clone(),
        php_version: input.php_version.clone(),
        wordpress_version: input.wordpress_version.clone(),
    }
}

fn site_clone(input: &SiteClone) -> sites::SiteClone {
    sites::SiteClone {
        name: input.name.clone(),
        domain: input.domain.clone(),
        source_environment: input.source_environment.clone(),
        region: input.region.clone(),
        options: input.options.get().to_owned(),
    }
}

fn backup_create(input: &BackupCreate) -> backups::BackupCreate {
    backups::BackupCreate {
        environment: input.environment.clone(),
        kind: convert::backup_kind(input.kind),
        description: input.description.clone(),
    }
}

fn restore(input: &RestoreInput) -> backups::RestoreInput {
    backups::RestoreInput { environment: input.environment.clone(), contents: convert::contents(&input.contents) }
}

fn domain_create(input: &DomainCreate) -> domains::DomainCreate {
    domains::DomainCreate { name: input.name.clone(), environment: input.environment.clone(), primary: input.primary }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LoginLink, WordpressChange, WordpressMutation, WordpressTarget};

    #[test]
    fn reconcile_gets_the_arguments_as_they_were_stored() {
        let mutation = Mutation::SitesDelete { site: "s1".into() };
        assert_eq!(arguments(&mutation).unwrap(), r#"{"site":"s1"}"#);
        let target = WordpressTarget { site: "s1".into(), environment: None };
        let change = WordpressChange::LoginLink(LoginLink { user: "anna".into() });
        let mutation = Mutation::Wordpress(WordpressMutation { target, change });
        // A map of serde_json sorts its keys; their order means nothing.
        assert_eq!(arguments(&mutation).unwrap(), r#"{"environment":null,"site":"s1","user":"anna"}"#);
    }

    #[test]
    fn reconcile_gets_a_bodys_fields_beside_the_ids() {
        let json = r#"{"action": "environments.push", "args": {"site": "s", "environment": "staging",
            "input": {"target": "production", "database": true, "files": true, "search_replace": false}}}"#;
        let mutation: Mutation = serde_json::from_str(json).unwrap();
        let told: serde_json::Value = serde_json::from_str(&arguments(&mutation).unwrap()).unwrap();
        let ids = (&told["site"], &told["environment"], &told["target"], told.get("input"));
        assert_eq!(ids, (&"s".into(), &"staging".into(), &"production".into(), None));
    }

    #[test]
    fn a_provider_is_not_told_labels() {
        let json = r#"{"action": "sites.create", "args": {"name": "n", "kind": "plain", "options": {}, "labels": {"a": "b"}}}"#;
        let mutation: Mutation = serde_json::from_str(json).unwrap();
        let Mutation::SitesCreate(input) = &mutation else { panic!("{mutation:?}") };
        assert_eq!(input.labels["a"], "b");
        let told: serde_json::Value = serde_json::from_str(&arguments(&mutation).unwrap()).unwrap();
        assert_eq!((&told["name"], told.get("labels")), (&"n".into(), None));
    }
}
