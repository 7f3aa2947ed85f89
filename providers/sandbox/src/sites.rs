//! Sites: what the contract's `sites` asks, on records.
//!
//! Invariant: the list is sorted by id, seeds first, and its cursor is the last id, so what comes and goes in between moves nothing.

use crate::{
    Sandbox, Takes, check,
    job::Effect,
    outcomes,
    record::{Domain, DomainStatus, Environment, EnvironmentKind, Extension, Kind, Record, Status, Wordpress},
    seeds,
};
use portico_sdk::{Call, Error, Page, PageRequest, Site, SiteKind, SiteUsage, Sites, Work, clock, error, json, sites::*};
use serde::Deserialize;
use std::rc::Rc;

const DEFAULT_PHP: &str = "8.3";
const DEFAULT_WORDPRESS: &str = "6.8";

#[derive(Deserialize)]
struct Options {
    #[serde(default)]
    multisite: bool,
    #[serde(default)]
    woocommerce: bool,
}

impl Sites for Sandbox {
    fn list(&self, page: &PageRequest) -> Result<Page<Site>, Error> {
        self.enter("sites.list")?;
        let limit = page.limit as usize;
        let mut items = Vec::with_capacity(limit.min(1000));
        let mut walk = Walk::new(self, page.cursor.as_deref())?;
        while items.len() < limit {
            match walk.next() {
                Some(record) => items.push(site(&record)),
                None => return Ok(Page::last(items)),
            }
        }
        let next = items.last().map(|last: &Site| last.id.clone());
        Ok(Page { next: next.filter(|_| walk.next().is_some()), items })
    }

    fn get(&self, id: &str) -> Result<Site, Error> {
        self.enter("sites.get")?;
        Ok(site(&*self.store.get(id)?))
    }

    fn create(&self, call: &Call, input: SiteCreate) -> Result<Work, Error> {
        self.enter("sites.create")?;
        let now = clock::now();
        let id = Self::id("site", call);
        let options = check_input(&input)?;
        if let Some((_, record)) = self.store.load(&id, now)? {
            return self.store.create(call, record, now);
        }
        let outcome = outcomes::of(&input.name, "create", true);
        let mut job = self.job(call, "sites.create", Takes::Work, outcome, now)?;
        job.target = Some(id.clone());
        job.effect = Effect::Site(Status::Running);
        job.undo = Effect::Site(Status::Error);
        if input.admin.as_ref().is_some_and(|admin| admin.password.is_none()) {
            job.secret = Some("admin_password".to_owned());
        }
        self.store.claim_name(&input.name, &id, now)?;
        let mut record = made(id, input, &options, now);
        record.jobs.push(job);
        self.store.create(call, record, now)
    }

    fn update(&self, call: &Call, id: &str, input: SiteUpdate) -> Result<Work, Error> {
        self.enter("sites.update")?;
        check::php_version(input.php_version.as_deref())?;
        check::wordpress_version(input.wordpress_version.as_deref())?;
        let before = self.store.get(id)?;
        if let Some(name) = &input.name {
            check::name("name", name)?;
            self.store.claim_name(name, id, clock::now())?;
        }
        let work = self.store.change(call, id, &|record, now| {
            let mut job = self.job(call, "sites.update", Takes::NoTime, outcomes::of(&record.name, "update", false), now)?;
            job.target = Some(id.to_owned());
            if job.failure.is_none() {
                update(record, &input, now)?;
            }
            Ok(job)
        });
        // One of two names is free again: the old one, or the new one when it came to nothing.
        let name = &self.store.get(id)?.name;
        for other in [Some(&before.name), input.name.as_ref()].into_iter().flatten().filter(|other| *other != name) {
            self.store.release_name(other, id)?;
        }
        work
    }

