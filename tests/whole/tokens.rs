//! The life of a token: made, limited, rotated, revoked, over the API and by command.
//!
//! Invariant: a token's value is in the one answer that made it, and in nothing else that the gateway says or keeps.

use http::Method;
use portico_tests::{Api, Gateway, gateway::binary};
use serde_json::{Value, json};
use std::time::Duration;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

/// Makes a token, and gives it with a client that uses it.
async fn make(gateway: &Gateway, body: &Value) -> (Value, Api) {
    let reply = gateway.api.post("/tokens", body).await.is(201);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let made = reply.json();
    assert_eq!(reply.header("location"), Some(format!("/api/v1/tokens/{}", text(&made["id"])).as_str()));
    let api = gateway.api.with_token(text(&made["token"]));
    (made, api)
}

#[tokio::test]
async fn a_token_is_made_shown_once_listed_and_revoked() {
    let gateway = Gateway::start().await;
    let body = json!({
        "name": "Nightly", "role": "operator", "scopes": ["sites:read", "backups:write"], "connections": ["sandbox"],
        "allowed_ips": ["127.0.0.0/8"], "expires_at": "2999-01-01T00:00:00Z",
    });
    let (made, api) = make(&gateway, &body).await;
    let value = text(&made["token"]).to_owned();
    for (field, wanted) in body.as_object().expect("fields") {
        let wanted = if field == "scopes" { json!(["backups:write", "sites:read"]) } else { wanted.clone() };
        assert_eq!(made[field], wanted, "{made}");
    }
    assert!(value.starts_with(text(&made["prefix"])), "{made}");
    assert!(text(&made["created_by"]).starts_with("token:"), "{made}");
    // In every way that a credential can be sent.
    let _ = api.get("/sites").await.is(200);
    let bare = Api::new(gateway.api_address, None);
    for header in [("authorization", format!("ApiKey {value}")), ("x-api-key", value.clone())] {
        let _ = bare.send(Method::GET, "/api/v1/sites", &[(header.0, &header.1)], bytes::Bytes::new()).await.is(200);
    }
    // Nobody sees the value again.
    let path = format!("/tokens/{}", text(&made["id"]));
    let shown = gateway.api.get(&path).await.is(200);
    assert_eq!((shown.json()["name"].clone(), shown.json()["token"].clone()), (json!("Nightly"), Value::Null));
    let pages = gateway.api.walk("/tokens?limit=1").await;
    let listed: Vec<&Value> = pages.iter().flat_map(|page| page["data"].as_array().expect("data")).collect();
    assert_eq!(listed.iter().map(|one| text(&one["name"])).collect::<Vec<_>>(), ["dev", "Nightly"]);
    assert!(!pages.iter().any(|page| page.to_string().contains(&value)));
    // A stream that came with it ends with it, and the next request is refused, although it was just good.
    let (watcher, watching) = make(&gateway, &json!({"name": "Watcher"})).await;
    let mut watch = watching.watch("/events", &[]).await;
    let _ = gateway.api.delete(&format!("/tokens/{}", text(&watcher["id"]))).await.is(204);
    tokio::time::timeout(Duration::from_secs(3), watch.rest()).await.expect("the stream went on");
    watching.get("/sites").await.problem(401, "unauthenticated");
    let _ = gateway.api.delete(&path).await.is(204);
    api.get("/sites").await.problem(401, "unauthenticated");
    gateway.api.get(&path).await.problem(404, "not_found");
    assert!(!gateway.log().contains(&value), "the token is in the log");
    for entry in std::fs::read_dir(gateway.data()).expect("the data folder") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        assert!(!bytes.windows(value.len()).any(|window| window == value.as_bytes()), "it is in {}", path.display());
    }
}

#[tokio::test]
async fn rotation_leaves_the_old_value_for_the_overlap() {
    let gateway = Gateway::start().await;
    let (made, old) = make(&gateway, &json!({"name": "Rotated"})).await;
    let path = format!("/tokens/{}/rotate", text(&made["id"]));
    let rotate = async |body: Value| {
        let reply = gateway.api.post(&path, &body).await.is(200);
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        (reply.json(), gateway.api.with_token(text(&reply.json()["token"])))
    };
    let (rotated, new) = rotate(json!({"overlap_seconds": 3600})).await;
    assert_eq!((&rotated["id"], &rotated["name"]), (&made["id"], &json!("Rotated")));
    assert_ne!(rotated["token"], made["token"]);
    assert!(rotated["previous_until"].is_string(), "{rotated}");
    for api in [&old, &new] {
        let _ = api.get("/sites").await.is(200);
    }
    let (again, newest) = rotate(json!({})).await;
    assert_eq!(again["previous_until"], Value::Null, "{again}");
    for api in [&old, &new] {
        api.get("/sites").await.problem(401, "unauthenticated");
    }
    let _ = newest.get("/sites").await.is(200);
    gateway.api.post(&path, &json!({"overlap_seconds": 604_801})).await.problem(422, "invalid_input");
}

