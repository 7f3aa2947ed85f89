//! A guest with a secret, which the host adds to requests and the guest never sees; it also sells.

use portico_guests::Settings;
use portico_sdk::{
    Auth, Billing, Configuration, Description, Error, Page, PageRequest, Provider, Site, Sites, Upstream, UpstreamDeclaration,
    billing::{CheckoutInput, Usage},
};
use serde_json::json;

const API: Upstream = Upstream::named("api");

struct Keyed;

impl Provider for Keyed {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("keyed", "Keyed", "An upstream behind a bearer token", "1.0.0", Settings::schema().to_string())
            .with_secret("api_key", "API key", "the test knows it", true)
    }

    fn configure(settings: Settings) -> Result<(Self, Configuration), Error> {
        let url = settings.url.unwrap_or_else(|| "https://api.example.com".to_owned());
        let api = UpstreamDeclaration::url("api", url, Auth::Bearer("api_key".to_owned()));
        let features = ["sites.list", "sites.get", "billing.checkout", "billing.usage"];
        Ok((Self, Configuration::new(features).with_upstream(api)))
    }
}

impl Sites for Keyed {
    fn list(&self, _: &PageRequest) -> Result<Page<Site>, Error> {
        Ok(Page::last(Vec::new()))
    }

    /// Whatever the upstream says is the site's name, so that a test sees what reached the guest.
    fn get(&self, id: &str) -> Result<Site, Error> {
        let response = API.get(["echo"]).send()?;
        let headers: Vec<String> = response.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        Ok(Site::new(id, format!("{} | {}", String::from_utf8_lossy(&response.body), headers.join(", "))))
    }
}

impl Billing for Keyed {
    /// The page is where the upstream's first word says.
    fn create_checkout(&self, input: CheckoutInput) -> Result<String, Error> {
        let response = API.post(["checkouts"]).json_body(&json!({ "plan": input.plan })).send()?;
        Ok(String::from_utf8_lossy(&response.body).into_owned())
    }

    /// Reading is no reason to send a change: the host must refuse this one.
    fn get_usage(&self) -> Result<Usage, Error> {
        API.post(["usage"]).json_body(&json!({})).send()?;
        let nothing = Usage {
            sites: None,
            storage: None,
            bandwidth: None,
            visits: None,
            period_start: None,
            period_end: None,
            native: None,
        };
        Ok(nothing)
    }
}

portico_sdk::provider!(Keyed: sites, billing);