    fn delete(&self, call: &Call, id: &str) -> Result<Work, Error> {
        self.enter("sites.delete")?;
        self.store.change(call, id, &|record, now| {
            if record.status == Status::Deleting {
                return Err(error::conflict("the site is being deleted already"));
            }
            let mut job = self.job(call, "sites.delete", Takes::Work, outcomes::of(&record.name, "delete", false), now)?;
            job.target = Some(id.to_owned());
            job.undo = Effect::Site(record.status);
            job.effect = Effect::Gone;
            record.status = Status::Deleting;
            Ok(job)
        })
    }

    fn start(&self, call: &Call, id: &str) -> Result<Work, Error> {
        self.switch(call, id, "start", Status::Running)
    }

    fn stop(&self, call: &Call, id: &str) -> Result<Work, Error> {
        self.switch(call, id, "stop", Status::Stopped)
    }

    fn clone(&self, call: &Call, id: &str, input: SiteClone) -> Result<Work, Error> {
        self.enter("sites.clone")?;
        let now = clock::now();
        let copy = Self::id("site", call);
        if let Some((_, record)) = self.store.load(&copy, now)? {
            return self.store.create(call, record, now);
        }
        let source = self.store.get(id)?;
        check::name("name", &input.name)?;
        check::region(input.region.as_deref())?;
        options(&input.options)?;
        if let Some(domain) = &input.domain {
            check::domain("domain", domain)?;
        }
        let environment = source.environment("source_environment", input.source_environment.as_deref())?.clone();
        let outcome = outcomes::of(&source.name, "clone", false).or(outcomes::of(&input.name, "clone", true));
        let mut job = self.job(call, "sites.clone", Takes::Work, outcome, now)?;
        job.target = Some(copy.clone());
        job.effect = Effect::Site(Status::Running);
        job.undo = Effect::Site(Status::Error);
        self.store.claim_name(&input.name, &copy, now)?;
        let mut record = cloned(&source, environment, copy, input, now);
        record.jobs.push(job);
        self.store.create(call, record, now)
    }

    fn usage(&self, id: &str) -> Result<SiteUsage, Error> {
        self.enter("sites.usage")?;
        Ok(usage(&*self.store.get(id)?))
    }

    fn logs(&self, id: &str, request: LogRequest) -> Result<Vec<LogLine>, Error> {
        self.enter("sites.logs")?;
        let record = self.store.get(id)?;
        record.environment("environment", request.environment.as_deref())?;
        let source = request.source.as_deref().unwrap_or("access");
        if !["access", "error"].contains(&source) {
            return Err(error::invalid_input("source", format!("there is no log {source}; take access or error")));
        }
        let now = clock::now();
        let line = |back: u32| {
            let text = match source {
                "access" => format!("192.0.2.{} GET /?page={back} 200", back % 250 + 1),
                _ => format!("PHP Notice: this is test line {back}"),
            };
            LogLine { at: Some(now - u64::from(back) * 1000), source: source.to_owned(), text }
        };
        Ok((0..request.lines.min(1000)).rev().map(line).collect())
    }
}

impl Sandbox {
    fn switch(&self, call: &Call, id: &str, verb: &str, wanted: Status) -> Result<Work, Error> {
        let action = format!("sites.{verb}");
        self.enter(&action)?;
        self.store.change(call, id, &|record, now| {
            let is = record.status;
            if !matches!(is, Status::Running | Status::Stopped) {
                let error = error::conflict(format!("the site is {is:?} and can't {verb} now").to_ascii_lowercase());
                return Err(error);
            }
            let takes = if is == wanted { Takes::NoTime } else { Takes::Work };
            let mut job = self.job(call, &action, takes, outcomes::of(&record.name, verb, false), now)?;
            job.target = Some(id.to_owned());
            job.effect = Effect::Site(wanted);
            Ok(job)
        })
    }
}

impl Sandbox {
    /// Every site that is there, in the order of the list.
    pub(crate) fn all_sites(&self) -> Result<impl Iterator<Item = Rc<Record>>, Error> {
        Walk::new(self, None)
    }
}

/// All sites in order, from after a cursor.
struct Walk {
    records: Vec<Rc<Record>>,
    /// The next one of `records`.
    index: usize,
    seed: u32,
    seeds: u32,
}

