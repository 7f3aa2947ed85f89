//! A guest that uses the whole contract: every interface, every import, every field of every record.
//!
//! Built once, it is what every later host must load (`tests/fixtures/`). Invariant: no optional field of an answer is none, and
//! sites are as the upstream, the clock, the random source and the state made them, so that an import that fails shows.

use portico_guests::Settings;
use portico_sdk::{
    Auth, Backup, BackupKind, BackupStatus, Backups, Billing, Call, Certificate, Changes, Completion, Configuration, Contents,
    Deployment, DeploymentSource, DeploymentStatus, Deployments, Description, DnsRecord, Domain, DomainStatus, Domains,
    Environment, EnvironmentKind, Environments, Error, Finding, GitSource, Operations, Page, PageRequest, Pending, Progress,
    Provider, Rate, Recovery, Site, SiteKind, SiteStatus, SiteUsage, Sites, Transfer, TransferPlace, Upstream,
    UpstreamDeclaration, UpstreamPath, Wordpress, Work,
    backups::{BackupCreate, RestoreInput},
    billing::{CheckoutInput, Invoice, Money, Subscription, Usage},
    clock,
    deployments::{DeploymentCreate, File, PlanAnswer, PlanInput},
    domains::DomainCreate,
    environments::{EnvironmentCreate, EnvironmentUpdate, PushInput},
    log, random,
    sites::{LogLine, LogRequest, SiteClone, SiteCreate, SiteUpdate},
    state, upstream,
    wordpress::{
        AdminCreate, Cache, CacheAction, Database, Extension, ExtensionAction, ExtensionKind, InstallInput, SearchReplaceInput,
        Security, SecurityChange, Status, Target, Updates,
    },
};
use serde_json::{Value, json};

const API: Upstream = Upstream::named("api");
const AT: u64 = 1_767_225_600_000;
const FEATURES: &str = include_str!("whole/features.txt");

struct Whole;

impl Provider for Whole {
    type Settings = Settings;

    fn describe() -> Description {
        log::debug("described");
        let options = json!({"type": "object", "properties": {"size": {"type": "integer"}}, "additionalProperties": false});
        Description::new("whole", "Whole", "Everything that the contract has", "1.0.0", Settings::schema().to_string())
            .with_documentation("https://docs.example.com")
            .with_site_options(options.to_string())
            .with_secret("api_key", "API key", "the test knows it", true)
    }

    fn configure(settings: Settings) -> Result<(Self, Configuration), Error> {
        let url = settings.url.unwrap_or_else(|| "https://api.example.com".to_owned());
        let api = UpstreamDeclaration {
            rate: Some(Rate { requests: 6000, per: 60 }),
            concurrency: Some(8),
            request_headers: vec!["x-extra".to_owned()],
            ..UpstreamDeclaration::url("api", url, Auth::Bearer("api_key".to_owned()))
        };
        let configuration = Configuration::new(FEATURES.split_whitespace())
            .with_upstream(api)
            .with_recovery(["sites.create"], Recovery::Keyed)
            .with_recovery(["backups.create"], Recovery::LookUp)
            .with_recovery(["sites.start"], Recovery::Neither)
            .with_cache("sites.list", 1);
        Ok((Self, configuration))
    }
}

fn native() -> Option<String> {
    Some(json!({"its": "own"}).to_string())
}

fn done(target: &str, details: &Value) -> Result<Work, Error> {
    Ok(Work::Done(
        Completion::of(target).with_message("it is done").with_details(details).with_secret("password", "shown-once"),
    ))
}

fn pending(call: &Call, target: &str) -> Result<Work, Error> {
    let pending = Pending::new(format!("{} {}", call.operation_id, target)).with_target(target).with_progress(50);
    Ok(Work::Pending(pending.with_message("half way").with_estimated_completion(AT).with_poll_after(100)))
}

