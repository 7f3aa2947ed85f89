//! The main job, as a client sees it: create a site, watch its operation, list it, back it up, add a domain, delete it.
//!
//! Invariant: everything goes through the documented API of a gateway that `portico dev` started, with its own token.

use http::Method;
use portico_tests::{Answer, Api, Gateway, Reply, Setup, Upstream, eventually};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;

/// Creates a site on the sandbox, waits for its end, and gives the site.
async fn site(api: &Api, name: &str) -> Value {
    let operation = api.post("/sites", &json!({"connection": "sandbox", "name": name})).await.is(201).json();
    assert_eq!(operation["status"], "succeeded", "{operation}");
    operation["result"].clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

#[tokio::test]
async fn the_readme_walk_from_create_to_delete() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    // Without waiting: 202, where to look, when to look again.
    let body = json!({"connection": "sandbox", "name": "Walk"});
    let accepted = api.json(Method::POST, "/sites", &[("prefer", "respond-async")], &body).await.is(202);
    assert!(accepted.header("retry-after").is_some());
    let location = accepted.header("location").expect("where the operation is").to_owned();
    let operation = accepted.json();
    assert_eq!(location, format!("/api/v1/operations/{}", text(&operation["id"])));
    assert_eq!(operation["action"], "sites.create");
    let finished = api.get(&format!("{location}?wait=30s")).await.is(200).json();
    assert_eq!((&finished["status"], &finished["progress"]), (&json!("succeeded"), &json!(100)), "{finished}");
    let site = &finished["result"];
    let id = text(&site["id"]);
    assert!(id.starts_with("sandbox~"), "{id}");
    assert_eq!((&site["name"], &site["status"], &site["provider"]), (&json!("Walk"), &json!("running"), &json!("sandbox")));
    // It is in the list of all sites, and by itself.
    let list = api.get("/sites").await.is(200).json();
    assert_eq!((&list["total"], &list["data"][0]["id"]), (&json!(1), &json!(id)), "{list}");
    assert_eq!(api.get(&format!("/sites/{id}")).await.is(200).json()["name"], "Walk");
    // A backup.
    let backup = api.post(&format!("/sites/{id}/backups"), &json!({"description": "before"})).await.is(201).json();
    assert_eq!(backup["result"]["status"], "completed", "{backup}");
    let backups = api.get(&format!("/sites/{id}/backups")).await.is(200).json();
    assert_eq!(backups["data"][0]["description"], "before", "{backups}");
    // A domain, with what proves that it is ours.
    let domain = api.post(&format!("/sites/{id}/domains"), &json!({"name": "www.example.com"})).await.is(201).json();
    assert_eq!(domain["result"]["name"], "www.example.com", "{domain}");
    let domains = api.get(&format!("/sites/{id}/domains")).await.is(200).json();
    assert!(text(&domains.to_string().into()).contains("www.example.com"), "{domains}");
    // Gone.
    assert_eq!(api.delete(&format!("/sites/{id}")).await.is(200).json()["status"], "succeeded");
    api.get(&format!("/sites/{id}")).await.problem(404, "not_found");
    assert_eq!(api.get("/sites").await.is(200).json()["data"], json!([]));
}

#[tokio::test]
async fn the_same_key_is_the_same_operation() {
    let gateway = Gateway::start().await;
    let send = async |name: &str, key: &str| {
        let headers = [("idempotency-key", key), ("prefer", "wait=30")];
        gateway.api.json(Method::POST, "/sites", &headers, &json!({"connection": "sandbox", "name": name})).await
    };
    let first = send("Once", "k-1").await.is(201).json();
    let again = send("Once", "k-1").await.is(201).json();
    assert_eq!(first["id"], again["id"]);
    let other = send("Twice", "k-1").await.is(422);
    assert!(other.text().contains("idempotency"), "{}", other.text());
    assert_ne!(send("Another", "k-2").await.is(201).json()["id"], first["id"]);
    assert_eq!(gateway.api.get("/sites").await.json()["total"], 2);
}