/// It is written now and then, and when the gateway stops.
#[tokio::test]
async fn when_a_token_was_used_is_known_after_a_restart() {
    let mut gateway = Gateway::start().await;
    let (used, api) = make(&gateway, &json!({"name": "Used"})).await;
    let (idle, _) = make(&gateway, &json!({"name": "Idle"})).await;
    let _ = api.get("/sites").await.is(200);
    let ended = gateway.sigterm().await;
    assert!(ended.success(), "{ended}: {}", gateway.log());
    gateway.restart().await;
    let (later, _) = make(&gateway, &json!({"name": "Later"})).await;
    let last_used = async |token: &Value| {
        gateway.api.get(&format!("/tokens/{}", text(&token["id"]))).await.is(200).json()["last_used_at"].clone()
    };
    assert_eq!(last_used(&idle).await, Value::Null);
    // Times sort as text without their end: a whole second is how its fractions begin.
    let at = last_used(&used).await;
    let times = [&used["created_at"], &at, &later["created_at"]].map(|time| text(time).trim_end_matches('Z'));
    assert!(times.is_sorted(), "{times:?}");
}

#[tokio::test]
async fn a_token_gives_no_more_than_it_has() {
    let gateway = Gateway::start().await;
    let body = json!({"name": "Maker", "role": "admin", "scopes": ["tokens:write", "sites:read"], "connections": ["sandbox"]});
    let (_, maker) = make(&gateway, &body).await;
    let made = maker.post("/tokens", &json!({"name": "Child"})).await.is(201).json();
    for field in ["role", "connections"] {
        assert_eq!(made[field], body[field], "{made}");
    }
    for more in [json!({"role": "owner"}), json!({"scopes": ["sites:write"]}), json!({"scopes": ["write"]})] {
        let mut body = json!({"name": "More"});
        body.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        maker.post("/tokens", &body).await.problem(403, "forbidden");
    }
    // The gateway's first token is an owner's.
    let first = text(&gateway.api.get("/tokens?limit=1").await.is(200).json()["data"][0]["id"]).to_owned();
    maker.post(&format!("/tokens/{first}/rotate"), &json!({})).await.problem(403, "forbidden");
    maker.delete(&format!("/tokens/{first}")).await.problem(403, "forbidden");
    let _ = gateway.api.get("/sites").await.is(200);
}

#[tokio::test]
async fn what_a_token_cannot_have_is_named_and_so_is_how_to_send_one() {
    let gateway = Gateway::start().await;
    for (field, limits) in [
        ("expires_at", json!({"expires_at": "2001-01-01T00:00:00Z"})),
        ("scopes[0]", json!({"scopes": ["moon:read"]})),
        ("connections[0]", json!({"connections": ["none"]})),
    ] {
        let mut body = json!({"name": "Never"});
        body.as_object_mut().expect("fields").extend(limits.as_object().expect("fields").clone());
        let problem = gateway.api.post("/tokens", &body).await.problem(422, "invalid_input");
        assert_eq!(problem["fields"][0]["field"], field, "{problem}");
        assert!(text(&problem["detail"]).starts_with(&format!("{field}: ")), "{problem}");
    }
    let (made, _) = make(&gateway, &json!({"name": "Sent"})).await;
    let value = text(&made["token"]);
    let bare = Api::new(gateway.api_address, None);
    let send = async |authorization: &str| {
        bare.send(Method::GET, "/api/v1/sites", &[("authorization", authorization)], bytes::Bytes::new()).await
    };
    for other in ["Basic dXNlcjpwYXNz", &format!("Token {value}")] {
        let reply = send(other).await;
        assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"portico\""), "{other}");
        let problem = reply.problem(401, "unauthenticated");
        assert!(text(&problem["detail"]).contains("as Authorization: Bearer ptk_…"), "{problem}");
        assert!(!text(&problem["detail"]).contains("expired"), "{problem}");
    }
    let _ = send(value).await.is(200);
}

