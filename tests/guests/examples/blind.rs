//! A guest whose upstream takes no key and can't be searched: what was sent can't be found again, and may not be sent again.

use portico_guests::Settings;
use portico_sdk::{
    Call, Completion, Configuration, Description, Error, Page, PageRequest, Provider, Recovery, Site, Sites, Upstream, Work,
    sites::SiteCreate,
};
use serde_json::json;

const API: Upstream = Upstream::named("api");

struct Blind;

impl Provider for Blind {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new(
            "blind",
            "Blind",
            "An upstream without keys and without search",
            "1.0.0",
            Settings::schema().to_string(),
        )
    }

    fn configure(settings: Settings) -> Result<(Self, Configuration), Error> {
        let configuration =
            Configuration::new(["sites.list", "sites.create"]).with_recovery(["sites.create"], Recovery::Neither);
        Ok((Self, Configuration { upstreams: settings.upstream().into_iter().collect(), ..configuration }))
    }
}

impl Sites for Blind {
    fn list(&self, _: &PageRequest) -> Result<Page<Site>, Error> {
        Ok(Page::last(Vec::new()))
    }

    fn create(&self, _: &Call, input: SiteCreate) -> Result<Work, Error> {
        API.post(["sites"]).json_body(&json!({ "name": input.name })).send()?;
        Ok(Work::Done(Completion::default()))
    }
}

portico_sdk::provider!(Blind: sites);
