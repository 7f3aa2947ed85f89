//! A guest that sends a POST for every call: where plans are made, it may; where something is only read, it may not.

use portico_guests::Settings;
use portico_sdk::{
    Configuration, Deployment, Deployments, Description, Error, Provider, Upstream,
    deployments::{PlanAnswer, PlanInput},
};
use serde_json::json;

const API: Upstream = Upstream::named("api");

struct Planner;

impl Provider for Planner {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("planner", "Planner", "An upstream that keeps plans of files", "1.0.0", Settings::schema().to_string())
    }

    fn configure(settings: Settings) -> Result<(Self, Configuration), Error> {
        let configuration = Configuration::new(["deployments.get", "deployments.plan"]);
        Ok((Self, Configuration { upstreams: settings.upstream().into_iter().collect(), ..configuration }))
    }
}

impl Deployments for Planner {
    fn plan(&self, _: &str, input: PlanInput) -> Result<PlanAnswer, Error> {
        let paths: Vec<&str> = input.files.iter().map(|file| file.path.as_str()).collect();
        API.post(["plans"]).json_body(&json!({ "paths": paths })).send()?;
        let missing = input.files.into_iter().map(|file| file.blake3).collect();
        Ok(PlanAnswer { id: "a/1".to_owned(), missing, expires_at: None })
    }

    fn get(&self, _: &str, _: &str) -> Result<Deployment, Error> {
        API.post(["reads"]).send()?;
        Err(portico_sdk::error::internal("a reading call sent a POST"))
    }
}

portico_sdk::provider!(Planner: deployments);