fn usage() -> SiteUsage {
    SiteUsage { storage: Some(1), bandwidth: Some(2), visits: Some(3) }
}

fn environment(id: &str) -> Environment {
    Environment {
        status: SiteStatus::Running,
        url: Some("https://stage.example.com".to_owned()),
        primary_domain: Some("stage.example.com".to_owned()),
        php_version: Some("8.3".to_owned()),
        wordpress_version: Some("6.8".to_owned()),
        native: native(),
        ..Environment::new(id, "Staging", EnvironmentKind::Staging)
    }
}

fn site(id: &str, name: &str) -> Site {
    Site {
        slug: Some("shop".to_owned()),
        kind: SiteKind::Wordpress,
        status: SiteStatus::Running,
        url: Some("https://example.com".to_owned()),
        wordpress_version: Some("6.8".to_owned()),
        php_version: Some("8.3".to_owned()),
        environments: vec![environment("staging")],
        usage: Some(usage()),
        created_at: Some(AT),
        updated_at: Some(AT + 1),
        native: native(),
        ..Site::new(id, name)
    }
}

/// Uses every import but the log, and says by the site's name what came of it.
fn imports() -> Result<String, Error> {
    let answer: Value = API.get(["sites", "1"]).query("a", "b c").header("x-extra", "1").timeout(5000).json()?;
    let started = API.get(["stream"]).start("a-key")?;
    let watched = upstream::watch(&started)?;
    state::set("a", b"1")?;
    let swapped = state::compare_and_set("a", Some(b"1"), b"2")?;
    let (value, listed, revision) = (state::get("a")?, state::list("", None, 10)?, state::revision());
    state::delete("a")?;
    let kept = swapped && value.as_deref() == Some(b"2") && listed.len() == 1 && revision > 0 && state::get("a")?.is_none();
    let (now, dice) = (clock::now() > AT, random::bytes(16).iter().any(|byte| *byte != 0));
    log::info(&format!("watched: {:?}", watched.received));
    Ok(format!("{} {kept} {now} {dice}", answer["name"].as_str().unwrap_or_default()))
}

impl Sites for Whole {
    fn list(&self, page: &PageRequest) -> Result<Page<Site>, Error> {
        Page::slice(vec![site("1", "One"), site("2", "Two")], page)
    }

    fn get(&self, id: &str) -> Result<Site, Error> {
        Ok(site(id, &if id == "1" { imports()? } else { id.to_owned() }))
    }

    fn create(&self, call: &Call, input: SiteCreate) -> Result<Work, Error> {
        let body = json!({"name": input.name, "options": input.options});
        API.post(["sites"]).json_body(&body).keyed(call).send()?;
        pending(call, "1")
    }

    fn update(&self, _: &Call, id: &str, _: SiteUpdate) -> Result<Work, Error> {
        done(id, &json!({}))
    }

    fn delete(&self, _: &Call, id: &str) -> Result<Work, Error> {
        done(id, &json!({}))
    }

    fn start(&self, _: &Call, id: &str) -> Result<Work, Error> {
        done(id, &json!({}))
    }

    fn stop(&self, _: &Call, id: &str) -> Result<Work, Error> {
        done(id, &json!({}))
    }

    fn clone(&self, _: &Call, _: &str, _: SiteClone) -> Result<Work, Error> {
        done("2", &json!({}))
    }

    fn usage(&self, _: &str) -> Result<SiteUsage, Error> {
        Ok(usage())
    }

    fn logs(&self, _: &str, request: LogRequest) -> Result<Vec<LogLine>, Error> {
        Ok(vec![LogLine { at: Some(AT), source: request.source.unwrap_or_default(), text: "a line".to_owned() }])
    }
}

impl Environments for Whole {
    fn list(&self, _: &str, page: &PageRequest) -> Result<Page<Environment>, Error> {
        Page::slice(vec![environment("staging")], page)
    }