#[tokio::test]
async fn only_a_token_opens_the_door() {
    let gateway = Gateway::start().await;
    for authorization in ["", "Bearer", "Bearer x", "Basic YTpi", "Bearer ptk_0000000000000000000000000000000000000000000"] {
        let api = Api::new(gateway.api_address, None);
        let reply = api.send(Method::GET, "/api/v1/sites", &[("authorization", authorization)], bytes::Bytes::new()).await;
        assert!(reply.header("www-authenticate").is_some(), "{authorization:?}");
        reply.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn another_organization_sees_nothing() {
    let gateway = Gateway::start().await;
    let site = site(&gateway.api, "Mine").await;
    let other = gateway.api.with_token(&gateway.new_token("other"));
    assert_eq!(other.get("/sites").await.is(200).json()["data"], json!([]));
    assert_eq!(other.get("/operations").await.is(200).json()["data"], json!([]));
    // Not a word of it: for them there is no such connection.
    other.get(&format!("/sites/{}", text(&site["id"]))).await.problem(404, "connection_not_found");
    other.get("/connections/sandbox").await.problem(404, "connection_not_found");
    other.delete(&format!("/sites/{}", text(&site["id"]))).await.problem(404, "connection_not_found");
    assert_eq!(gateway.api.get("/sites").await.json()["total"], 1);
}

#[tokio::test]
async fn what_a_host_cannot_do_is_501_without_a_call() {
    let gateway = Gateway::start_with(Setup { guests: vec!["blind"], ..Setup::default() }).await;
    gateway.connect("narrow", "blind", json!({"url": "http://127.0.0.1:9"})).await;
    let problem = gateway.api.post("/sites/narrow~1/backups", &json!({})).await.problem(501, "unsupported");
    assert_eq!(problem["fields"][0]["field"], "backups.create", "{problem}");
    let operations = gateway.api.get("/operations").await.is(200).json();
    assert_eq!(operations["data"], json!([]), "an operation was made for what can't be done");
}

#[tokio::test]
async fn an_answer_that_did_not_change_is_304() {
    let gateway = Gateway::start().await;
    let first = gateway.api.get("/sites").await.is(200);
    let tag = first.header("etag").expect("a whole list has an ETag").to_owned();
    let again = gateway.api.send(Method::GET, "/sites", &[("if-none-match", &tag)], bytes::Bytes::new()).await;
    assert!(again.is(304).body.is_empty());
    site(&gateway.api, "New").await;
    eventually("another ETag", async || {
        let now = gateway.api.send(Method::GET, "/sites", &[("if-none-match", &tag)], bytes::Bytes::new()).await;
        (now.status == 200).then_some(())
    })
    .await;
}

/// Asks for what has another tag than this one.
async fn unless(api: &Api, path: &str, tag: &str) -> Reply {
    api.send(Method::GET, path, &[("if-none-match", tag)], bytes::Bytes::new()).await
}

fn tag(reply: &Reply) -> String {
    reply.header("etag").expect("a whole page has an ETag").to_owned()
}

#[tokio::test]
async fn a_page_that_did_not_change_is_304_and_its_cursor_leads_on() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    gateway.connect("big", "sandbox", json!({"seed_sites": 25, "work_seconds": 0, "cache": {"sites.list": 3600}})).await;
    let path = "/sites?connection=big";
    let first = api.get(path).await.is(200);
    assert!(unless(api, path, &tag(&first)).await.is(304).body.is_empty());
    let next = format!("{path}&cursor={}", text(&first.json()["next_cursor"]));
    let second = api.get(&next).await.is(200);
    assert!(!second.json()["next_cursor"].is_null());
    let _ = unless(api, &next, &tag(&second)).await.is(304);
    // Pages of another size are other pages, and stand as well.
    let wide = format!("{path}&limit=20");
    let other = api.get(&wide).await.is(200);
    assert_ne!(tag(&other), tag(&first));
    let _ = unless(api, &wide, &tag(&other)).await.is(304);
    let _ = unless(api, path, &tag(&first)).await.is(304);
    // Another caller has cursors of their own.
    let colleague = api.with_token(&gateway.new_token("demo"));
    let theirs = colleague.get(path).await.is(200).json();
    assert_eq!(theirs["data"], first.json()["data"]);
    assert_ne!(theirs["next_cursor"], first.json()["next_cursor"]);
    // A change is another page; who walks on walks through what was.
    let made = api.post("/sites", &json!({"connection": "big", "name": "New"})).await.is(201);
    assert_eq!(made.json()["status"], "succeeded");
    let changed = unless(api, path, &tag(&first)).await.is(200).json();
    assert_eq!((&changed["total"], changed["next_cursor"] == first.json()["next_cursor"]), (&json!(26), false), "{changed}");
    let _ = unless(api, &next, &tag(&second)).await.is(304);
}

/// A client that is told "unchanged" goes on with the cursor that it has.
#[tokio::test]
async fn a_page_whose_cursor_is_gone_is_given_anew() {
    let gateway = Gateway::start_with(Setup { config: "[api]\ncursor_bytes = 1\n".to_owned(), ..Setup::default() }).await;
    let api = &gateway.api;
    gateway.connect("big", "sandbox", json!({"seed_sites": 25, "cache": {"sites.list": 3600}})).await;
    let path = "/sites?connection=big";
    let first = api.get(path).await.is(200);
    let next = format!("{path}&cursor={}", text(&first.json()["next_cursor"]));
    // There is no room for a walk, which is seen a moment later.
    eventually("the walk to be gone", async || (api.get(&next).await.status == 410).then_some(())).await;
    let again = unless(api, path, &tag(&first)).await.is(200).json();
    assert_ne!(again["next_cursor"], first.json()["next_cursor"]);
    assert_eq!(again["data"], first.json()["data"]);
}

#[tokio::test]
async fn drains_on_sigterm_and_finds_everything_again() {
    let mut gateway = Gateway::start().await;
    let site = site(&gateway.api, "Stays").await;
    let status = gateway.sigterm().await;
    assert!(status.success(), "{status}: {}", gateway.log());
    gateway.restart().await;
    let found = gateway.api.get(&format!("/sites/{}", text(&site["id"]))).await.is(200).json();
    assert_eq!(found["name"], "Stays");
}

/// Begins to make a site on a new connection `slow`, which takes an hour, and gives the operation's path.
async fn begin_slow_work(gateway: &Gateway) -> String {
    gateway.connect("slow", "sandbox", json!({"work_seconds": 3600})).await;
    let body = json!({"connection": "slow", "name": "Long"});
    let accepted = gateway.api.json(Method::POST, "/sites", &[("prefer", "respond-async")], &body).await.is(202).json();
    let path = format!("/operations/{}", text(&accepted["id"]));
    // From then on the host has it, and is only asked how far it is.
    eventually("the host to have begun", async || {
        let operation = gateway.api.get(&path).await.is(200).json();
        (!operation["estimated_completion_at"].is_null()).then_some(())
    })
    .await;
    path
}

/// A read in flight finishes, who waits for an operation learns how it is, nobody new is let in, and operators see it.
#[tokio::test]
async fn a_drain_answers_those_who_are_here_and_takes_nobody_new() {
    /// Long enough to look around meanwhile, also beside other tests.
    const READ: Duration = Duration::from_secs(6);
    let upstream = Upstream::start(|_| Answer::After(READ, Box::new(Answer::Json(200, json!({}))))).await;
    let mut gateway = Gateway::start_with(Setup { guests: vec!["courteous"], ..Setup::default() }).await;
    gateway.connect("c", "courteous", json!({"url": upstream.url()})).await;
    let path = begin_slow_work(&gateway).await;
    let (reader, waiter, long) = (gateway.fresh_api(), gateway.fresh_api(), format!("{path}?wait=60s"));
    let waited = tokio::spawn(async move { waiter.get(&long).await });
    let read = tokio::spawn(async move { reader.get("/sites/c~late").await });
    eventually("both to be in flight", async || {
        let count = gateway.metric("portico_requests_in_flight", &[]).await;
        (count >= 2.0 && upstream.seen().len() == 1).then_some(())
    })
    .await;
    let (admin, public) = (gateway.admin.fresh(), gateway.api_address);
    let look_around = async {
        let unready = async || (admin.get("/readyz").await.status == 503).then_some(());
        eventually("the gateway not to be ready", unready).await;
        eventually("new connections to be refused", async || TcpStream::connect(public).await.err()).await;
    };
    let (ended, ()) = tokio::join!(gateway.sigterm(), look_around);
    assert!(ended.success(), "{ended}: {}", gateway.log());
    assert!(!gateway.log().contains("still in flight"), "a request was cut off");
    assert_eq!(read.await.expect("a reader").is(200).json()["name"], "late");
    let waited = waited.await.expect("one that waits").is(200);
    assert!(waited.header("retry-after").is_some(), "it isn't told to ask again: {}", waited.text());
    assert_eq!(waited.json()["status"], "running", "{}", waited.text());
    gateway.restart().await;
    assert_eq!(gateway.api.get(&path).await.is(200).json()["status"], "running");
}

#[tokio::test]
async fn the_answer_tells_which_preference_was_applied() {
    let gateway = Gateway::start().await;
    gateway.connect("slow", "sandbox", json!({"work_seconds": 3600})).await;
    gateway.connect("quick", "sandbox", json!({"work_seconds": 0})).await;
    for (connection, prefer, status, applied) in [
        ("slow", "respond-async", 202, Some("respond-async")),
        ("slow", "wait=1", 202, Some("wait=1")),
        ("slow", "respond-async, wait=1", 202, Some("wait=1")),
        ("slow", "return=minimal", 202, None),
        ("quick", "wait=30", 201, Some("wait=30")),
    ] {
        let body = json!({"connection": connection, "name": format!("With {prefer}")});
        let reply = gateway.api.json(Method::POST, "/sites", &[("prefer", prefer)], &body).await.is(status);
        assert_eq!(reply.header("preference-applied"), applied, "{connection} with {prefer}");
    }
}

#[tokio::test]
async fn a_connection_with_running_operations_goes_only_by_force() {
    let gateway = Gateway::start().await;
    let path = begin_slow_work(&gateway).await;
    gateway.api.delete("/connections/slow").await.problem(409, "operations_running");
    let _ = gateway.api.get("/connections/slow").await.is(200);
    assert_eq!(gateway.api.get(&path).await.is(200).json()["status"], "running");
    let _ = gateway.api.delete("/connections/slow?force=true").await.is(204);
    gateway.api.get("/connections/slow").await.problem(404, "connection_not_found");
    // There is no host any more that could be asked how far it is.
    let ended = gateway.api.get(&format!("{path}?wait=30s")).await.is(200).json();
    assert_eq!(ended["status"], "failed", "{ended}");
}

#[tokio::test]
async fn secrets_are_sealed_at_rest_and_shown_to_nobody() {
    const SECRET: &str = "correct-horse-battery-staple";
    let gateway = Gateway::start_with(Setup { guests: vec!["keyed"], ..Setup::default() }).await;
    let body = json!({"id": "keyed", "provider": "keyed", "name": "Keyed", "secrets": {"api_key": SECRET}});
    let made = gateway.api.post("/connections", &body).await.is(201);
    assert_eq!(made.json()["secrets"]["api_key"]["set"], true, "{}", made.text());
    let shown = gateway.api.get("/connections/keyed").await.is(200);
    assert!(!made.text().contains(SECRET) && !shown.text().contains(SECRET));
    assert!(!gateway.log().contains(SECRET), "the secret is in the log");
    for entry in std::fs::read_dir(gateway.data()).expect("the data folder") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        let plain = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        assert!(!plain, "the secret is in {}", path.display());
    }
}