impl Walk {
    fn new(sandbox: &Sandbox, after: Option<&str>) -> Result<Self, Error> {
        let records = sandbox.store.records()?;
        let after = after.unwrap_or("");
        let index = records.partition_point(|record| record.id.as_str() <= after);
        // Ids of sites are greater than those of seeds.
        let seed = match seeds::index(after) {
            Some(index) => index + 1,
            None if after.is_empty() => 1,
            None => u32::MAX,
        };
        Ok(Self { records, index, seed, seeds: sandbox.store.seeds() })
    }
}

impl Iterator for Walk {
    type Item = Rc<Record>;

    fn next(&mut self) -> Option<Rc<Record>> {
        loop {
            let record = self.records.get(self.index);
            let changed = record.and_then(|record| seeds::index(&record.id));
            if self.seed <= self.seeds && changed != Some(self.seed) && changed.is_none_or(|changed| changed > self.seed) {
                self.seed += 1;
                return Some(seeds::shared(self.seed - 1));
            }
            let record = record?.clone();
            self.index += 1;
            if let Some(changed) = changed {
                self.seed = changed + 1;
                if changed > self.seeds {
                    continue;
                }
            }
            if !record.is_gone() {
                return Some(record);
            }
        }
    }
}

fn check_input(input: &SiteCreate) -> Result<Options, Error> {
    check::name("name", &input.name)?;
    check::php_version(input.php_version.as_deref())?;
    check::wordpress_version(input.wordpress_version.as_deref())?;
    check::locale(input.locale.as_deref())?;
    check::region(input.region.as_deref())?;
    check::template(input.template.as_deref())?;
    check::text("title", input.title.as_deref(), 200)?;
    let options = options(&input.options)?;
    if input.kind == SiteKind::StaticFiles && input.php_version.is_some() {
        return Err(error::invalid_input("php_version", "a static site has no PHP"));
    }
    if input.kind != SiteKind::Wordpress && input.wordpress_version.is_some() {
        return Err(error::invalid_input("wordpress_version", "only a WordPress site has a version of it"));
    }
    if let Some(domain) = &input.domain {
        check::domain("domain", domain)?;
    }
    if let Some(environment) = &input.environment {
        check::name("environment", environment)?;
    }
    if let Some(admin) = &input.admin {
        check::user("admin.user", &admin.user)?;
        check::email("admin.email", &admin.email)?;
    }
    Ok(options)
}

fn options(text: &str) -> Result<Options, Error> {
    json::strict(text)
        .map_err(|_| error::invalid_input("options", "the options here are multisite and woocommerce, true or false"))
}

fn with_woocommerce(admin: Option<&Admin>) -> Wordpress {
    let mut wordpress = Wordpress::fresh(admin.map(|admin| admin.user.as_str()));
    wordpress.plugins.push(Extension {
        id: "woocommerce/woocommerce.php".to_owned(),
        name: "WooCommerce".to_owned(),
        version: "9.9".to_owned(),
        active: true,
        update: None,
    });
    wordpress
}

fn made(id: String, input: SiteCreate, options: &Options, now: u64) -> Record {
    let wordpress = input.kind == SiteKind::Wordpress;
    let fresh = || with_woocommerce(input.admin.as_ref());
    let state = (wordpress && options.woocommerce).then(fresh);
    let php = input.kind != SiteKind::StaticFiles;
    let name = input.environment.unwrap_or_else(|| "production".to_owned());
    let environment = Environment {
        id: name.clone(),
        name,
        kind: EnvironmentKind::Production,
        status: Status::Running,
        php_version: php.then(|| input.php_version.unwrap_or_else(|| DEFAULT_PHP.to_owned())),
        wordpress_version: wordpress.then(|| input.wordpress_version.unwrap_or_else(|| DEFAULT_WORDPRESS.to_owned())),
        released: Vec::new(),
        wordpress: state,
    };
    let domains = input.domain.into_iter().map(|name| first_domain(name, &environment.id)).collect();
    Record {
        id,
        name: input.name,
        kind: Kind::from(input.kind),
        status: Status::Provisioning,
        locale: input.locale,
        title: input.title,
        region: input.region,
        template: input.template,
        admin: input.admin.map(|admin| admin.user),
        multisite: options.multisite,
        created_at: now,
        updated_at: now,
        environments: vec![environment],
        domains,
        backups: Vec::new(),
        deployments: Vec::new(),
        plans: Vec::new(),
        jobs: Vec::new(),
        gone_at: None,
    }
}

