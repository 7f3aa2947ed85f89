//! `kill -9` in the middle of creations: after a restart each goes on to its true end, nothing is lost, nothing is done twice.
//!
//! Invariant: instants are random; the client behaves as documented and repeats a request that it got no answer to, with the
//! same Idempotency-Key. What is counted at the end is counted where the sites are: in the sandbox, on the Engine, at the upstream.

use super::engine_e2e::{HEALTHY_WITHIN, QUIET};
use http::Method;
use portico_tests::{
    Answer, Api, Chance, Gateway, Reply, Setup, Upstream,
    engine::{DATABASE_IMAGE, Engine, WORDPRESS_IMAGE},
    eventually, wait_until,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

const KILLS: usize = 20;
/// Of so many at least, the kill must have come after they were accepted and before they ended; most do.
const IN_THE_MIDDLE: usize = 3;

/// Sends a creation and doesn't wait for its end. An error is a gateway that was killed.
async fn create(api: Api, key: String, body: Value) -> anyhow::Result<Reply> {
    let headers = [("content-type", "application/json"), ("prefer", "respond-async"), ("idempotency-key", key.as_str())];
    api.try_send(Method::POST, "/sites", &headers, body.to_string().into()).await
}

/// Twenty creations, each with a kill at a random instant after it was sent, or, every second time, after it was acknowledged; later
/// ones begin while earlier ones still run.
/// Gives the id of each one's operation, and how many kills came between the acknowledgement and the end.
async fn create_and_kill(
    gateway: &mut Gateway,
    takes: Duration,
    body: impl Fn(usize) -> Value,
) -> (BTreeMap<String, String>, usize) {
    let mut chance = Chance::new();
    let (mut operations, mut in_the_middle) = (BTreeMap::new(), 0);
    for n in 0..KILLS {
        let key = format!("kill-{n}");
        let mut sent = tokio::spawn(create(gateway.api.clone(), key.clone(), body(n)));
        let mut answer = None;
        if n % 2 == 1 {
            answer = (&mut sent).await.expect("the client goes on").ok();
        }
        tokio::time::sleep(chance.instant(takes)).await;
        gateway.kill9();
        if n % 2 == 0 {
            answer = sent.await.expect("the client goes on").ok();
        }
        gateway.restart().await;
        let first = answer.map(|reply| operation_id(&reply));
        // Whatever it heard, the client may ask again.
        let reply = create(gateway.api.clone(), key.clone(), body(n)).await.expect("the gateway is back");
        let again = operation_id(&reply);
        if let Some(first) = first {
            assert_eq!(first, again, "{key}: an operation that was acknowledged is lost");
            in_the_middle += usize::from(reply.status == 202);
        }
        operations.insert(key, again);
    }
    eprintln!("{in_the_middle} of {KILLS} kills came between the acknowledgement and the end");
    (operations, in_the_middle)
}

/// Of an operation, or of the problem that tells its failure.
#[track_caller]
fn operation_id(reply: &Reply) -> String {
    let body = reply.json();
    let id = if reply.status.is_success() { &body["id"] } else { &body["operation"] };
    id.as_str().unwrap_or_else(|| panic!("no operation: {} {body}", reply.status)).to_owned()
}

/// Its end, however long that takes.
async fn finished(api: &Api, operation: &str) -> Value {
    wait_until(&format!("the end of {operation}"), Duration::from_secs(HEALTHY_WITHIN + 60), async || {
        let now = api.get(&format!("/operations/{operation}?wait=20s")).await.is(200).json();
        (!["queued", "running"].contains(&now["status"].as_str().unwrap_or_default())).then_some(now)
    })
    .await
}

async fn all_succeed(api: &Api, operations: &BTreeMap<String, String>) {
    for (key, id) in operations {
        let operation = finished(api, id).await;
        assert_eq!(operation["status"], "succeeded", "{key}: {operation}");
    }
    let distinct: BTreeSet<&String> = operations.values().collect();
    assert_eq!(distinct.len(), KILLS, "two creations became one: {operations:?}");
    let listed: usize =
        api.walk("/operations?limit=100").await.iter().map(|page| page["data"].as_array().map_or(0, Vec::len)).sum();
    assert_eq!(listed, KILLS, "there are operations that nobody asked for");
}

/// How many sites of each name the connection has, asked live.
async fn names(api: &Api, connection: &str) -> BTreeMap<String, usize> {
    let path = format!("/sites?connection={connection}&limit=100");
    let page = api.send(Method::GET, &path, &[("cache-control", "no-cache")], bytes::Bytes::new()).await.is(200).json();
    assert_eq!(page["errors"], json!([]), "{page}");
    let mut names = BTreeMap::new();
    for site in page["data"].as_array().expect("sites") {
        *names.entry(site["name"].as_str().expect("a name").to_owned()).or_default() += 1;
    }
    names
}

fn once_each() -> BTreeMap<String, usize> {
    (0..KILLS).map(|n| (format!("Site {n}"), 1)).collect()
}

#[tokio::test]
async fn sandbox_creations_survive_kills() {
    let mut gateway = Gateway::start().await;
    gateway.connect("killed", "sandbox", json!({"work_seconds": 1})).await;
    let body = |n| json!({"connection": "killed", "name": format!("Site {n}")});
    let (operations, in_the_middle) = create_and_kill(&mut gateway, Duration::from_millis(1500), body).await;
    assert!(in_the_middle >= IN_THE_MIDDLE, "only {in_the_middle} kills came in the middle of a creation");
    all_succeed(&gateway.api, &operations).await;
    assert_eq!(names(&gateway.api, "killed").await, once_each());
}

/// The test is in `engine_e2e`, where it begins early: it waits much.
pub async fn docker_creations_survive_kills() {
    let Some(engine) = super::engine_e2e::engine().await else { return };
    let (image, _turn) = super::engine_e2e::plain_image(&engine).await;
    let mut gateway = Gateway::start_with(Setup { config: docker_grant(&engine), ..Setup::default() }).await;
    let images = json!({"plain": image, "wordpress": WORDPRESS_IMAGE, "database": DATABASE_IMAGE});
    let settings = json!({
        "namespace": "killed",
        "images": images,
        "environment": {"WORDPRESS_CONFIG_EXTRA": QUIET},
        "health": {"timeout": HEALTHY_WITHIN},
    });
    gateway.connect("killed", "docker", settings).await;
    // A WordPress site is made in many steps, and the kills of those after it come while it still is. One: it takes much of a machine.
    let with_database = |n: usize| n == 2;
    let body = |n| {
        let kind = if with_database(n) { "wordpress" } else { "plain" };
        json!({"connection": "killed", "name": format!("Site {n}"), "kind": kind})
    };
    let (operations, in_the_middle) = create_and_kill(&mut gateway, Duration::from_secs(3), body).await;
    assert!(in_the_middle >= IN_THE_MIDDLE, "only {in_the_middle} kills came in the middle of a creation");
    all_succeed(&gateway.api, &operations).await;
    assert_eq!(names(&gateway.api, "killed").await, once_each());
    // On the Engine itself: one network for each site, a container, a second one and two volumes with a database, and nothing half made.
    let made = engine.labelled("killed.site").await.expect("what is on the Engine");
    let of_kind = |kind: &str| made.iter().filter(|one| one.starts_with(kind)).count();
    let databases = (0..KILLS).filter(|n| with_database(*n)).count();
    let expected = (KILLS + databases, KILLS, 2 * databases);
    assert_eq!((of_kind("container"), of_kind("network"), of_kind("volume")), expected, "{made:#?}");
    let sites = gateway.api.get("/sites?connection=killed&limit=100").await.is(200).json();
    for site in sites["data"].as_array().expect("sites") {
        let id = site["id"].as_str().expect("an id");
        let _ = gateway.api.delete(&format!("/sites/{id}")).await.is(200);
    }
    assert_eq!(engine.labelled("killed.site").await.expect("what is on the Engine"), Vec::<String>::new());
}

pub fn docker_grant(engine: &Engine) -> String {
    format!(
        "[[grants]]\norganization = \"*\"\nprovider = \"docker\"\nsocket = {:?}\nsocket_name = \"engine\"\nguard = \"docker-engine\"\n",
        engine.socket()
    )
}

/// The upstream takes its time, so that the kill comes between sending and the answer.
#[tokio::test]
async fn what_can_be_neither_keyed_nor_found_is_interrupted() {
    let slow = Duration::from_secs(60);
    let upstream = Upstream::start(move |_| Answer::After(slow, Box::new(Answer::Json(200, json!({}))))).await;
    let mut gateway = Gateway::start_with(Setup { guests: vec!["blind"], ..Setup::default() }).await;
    gateway.connect("blind", "blind", json!({"url": upstream.url()})).await;
    let body = json!({"connection": "blind", "name": "Once"});
    let id = operation_id(&create(gateway.api.clone(), "once".to_owned(), body).await.expect("an operation"));
    eventually("the request to arrive", async || (upstream.count(&Method::POST, "/sites") == 1).then_some(())).await;
    gateway.kill9();
    gateway.restart().await;
    let operation = finished(&gateway.api, &id).await;
    assert_eq!(operation["status"], "interrupted", "{operation}");
    assert!(operation["error"]["detail"].is_string(), "it doesn't say what happened: {operation}");
    // Also not after another start.
    gateway.kill9();
    gateway.restart().await;
    assert_eq!(finished(&gateway.api, &id).await["status"], "interrupted");
    assert_eq!(upstream.count(&Method::POST, "/sites"), 1, "it was sent again");
}

#[tokio::test]
async fn nothing_is_sent_twice_whenever_the_kill_comes() {
    let upstream = Upstream::start(|_| Answer::After(Duration::from_millis(100), Box::new(Answer::Json(200, json!({}))))).await;
    let mut gateway = Gateway::start_with(Setup { guests: vec!["blind"], ..Setup::default() }).await;
    gateway.connect("blind", "blind", json!({"url": upstream.url()})).await;
    let body = |n| json!({"connection": "blind", "name": format!("Site {n}")});
    let (operations, _) = create_and_kill(&mut gateway, Duration::from_millis(250), body).await;
    for (key, id) in &operations {
        let operation = finished(&gateway.api, id).await;
        let name = key.replace("kill-", "Site ");
        let sent = upstream.seen().iter().filter(|seen| seen.json()["name"] == *name).count();
        let status = operation["status"].as_str().unwrap_or_default();
        // Interrupted after the intent was written and before anything was sent is the price of never sending twice.
        assert!(
            matches!((status, sent), ("succeeded", 1) | ("interrupted", 0 | 1)),
            "{key} was sent {sent} times: {operation}"
        );
    }
}
