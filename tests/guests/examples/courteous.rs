//! A guest whose settings say what its upstream allows, so that a test sees how the host keeps to it.
//!
//! Invariant: every call on it is exactly one request to the upstream, so a test's count of requests is one of calls.

use portico_sdk::{
    Auth, Call, Configuration, Description, Error, Page, PageRequest, Provider, Rate, Recovery, Site, Sites, Upstream,
    UpstreamDeclaration, Work,
};
use serde::Deserialize;
use serde_json::json;

const API: Upstream = Upstream::named("api");

#[derive(Deserialize)]
struct Settings {
    url: String,
    requests: Option<u32>,
    per_seconds: Option<u32>,
    concurrency: Option<u32>,
    /// Milliseconds that a read waits for the upstream.
    timeout: Option<u32>,
}

struct Courteous {
    timeout: Option<u32>,
}

impl Provider for Courteous {
    type Settings = Settings;

    fn describe() -> Description {
        let number = json!({ "type": "integer", "minimum": 1, "maximum": 1_000_000 });
        let schema = json!({
            "type": "object",
            "properties": {
                "url": { "type": "string" },
                "requests": number,
                "per_seconds": number,
                "concurrency": number,
                "timeout": number,
            },
            "required": ["url"],
            "additionalProperties": false,
        });
        Description::new("courteous", "Courteous", "An upstream with limits", "1.0.0", schema.to_string())
    }

    fn configure(settings: Settings) -> Result<(Self, Configuration), Error> {
        let rate = settings.requests.zip(settings.per_seconds).map(|(requests, per)| Rate { requests, per });
        let api = UpstreamDeclaration::url("api", settings.url, Auth::None);
        let api = UpstreamDeclaration { rate, concurrency: settings.concurrency, ..api };
        let features = ["sites.list", "sites.get", "sites.start", "sites.stop"];
        let configuration = Configuration::new(features).with_upstream(api).with_recovery(["sites.stop"], Recovery::Keyed);
        Ok((Self { timeout: settings.timeout }, configuration))
    }
}

impl Sites for Courteous {
    fn list(&self, _: &PageRequest) -> Result<Page<Site>, Error> {
        Ok(Page::last(Vec::new()))
    }

    fn get(&self, id: &str) -> Result<Site, Error> {
        let request = API.get(["sites", id]);
        match self.timeout {
            Some(millis) => request.timeout(millis).send()?,
            None => request.send()?,
        };
        Ok(Site::new(id, id))
    }

    /// Without a key: it must never be sent twice.
    fn start(&self, _: &Call, id: &str) -> Result<Work, Error> {
        API.post(["sites", id, "start"]).json_body(&json!({})).send()?;
        Ok(Work::done_with(id))
    }

    /// With a key that the upstream honours.
    fn stop(&self, call: &Call, id: &str) -> Result<Work, Error> {
        API.post(["sites", id, "stop"]).keyed(call).json_body(&json!({})).send()?;
        Ok(Work::done_with(id))
    }
}

portico_sdk::provider!(Courteous: sites);