    fn create(&self, _: &Call, _: &str, _: EnvironmentCreate) -> Result<Work, Error> {
        done("staging", &json!({}))
    }

    fn update(&self, _: &Call, _: &str, id: &str, _: EnvironmentUpdate) -> Result<Work, Error> {
        done(id, &json!({}))
    }

    fn delete(&self, _: &Call, _: &str, id: &str) -> Result<Work, Error> {
        done(id, &json!({}))
    }

    fn push(&self, _: &Call, _: &str, id: &str, _: PushInput) -> Result<Work, Error> {
        done(id, &json!({}))
    }

    fn current(&self, _: &str, _: &str) -> Result<Option<Deployment>, Error> {
        Ok(Some(deployment("d1")))
    }
}

fn backup(id: &str) -> Backup {
    Backup {
        id: id.to_owned(),
        environment: Some("staging".to_owned()),
        kind: BackupKind::Full,
        status: BackupStatus::Completed,
        description: Some("before".to_owned()),
        size: Some(1024),
        contents: Contents { database: true, files: true, plugins: true, themes: true },
        created_at: Some(AT),
        completed_at: Some(AT + 1),
        native: native(),
    }
}

fn transfer(method: &str, id: &str) -> Transfer {
    let place = UpstreamPath { upstream: "api".to_owned(), path: vec!["files".to_owned(), id.to_owned()], query: Vec::new() };
    Transfer {
        place: TransferPlace::Upstream(place),
        method: method.to_owned(),
        headers: vec![("accept".to_owned(), "*/*".to_owned())],
        size: None,
        file_name: Some("a.tar.gz".to_owned()),
    }
}

impl Backups for Whole {
    fn list(&self, _: &str, _: Option<&str>, page: &PageRequest) -> Result<Page<Backup>, Error> {
        Page::slice(vec![backup("b1")], page)
    }

    fn get(&self, _: &str, id: &str) -> Result<Backup, Error> {
        Ok(backup(id))
    }

    fn create(&self, call: &Call, _: &str, _: BackupCreate) -> Result<Work, Error> {
        pending(call, "b1")
    }

    fn delete(&self, _: &Call, _: &str, id: &str) -> Result<Work, Error> {
        done(id, &json!({}))
    }

    fn restore(&self, _: &Call, _: &str, id: &str, _: RestoreInput) -> Result<Work, Error> {
        done(id, &json!({"verified": false}))
    }

    fn download(&self, _: &str, id: &str) -> Result<Transfer, Error> {
        Ok(transfer("GET", id))
    }
}

fn domain(name: &str) -> Domain {
    Domain {
        id: name.to_owned(),
        name: name.to_owned(),
        environment: Some("staging".to_owned()),
        primary: true,
        status: DomainStatus::PendingVerification,
        verification: vec![DnsRecord { record_type: "TXT".to_owned(), name: "_a".to_owned(), value: "b".to_owned() }],
        certificate: Some(Certificate {
            issuer: Some("An issuer".to_owned()),
            expires_at: Some(AT),
            status: Some("valid".to_owned()),
        }),
        native: native(),
    }
}

impl Domains for Whole {
    fn list(&self, _: &str, _: Option<&str>, page: &PageRequest) -> Result<Page<Domain>, Error> {
        Page::slice(vec![domain("a.example.com")], page)
    }

    fn create(&self, _: &Call, _: &str, input: DomainCreate) -> Result<Work, Error> {
        done(&input.name, &json!({}))
    }

    fn delete(&self, _: &Call, _: &str, _: Option<&str>, name: &str) -> Result<Work, Error> {
        done(name, &json!({}))
    }

    fn verify(&self, _: &Call, _: &str, _: Option<&str>, name: &str) -> Result<Work, Error> {
        done(name, &json!({}))
    }

    fn set_primary(&self, _: &Call, _: &str, _: Option<&str>, name: &str) -> Result<Work, Error> {
        done(name, &json!({}))
    }
}