fn first_domain(name: String, environment: &str) -> Domain {
    let (environment, status) = (environment.to_owned(), DomainStatus::PendingVerification);
    Domain { name, environment, primary: true, status, verified_at: None }
}

fn cloned(source: &Record, environment: Environment, id: String, input: SiteClone, now: u64) -> Record {
    let environment = Environment {
        id: "production".to_owned(),
        name: "production".to_owned(),
        kind: EnvironmentKind::Production,
        released: Vec::new(),
        ..environment
    };
    Record {
        id,
        name: input.name,
        status: Status::Provisioning,
        region: input.region.or_else(|| source.region.clone()),
        created_at: now,
        updated_at: now,
        domains: input.domain.into_iter().map(|name| first_domain(name, "production")).collect(),
        environments: vec![environment],
        backups: Vec::new(),
        deployments: Vec::new(),
        plans: Vec::new(),
        jobs: Vec::new(),
        gone_at: None,
        ..source.clone()
    }
}

fn update(record: &mut Record, input: &SiteUpdate, now: u64) -> Result<(), Error> {
    record.updated_at = now;
    if let Some(name) = &input.name {
        record.name.clone_from(name);
    }
    let kind = record.kind;
    let Some(environment) = record.environments.first_mut() else { return Ok(()) };
    if let Some(version) = &input.php_version {
        if kind == Kind::StaticFiles {
            return Err(error::invalid_input("php_version", "a static site has no PHP"));
        }
        environment.php_version = Some(version.clone());
    }
    if let Some(version) = &input.wordpress_version {
        if kind != Kind::Wordpress {
            return Err(error::invalid_input("wordpress_version", "only a WordPress site has a version of it"));
        }
        environment.wordpress_version = Some(version.clone());
    }
    Ok(())
}

fn site(record: &Record) -> Site {
    let main = record.environments.first();
    let domain = main.and_then(|main| record.primary_domain(&main.id));
    Site {
        id: record.id.clone(),
        name: record.name.clone(),
        slug: Some(record.id.clone()),
        kind: record.kind.into(),
        status: record.status.into(),
        url: domain.map(|domain| format!("https://{domain}")),
        wordpress_version: main.and_then(|main| main.wordpress_version.clone()),
        php_version: main.and_then(|main| main.php_version.clone()),
        environments: record.environments.iter().map(|environment| record.model(environment)).collect(),
        usage: None,
        created_at: Some(record.created_at),
        updated_at: Some(record.updated_at),
        native: native(record),
    }
}

/// What the sandbox knows of a site beyond the model; none for a seed, of which there may be thousands.
fn native(record: &Record) -> Option<String> {
    let fields = [
        ("locale", &record.locale),
        ("title", &record.title),
        ("region", &record.region),
        ("template", &record.template),
        ("admin", &record.admin),
    ];
    let mut given = serde_json::Map::new();
    for (name, value) in fields {
        if let Some(value) = value {
            given.insert(name.to_owned(), value.as_str().into());
        }
    }
    (!given.is_empty()).then(|| serde_json::Value::Object(given).to_string())
}

/// Numbers that follow from the id: the same at every look.
pub fn usage(record: &Record) -> SiteUsage {
    let seed = crate::store::hash(&record.id) as u64;
    SiteUsage {
        storage: Some(50_000_000 + seed % 1_000_000_000),
        bandwidth: Some(seed / 7 % 10_000_000_000),
        visits: Some(seed / 11 % 100_000),
    }
}
