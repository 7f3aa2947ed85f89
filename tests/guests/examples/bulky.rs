//! A guest whose backups and blobs are at the test's upstream, behind a bearer token; the test's names say what goes wrong.

use portico_guests::Settings;
use portico_sdk::{
    Auth, Backups, Configuration, Deployments, Description, Error, Page, PageRequest, Provider, Site, Sites, Transfer,
    TransferPlace, UpstreamDeclaration, UpstreamPath,
};

/// As an id, names a place that nobody granted.
const ELSEWHERE: &str = "elsewhere";

struct Bulky;

impl Provider for Bulky {
    type Settings = Settings;

    fn describe() -> Description {
        let description =
            Description::new("bulky", "Bulky", "Large files behind a bearer token", "1.0.0", Settings::schema().to_string());
        description.with_secret("api_key", "API key", "the test knows it", true)
    }

    fn configure(settings: Settings) -> Result<(Self, Configuration), Error> {
        let url = settings.url.unwrap_or_else(|| "https://api.example.com".to_owned());
        let api = UpstreamDeclaration::url("api", url, Auth::Bearer("api_key".to_owned()));
        let features = ["sites.list", "sites.get", "backups.download", "deployments.plan"];
        Ok((Self, Configuration::new(features).with_upstream(api)))
    }
}

impl Sites for Bulky {
    fn list(&self, _: &PageRequest) -> Result<Page<Site>, Error> {
        Ok(Page::last(Vec::new()))
    }

    fn get(&self, id: &str) -> Result<Site, Error> {
        Ok(Site::new(id, "Bulky"))
    }
}

impl Backups for Bulky {
    fn download(&self, _: &str, id: &str) -> Result<Transfer, Error> {
        let mut transfer = transfer("GET", "backups", id);
        transfer.file_name = (id != "nameless").then(|| format!("Büro \"{id}\".tar.gz"));
        transfer.headers = vec![("accept".to_owned(), "application/gzip".to_owned())];
        if id == "forbidden-header" {
            transfer.headers = vec![("authorization".to_owned(), "Bearer mine".to_owned())];
        }
        Ok(transfer)
    }
}

impl Deployments for Bulky {
    fn upload(&self, _: &str, plan: &str, hash: &str, size: u64) -> Result<Transfer, Error> {
        let mut transfer = transfer("PUT", "blobs", if plan == ELSEWHERE { ELSEWHERE } else { hash });
        transfer.size = Some(size);
        Ok(transfer)
    }
}

fn transfer(method: &str, folder: &str, id: &str) -> Transfer {
    let path = vec![folder.to_owned(), id.to_owned()];
    let place = match id {
        ELSEWHERE => TransferPlace::Blob("https://blobs.example:8443/x?signature=secret".to_owned()),
        _ => TransferPlace::Upstream(UpstreamPath { upstream: "api".to_owned(), path, query: Vec::new() }),
    };
    Transfer { place, method: method.to_owned(), headers: Vec::new(), size: None, file_name: None }
}

portico_sdk::provider!(Bulky: sites, backups, deployments);
