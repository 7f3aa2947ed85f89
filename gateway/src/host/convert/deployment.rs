//! Deployments and plans: from the contract's records to the model's, and plans back.
//!
//! Invariant: a plan misses only hashes that were asked for, each once, so that whoever uploads them knows their files.

use super::{Scope, check_id, native, time};
use crate::{
    host::trap::broken,
    model::{Changes, Deployment, DeploymentStatus, Error, Plan, PlanFile, PlanInput, Source, SourceKind, escape},
};
use portico_bindings::{exports::portico::provider::deployments, portico::provider::types};
use std::collections::HashSet;

/// The contract's most for a log, in bytes.
const MAX_LOGS: usize = 1 << 20;

/// `of`: the native id of the site.
pub(in crate::host) fn deployment(scope: &Scope, of: &str, deployment: types::Deployment) -> Result<Deployment, Error> {
    check_id("deployment", &deployment.id)?;
    let changes =
        |changes: types::Changes| Changes { added: changes.added, modified: changes.modified, deleted: changes.deleted };
    Ok(Deployment {
        id: escape(&deployment.id),
        site: scope.whole(of),
        environment: deployment.environment.as_deref().map(escape),
        source: source(deployment.source),
        status: match deployment.status {
            types::DeploymentStatus::Pending => DeploymentStatus::Pending,
            types::DeploymentStatus::Running => DeploymentStatus::Running,
            types::DeploymentStatus::Committed => DeploymentStatus::Committed,
            types::DeploymentStatus::Completed => DeploymentStatus::Completed,
            types::DeploymentStatus::Failed => DeploymentStatus::Failed,
            types::DeploymentStatus::Canceled => DeploymentStatus::Canceled,
        },
        message: deployment.message,
        changes: deployment.changes.map(changes),
        logs: deployment.logs.map(|logs| end(logs, MAX_LOGS)),
        url: deployment.url,
        created_at: time(deployment.created_at)?,
        completed_at: time(deployment.completed_at)?,
        native: native(deployment.native)?,
    })
}

fn source(source: types::DeploymentSource) -> Source {
    let of = |kind| Source { kind, repository: None, branch: None, commit: None, zip_url: None };
    match source {
        types::DeploymentSource::Git(git) => {
            Source { repository: Some(git.repository), branch: git.branch, commit: git.commit, ..of(SourceKind::Git) }
        }
        types::DeploymentSource::Zip(url) => Source { zip_url: Some(url), ..of(SourceKind::Zip) },
        types::DeploymentSource::Files => of(SourceKind::Files),
    }
}

/// The last bytes of a text, from a character on.
fn end(text: String, most: usize) -> String {
    let from = text.len().saturating_sub(most);
    if from == 0 { text } else { text[text.ceil_char_boundary(from)..].to_owned() }
}

pub(in crate::host) fn plan_input(input: &PlanInput) -> deployments::PlanInput {
    let file = |file: &PlanFile| deployments::File {
        path: file.path.clone(),
        blake3: file.blake3.clone(),
        sha256: file.sha256.clone(),
        size: file.size,
        content_type: file.content_type.clone(),
    };
    deployments::PlanInput {
        environment: input.environment.clone(),
        files: input.files.iter().map(file).collect(),
        message: input.message.clone(),
    }
}

/// `of`: the native id of the site.
pub(in crate::host) fn plan(scope: &Scope, of: &str, asked: &PlanInput, plan: deployments::PlanAnswer) -> Result<Plan, Error> {
    check_id("plan", &plan.id)?;
    let mut left: HashSet<&str> = asked.files.iter().map(|file| file.blake3.as_str()).collect();
    if !plan.missing.iter().all(|hash| left.remove(hash.as_str())) {
        return Err(broken("a plan misses a hash that no file of it has, or one of them twice"));
    }
    Ok(Plan { id: escape(&plan.id), site: scope.whole(of), missing: plan.missing, expires_at: time(plan.expires_at)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope { connection: "agency".into(), provider: "sandbox".into() }
    }

    fn guest(id: &str, source: types::DeploymentSource, logs: Option<String>) -> types::Deployment {
        types::Deployment {
            id: id.into(),
            environment: Some("my staging".into()),
            source,
            status: types::DeploymentStatus::Committed,
            message: None,
            changes: None,
            logs,
            url: None,
            created_at: Some(0),
            completed_at: None,
            native: Some("{\"a\":  1}".into()),
        }
    }

    #[test]
    fn ids_are_escaped_and_sources_have_nulls_where_nothing_is_known() {
        let git = types::GitSource { repository: "https://git.example/a".into(), branch: None, commit: Some("abc".into()) };
        for (source, json) in [
            (
                types::DeploymentSource::Git(git),
                r#"{"type":"git","repository":"https://git.example/a","branch":null,"commit":"abc","zip_url":null}"#,
            ),
            (
                types::DeploymentSource::Zip("https://a.example/z".into()),
                r#"{"type":"zip","repository":null,"branch":null,"commit":null,"zip_url":"https://a.example/z"}"#,
            ),
            (
                types::DeploymentSource::Files,
                r#"{"type":"files","repository":null,"branch":null,"commit":null,"zip_url":null}"#,
            ),
        ] {
            let found = deployment(&scope(), "s/1", guest("d/1", source, None)).unwrap();
            assert_eq!(serde_json::to_string(&found.source).unwrap(), json);
            let named = (found.id.as_str(), found.site.as_str(), found.environment.as_deref());
            assert_eq!(named, ("d=2F1", "agency~s=2F1", Some("my=20staging")));
            assert_eq!(found.native.unwrap().get(), "{\"a\":  1}");
        }
        assert!(deployment(&scope(), "s", guest("", types::DeploymentSource::Files, None)).is_err());
    }

    #[test]
    fn of_a_long_log_the_end_is_kept() {
        for (text, most, kept) in [("abc", 3, "abc"), ("abc", 2, "bc"), ("aéb", 2, "b"), ("aéb", 3, "éb"), ("", 0, "")] {
            assert_eq!(end(text.into(), most), kept, "{text:?} {most}");
        }
        let long = guest("d", types::DeploymentSource::Files, Some("x".repeat(MAX_LOGS + 7)));
        assert_eq!(deployment(&scope(), "s", long).unwrap().logs.unwrap().len(), MAX_LOGS);
    }

    #[test]
    fn a_plan_misses_what_was_asked_for_alone() {
        let file = |hash: &str| PlanFile {
            path: format!("/{hash}"),
            blake3: hash.into(),
            sha256: "s".into(),
            size: 1,
            content_type: None,
        };
        let asked = PlanInput { environment: None, files: vec![file("a"), file("b"), file("b")], message: None };
        let check = |missing: &[&str], fits: bool| {
            let missing = missing.iter().map(|&hash| hash.to_owned()).collect();
            let answer = deployments::PlanAnswer { id: "p".into(), missing, expires_at: None };
            assert_eq!(plan(&scope(), "s", &asked, answer).is_ok(), fits);
        };
        check(&[], true);
        check(&["a", "b"], true);
        check(&["c"], false);
        check(&["b", "b"], false);
    }
}
