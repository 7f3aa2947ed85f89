//! Deployments of a site: list, get, deploy from git or a zip file, roll back, release.
//!
//! Invariant: what is deployed from is an address for the host: the gateway fetches nothing, and takes no password in it.

use super::{
    Caller, Fresh, Shared,
    extract::{Json, Path, Query, object},
    mutation::{Manner, NoBody},
    names,
    problem::Problem,
    respond::Read,
    walk,
};
use crate::model::{Answer, DeploymentCreate, DeploymentSource, Mutation, Query as Ask, form};
use axum::{Extension, extract::State, response::Response};
use http::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

/// Characters of a message.
pub const MAX_MESSAGE: usize = 500;
/// Characters of an address. Signed ones are long.
const MAX_URL: usize = 2048;
/// In a path: the deployment before the current one.
const PREVIOUS: &str = "previous";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListParameters {
    /// Id or name; those of all environments are listed when it isn't given.
    #[schemars(with = "Option<form::Text<1536>>")]
    environment: Option<String>,
    /// 1 to 100; 10 when it isn't given.
    #[schemars(with = "Option<form::Limit>")]
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Id or name; production when it isn't given.
    #[schemars(with = "Option<form::Text<1536>>")]
    environment: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "DeploymentCreate")]
#[serde(deny_unknown_fields)]
pub struct CreateBody {
    /// Id or name; production when it isn't given.
    #[schemars(with = "Option<form::Text<1536>>")]
    environment: Option<String>,
    #[serde(deserialize_with = "object::one")]
    source: SourceBody,
    /// At most 500 characters.
    #[schemars(with = "Option<form::Text<500>>")]
    message: Option<String>,
}

/// `git` takes `repository`, `branch` and `commit`; `zip` takes `zip_url`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "DeploymentSource", transform = form::git_or_zip)]
#[serde(deny_unknown_fields)]
pub struct SourceBody {
    #[serde(rename = "type")]
    kind: SourceKind,
    /// An https, ssh or git URL, or `user@host:path`; without a password.
    #[schemars(with = "Option<form::Text<2048>>")]
    repository: Option<String>,
    #[schemars(with = "Option<form::Text<255>>")]
    branch: Option<String>,
    /// 7 to 64 hex digits.
    #[schemars(with = "Option<form::Commit>")]
    commit: Option<String>,
    /// An absolute http or https URL that the host fetches.
    #[schemars(with = "Option<form::HttpUrl>")]
    zip_url: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "DeploymentSourceKind")]
#[serde(rename_all = "snake_case")]
enum SourceKind {
    Git,
    Zip,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "DeploymentRelease")]
#[serde(deny_unknown_fields)]
pub struct ReleaseBody {
    /// Id or name of the environment that shall serve the deployment.
    #[schemars(with = "form::Text<1536>")]
    environment: String,
}

pub async fn list(
    State(api): Shared,
    Extension(principal): Caller,
    Fresh(freshness): Fresh,
    Path(site): Path<String>,
    Query(parameters): Query<ListParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let environment = names::environment("environment", parameters.environment)?;
    let question = format!("deployments {site} {environment:?}");
    let ask = Ask::DeploymentsList { site: id.native, environment };
    let paging = walk::Paging { limit: walk::limit(parameters.limit)?, cursor: parameters.cursor, question };
    api.list_one(&principal, &connection, (ask, freshness), paging, Answer::deployments, &headers).await
}

pub async fn get(
    State(api): Shared,
    Extension(principal): Caller,
    Fresh(freshness): Fresh,
    Path((site, deployment)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let ask = Ask::DeploymentsGet { site: id.native, deployment: names::native(&deployment)? };
    let snapshot = api.dispatch.query(&connection, ask, freshness).await?;
    let Answer::Deployment(deployment) = &snapshot.answer else { return Err(super::answer_of_another_kind()) };
    let read = Read::of(&headers, &snapshot);
    Ok(super::served_by(&connection, read.answer(deployment)?))
}

pub async fn create(
    State(api): Shared,
    Extension(principal): Caller,
    Path(site): Path<String>,
    manner: Manner,
    Json(body): Json<CreateBody>,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    names::text("message", body.message.as_deref(), MAX_MESSAGE)?;
    let environment = names::environment("environment", body.environment)?;
    let input = DeploymentCreate { environment, source: body.source.checked()?, message: body.message };
    api.carry_out(&principal, &connection, Mutation::DeploymentsCreate { site: id.native, input }, manner).await
}

impl SourceBody {
    fn checked(self) -> Result<DeploymentSource, Problem> {
        match self.kind {
            SourceKind::Git => self.git(),
            SourceKind::Zip => self.zip(),
        }
    }

    fn git(self) -> Result<DeploymentSource, Problem> {
        if self.zip_url.is_some() {
            return Err(Problem::invalid("source.zip_url", "it belongs to a source of type zip"));
        }
        let missing = || Problem::invalid("source.repository", "a source of type git needs a repository");
        let repository = self.repository.ok_or_else(missing)?;
        check_repository(&repository)?;
        names::text("source.branch", self.branch.as_deref(), 255)?;
        if let Some(commit) = &self.commit
            && !((7..=64).contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            return Err(Problem::invalid("source.commit", "a commit is 7 to 64 hex digits"));
        }
        Ok(DeploymentSource::Git { repository, branch: self.branch, commit: self.commit })
    }

    fn zip(self) -> Result<DeploymentSource, Problem> {
        for (field, is_given) in
            [("repository", self.repository.is_some()), ("branch", self.branch.is_some()), ("commit", self.commit.is_some())]
        {
            if is_given {
                return Err(Problem::invalid(format!("source.{field}"), "it belongs to a source of type git"));
            }
        }
        let missing = || Problem::invalid("source.zip_url", "a source of type zip needs a zip_url");
        let zip_url = self.zip_url.ok_or_else(missing)?;
        check_url("source.zip_url", &zip_url, &["https", "http"])?;
        Ok(DeploymentSource::Zip { zip_url })
    }
}

/// A URL, or the short form `user@host:path`.
fn check_repository(repository: &str) -> Result<(), Problem> {
    const FIELD: &str = "source.repository";
    if repository.contains("://") {
        return check_url(FIELD, repository, &["https", "http", "ssh", "git"]);
    }
    names::text(FIELD, Some(repository), MAX_URL)?;
    let is_short = repository.split_once(':').is_some_and(|(host, path)| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'@');
        !host.is_empty() && !host.starts_with('-') && host.bytes().all(plain) && !path.is_empty()
    });
    if is_short && !repository.contains(char::is_whitespace) {
        return Ok(());
    }
    Err(Problem::invalid(FIELD, "write it as https://host/path.git, ssh://user@host/path.git or user@host:path.git"))
}