#[tokio::test]
async fn health_and_readiness_are_on_both_listeners_and_metrics_on_the_admins_alone() {
    let gateway = Gateway::start().await;
    for path in ["/livez", "/readyz", "/metrics"] {
        let _ = gateway.admin.get(path).await.is(200);
    }
    let stranger = Api::new(gateway.api_address, None);
    for (path, status) in [("/livez", 200), ("/readyz", 200), ("/metrics", 401)] {
        let reply = stranger.get(path).await.is(status);
        assert!(reply.header("x-request-id").is_some() && reply.header("ratelimit").is_some(), "{reply:?}");
    }
    let _ = gateway.api.get("/api/v1/metrics").await.is(404);
}

#[tokio::test]
async fn a_guest_never_sees_the_secret_that_the_host_adds() {
    const SECRET: &str = "correct-horse-battery-staple";
    let upstream = portico_tests::Upstream::start(|seen| {
        // An upstream that repeats what it was sent, as careless ones do.
        let sent = seen.headers.get("authorization").map_or(String::new(), |value| format!("{value:?}"));
        let headers =
            vec![("set-cookie", "a=b".to_owned()), ("x-echo", sent.clone()), ("content-type", "text/plain".to_owned())];
        portico_tests::Answer::Raw(200, headers, sent.into())
    })
    .await;
    let gateway = Gateway::start_with(Setup { guests: vec!["keyed"], ..Setup::default() }).await;
    let settings = json!({"url": upstream.url()});
    let body =
        json!({"id": "keyed", "provider": "keyed", "name": "Keyed", "settings": settings, "secrets": {"api_key": SECRET}});
    let _ = gateway.api.post("/connections", &body).await.is(201);
    let reply = gateway.api.get("/sites/keyed~echo").await;
    assert_eq!(upstream.seen()[0].headers["authorization"], format!("Bearer {SECRET}"));
    assert!(!reply.text().contains(SECRET), "the guest saw the secret: {}", reply.text());
    assert!(!reply.text().contains("set-cookie"), "{}", reply.text());
    assert!(!gateway.log().contains(SECRET), "the secret is in the log");
    // Nor is it in the guest's memory, where the rest of what it was told is.
    let memories = portico_tests::memory::Memories::of(gateway.pid());
    assert!(memories.count() > 0 && memories.hold("Bearer [redacted]"), "what the guest heard isn't found in its memory");
    assert!(!memories.hold(SECRET), "the secret is in a guest's memory");
}

/// What `portico dev` prints is pasted into a shell as it stands.
#[tokio::test]
async fn the_printed_curl_lines_work() {
    let gateway = Gateway::start().await;
    let log = gateway.log();
    let start = log.find("  export PORTICO=").expect("the greeting");
    let end = log[start..].rfind("/sites/$SITE").map(|end| start + end + "/sites/$SITE".len()).expect("the last curl line");
    let lines = log[start..end].replace("Paste these, one after the other:", "");
    let output = tokio::process::Command::new("bash").args(["-euc", &lines]).output().await.expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let operations = gateway.api.get("/operations?limit=100").await.is(200).json();
    let done: Vec<(&str, &str)> = operations["data"]
        .as_array()
        .expect("operations")
        .iter()
        .rev()
        .map(|operation| (text(&operation["action"]), text(&operation["status"])))
        .collect();
    let wanted = ["sites.create", "backups.create", "domains.create", "sites.delete"].map(|action| (action, "succeeded"));
    assert_eq!(done, wanted, "{said}");
    assert_eq!(gateway.api.get("/sites").await.is(200).json()["data"], json!([]), "{said}");
}
