//! Calls to Kinsta: one function for each request that this provider makes, and no other.
//!
//! In go ids and bodies; out come parsed answers. Invariant: a change is sent once, and if Kinsta refused it with 429, that is
//! noted, so that `reconcile` knows for certain that it wasn't done.

use crate::{
    error,
    types::{self, Accepted},
};
use portico_sdk::{
    Call, Error, ErrorKind, Upstream, error as sdk_error, json, state,
    upstream::{Request, Response},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub const UPSTREAM: &str = "api";
const API: Upstream = Upstream::named(UPSTREAM).with_error_parser(error::parse);

pub fn key() -> Result<types::Key, Error> {
    API.get(["validate"]).json()
}

pub fn users(company: &str) -> Result<Vec<types::UserEntry>, Error> {
    API.get(["company", company, "users"]).json().map(|answer: types::Company<types::Users>| answer.company.users)
}

pub fn sites(company: &str) -> Result<Vec<Value>, Error> {
    let request = API.get(["sites"]).query("company", company).query("include_environments", true);
    request.json().map(|answer: types::Company<types::Sites>| answer.company.sites)
}

pub fn site(id: &str) -> Result<Value, Error> {
    API.get(["sites", id]).json().map(|answer: types::InSite<Value>| answer.site)
}

pub fn site_exists(id: &str) -> Result<bool, Error> {
    found(API.get(["sites", id]).json::<Value>())
}

pub fn environments(site: &str) -> Result<Vec<Value>, Error> {
    let answer: types::InSite<types::Environments> = API.get(["sites", site, "environments"]).json()?;
    Ok(answer.site.environments)
}

pub fn backups(environment: &str) -> Result<Vec<Value>, Error> {
    in_environment(environment, "backups").map(|answer: types::Backups| answer.backups)
}

pub fn downloadable_backups(environment: &str) -> Result<Vec<Value>, Error> {
    in_environment(environment, "downloadable-backups").map(|answer: types::Downloadables| answer.downloadable_backups)
}

pub fn domains(environment: &str) -> Result<Vec<Value>, Error> {
    in_environment(environment, "domains").map(|answer: types::SiteDomains| answer.site_domains)
}

pub fn records(domain: &str) -> Result<types::Records, Error> {
    let path = ["sites", "environments", "domains", domain, "verification-records"];
    API.get(path).json().map(|answer: types::InDomain| answer.site_domain)
}

/// `plugins` or `themes`
pub fn extensions(environment: &str, which: &str) -> Result<Vec<Value>, Error> {
    let answer: types::InContainer<types::Extensions> = in_environment(environment, which)?;
    let known = answer.container_info;
    let asked = if which == "themes" { known.wp_themes } else { known.wp_plugins };
    asked.map(|extensions| extensions.data).ok_or_else(|| lacks(which))
}

pub fn logs(environment: &str, file: &str, lines: u32) -> Result<String, Error> {
    let request = API.get(["sites", "environments", environment, "logs"]).query("file_name", file).query("lines", lines);
    let answer: types::InEnvironment<types::InContainer<types::Logs>> = request.json()?;
    Ok(answer.environment.container_info.logs)
}

pub fn visits(site: &str) -> Result<f64, Error> {
    let answer: types::InSite<types::Visits> = usage(site, "visits")?;
    Ok(answer.site.this_month_usage.visits)
}

/// `bandwidth` or `cdn-bandwidth`
pub fn bandwidth(site: &str, which: &str) -> Result<f64, Error> {
    let answer: types::InSite<types::Bandwidth> = usage(site, which)?;
    let known = answer.site;
    let asked = if which == "cdn-bandwidth" { known.this_month_cdn_usage } else { known.this_month_usage };
    asked.map(|number| number.bandwidth).ok_or_else(|| lacks(which))
}

/// Answers 202 with the numbers themselves.
pub fn disk_space(company: &str, environment: &str) -> Result<types::Analytics, Error> {
    let request = API.get(["sites", "environments", environment, "analytics", "diskspace"]);
    request.query("company_id", company).query("time_span", "7_days").query("time_zone", "00:00").json()
}

/// Whatever the status is.
pub fn operation(id: &str) -> Result<Response, Error> {
    API.get(["operations", id]).send_any()
}

fn in_environment<T: DeserializeOwned>(environment: &str, what: &str) -> Result<T, Error> {
    let request = API.get(["sites", "environments", environment, what]);
    request.json().map(|answer: types::InEnvironment<T>| answer.environment)
}

fn usage<T: DeserializeOwned>(site: &str, what: &str) -> Result<T, Error> {
    API.get(["sites", site, "usage", what, "this-month"]).json()
}

fn lacks(what: &str) -> Error {
    sdk_error::internal(format!("Kinsta's answer lacks what was asked for: {what}"))
}

fn found<T>(answer: Result<T, Error>) -> Result<bool, Error> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.is(ErrorKind::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A change that Kinsta accepted: the id of its operation, if it named one.
pub type Started = Option<String>;

fn wp_cli(environment: &str, command: &str) -> Request {
    let body = json!({ "wp_command": format!("wp {command}") });
    API.post(["sites", "environments", environment, "run-wp-cli-command"]).json_body(&body)
}

/// Who asks for a change: a call, or `poll` going on with one.
#[derive(Clone, Copy)]
pub struct Sender<'a> {
    operation: &'a str,
}

impl<'a> Sender<'a> {
    pub fn of(call: &'a Call) -> Self {
        Self { operation: &call.operation_id }
    }

    pub const fn of_operation(operation: &'a str) -> Self {
        Self { operation }
    }

    pub fn post(self, path: &[&str], body: &Value) -> Result<Started, Error> {
        self.send(API.post(path).json_body(body))
    }

    /// Sending it again leads to the same.
    pub fn post_repeatable(self, path: &[&str], body: &Value) -> Result<Started, Error> {
        self.send(API.post(path).json_body(body).repeatable())
    }

    pub fn put(self, path: &[&str], body: &Value) -> Result<Started, Error> {
        self.send(API.put(path).json_body(body))
    }

    pub fn delete(self, path: &[&str]) -> Result<Started, Error> {
        self.send(API.delete(path))
    }

    pub fn delete_with(self, path: &[&str], body: &Value) -> Result<Started, Error> {
        self.send(API.delete(path).json_body(body))
    }

    /// WordPress' own command line; `command` without its `wp`. One that leads to the same when it is sent again.
    pub fn wp_cli(self, environment: &str, command: &str) -> Result<Started, Error> {
        self.send(wp_cli(environment, command).repeatable())
    }

    /// One that fails when it was carried out already.
    pub fn wp_cli_once(self, environment: &str, command: &str) -> Result<Started, Error> {
        self.send(wp_cli(environment, command))
    }

    fn send(self, request: Request) -> Result<Started, Error> {
        let refused = refusal(self.operation);
        // A note of an earlier try must not outlive this one.
        if state::get(&refused)?.is_some() {
            state::delete(&refused)?;
        }
        match request.send() {
            Ok(response) => started(&response),
            Err(error) => {
                if error.is(ErrorKind::RateLimited) && error.upstream_status == Some(429) {
                    state::set(&refused, b"429")?;
                }
                Err(error)
            }
        }
    }
}

fn refusal(operation: &str) -> String {
    format!("refused/{operation}")
}

/// Whether the last thing that Kinsta said to this operation was 429.
pub fn was_refused(operation: &str) -> Result<bool, Error> {
    Ok(state::get(&refusal(operation))?.is_some())
}

/// It was accepted even if the answer can't be read: then its effect tells the end.
fn started(response: &Response) -> Result<Started, Error> {
    let body = json::from_slice::<Accepted>(&response.body).ok();
    let status = body.as_ref().and_then(|body| body.status).and_then(error::status_code);
    if status.is_some_and(|status| status >= 400) {
        return Err(error::parse(response).unwrap_or_else(|| sdk_error::internal("Kinsta refused this without a reason")));
    }
    Ok(body.and_then(|body| body.operation_id).filter(|id| !id.is_empty()))
}