#[tokio::test]
async fn a_token_of_some_connections_is_shown_no_token_of_others() {
    let gateway = Gateway::start().await;
    gateway.connect("hidden", "sandbox", json!({"work_seconds": 0})).await;
    let of = async |name: &str, connections: &[&str]| {
        make(&gateway, &json!({"name": name, "role": "admin", "connections": connections})).await
    };
    let (own, asker) = of("Asker", &["sandbox"]).await;
    let (beyond, _) = of("Beyond", &["hidden", "sandbox"]).await;
    let (other, _) = of("Other", &["hidden"]).await;
    let (beside, _) = of("Beside", &["sandbox"]).await;
    let names = |pages: &[Value]| -> Vec<String> {
        let data = pages.iter().flat_map(|page| page["data"].as_array().expect("data"));
        data.map(|one| text(&one["name"]).to_owned()).collect()
    };
    // No page is short of a token that it left out.
    for (limit, count) in [(1, 2), (10, 1)] {
        let pages = asker.walk(&format!("/tokens?limit={limit}")).await;
        assert_eq!((names(&pages), pages.len()), (vec!["Asker".to_owned(), "Beside".to_owned()], count), "{pages:?}");
        assert!(!pages.iter().any(|page| page.to_string().contains("hidden")), "{pages:?}");
    }
    let everyone = gateway.api.walk("/tokens?limit=2").await;
    assert_eq!(names(&everyone), ["dev", "Asker", "Beyond", "Other", "Beside"]);
    for seen in [&own, &beside] {
        let _ = asker.get(&format!("/tokens/{}", text(&seen["id"]))).await.is(200);
    }
    let nobody = asker.get("/tokens/00000000-0000-0000-0000-000000000000").await.problem(404, "not_found");
    for unseen in [&everyone[0]["data"][0], &beyond, &other] {
        let path = format!("/tokens/{}", text(&unseen["id"]));
        assert_eq!(asker.get(&path).await.problem(404, "not_found")["detail"], nobody["detail"]);
        let _ = gateway.api.get(&path).await.is(200);
    }
}

#[tokio::test]
async fn a_token_is_good_from_its_addresses_alone() {
    let gateway = Gateway::start().await;
    let (_, here) = make(&gateway, &json!({"name": "Here", "allowed_ips": ["127.0.0.1", "203.0.113.0/24"]})).await;
    let _ = here.get("/sites").await.is(200);
    let (_, elsewhere) = make(&gateway, &json!({"name": "Elsewhere", "allowed_ips": ["203.0.113.0/24"]})).await;
    for path in ["/sites", "/tokens", "/events", "/nothing"] {
        elsewhere.get(path).await.problem(403, "address_not_allowed");
    }
    // IPv4 in the clothes of IPv6 is IPv4.
    let (made, mapped) = make(&gateway, &json!({"name": "Mapped", "allowed_ips": ["::ffff:127.0.0.0/104"]})).await;
    assert_eq!(made["allowed_ips"], json!(["127.0.0.0/8"]));
    let _ = mapped.get("/sites").await.is(200);
    let wider = gateway.api.post("/tokens", &json!({"name": "Wider", "allowed_ips": ["::ffff:127.0.0.0/64"]})).await;
    assert_eq!(wider.problem(422, "invalid_input")["fields"][0]["field"], "allowed_ips");
    // What a client says of itself is not where it is.
    let headers = [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7")];
    elsewhere.send(Method::GET, "/sites", &headers, bytes::Bytes::new()).await.problem(403, "address_not_allowed");
}

#[tokio::test]
async fn commands_make_list_and_revoke_beside_a_running_gateway() {
    let gateway = Gateway::start().await;
    let options = ["--role", "viewer", "--scope", "sites:read", "--connection", "sandbox", "--allow-ip", "127.0.0.1"];
    let token = gateway.new_token_with("demo", &options);
    let api = gateway.api.with_token(&token);
    let _ = api.get("/sites").await.is(200);
    api.get("/operations").await.problem(403, "forbidden");
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(binary());
        let output = command.arg("token").args(arguments).env("PORTICO_DATA_DIR", gateway.data()).output().expect("it runs");
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), said(&output.stdout), said(&output.stderr))
    };
    // Whose organization it is, or that there was none of the name.
    for (organization, words) in [("demo", "nobody who logs in owns it"), ("new-one", "Made the organization new-one.")] {
        let (made, token, told) = run(&["create", "--organization", organization]);
        assert!(made && told.contains(words) && token.starts_with("ptk_") && token.lines().count() == 1, "{told}");
    }
    let (listed, list, _) = run(&["list", "--organization", "demo"]);
    let prefix = &token[..10];
    let line = list.lines().find(|line| line.contains(prefix)).unwrap_or_else(|| panic!("{prefix} isn't in {list}"));
    assert!(listed && line.contains("viewer") && !list.contains(&token), "{list}");
    for (arguments, words) in [
        (&["create", "--organization", "demo", "--role", "king"][..], "viewer"),
        (&["create", "--organization", "demo", "--scope", "sites"], "sites:read"),
        (&["create", "--organization", "demo", "--connection", "none"], "no connection none"),
        (&["create", "--organization", "demo", "--allow-ip", "0.0.0.0/0"], "every address"),
        (&["revoke", "--organization", "demo", "ptk_nobody"], "no token ptk_nobody"),
        (&["list", "--organization", "nobody"], "no organization nobody"),
    ] {
        let (success, _, error) = run(arguments);
        assert!(!success && error.contains(words), "{arguments:?}: {error}");
    }
    let (revoked, _, error) = run(&["revoke", "--organization", "demo", prefix]);
    assert!(revoked, "{error}");
    // Another process did it: the gateway learns of it within five seconds.
    let refused = async || (api.get("/sites").await.status == 401).then_some(());
    portico_tests::wait_until("the token to be refused", Duration::from_secs(7), refused).await;
}