fn deployment(id: &str) -> Deployment {
    let source = GitSource {
        repository: "https://git.example.com/a.git".to_owned(),
        branch: Some("main".to_owned()),
        commit: Some("abc".to_owned()),
    };
    Deployment {
        id: id.to_owned(),
        environment: Some("staging".to_owned()),
        source: DeploymentSource::Git(source),
        status: DeploymentStatus::Completed,
        message: Some("a change".to_owned()),
        changes: Some(Changes { added: 1, modified: 2, deleted: 3 }),
        logs: Some("a log".to_owned()),
        url: Some("https://stage.example.com".to_owned()),
        created_at: Some(AT),
        completed_at: Some(AT + 1),
        native: native(),
    }
}

impl Deployments for Whole {
    fn list(&self, _: &str, _: Option<&str>, page: &PageRequest) -> Result<Page<Deployment>, Error> {
        Page::slice(vec![Deployment { logs: None, ..deployment("d1") }], page)
    }

    fn get(&self, _: &str, id: &str) -> Result<Deployment, Error> {
        Ok(deployment(id))
    }

    fn create(&self, _: &Call, _: &str, _: DeploymentCreate) -> Result<Work, Error> {
        done("d1", &json!({}))
    }

    fn rollback(&self, _: &Call, _: &str, _: Option<&str>, id: Option<&str>) -> Result<Work, Error> {
        done(id.unwrap_or("d1"), &json!({}))
    }

    fn release(&self, _: &Call, _: &str, _: &str, id: &str) -> Result<Work, Error> {
        done(id, &json!({}))
    }

    fn plan(&self, _: &str, input: PlanInput) -> Result<PlanAnswer, Error> {
        let missing = input.files.into_iter().map(|File { blake3, .. }| blake3).collect();
        Ok(PlanAnswer { id: "p1".to_owned(), missing, expires_at: Some(AT * 2) })
    }

    fn upload(&self, _: &str, _: &str, hash: &str, size: u64) -> Result<Transfer, Error> {
        Ok(Transfer { size: Some(size), ..transfer("PUT", hash) })
    }

    fn commit(&self, _: &Call, _: &str, _: &str, _: Option<&str>) -> Result<Work, Error> {
        done("d1", &json!({}))
    }
}

impl Wordpress for Whole {
    fn get_status(&self, target: &Target) -> Result<Status, Error> {
        let words = |text: &str| text.to_owned();
        Ok(Status {
            version: Some(words("6.8")),
            site_title: Some(words(&target.site)),
            admin_url: Some(words("https://example.com/wp-admin")),
            path: Some(words("/")),
            wp_cli_available: Some(true),
            db: Some(Database { name: words("a"), user: words("b"), host: words("c"), table_prefix: words("wp_") }),
            debug: Some(false),
            multisite: Some(false),
            maintenance: Some(false),
            updates: Some(Updates { core: Some(words("6.9")), plugins: 1, themes: 2 }),
            native: native(),
        })
    }

    fn extensions(&self, _: &Target, _: ExtensionKind) -> Result<Vec<Extension>, Error> {
        let (id, version) = ("akismet/akismet.php".to_owned(), Some("1.0".to_owned()));
        Ok(vec![Extension {
            id,
            name: "Akismet".to_owned(),
            version: version.clone(),
            active: true,
            update: version,
            native: native(),
        }])
    }

    fn install(&self, _: &Call, _: &Target, _: ExtensionKind, input: InstallInput) -> Result<Work, Error> {
        done(&input.source, &json!({}))
    }

    fn change_extension(&self, _: &Call, _: &Target, _: ExtensionKind, id: &str, _: ExtensionAction) -> Result<Work, Error> {
        done(id, &json!({}))
    }

    fn update_core(&self, _: &Call, target: &Target, _: Option<&str>) -> Result<Work, Error> {
        done(&target.site, &json!({}))
    }

