//! A sandbox on a fake host, and the steps that tests share.

use portico_provider_sandbox::{Sandbox, Settings};
use portico_sdk::{
    Call, Completion, Configuration, Error, Operations, PageRequest, Pending, Progress, Provider, Site, SiteKind, Sites, Work,
    sites::SiteCreate, testing::FakeHost,
};
use serde_json::{Value, json};
use std::cell::Cell;

pub struct World {
    pub host: FakeHost,
    pub sandbox: Sandbox,
    calls: Cell<u32>,
}

pub fn configure(settings: Value) -> Result<(Sandbox, Configuration), Error> {
    Sandbox::configure(serde_json::from_value::<Settings>(settings).unwrap())
}

pub fn world(settings: Value) -> World {
    World { host: FakeHost::install(), sandbox: configure(settings).unwrap().0, calls: Cell::new(0) }
}

pub fn input(name: &str) -> SiteCreate {
    SiteCreate {
        name: name.to_owned(),
        kind: SiteKind::Wordpress,
        domain: None,
        environment: None,
        php_version: None,
        wordpress_version: None,
        locale: None,
        title: None,
        admin: None,
        region: None,
        template: None,
        options: "{}".to_owned(),
    }
}

pub fn pending(work: Work) -> Pending {
    match work {
        Work::Pending(pending) => pending,
        Work::Done(done) => panic!("it is done: {done:?}"),
    }
}

pub fn done(work: Work) -> Completion {
    match work {
        Work::Done(done) => done,
        Work::Pending(pending) => panic!("it goes on: {pending:?}"),
    }
}

impl World {
    pub fn call(&self) -> Call {
        self.calls.set(self.calls.get() + 1);
        Call::new(format!("op_{:032}", self.calls.get()), format!("key-{}", self.calls.get()))
    }

    /// Carries a call to its end, by the clock and by polling.
    pub fn finish(&self, start: impl Fn(&Call) -> Result<Work, Error>) -> Result<Completion, Error> {
        let call = self.call();
        match start(&call)? {
            Work::Done(done) => Ok(done),
            Work::Pending(pending) => {
                self.host.set_now(pending.estimated_completion_at.expect("it ends by itself"));
                match self.sandbox.poll(&call.operation_id, &pending.handle)? {
                    Progress::Succeeded(done) => Ok(done),
                    Progress::Failed(error) => Err(error),
                    other => panic!("it has an end: {other:?}"),
                }
            }
        }
    }

    /// A site that runs; its id.
    pub fn site(&self, name: &str) -> String {
        self.finish(|call| Sites::create(&self.sandbox, call, input(name))).unwrap().target.unwrap()
    }

    /// Walks the list in pages to its end.
    pub fn all(&self, limit: u32) -> Vec<Site> {
        let (mut sites, mut cursor) = (Vec::new(), None);
        loop {
            let page = Sites::list(&self.sandbox, &PageRequest { cursor, limit }).unwrap();
            assert!(page.items.len() <= limit as usize);
            sites.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return sites;
            }
        }
    }

    /// Another instance of the same connection, as after a restart.
    pub fn restart(&mut self, settings: Value) {
        self.sandbox = configure(settings).unwrap().0;
    }
}

pub fn quick() -> World {
    world(json!({"work_seconds": 0}))
}
