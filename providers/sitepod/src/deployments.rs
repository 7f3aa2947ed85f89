//! Images, which are the deployments: planned, committed, released, rolled back.
//!
//! Invariant: an image never changes; what changes is which one an environment serves.

use crate::{SERVER, SitePod, convert, environments, plans, settings::Dialect};
use convert::Image;
use portico_sdk::{
    Call, Completion, Deployment, Deployments, Error, Page, PageRequest, Transfer, TransferPlace, UpstreamPath, Work, clock,
    deployments::{PlanAnswer, PlanInput},
    error::{conflict, internal, invalid_input, not_found},
    log,
};
use serde_json::{Value, json};

/// The most that `history` tells; it has no cursor.
const HISTORY: u32 = 200;
/// How long a live plan can be committed.
const PLAN_MILLIS: u64 = 30 * 60_000;

fn history(site: &str) -> Result<Vec<Image>, Error> {
    let answer = SERVER.get(["history"]).query("project", site).query("limit", HISTORY).json()?;
    convert::items(answer, "items")?.iter().map(convert::image).collect()
}

impl SitePod {
    /// The newest first. `images` tells more of fewer than `history` does.
    pub fn images(&self, site: &str) -> Result<Vec<Image>, Error> {
        let mut all = history(site)?;
        if self.settings.dialect == Dialect::Live {
            let answer = SERVER.get(["images"]).query("project", site).json()?;
            for told in convert::items(answer, "images")? {
                let told = convert::image(&told)?;
                match all.iter_mut().find(|image| image.id == told.id) {
                    Some(image) => *image = told,
                    None => all.push(told),
                }
            }
            return Ok(all);
        }
        for environment in [convert::PROD, convert::BETA] {
            let current = environments::current(site, environment)?.map(|deployment| deployment.id);
            let served = all.iter_mut().find(|image| Some(&image.id) == current.as_ref());
            served.into_iter().for_each(|image| image.deployed_to.push(environment));
        }
        Ok(all)
    }

    /// The image before the one that is served.
    fn previous(&self, site: &str, environment: &'static str) -> Result<String, Error> {
        let current = environments::current(site, environment)?.map(|deployment| deployment.id);
        let mut images = history(site)?.into_iter().map(|image| image.id);
        let found = images.find(|id| Some(id) == current.as_ref()).and_then(|_| images.next());
        found.ok_or_else(|| conflict("there is no deployment before the current one"))
    }

    fn point(&self, verb: &str, site: &str, environment: &'static str, id: &str) -> Result<Work, Error> {
        let body = json!({"project": site, "environment": environment, "image_id": id});
        let answer: Value = SERVER.post([verb]).json_body(&body).json()?;
        let url = answer.get("url").and_then(Value::as_str);
        let completion = Completion::of(id);
        Ok(match url {
            Some(url) => completion.with_details(&json!({"url": url, "environment": environment})),
            None => completion,
        }
        .into())
    }
}

impl Deployments for SitePod {
    fn list(&self, site: &str, environment: Option<&str>, page: &PageRequest) -> Result<Page<Deployment>, Error> {
        let environment = match environment {
            Some(_) => Some(environments::named(environment)?),
            None => None,
        };
        let mut images = self.images(site)?;
        images.retain(|image| environment.is_none_or(|wanted| image.deployed_to.contains(&wanted)));
        let start =
            match &page.cursor {
                None => 0,
                Some(last) => images.iter().position(|image| image.id == *last).map(|place| place + 1).ok_or_else(|| {
                    invalid_input("cursor", "the deployment at which the last page ended is gone; begin again")
                })?,
            };
        let mut rest = images.iter().skip(start);
        let items: Vec<Deployment> =
            rest.by_ref().take(page.limit as usize).map(|image| convert::deployment(image, environment)).collect();
        let next = rest.next().and(items.last().map(|deployment| deployment.id.clone()));
        Ok(Page { items, next })
    }

    fn get(&self, site: &str, id: &str) -> Result<Deployment, Error> {
        let image = self.images(site)?.into_iter().find(|image| image.id == id);
        let image = image.ok_or_else(|| not_found(format!("this project has no such image among its last {HISTORY}")))?;
        Ok(convert::deployment(&image, None))
    }

    fn rollback(&self, _call: &Call, site: &str, environment: Option<&str>, id: Option<&str>) -> Result<Work, Error> {
        let environment = environments::named(environment)?;
        let id = match id {
            Some(id) => id.to_owned(),
            None => self.previous(site, environment)?,
        };
        self.point("rollback", site, environment, &id)
    }

    fn release(&self, _call: &Call, site: &str, environment: &str, id: &str) -> Result<Work, Error> {
        self.point("release", site, environments::named(Some(environment))?, id)
    }

    /// The first plan of a name makes the project.
    fn plan(&self, site: &str, input: PlanInput) -> Result<PlanAnswer, Error> {
        environments::named(input.environment.as_deref())?;
        let body = convert::plan_body(self.settings.dialect, site, &input);
        let answer: Value = SERVER.post(["plan"]).json_body(&body).json()?;
        let planned = convert::planned(&answer)?;
        plans::keep(&planned)?;
        Ok(PlanAnswer {
            id: planned.id,
            missing: planned.missing.into_iter().map(|missing| missing.hash).collect(),
            expires_at: (self.settings.dialect == Dialect::Live).then(|| clock::now() + PLAN_MILLIS),
        })
    }

    fn upload(&self, _site: &str, plan: &str, hash: &str, size: u64) -> Result<Transfer, Error> {
        let transfer = |place, method: &str, headers: &[(&str, &str)]| Transfer {
            place,
            method: method.to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            size: Some(size),
            file_name: None,
        };
        if let Some(url) = plans::upload_url(plan, hash)? {
            return Ok(transfer(TransferPlace::Blob(url), "PUT", &[]));
        }
        let path = vec!["upload".to_owned(), plan.to_owned(), hash.to_owned()];
        let place = UpstreamPath { upstream: crate::settings::UPSTREAM.to_owned(), path, query: Vec::new() };
        Ok(transfer(TransferPlace::Upstream(place), "POST", &[("content-type", "application/octet-stream")]))
    }

    fn commit(&self, _call: &Call, _site: &str, plan: &str, message: Option<&str>) -> Result<Work, Error> {
        let live = self.settings.dialect == Dialect::Live;
        let body = match message {
            Some(message) if !live => json!({"plan_id": plan, "message": message}),
            _ => json!({"plan_id": plan}),
        };
        let answer: Value = SERVER.post(["commit"]).json_body(&body).json()?;
        let id = answer.get("image_id").and_then(Value::as_str);
        let id = id.ok_or_else(|| internal("SitePod committed the plan and told no image"))?;
        if let Err(error) = plans::forget_blobs(plan) {
            // They go with the next plan; what is committed is committed.
            log::warn(&format!("addresses of a plan stay for a while: {}", error.message));
        }
        let completion = Completion::of(id);
        let kept = "SitePod keeps the message that the plan was made with";
        Ok(if live && message.is_some() { completion.with_message(kept) } else { completion }.into())
    }
}