    fn reinstall_core(&self, _: &Call, target: &Target) -> Result<Work, Error> {
        done(&target.site, &json!({}))
    }

    fn set_maintenance(&self, _: &Call, target: &Target, _: bool) -> Result<Work, Error> {
        done(&target.site, &json!({}))
    }

    fn search_replace(&self, _: &Call, target: &Target, input: SearchReplaceInput) -> Result<Work, Error> {
        done(&target.site, &json!({"replacements": input.search.len()}))
    }

    fn get_cache(&self, _: &Target) -> Result<Cache, Error> {
        Ok(Cache { enabled: true, kinds: vec!["page".to_owned()], native: native() })
    }

    fn change_cache(&self, _: &Call, target: &Target, _: CacheAction) -> Result<Work, Error> {
        done(&target.site, &json!({}))
    }

    fn get_security(&self, _: &Target) -> Result<Security, Error> {
        Ok(Security {
            file_edit: Some(true),
            file_protection: Some(true),
            hide_login: Some(true),
            debug: Some(true),
            native: native(),
        })
    }

    fn change_security(&self, _: &Call, target: &Target, _: SecurityChange) -> Result<Work, Error> {
        done(&target.site, &json!({}))
    }

    fn verify_checksums(&self, _: &Call, target: &Target) -> Result<Work, Error> {
        done(&target.site, &json!({"modified": ["/a.php"], "missing": [], "unknown": []}))
    }

    fn create_admin(&self, _: &Call, target: &Target, _: AdminCreate) -> Result<Work, Error> {
        done(&target.site, &json!({}))
    }

    fn reset_password(&self, _: &Call, target: &Target, _: &str, _: Option<&str>) -> Result<Work, Error> {
        done(&target.site, &json!({}))
    }

    fn login_link(&self, _: &Call, target: &Target, user: &str) -> Result<Work, Error> {
        Ok(Work::Done(Completion::of(&target.site).with_secret("url", format!("https://example.com/login?user={user}"))))
    }
}

fn money() -> Option<Money> {
    Some(Money { amount: -1234, currency: "EUR".to_owned() })
}

impl Billing for Whole {
    fn get_subscription(&self) -> Result<Subscription, Error> {
        Ok(Subscription {
            plan: "large".to_owned(),
            status: "active".to_owned(),
            price: money(),
            interval: Some("month".to_owned()),
            renews_at: Some(AT),
            native: native(),
        })
    }

    fn create_checkout(&self, input: CheckoutInput) -> Result<String, Error> {
        Ok(format!("https://pay.example.com/{}", input.plan))
    }

    fn list_invoices(&self, page: &PageRequest) -> Result<Page<Invoice>, Error> {
        let invoice = Invoice {
            id: "i1".to_owned(),
            number: Some("2026-1".to_owned()),
            status: "paid".to_owned(),
            total: money(),
            issued_at: Some(AT),
            paid_at: Some(AT + 1),
            url: Some("https://pay.example.com/i1".to_owned()),
            native: native(),
        };
        Page::slice(vec![invoice], page)
    }

    fn get_usage(&self) -> Result<Usage, Error> {
        Ok(Usage {
            sites: Some(2),
            storage: Some(1),
            bandwidth: Some(2),
            visits: Some(3),
            period_start: Some(AT),
            period_end: Some(AT + 1),
            native: native(),
        })
    }
}

impl Operations for Whole {
    fn poll(&self, _: &str, handle: &str) -> Result<Progress, Error> {
        let target = handle.split(' ').nth(1).unwrap_or_default();
        Ok(Progress::Succeeded(Completion::of(target).with_message("it is done")))
    }

    fn reconcile(&self, _: &str, _: &str, _: &str) -> Result<Finding, Error> {
        Ok(Finding::Absent)
    }

    fn cancel(&self, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

portico_sdk::provider!(
    Whole: sites, environments, backups, domains, deployments, wordpress, billing, operations
);
