//! The provider's life on an Engine in memory: every step, and a crash at every step.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what goes wrong in a helper fails the test")]

#[path = "support/fake.rs"]
mod fake;

use fake::{Engine, Fault, Shared};
use portico_provider_docker::Docker;
use portico_sdk::{
    Call, Completion, Error, ErrorKind, Finding, Operations, PageRequest, Progress, Provider, SiteKind, SiteStatus, Sites,
    Work,
    sites::SiteCreate,
    testing::{Background, BackgroundState, FakeHost},
};
use serde_json::{Value, json};

const OPERATION: &str = "op_01jd";
const SITE: &str = "01jd";

fn provider(settings: Value) -> Docker {
    Docker::configure(serde_json::from_value(settings).unwrap()).unwrap().0
}

fn input(kind: SiteKind) -> SiteCreate {
    SiteCreate {
        name: "My site".into(),
        kind,
        domain: None,
        environment: None,
        php_version: None,
        wordpress_version: None,
        locale: None,
        title: None,
        admin: None,
        region: None,
        template: None,
        options: "{}".into(),
    }
}

fn call() -> Call {
    Call::new(OPERATION, "key")
}

/// As Portico does: only poll once there is a handle; look the call up when its answer was lost.
fn create(settings: &Value) -> String {
    let answer = provider(settings.clone()).create(&call(), input(SiteKind::Wordpress));
    match answer {
        Ok(Work::Pending(pending)) => pending.handle,
        Ok(Work::Done(_)) => panic!("a creation is never done at once"),
        Err(lost) => {
            assert_eq!(lost.kind, ErrorKind::Unavailable);
            match provider(settings.clone()).reconcile(OPERATION, "sites.create", "{}").unwrap() {
                Finding::Found(Work::Pending(pending)) => pending.handle,
                Finding::Absent => create(settings),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum End {
    Succeeded(Completion),
    Failed(Error),
    Canceled,
}

/// Polls with a new instance each time, so that nothing in memory can help.
fn finish(settings: &Value, operation: &str, mut handle: String) -> End {
    for _ in 0..200 {
        match provider(settings.clone()).poll(operation, &handle) {
            Ok(Progress::Running(pending)) => handle = pending.handle,
            Ok(Progress::Succeeded(completion)) => return End::Succeeded(completion),
            Ok(Progress::Failed(error)) => return End::Failed(error),
            Ok(Progress::Canceled) => return End::Canceled,
            Err(again) => assert_eq!(again.kind, ErrorKind::Unavailable, "{again:?}"),
        }
    }
    panic!("it never ends; the last handle is {handle}");
}

fn is_empty(engine: &Engine) -> bool {
    engine.networks.is_empty() && engine.containers.is_empty() && engine.volumes.is_empty()
}

fn assert_whole(engine: &Shared) {
    let engine = engine.borrow();
    assert_eq!(engine.networks.keys().collect::<Vec<_>>(), ["portico-01jd"]);
    assert_eq!(engine.containers.keys().collect::<Vec<_>>(), ["portico-01jd-db", "portico-01jd-web"]);
    assert_eq!(engine.volumes.keys().collect::<Vec<_>>(), ["portico-01jd-db-files", "portico-01jd-web-files"]);
    assert!(engine.containers.values().all(|container| container["State"] == "running"));
    let env = |name: &str, key: &str| {
        let entries = engine.containers[name]["Env"].as_array().unwrap().clone();
        entries.iter().find_map(|entry| Some(entry.as_str()?.strip_prefix(key)?.to_owned())).unwrap()
    };
    let password = env("portico-01jd-db", "MARIADB_PASSWORD=");
    assert!(password.len() >= 20);
    assert_eq!(password, env("portico-01jd-web", "WORDPRESS_DB_PASSWORD="));
}

#[test]
fn a_site_is_made_listed_stopped_started_and_deleted() {
    let host = FakeHost::install();
    let engine = fake::install(&host);
    let settings = json!({"publish": {"first_port": 20_007, "last_port": 20_007}});
    let handle = create(&settings);
    let half = provider(settings.clone()).get(SITE).unwrap();
    assert_eq!((half.status, half.name.as_str(), half.url), (SiteStatus::Provisioning, "My site", None));

    let End::Succeeded(done) = finish(&settings, OPERATION, handle) else { panic!() };
    assert_eq!(done.target.as_deref(), Some(SITE));
    assert_eq!(done.details.as_deref(), Some(r#"{"url":"http://127.0.0.1:20007"}"#));
    assert_whole(&engine);

    let docker = provider(settings.clone());
    let page = docker.list(&PageRequest::first(10)).unwrap();
    assert_eq!((page.items.len(), page.next), (1, None));
    assert_eq!(page.items[0].status, SiteStatus::Running);
    let site = docker.get(SITE).unwrap();
    assert_eq!(site.url.as_deref(), Some("http://127.0.0.1:20007"));
    let password = engine.borrow().containers["portico-01jd-db"]["Env"].to_string();
    let password = password.split("MARIADB_PASSWORD=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(!site.native.unwrap().contains(&password));

    for (up, status) in [(false, SiteStatus::Stopped), (true, SiteStatus::Running)] {
        let switch =
            || if up { docker.start(&Call::new("op_2", "k"), SITE) } else { docker.stop(&Call::new("op_2", "k"), SITE) };
        let Work::Pending(pending) = switch().unwrap() else { panic!() };
        assert!(matches!(finish(&settings, "op_2", pending.handle), End::Succeeded(_)));
        assert_eq!(docker.get(SITE).unwrap().status, status);
        assert!(matches!(switch().unwrap(), Work::Done(_)), "already so");
    }

    let Work::Pending(pending) = docker.delete(&Call::new("op_3", "k"), SITE).unwrap() else { panic!() };
    assert!(matches!(finish(&settings, "op_3", pending.handle.clone()), End::Succeeded(_)));
    assert!(is_empty(&engine.borrow()));
    assert!(matches!(finish(&settings, "op_3", pending.handle), End::Succeeded(_)), "the same deletion again");
    let args = json!({"site": SITE}).to_string();
    assert!(matches!(docker.reconcile("op_3", "sites.delete", &args).unwrap(), Finding::Found(Work::Done(_))));
    assert_eq!(docker.delete(&Call::new("op_4", "k"), SITE).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(docker.get(SITE).unwrap_err().kind, ErrorKind::NotFound);
}

/// Runs `scenario` with each fault at each changing request, until one has no such request any more.
fn with_faults(scenario: impl Fn(&Shared)) {
    for fault in [Fault::AnswerLost, Fault::NotSent] {
        for at in 1.. {
            let host = FakeHost::install();
            let engine = fake::install(&host);
            engine.borrow_mut().fault = Some((at, fault));
            scenario(&engine);
            if engine.borrow().changes < at {
                assert!(at > 5, "too few requests for a whole scenario");
                break;
            }
        }
    }
}

#[test]
fn a_creation_survives_a_fault_at_every_step() {
    with_faults(|engine| {
        let handle = create(&json!({}));
        assert!(matches!(finish(&json!({}), OPERATION, handle), End::Succeeded(_)));
        assert_whole(engine);
    });
}

/// `kill -9` after a step was taken and before its handle was stored: the step's handle comes back.
#[test]
fn every_handle_may_be_polled_twice() {
    let host = FakeHost::install();
    let engine = fake::install(&host);
    let settings = json!({});
    let mut handle = create(&settings);
    loop {
        let poll = || provider(settings.clone()).poll(OPERATION, &handle).unwrap();
        let (first, second) = (poll(), poll());
        match (first, second) {
            (Progress::Running(pending), _) => handle = pending.handle,
            (Progress::Succeeded(first), Progress::Succeeded(second)) => break assert_eq!(first, second),
            other => panic!("{other:?}"),
        }
    }
    assert_whole(&engine);
}

#[test]
fn a_failed_creation_leaves_nothing_whatever_happens() {
    with_faults(|engine| {
        engine.borrow_mut().web_becomes = "exited".into();
        let handle = create(&json!({}));
        let End::Failed(error) = finish(&json!({}), OPERATION, handle) else { panic!() };
        assert_eq!(error.message, "the web container ended with code 1; all that had been made was removed");
        assert!(is_empty(&engine.borrow()));
    });
}

#[test]
fn a_creation_can_be_canceled_at_every_step() {
    for polls in 0.. {
        let host = FakeHost::install();
        let engine = fake::install(&host);
        let settings = json!({});
        let mut handle = create(&settings);
        let mut ended = false;
        for _ in 0..polls {
            match provider(settings.clone()).poll(OPERATION, &handle).unwrap() {
                Progress::Running(pending) => handle = pending.handle,
                _ => ended = true,
            }
        }
        if ended {
            assert!(polls > 4);
            break;
        }
        provider(settings.clone()).cancel(OPERATION, &handle).unwrap();
        assert_eq!(finish(&settings, OPERATION, handle), End::Canceled, "after {polls} polls");
        assert!(is_empty(&engine.borrow()), "after {polls} polls");
    }
}

#[test]
fn a_site_deleted_while_it_is_made_leaves_nothing() {
    for polls in 0..5 {
        let host = FakeHost::install();
        let engine = fake::install(&host);
        let settings = json!({});
        let mut handle = create(&settings);
        for _ in 0..polls {
            let Progress::Running(pending) = provider(settings.clone()).poll(OPERATION, &handle).unwrap() else { panic!() };
            handle = pending.handle;
        }
        // The network alone, as when the deletion overtook a step of the creation.
        engine.borrow_mut().networks.clear();
        let End::Failed(error) = finish(&settings, OPERATION, handle) else { panic!() };
        assert!(error.message.starts_with("the site was removed while it was being made"), "{}", error.message);
        assert!(is_empty(&engine.borrow()), "after {polls} polls");
    }
}

#[test]
fn a_taken_port_leads_to_another_one() {
    let host = FakeHost::install();
    let engine = fake::install(&host);
    engine.borrow_mut().foreign_ports = vec![20_000, 20_001, 20_003];
    let settings = json!({"publish": {"first_port": 20_000, "last_port": 20_003}});
    let handle = create(&settings);
    let End::Succeeded(done) = finish(&settings, OPERATION, handle) else { panic!() };
    assert_eq!(done.message.as_deref(), Some("the site is at http://127.0.0.1:20002"));

    let second = provider(settings.clone()).create(&Call::new("op_other", "k"), input(SiteKind::Wordpress)).unwrap();
    let Work::Pending(pending) = second else { panic!() };
    let End::Failed(error) = finish(&settings, "op_other", pending.handle) else { panic!() };
    assert!(error.message.contains("address already in use"), "{}", error.message);
    assert_eq!(engine.borrow().networks.len(), 1, "the first site is untouched");
}

#[test]
fn what_bears_the_name_but_not_our_label_is_left_alone() {
    let host = FakeHost::install();
    let engine = fake::install(&host);
    let foreign = json!({"Id": "f", "Name": "portico-01jd", "Labels": {"portico.operation": "op_x"}});
    engine.borrow_mut().networks.insert("portico-01jd".into(), foreign);
    let error = provider(json!({})).create(&call(), input(SiteKind::Wordpress)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    engine.borrow_mut().networks.clear();

    let handle = create(&json!({}));
    let volume = json!({"Name": "portico-01jd-db-files", "Labels": null});
    engine.borrow_mut().volumes.insert("portico-01jd-db-files".into(), volume);
    let End::Failed(error) = finish(&json!({}), OPERATION, handle) else { panic!() };
    assert_eq!(error.kind, ErrorKind::Conflict);
    let engine = engine.borrow();
    assert_eq!((engine.volumes.len(), engine.networks.len(), engine.containers.len()), (1, 0, 0));
}

#[test]
fn missing_images_are_pulled_or_refused() {
    let host = FakeHost::install();
    let engine = fake::install(&host);
    engine.borrow_mut().images.remove("wordpress:latest");
    let never = json!({"pull": "never"});
    let handle = create(&never);
    let End::Failed(error) = finish(&never, OPERATION, handle) else { panic!() };
    assert!(error.message.contains("lacks the image wordpress:latest"), "{}", error.message);
    assert!(is_empty(&engine.borrow()));

    let settings = json!({});
    let poll = |handle: &str| match provider(settings.clone()).poll(OPERATION, handle).unwrap() {
        Progress::Running(pending) => pending,
        other => panic!("{other:?}"),
    };
    let pulling = poll(&create(&settings));
    let request = host.requests().pop().unwrap();
    assert_eq!(request.query, [("fromImage".into(), "wordpress".into()), ("tag".into(), "latest".into())]);
    let tail = br#"{"status":"Downloading","progressDetail":{"current":5000000,"total":10000000},"id":"a"}"#.to_vec();
    let state = |state, status, tail| Background { state, status, received: 1, tail };
    host.set_background("pull:wordpress:latest", state(BackgroundState::Running, Some(200), tail));
    let halfway = poll(&pulling.handle);
    assert_eq!((halfway.progress, halfway.message.as_deref()), (Some(26), Some("pulling wordpress:latest: 5 of 10 MB")));
    // A restart of the gateway forgets background requests.
    host.forget_background();
    let again = poll(&halfway.handle);
    assert_eq!(again.progress, Some(26), "progress never goes back");

    let refused = br#"{"errorDetail":{"message":"no space left"},"error":"no space left on device"}"#.to_vec();
    host.set_background("pull:wordpress:latest", state(BackgroundState::Finished, Some(200), refused));
    let undoing = poll(&again.handle);
    let End::Failed(error) = finish(&settings, OPERATION, undoing.handle) else { panic!() };
    assert!(error.message.starts_with("pulling wordpress:latest failed: no space left on device"), "{}", error.message);

    let pulling = poll(&create(&settings));
    engine.borrow_mut().images.insert("wordpress:latest".into(), json!({"Config": {}}));
    assert!(matches!(finish(&settings, OPERATION, pulling.handle), End::Succeeded(_)));
}

#[test]
fn an_engine_that_cannot_tell_what_exists_is_asked_again() {
    for skip in 0..12 {
        let host = FakeHost::install();
        let engine = fake::install(&host);
        let mut handle = create(&json!({}));
        let mut polls = 0;
        loop {
            engine.borrow_mut().blind = usize::from(polls == skip);
            polls += 1;
            match provider(json!({})).poll(OPERATION, &handle) {
                Ok(Progress::Running(pending)) => handle = pending.handle,
                Ok(ended) => break assert!(matches!(ended, Progress::Succeeded(_)), "{ended:?}"),
                Err(error) => assert_eq!(error.kind, ErrorKind::Unavailable),
            }
        }
        assert_whole(&engine);
    }
}

/// A request of a gateway that was killed is still being carried out when the next one comes.
#[test]
fn a_name_that_is_taken_by_nothing_visible_is_waited_for() {
    let host = FakeHost::install();
    let engine = fake::install(&host);
    for part in ["portico-01jd-db", "portico-01jd-web"] {
        engine.borrow_mut().reserved.insert(part.into(), 3);
    }
    let handle = create(&json!({}));
    assert!(matches!(finish(&json!({}), OPERATION, handle), End::Succeeded(_)));
    assert_whole(&engine);
}

#[test]
fn lists_page_by_the_last_id() {
    let host = FakeHost::install();
    let _engine = fake::install(&host);
    let docker = provider(json!({}));
    for operation in ["op_a", "op_b", "op_c"] {
        docker.create(&Call::new(operation, "k"), input(SiteKind::Wordpress)).unwrap();
    }
    let first = docker.list(&PageRequest::first(2)).unwrap();
    assert_eq!(first.items.iter().map(|site| site.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let second = docker.list(&PageRequest { cursor: first.next, limit: 2 }).unwrap();
    assert_eq!(second.items.iter().map(|site| site.id.as_str()).collect::<Vec<_>>(), ["c"]);
    assert_eq!(second.next, None);
}

#[test]
fn a_half_made_site_is_an_error_after_an_hour_and_can_be_deleted() {
    let host = FakeHost::install();
    let engine = fake::install(&host);
    create(&json!({}));
    host.advance(61 * 60 * 1000);
    let docker = provider(json!({}));
    assert_eq!(docker.get(SITE).unwrap().status, SiteStatus::Error);
    assert_eq!(docker.start(&Call::new("op_2", "k"), SITE).unwrap_err().kind, ErrorKind::Conflict);
    let Work::Pending(pending) = docker.delete(&Call::new("op_3", "k"), SITE).unwrap() else { panic!() };
    assert!(matches!(finish(&json!({}), "op_3", pending.handle), End::Succeeded(_)));
    assert!(is_empty(&engine.borrow()));
}
