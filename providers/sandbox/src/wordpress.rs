//! The WordPress toolkit, on the state of one environment.
//!
//! Switches take effect at once; installations, core work and searches take `work_seconds`. Invariant: an environment that was
//! never touched is as a fresh installation is, and only WordPress sites have any of this.

mod extensions;

use crate::{
    Sandbox, Takes, check,
    job::{Effect, Job},
    outcomes,
    record::{Kind, Record, Wordpress as State},
};
use portico_sdk::{Call, Error, Wordpress, Work, error, wordpress::*};
use serde_json::json;

impl Wordpress for Sandbox {
    fn get_status(&self, target: &Target) -> Result<Status, Error> {
        self.enter("wordpress.status")?;
        let (record, state) = self.read(target)?;
        let environment = record.environment("environment", target.environment.as_deref())?;
        let updates = |list: &[crate::record::Extension]| list.iter().filter(|it| it.update.is_some()).count() as u32;
        let newest = check::WORDPRESS_VERSIONS.last().copied();
        let domain = record.primary_domain(&environment.id);
        Ok(Status {
            version: environment.wordpress_version.clone(),
            site_title: Some(record.title.clone().unwrap_or_else(|| record.name.clone())),
            admin_url: domain.map(|domain| format!("https://{domain}/wp-admin/")),
            path: Some("/var/www/html".to_owned()),
            wp_cli_available: Some(true),
            db: Some(Database {
                name: "wordpress".to_owned(),
                user: "wordpress".to_owned(),
                host: "localhost".to_owned(),
                table_prefix: "wp_".to_owned(),
            }),
            debug: Some(state.debug),
            multisite: Some(record.multisite),
            maintenance: Some(state.maintenance),
            updates: Some(Updates {
                core: newest.filter(|newest| environment.wordpress_version.as_deref() != Some(*newest)).map(str::to_owned),
                plugins: updates(&state.plugins),
                themes: updates(&state.themes),
            }),
            native: None,
        })
    }

    fn extensions(&self, target: &Target, kind: ExtensionKind) -> Result<Vec<Extension>, Error> {
        self.list_extensions(target, kind)
    }

    fn install(&self, call: &Call, target: &Target, kind: ExtensionKind, input: InstallInput) -> Result<Work, Error> {
        self.install_extension(call, target, kind, &input)
    }

    fn change_extension(
        &self,
        call: &Call,
        target: &Target,
        kind: ExtensionKind,
        id: &str,
        action: ExtensionAction,
    ) -> Result<Work, Error> {
        self.act_on_extension(call, target, kind, id, action)
    }

    fn update_core(&self, call: &Call, target: &Target, version: Option<&str>) -> Result<Work, Error> {
        check::wordpress_version(version).map_err(|error| error.with_field("version"))?;
        let newest = check::WORDPRESS_VERSIONS.last().copied().unwrap_or_default();
        let version = version.unwrap_or(newest).to_owned();
        self.on(call, target, "wordpress.core.update", Takes::Work, &|_, environment, job| {
            job.effect = Effect::Core { environment: environment.to_owned(), version: version.clone() };
            job.details = Some(json!({"version": version}));
            Ok(())
        })
    }

    fn reinstall_core(&self, call: &Call, target: &Target) -> Result<Work, Error> {
        self.on(call, target, "wordpress.core.reinstall", Takes::Work, &|_, _, _| Ok(()))
    }

    fn set_maintenance(&self, call: &Call, target: &Target, enabled: bool) -> Result<Work, Error> {
        self.on(call, target, "wordpress.maintenance", Takes::NoTime, &|state, _, _| {
            state.maintenance = enabled;
            Ok(())
        })
    }

    fn search_replace(&self, call: &Call, target: &Target, input: SearchReplaceInput) -> Result<Work, Error> {
        if input.search.is_empty() {
            return Err(error::invalid_input("search", "there is nothing to search for"));
        }
        self.on(call, target, "wordpress.search_replace", Takes::Work, &|_, _, job| {
            let found = crate::store::hash(&input.search) % 100;
            job.details = Some(json!({"replacements": found as u64, "dry_run": input.dry_run}));
            Ok(())
        })
    }

    fn get_cache(&self, target: &Target) -> Result<Cache, Error> {
        self.enter("wordpress.cache.get")?;
        let (_, state) = self.read(target)?;
        Ok(Cache { enabled: state.cache, kinds: vec!["object".to_owned(), "page".to_owned()], native: None })
    }

