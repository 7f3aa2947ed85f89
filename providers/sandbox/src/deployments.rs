//! Deployments of a site: git, zip, and plans of files. Nothing is fetched; only what was asked for is kept.
//!
//! Invariant: an environment's `released` ends in what it serves, and rolling back adds to it, so that it tells the whole story.

use crate::{
    Sandbox, Takes, check,
    job::Effect,
    outcomes,
    record::{self, DeploymentStatus, Record, Source},
};
use portico_sdk::{
    Call, Changes, Deployment, DeploymentSource, Deployments, Error, GitSource, Page, PageRequest, Transfer, TransferPlace,
    UpstreamPath, Work, clock, deployments::*, error,
};

const MAX: usize = 20;
const MAX_PLANS: usize = 10;
const MAX_FILES: usize = 50_000;
const PLAN_MILLIS: u64 = 3_600_000;

impl Deployments for Sandbox {
    fn list(&self, site: &str, environment: Option<&str>, page: &PageRequest) -> Result<Page<Deployment>, Error> {
        self.enter("deployments.list")?;
        let record = self.store.get(site)?;
        let wanted = match environment {
            Some(_) => Some(record.environment("environment", environment)?.id.as_str()),
            None => None,
        };
        // The newest first, as every host does it.
        let all = record.deployments.iter().rev();
        let of_it = all.filter(|deployment| wanted.is_none_or(|wanted| deployment.environment == wanted));
        Page::slice(of_it.map(|deployment| model(&record, deployment, false)).collect(), page)
    }

    fn get(&self, site: &str, id: &str) -> Result<Deployment, Error> {
        self.enter("deployments.get")?;
        let record = self.store.get(site)?;
        Ok(model(&record, record.deployment(id)?, true))
    }

    fn create(&self, call: &Call, site: &str, input: DeploymentCreate) -> Result<Work, Error> {
        self.enter("deployments.create")?;
        check::text("message", input.message.as_deref(), 500)?;
        let source = source(&input.source)?;
        self.store.change(call, site, &|record, now| {
            let environment = record.environment("environment", input.environment.as_deref())?.id.clone();
            let by_message = input.message.as_deref().and_then(|text| outcomes::of(text, "deploy", true));
            let outcome = by_message.or(outcomes::of(&record.name, "deploy", false));
            let mut job = self.job(call, "deployments.create", Takes::Work, outcome, now)?;
            let id = Self::id("deploy", call);
            job.target = Some(id.clone());
            job.effect = Effect::Deployment { id: id.clone(), status: DeploymentStatus::Completed };
            job.undo = Effect::Deployment { id: id.clone(), status: DeploymentStatus::Failed };
            let (source, message) = (source.clone(), input.message.clone());
            record.add_deployment(id, environment, source, DeploymentStatus::Running, message, now);
            Ok(job)
        })
    }

    fn rollback(&self, call: &Call, site: &str, environment: Option<&str>, id: Option<&str>) -> Result<Work, Error> {
        self.enter("deployments.rollback")?;
        self.store.change(call, site, &|record, now| {
            let environment = record.environment("environment", environment)?;
            let id = match id {
                Some(id) => record.deployment(id)?.id.clone(),
                None => previous(&environment.released)
                    .ok_or_else(|| error::conflict("there is no deployment before the current one"))?
                    .to_owned(),
            };
            self.released(call, "rollback", record, environment.id.clone(), id, now)
        })
    }

    fn release(&self, call: &Call, site: &str, environment: &str, id: &str) -> Result<Work, Error> {
        self.enter("deployments.release")?;
        self.store.change(call, site, &|record, now| {
            let environment = record.environment("environment", Some(environment))?.id.clone();
            self.released(call, "release", record, environment, record.deployment(id)?.id.clone(), now)
        })
    }

    fn plan(&self, site: &str, input: PlanInput) -> Result<PlanAnswer, Error> {
        self.enter("deployments.plan")?;
        if input.files.is_empty() || input.files.len() > MAX_FILES {
            return Err(error::invalid_input("files", format!("a plan has 1 to {MAX_FILES} files")));
        }
        let record = self.store.get(site)?;
        let environment = record.environment("environment", input.environment.as_deref())?.id.clone();
        let mut hashes: Vec<&str> = input.files.iter().map(|file| file.blake3.as_str()).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let now = clock::now();
        let id = format!("plan-{:032x}", crate::store::hash(&format!("{now} {}", hashes.concat())));
        let expires_at = now + PLAN_MILLIS;
        let files = u32::try_from(input.files.len()).unwrap_or(u32::MAX);
        self.store.amend(site, &|record| {
            record.plans.retain(|plan| plan.expires_at > now && plan.id != id);
            if record.plans.len() >= MAX_PLANS {
                record.plans.remove(0);
            }
            record.plans.push(record::Plan { id: id.clone(), environment: environment.clone(), files, expires_at });
        })?;
        // Where there is no place for blobs, there is none to upload either.
        let missing = if self.has_blobs { hashes.into_iter().map(str::to_owned).collect() } else { Vec::new() };
        Ok(PlanAnswer { id, missing, expires_at: Some(expires_at) })
    }

    fn upload(&self, site: &str, plan: &str, hash: &str, size: u64) -> Result<Transfer, Error> {
        self.enter("deployments.plan")?;
        self.store.get(site)?.plan(plan, clock::now())?;
        if !self.has_blobs {
            return Err(error::conflict("nothing is missing for this plan: commit it"));
        }
        let path = vec!["blobs".to_owned(), hash.to_owned()];
        Ok(Transfer {
            place: TransferPlace::Upstream(UpstreamPath { upstream: "blobs".to_owned(), path, query: Vec::new() }),
            method: "PUT".to_owned(),
            headers: Vec::new(),
            size: Some(size),
            file_name: None,
        })
    }

