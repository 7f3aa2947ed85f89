//! Sites: the calls, and finding one by id or name.
//!
//! Invariant: names are unique at SiteICO, and a name is looked up before anything is made under it, so that a site which bears it
//! after a crash is the one that was to be made.

use crate::{
    PANEL, SiteIco, convert,
    handle::{Handle, Task},
};
use portico_sdk::{
    Call, Error, Page, PageRequest, Site, SiteStatus, Sites, Work, clock,
    error::{conflict, not_found},
    json,
    sites::{SiteClone, SiteCreate},
};
use serde_json::{Map, Value};

pub fn all() -> Result<Vec<Site>, Error> {
    convert::items(PANEL.get(["api", "sites"]).json()?, "site")?.iter().map(convert::site).collect()
}

pub fn named(name: &str) -> Result<Option<Site>, Error> {
    Ok(all()?.into_iter().find(|site| site.name == name))
}

/// None when there is no such site.
pub fn look(id: &str) -> Result<Option<Site>, Error> {
    let answer: Option<Value> = PANEL.get(["api", "sites", id]).json_if_found()?;
    answer.map(|answer| convert::site(&convert::object(answer, "site"))).transpose()
}

fn body(name: &str, options: &str) -> Result<Value, Error> {
    let mut body: Map<String, Value> = json::from_str(options)?;
    body.insert("name".to_owned(), name.into());
    Ok(Value::Object(body))
}

/// Makes a site by a POST to `path`.
fn make(path: &[&str], name: &str, options: &str) -> Result<Work, Error> {
    if named(name)?.is_some() {
        return Err(conflict("there is a site of this name already").with_field("name"));
    }
    let response = PANEL.post(path).json_body(&body(name, options)?).send()?;
    // The answer isn't documented: where it tells no site, the name finds it.
    let answer: Value = response.json().unwrap_or_default();
    let id = convert::site(&convert::object(answer, "site")).ok().map(|site| site.id);
    Handle::new(Task::Appear, id, Some(name.to_owned()), clock::now()).work()
}

/// A site that is in this state already needs no request.
fn switch(task: Task, site: &str, verb: &str, wanted: SiteStatus) -> Result<Work, Error> {
    match look(site)? {
        None => Err(unknown()),
        Some(found) if found.status == wanted => Ok(Work::done_with(site)),
        Some(_) => act(task, site, PANEL.post(["api", "sites", site, verb])),
    }
}

fn unknown() -> Error {
    not_found("SiteICO doesn't know this site")
}

fn act(task: Task, site: &str, request: portico_sdk::upstream::Request) -> Result<Work, Error> {
    request.send()?;
    Handle::new(task, Some(site.to_owned()), None, clock::now()).work()
}

impl Sites for SiteIco {
    fn list(&self, page: &PageRequest) -> Result<Page<Site>, Error> {
        Ok(Page::by_id(all()?, page, |site| &site.id))
    }

    fn get(&self, id: &str) -> Result<Site, Error> {
        look(id)?.ok_or_else(unknown)
    }

    fn create(&self, _call: &Call, input: SiteCreate) -> Result<Work, Error> {
        make(&["api", "sites"], &input.name, &input.options)
    }

    fn delete(&self, _call: &Call, id: &str) -> Result<Work, Error> {
        act(Task::Delete, id, PANEL.delete(["api", "sites", id]))
    }

    fn start(&self, _call: &Call, id: &str) -> Result<Work, Error> {
        switch(Task::Start, id, "start", SiteStatus::Running)
    }

    fn stop(&self, _call: &Call, id: &str) -> Result<Work, Error> {
        switch(Task::Stop, id, "stop", SiteStatus::Stopped)
    }

    fn clone(&self, _call: &Call, id: &str, input: SiteClone) -> Result<Work, Error> {
        make(&["api", "sites", id, "clone"], &input.name, &input.options)
    }
}
