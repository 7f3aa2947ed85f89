//! Operations of the simulated Kinsta: what they will have changed when they are done.
//!
//! Invariant: an effect is carried out once, and never that of an operation that fails.

use super::{
    Kinsta,
    site::{Backup, Domain, Environment, Extension, Site},
};

pub struct Operation {
    pub unknown: u32,
    pub running: u32,
    pub fails: Option<&'static str>,
    pub effect: Option<Effect>,
}

impl Operation {
    /// One step further; what it changes, when it has come to its end.
    pub fn age(&mut self) -> Option<Effect> {
        if self.unknown > 0 {
            self.unknown -= 1;
        } else if self.running > 0 {
            self.running -= 1;
        }
        let done = self.unknown == 0 && self.running == 0;
        self.effect.take_if(|_| done).filter(|_| self.fails.is_none())
    }
}

pub enum Effect {
    NewSite { name: String, wordpress: bool },
    NoSite(String),
    NewEnvironment { site: String, name: String, wordpress: bool },
    NoEnvironment(String),
    Php { environment: String, version: String },
    NewBackup { environment: String, tag: String },
    NoBackup(u64),
    NewDomain { environment: String, name: String },
    NoDomains { environment: String, ids: Vec<String> },
    Primary { environment: String, id: String },
    Extension { environment: String, kind: &'static str, name: String, version: String },
    EdgeCache { environment: String, enabled: bool },
    Command { environment: String, command: String },
    Nothing,
}

impl Kinsta {
    /// WP-CLI's deletion of what isn't there. That it makes the operation fail is our assumption.
    pub fn deletes_nothing(&mut self, effect: &Effect) -> bool {
        let Effect::Command { environment, command } = effect else { return false };
        let words: Vec<&str> = command.split_whitespace().collect();
        let ["wp", kind @ ("plugin" | "theme"), "delete", name] = words.as_slice() else { return false };
        self.environment(environment).is_some_and(|on| on.extensions(kind).iter().all(|one| one.name != *name))
    }

    pub fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::NewSite { name, wordpress } => {
                let (id, live) = (self.uuid(), self.new_environment("Live", wordpress));
                self.sites.push(Site { id, name, environments: vec![live] });
            }
            Effect::NoSite(id) => self.sites.retain(|site| site.id != id),
            Effect::NewEnvironment { site, name, wordpress } => {
                let environment = self.new_environment(&name, wordpress);
                if let Some(site) = self.sites.iter_mut().find(|known| known.id == site) {
                    site.environments.push(environment);
                }
            }
            Effect::NoEnvironment(id) => {
                self.sites.iter_mut().for_each(|site| site.environments.retain(|environment| environment.id != id));
            }
            Effect::NoBackup(id) => {
                let all = self.sites.iter_mut().flat_map(|site| &mut site.environments);
                all.for_each(|environment| environment.backups.retain(|backup| backup.id != id));
            }
            Effect::Nothing => {}
            other => self.carry_out_inside(other),
        }
    }

    fn new_environment(&mut self, name: &str, wordpress: bool) -> Environment {
        let (id, domain) = (self.uuid(), self.uuid());
        let first = Domain { name: format!("{domain}.kinsta.cloud"), id: domain.clone(), active: true };
        let old = |name: &str, active| Extension { name: name.to_owned(), version: "1.0.0".to_owned(), active };
        Environment {
            id,
            name: name.to_owned(),
            wordpress: wordpress.then(|| "6.3.1".to_owned()),
            php: "8.3".to_owned(),
            domains: vec![first],
            primary: domain,
            backups: Vec::new(),
            plugins: vec![old("akismet", false)],
            themes: vec![old("twentytwentyfive", true), old("twentytwentyfour", false)],
            has_edge_cache: true,
        }
    }

    fn carry_out_inside(&mut self, effect: Effect) {
        let (id, number) = (self.uuid(), self.last);
        let on = match &effect {
            Effect::Php { environment, .. }
            | Effect::NewBackup { environment, .. }
            | Effect::NewDomain { environment, .. }
            | Effect::NoDomains { environment, .. }
            | Effect::Primary { environment, .. }
            | Effect::Extension { environment, .. }
            | Effect::EdgeCache { environment, .. }
            | Effect::Command { environment, .. } => environment.clone(),
            _ => return,
        };
        let Some(environment) = self.environment(&on) else { return };
        match effect {
            Effect::Php { version, .. } => environment.php = version,
            Effect::NewBackup { tag, .. } => environment.backups.push(Backup { id: number, note: tag }),
            Effect::NewDomain { name, .. } => environment.domains.push(Domain { id, name, active: false }),
            Effect::NoDomains { ids, .. } => environment.domains.retain(|domain| !ids.contains(&domain.id)),
            Effect::Primary { id, .. } => environment.primary = id,
            Effect::Extension { kind, name, version, .. } => {
                let found = environment.extensions(kind).iter_mut().filter(|one| one.name == name);
                found.for_each(|one| one.version.clone_from(&version));
            }
            Effect::EdgeCache { enabled, .. } => environment.has_edge_cache = enabled,
            Effect::Command { command, .. } => environment.run(&command),
            _ => {}
        }
    }
}