    fn change_cache(&self, call: &Call, target: &Target, action: CacheAction) -> Result<Work, Error> {
        self.on(call, target, action.feature(), Takes::NoTime, &|state, _, job| {
            match &action {
                CacheAction::Enable => state.cache = true,
                CacheAction::Disable => state.cache = false,
                CacheAction::Flush => {}
                CacheAction::Purge(urls) => job.details = Some(json!({"urls": urls.len()})),
            }
            Ok(())
        })
    }

    fn get_security(&self, target: &Target) -> Result<Security, Error> {
        self.enter("wordpress.security.get")?;
        let (_, state) = self.read(target)?;
        Ok(Security {
            file_edit: Some(state.file_edit),
            file_protection: Some(state.file_protection),
            hide_login: Some(state.hide_login),
            debug: Some(state.debug),
            native: None,
        })
    }

    fn change_security(&self, call: &Call, target: &Target, input: SecurityChange) -> Result<Work, Error> {
        self.on(call, target, input.feature(), Takes::NoTime, &|state, _, _| {
            let set = |field: &mut bool, wanted: Option<bool>| *field = wanted.unwrap_or(*field);
            set(&mut state.file_edit, input.file_edit);
            set(&mut state.file_protection, input.file_protection);
            set(&mut state.hide_login, input.hide_login);
            set(&mut state.debug, input.debug);
            Ok(())
        })
    }

    fn verify_checksums(&self, call: &Call, target: &Target) -> Result<Work, Error> {
        self.on(call, target, "wordpress.security.verify_checksums", Takes::Work, &|_, _, job| {
            job.details = Some(json!({"modified": [], "missing": [], "unknown": ["wp-content/test-mode.txt"]}));
            Ok(())
        })
    }

    fn create_admin(&self, call: &Call, target: &Target, input: AdminCreate) -> Result<Work, Error> {
        check::user("user", &input.user)?;
        check::email("email", &input.email)?;
        self.on(call, target, "wordpress.admin.create", Takes::NoTime, &|state, _, job| {
            if state.admins.contains(&input.user) {
                return Err(error::conflict("this user exists already").with_field("user"));
            }
            if state.admins.len() >= 20 {
                return Err(error::quota_exceeded("a site here has 20 administrators at most"));
            }
            state.admins.push(input.user.clone());
            job.secret = input.password.is_none().then(|| "password".to_owned());
            Ok(())
        })
    }

    fn reset_password(&self, call: &Call, target: &Target, user: &str, password: Option<&str>) -> Result<Work, Error> {
        self.on(call, target, "wordpress.password_reset", Takes::NoTime, &|state, _, job| {
            known(state, user)?;
            job.secret = password.is_none().then(|| "password".to_owned());
            Ok(())
        })
    }

    fn login_link(&self, call: &Call, target: &Target, user: &str) -> Result<Work, Error> {
        self.on(call, target, "wordpress.login_link", Takes::NoTime, &|state, _, job| {
            known(state, user)?;
            job.secret = Some("url".to_owned());
            Ok(())
        })
    }
}

fn known(state: &State, user: &str) -> Result<(), Error> {
    if state.admins.iter().any(|admin| admin == user) {
        return Ok(());
    }
    Err(error::invalid_input("user", format!("the site has no administrator {user}")))
}

impl Sandbox {
    fn read(&self, target: &Target) -> Result<(std::rc::Rc<Record>, State), Error> {
        let record = self.store.get(&target.site)?;
        let state = state(&record, target.environment.as_deref())?.1;
        Ok((record, state))
    }

    /// A call that changes one environment's state; the change is kept unless the site's name wants it to fail.
    fn on(
        &self,
        call: &Call,
        target: &Target,
        action: &str,
        takes: Takes,
        change: &dyn Fn(&mut State, &str, &mut Job) -> Result<(), Error>,
    ) -> Result<Work, Error> {
        self.enter(action)?;
        self.store.change(call, &target.site, &|record, now| {
            let (id, mut state) = state(record, target.environment.as_deref())?;
            let mut job = self.job(call, action, takes, outcomes::of(&record.name, "wordpress", false), now)?;
            job.target = Some(record.id.clone());
            change(&mut state, &id, &mut job)?;
            let environment = record.environments.iter_mut().find(|environment| environment.id == id);
            if let (Some(environment), None) = (environment, job.failure) {
                environment.wordpress = Some(state);
            }
            Ok(job)
        })
    }
}

/// An environment's id and its WordPress.
fn state(record: &Record, environment: Option<&str>) -> Result<(String, State), Error> {
    if record.kind != Kind::Wordpress {
        return Err(error::conflict("this isn't a WordPress site"));
    }
    let environment = record.environment("environment", environment)?;
    let state = environment.wordpress.clone().unwrap_or_else(|| State::fresh(record.admin.as_deref()));
    Ok((environment.id.clone(), state))
}