    fn commit(&self, call: &Call, site: &str, plan: &str, message: Option<&str>) -> Result<Work, Error> {
        self.enter("deployments.plan")?;
        check::text("message", message, 500)?;
        self.store.change(call, site, &|record, now| {
            let plan = record.plan(plan, now)?.clone();
            let by_message = message.and_then(|text| outcomes::of(text, "deploy", true));
            let outcome = by_message.or(outcomes::of(&record.name, "deploy", false));
            let mut job = self.job(call, "deployments.plan", Takes::Work, outcome, now)?;
            let id = Self::id("deploy", call);
            job.target = Some(id.clone());
            job.effect = Effect::Deployment { id: id.clone(), status: DeploymentStatus::Committed };
            job.undo = Effect::Deployment { id: id.clone(), status: DeploymentStatus::Failed };
            record.plans.retain(|known| known.id != plan.id);
            let source = Source::Files { files: plan.files };
            let message = message.map(str::to_owned);
            record.add_deployment(id, plan.environment, source, DeploymentStatus::Running, message, now);
            Ok(job)
        })
    }
}

impl Sandbox {
    fn released(
        &self,
        call: &Call,
        verb: &str,
        record: &Record,
        environment: String,
        id: String,
        now: u64,
    ) -> Result<crate::job::Job, Error> {
        let deployment = record.deployment(&id)?;
        if !matches!(deployment.status, DeploymentStatus::Completed | DeploymentStatus::Committed) {
            return Err(error::conflict("only a committed or completed deployment can be released"));
        }
        let outcome = outcomes::of(&record.name, verb, false);
        let mut job = self.job(call, &format!("deployments.{verb}"), Takes::Work, outcome, now)?;
        job.target = Some(id.clone());
        job.effect = Effect::Released { environment, id };
        Ok(job)
    }
}

impl Record {
    fn deployment(&self, id: &str) -> Result<&record::Deployment, Error> {
        let found = self.deployments.iter().find(|deployment| deployment.id == id);
        found.ok_or_else(|| error::not_found("there is no such deployment"))
    }

    fn plan(&self, id: &str, now: u64) -> Result<&record::Plan, Error> {
        let found = self.plans.iter().find(|plan| plan.id == id && plan.expires_at > now);
        found.ok_or_else(|| error::not_found("there is no such plan, or it has expired"))
    }

    /// The oldest that no environment serves makes room.
    fn add_deployment(
        &mut self,
        id: String,
        environment: String,
        source: Source,
        status: DeploymentStatus,
        message: Option<String>,
        now: u64,
    ) {
        if self.deployments.len() >= MAX {
            let served = |id: &String| self.environments.iter().any(|environment| environment.released.last() == Some(id));
            let oldest = self.deployments.iter().position(|old| !served(&old.id) && old.completed_at.is_some());
            if let Some(oldest) = oldest {
                let gone = self.deployments.remove(oldest);
                self.environments.iter_mut().for_each(|environment| environment.released.retain(|id| *id != gone.id));
            }
        }
        self.deployments.push(record::Deployment {
            id,
            environment,
            source,
            status,
            message,
            created_at: now,
            completed_at: None,
        });
    }
}

/// The last release that isn't the current one.
fn previous(released: &[String]) -> Option<&str> {
    let current = released.last()?;
    released.iter().rev().find(|id| *id != current).map(String::as_str)
}

fn source(source: &DeploymentSource) -> Result<Source, Error> {
    Ok(match source {
        DeploymentSource::Git(git) => {
            check::text("repository", Some(&git.repository), 500)?;
            check::text("branch", git.branch.as_deref(), 200)?;
            check::text("commit", git.commit.as_deref(), 64)?;
            if git.repository.is_empty() {
                return Err(error::invalid_input("repository", "a git deployment needs a repository"));
            }
            Source::Git { repository: git.repository.clone(), branch: git.branch.clone(), commit: git.commit.clone() }
        }
        DeploymentSource::Zip(url) => {
            check::https("zip_url", url)?;
            Source::Zip(url.clone())
        }
        DeploymentSource::Files => {
            return Err(error::invalid_input("source", "files are deployed by a plan: plan, upload, commit"));
        }
    })
}

/// `with_logs`: a list tells none.
pub fn model(record: &Record, deployment: &record::Deployment, with_logs: bool) -> Deployment {
    let (source, added) = match &deployment.source {
        Source::Git { repository, branch, commit } => {
            let git = GitSource { repository: repository.clone(), branch: branch.clone(), commit: commit.clone() };
            (DeploymentSource::Git(git), None)
        }
        Source::Zip(url) => (DeploymentSource::Zip(url.clone()), None),
        Source::Files { files } => (DeploymentSource::Files, Some(*files)),
    };
    let end = format!("{:?}", deployment.status).to_ascii_lowercase();
    Deployment {
        id: deployment.id.clone(),
        environment: Some(deployment.environment.clone()),
        source,
        status: deployment.status.into(),
        message: deployment.message.clone(),
        changes: added.map(|added| Changes { added, modified: 0, deleted: 0 }),
        logs: with_logs.then(|| format!("accepted {}\nno files were moved: this is a sandbox\n{end}\n", deployment.id)),
        url: record.primary_domain(&deployment.environment).map(|domain| format!("https://{domain}")),
        created_at: Some(deployment.created_at),
        completed_at: deployment.completed_at,
        native: None,
    }
}