fn check_url(field: &str, text: &str, schemes: &[&str]) -> Result<(), Problem> {
    names::text(field, Some(text), MAX_URL)?;
    let shape = || Problem::invalid(field, format!("an absolute URL, with {}", schemes.join(", ")));
    // The parser mends white space, backslashes and slashes, over which a host may stumble, or find another address.
    let (_, rest) = text.split_once("://").ok_or_else(shape)?;
    let is_plain = !rest.starts_with('/') && !text.contains(|it: char| it == '\\' || it.is_whitespace());
    let url = Url::parse(text).ok().filter(|_| is_plain).ok_or_else(shape)?;
    if !schemes.contains(&url.scheme()) || url.host_str().is_none_or(str::is_empty) {
        return Err(shape());
    }
    let takes_user = url.scheme() == "ssh";
    if url.password().is_some() || !(takes_user || url.username().is_empty()) {
        return Err(Problem::invalid(field, "no name or password in the address: it would be shown to everybody who reads it"));
    }
    Ok(())
}

/// Back to a deployment; `previous` names the one before the current.
pub async fn rollback(
    State(api): Shared,
    Extension(principal): Caller,
    Path((site, deployment)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
    manner: Manner,
    _: NoBody,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let environment = names::environment("environment", parameters.environment)?;
    let deployment = if deployment == PREVIOUS { None } else { Some(names::native(&deployment)?) };
    let mutation = Mutation::DeploymentsRollback { site: id.native, environment, deployment };
    api.carry_out(&principal, &connection, mutation, manner).await
}

/// Lets an environment serve a deployment that is committed or complete.
pub async fn release(
    State(api): Shared,
    Extension(principal): Caller,
    Path((site, deployment)): Path<(String, String)>,
    manner: Manner,
    Json(body): Json<ReleaseBody>,
) -> Result<Response, Problem> {
    let (connection, id) = api.site(&principal, &site).await?;
    let deployment = names::native(&deployment)?;
    let environment = names::some_environment("environment", body.environment)?;
    let mutation = Mutation::DeploymentsRelease { site: id.native, environment, deployment };
    api.carry_out(&principal, &connection, mutation, manner).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(source: Value, refused: Option<&str>) {
        let body: SourceBody = serde_json::from_value(source.clone()).unwrap();
        let problem = body.checked().err();
        assert_eq!(problem.as_ref().map(|problem| problem.fields[0].field.as_str()), refused, "{source}: {problem:?}");
    }

    #[test]
    fn a_source_takes_what_belongs_to_its_type() {
        check(json!({"type": "git", "repository": "https://git.example/a.git", "branch": "main", "commit": "abcdef1"}), None);
        check(json!({"type": "git"}), Some("source.repository"));
        check(json!({"type": "git", "repository": "https://git.example/a", "zip_url": "https://a.b"}), Some("source.zip_url"));
        check(json!({"type": "git", "repository": "https://git.example/a", "commit": "main"}), Some("source.commit"));
        check(json!({"type": "git", "repository": "https://git.example/a", "branch": ""}), Some("source.branch"));
        check(json!({"type": "zip", "zip_url": "https://a.example/z.zip?token=1"}), None);
        check(json!({"type": "zip"}), Some("source.zip_url"));
        check(json!({"type": "zip", "zip_url": "https://a.example/z", "branch": "main"}), Some("source.branch"));
    }

    #[test]
    fn addresses_are_absolute_and_hold_no_password() {
        for fine in ["https://git.example/a.git", "ssh://git@git.example/a", "git@git.example:a/b.git", "http://[::1]:3000/a"] {
            check(json!({"type": "git", "repository": fine}), None);
        }
        for bad in [
            "",
            " ",
            "a/b",
            "file:///etc/passwd",
            "https://",
            "https:///a",
            "https://user:secret@git.example/a",
            "https://token@git.example/a",
            "ssh://git:secret@git.example/a",
            "-oProxyCommand=x:y",
            "git@git.example:",
            "git@git.example:a b",
            "https://git.example/a b",
            "https://git.example/\n",
            "ext::sh -c x",
        ] {
            check(json!({"type": "git", "repository": bad}), Some("source.repository"));
        }
        for bad in [
            "",
            "/z.zip",
            "//a.example/z",
            "https:a.example/z",
            "https://a.example\\z",
            "ftp://a.example/z",
            "https://u:p@a.example/z",
            "https://a.example/ z",
        ] {
            check(json!({"type": "zip", "zip_url": bad}), Some("source.zip_url"));
        }
        check(json!({"type": "zip", "zip_url": format!("https://a.example/{}", "z".repeat(2048))}), Some("source.zip_url"));
    }
}
