//! Watching: streams of one operation and of the organization, resumed without a loss, ended when they must end.
//!
//! Invariant: what a stream told is compared with what a read tells, never with another stream alone.

use http::Method;
use portico_tests::{Api, Gateway, Setup, Sse, SseEvent, eventually, wait_until};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

/// Sends a creation, doesn't wait for its end, and gives the operation's id.
async fn create(api: &Api, connection: &str, name: &str) -> String {
    let body = json!({"connection": connection, "name": name});
    let accepted = api.json(Method::POST, "/sites", &[("prefer", "respond-async")], &body).await.is(202).json();
    text(&accepted["id"]).to_owned()
}

async fn finished(api: &Api, operation: &str) -> Value {
    wait_until(&format!("the end of {operation}"), Duration::from_secs(60), async || {
        let now = api.get(&format!("/operations/{operation}?wait=20s")).await.is(200).json();
        (!["queued", "running"].contains(&text(&now["status"]))).then_some(now)
    })
    .await
}

fn statuses(events: &[SseEvent]) -> Vec<&str> {
    events.iter().map(|event| text(&event.json["data"]["status"])).collect()
}

#[tokio::test]
async fn an_operation_is_watched_to_its_end() {
    let gateway = Gateway::start().await;
    let api = &gateway.api;
    let operation = create(api, "sandbox", "Watched").await;
    let mut stream = api.watch(&format!("/operations/{operation}/events"), &[]).await;
    assert_eq!(stream.status, 200);
    for (name, value) in [("content-type", "text/event-stream"), ("cache-control", "no-store"), ("x-accel-buffering", "no")] {
        assert_eq!(stream.headers[name], value);
    }
    let events = stream.rest().await;
    let end = finished(api, &operation).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    assert!(events.len() >= 2 && events.is_sorted_by(|one, next| one.id < next.id), "{events:?}");
    for event in &events {
        assert_eq!((event.kind.as_str(), &event.json["type"]), ("operation.updated", &json!("operation.updated")));
        assert_eq!((&event.json["id"], &event.json["data"]["id"]), (&json!(event.id), &json!(operation)));
        assert!(event.json["at"].is_string(), "{event:?}");
    }
    let progress: Vec<u64> = events.iter().filter_map(|event| event.json["data"]["progress"].as_u64()).collect();
    assert!(progress.is_sorted() && progress.last() == Some(&100), "{progress:?}");
    // The last event is the operation as a read tells it.
    assert_eq!(events.last().expect("events").json["data"], end);
    // Watched when it is over: as it is, and the end.
    let late = api.watch(&format!("/operations/{operation}/events"), &[]).await.rest().await;
    assert_eq!((late.len(), &late[0].json["data"]), (1, &end));
    // A browser that comes back after the end is told not to come again.
    let last = events.last().expect("events").id.to_string();
    let over = api.watch(&format!("/operations/{operation}/events"), &[("last-event-id", &last)]).await;
    assert_eq!(over.status, 204);
    api.get("/operations/op_00000000000000000000000000000000/events").await.problem(404, "not_found");
}

#[tokio::test]
async fn a_failed_operation_tells_why_and_ends_the_stream() {
    let gateway = Gateway::start().await;
    let operation = create(&gateway.api, "sandbox", "fail later").await;
    let events = gateway.api.watch(&format!("/operations/{operation}/events"), &[]).await.rest().await;
    let last = &events.last().expect("events").json["data"];
    assert_eq!((&last["status"], last), (&json!("failed"), &finished(&gateway.api, &operation).await));
    assert!(last["error"]["detail"].is_string(), "{last}");
}

#[tokio::test]
async fn a_stream_is_resumed_with_nothing_lost_or_twice() {
    let mut gateway = Gateway::start().await;
    gateway.connect("busy", "sandbox", json!({"work_seconds": 1})).await;
    let mut stream = gateway.api.watch("/events?types=operation.updated", &[]).await;
    stream.any().await;
    // Known from the start, so that also what happens before the first event isn't lost.
    let start = stream.last_id.clone().expect("an id at the start");
    let mut events = Vec::new();
    let mut operations = BTreeSet::new();
    for round in 0..6 {
        let id = stream.last_id.clone().expect("an id");
        drop(stream);
        for n in 0..4 {
            operations.insert(create(&gateway.api, "busy", &format!("Site {round}-{n}")).await);
        }
        if round == 3 {
            assert!(gateway.sigterm().await.success());
            gateway.restart().await;
        }
        stream = gateway.api.watch("/events?types=operation.updated", &[("last-event-id", &id)]).await;
        for _ in 0..5 {
            events.push(stream.next().await.expect("the stream goes on"));
        }
    }
    let mut open = operations.clone();
    let closed = |events: &[SseEvent], open: &mut BTreeSet<String>| {
        for event in events.iter().filter(|event| event.json["data"]["status"] == "succeeded") {
            open.remove(text(&event.json["data"]["id"]));
        }
    };
    closed(&events, &mut open);
    while !open.is_empty() {
        let event = stream.next().await.expect("the stream goes on");
        closed(std::slice::from_ref(&event), &mut open);
        events.push(event);
    }
    assert!(events.is_sorted_by(|one, next| one.id < next.id), "an event came twice, or out of order");
    // Told again from the start, it is the same story.
    let mut again = gateway.api.watch("/events?types=operation.updated", &[("last-event-id", &start)]).await;
    for event in &events {
        let told = again.next().await.expect("the stream goes on");
        assert_eq!((told.id, &told.json), (event.id, &event.json));
    }
    for operation in &operations {
        let own: Vec<SseEvent> = events.iter().filter(|event| event.json["data"]["id"] == **operation).cloned().collect();
        let told = statuses(&own);
        assert_eq!((told.first(), told.last()), (Some(&"queued"), Some(&"succeeded")), "{operation}: {told:?}");
        assert_eq!(own.last().expect("events").json["data"], finished(&gateway.api, operation).await);
    }
}

#[tokio::test]
async fn what_is_no_longer_kept_is_a_reset() {
    let config = "[events]\nmax_count = 5\n".to_owned();
    let mut gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    gateway.connect("quick", "sandbox", json!({"work_seconds": 0})).await;
    for n in 0..5 {
        let _ = gateway.api.post("/sites", &json!({"connection": "quick", "name": format!("Site {n}")})).await.is(201);
    }
    // It prunes when it starts, and then every minute.
    gateway.kill9();
    gateway.restart().await;
    let first = wait_until("the log to be short", Duration::from_secs(30), async || {
        let mut stream = gateway.api.watch("/events", &[("last-event-id", "1")]).await;
        let first = stream.next().await.expect("the stream goes on");
        (first.kind == "reset").then_some((first, stream))
    })
    .await;
    let (reset, mut stream) = first;
    assert_eq!(reset.json["type"], "reset");
    assert!(text(&reset.json["data"]["detail"]).contains("list what you watch again"), "{reset:?}");
    // It goes on from there.
    let operation = create(&gateway.api, "quick", "After").await;
    let event = stream.next().await.expect("the stream goes on");
    assert_eq!((event.json["data"]["id"].as_str(), event.id > reset.id), (Some(operation.as_str()), true));
    // What is still kept is told.
    let kept = (reset.id - 5).to_string();
    let mut stream = gateway.api.watch("/events", &[("last-event-id", &kept)]).await;
    assert_eq!(stream.next().await.expect("the stream goes on").id, reset.id - 4);
}

#[tokio::test]
async fn another_organization_hears_nothing() {
    let gateway = Gateway::start().await;
    let other = gateway.api.with_token(&gateway.new_token("other"));
    let mut theirs = other.watch("/events", &[]).await;
    let mut mine = gateway.api.watch("/events?types=operation.updated", &[]).await;
    let operation = create(&gateway.api, "sandbox", "Mine").await;
    other.get(&format!("/operations/{operation}/events")).await.problem(404, "not_found");
    finished(&gateway.api, &operation).await;
    while text(&mine.next().await.expect("mine goes on").json["data"]["status"]) != "succeeded" {}
    // Also not what was before: the first that they hear is their own.
    let _ = other.post("/connections", &json!({"id": "own", "provider": "sandbox", "name": "Own"})).await.is(201);
    let own = create(&other, "own", "Theirs").await;
    let mut all = other.watch("/events?types=operation.updated", &[("last-event-id", "0")]).await;
    for stream in [&mut theirs, &mut all] {
        let event = loop {
            let event = stream.next().await.expect("theirs goes on");
            if event.kind == "operation.updated" {
                break event;
            }
            assert_eq!(event.json["data"]["connection"], "own", "{event:?}");
        };
        assert_eq!(event.json["data"]["id"], own, "{event:?}");
    }
}

#[tokio::test]
async fn connections_tell_how_they_fare_when_that_changes() {
    let gateway = Gateway::start().await;
    gateway.connect("shaky", "sandbox", json!({"seed_sites": 2, "fail": {"sites.list": "unavailable"}})).await;
    let mut stream = gateway.api.watch("/events?types=connection.health&connection=shaky", &[]).await;
    stream.any().await;
    for _ in 0..3 {
        let _ = gateway.api.get("/sites?connection=shaky").await;
        let _ = gateway.api.get("/sites?connection=sandbox").await;
    }
    let failing = stream.next().await.expect("the stream goes on");
    assert_eq!((failing.kind.as_str(), &failing.json["data"]["connection"]), ("connection.health", &json!("shaky")));
    assert_eq!(failing.json["data"]["health"]["status"], "failing", "{failing:?}");
    // The same three times is one change; the next one is another.
    let _ = gateway.api.get("/sites/shaky~seed-00001").await.is(200);
    let healthy = stream.next().await.expect("the stream goes on");
    assert_eq!(healthy.json["data"]["health"]["status"], "healthy", "{healthy:?}");
    let read = gateway.api.get("/connections/shaky").await.is(200).json();
    assert_eq!(healthy.json["data"]["health"]["status"], read["health"]["status"]);
}

#[tokio::test]
async fn a_drain_ends_streams_at_once() {
    let mut gateway = Gateway::start().await;
    let operation = create(&gateway.api, "sandbox", "stuck").await;
    let mut streams = vec![gateway.api.watch("/events", &[]).await];
    streams.push(gateway.api.watch(&format!("/operations/{operation}/events"), &[]).await);
    streams[1].next().await.expect("the operation as it is");
    let before = Instant::now();
    let status = gateway.sigterm().await;
    assert!(status.success(), "{status}");
    // A request in flight may take 20 s.
    assert!(before.elapsed() < Duration::from_secs(10), "streams held up the drain for {:?}", before.elapsed());
    for stream in &mut streams {
        stream.rest().await;
    }
}

#[tokio::test]
async fn a_silent_stream_gives_a_sign_of_life() {
    let config = "[events]\nheartbeat_seconds = 1\n".to_owned();
    let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    let mut stream = gateway.api.watch("/events?types=connection.health", &[]).await;
    stream.any().await;
    let start = stream.last_id.clone();
    gateway.connect("quick", "sandbox", json!({"work_seconds": 0})).await;
    let _ = gateway.api.post("/sites", &json!({"connection": "sandbox", "name": "Unheard"})).await.is(201);
    while stream.comments < 3 {
        stream.any().await;
    }
    // What passed unheard isn't told again to a client that comes back.
    assert!(stream.last_id > start, "the position stands still: {start:?}");
}

/// Opens so many streams and waits until all of them are open.
async fn crowd(gateway: &Gateway, count: usize) -> Vec<Sse> {
    let mut streams = Vec::with_capacity(count);
    while streams.len() < count {
        // More at once would overrun the kernel's queue of new connections.
        let some = 50.min(count - streams.len());
        let opened = (0..some).map(|_| gateway.api.watch("/events?types=operation.updated", &[]));
        streams.extend(futures_util::future::join_all(opened).await);
    }
    for stream in &mut streams {
        assert_eq!(stream.status, 200);
        stream.any().await;
    }
    assert_eq!(gateway.metric("portico_event_watchers", &[]).await, count as f64);
    streams
}

/// Makes an operation and gives how long it took until every stream told of it.
async fn tell_all(gateway: &Gateway, streams: &mut [Sse]) -> Duration {
    let body = json!({"connection": "sandbox", "name": format!("Site {}", streams.len())});
    let before = Instant::now();
    let sent = gateway.api.json(Method::POST, "/sites", &[("prefer", "respond-async")], &body);
    let heard = futures_util::future::join_all(streams.iter_mut().map(Sse::next));
    let (accepted, heard) = tokio::join!(sent, heard);
    let took = before.elapsed();
    let operation = accepted.is(202).json()["id"].clone();
    for event in heard {
        assert_eq!(event.expect("the stream goes on").json["data"]["id"], operation);
    }
    // Streams that are opened next shall not hear of its end.
    let end = gateway.api.get(&format!("/operations/{}?wait=30s", operation.as_str().expect("an id"))).await.is(200).json();
    assert_eq!(end["status"], "succeeded", "{end}");
    took
}

#[tokio::test]
async fn three_hundred_hear_the_same_and_one_more_is_too_many() {
    let config = "[events]\nmax_watchers = 300\n".to_owned();
    let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    let mut streams = crowd(&gateway, 300).await;
    assert_eq!(gateway.metric("portico_requests_in_flight", &[]).await, 0.0, "a stream counts once, when it begins");
    let refused = gateway.api.get("/events").await;
    assert!(refused.header("retry-after").is_some());
    refused.problem(503, "too_many_watchers");
    // Another organization isn't hindered.
    let other = gateway.api.with_token(&gateway.new_token("other"));
    let mut theirs = other.watch("/events", &[]).await;
    theirs.any().await;
    tell_all(&gateway, &mut streams).await;
    streams.truncate(299);
    eventually("a free place", async || {
        let mut stream = gateway.api.watch("/events", &[]).await;
        if stream.status == 200 {
            stream.any().await;
        }
        (stream.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
#[ignore = "because it measures: it needs 10,100 file descriptors and a quiet machine (cargo test … -- --ignored --nocapture)"]
async fn five_thousand_idle_watchers() {
    const MANY: usize = 5000;
    const MOST_KIB: f64 = 20.0;
    let gateway = Gateway::start().await;
    // What the first streams and operations cost once isn't theirs.
    let mut few = crowd(&gateway, 100).await;
    tell_all(&gateway, &mut few).await;
    drop(few);
    eventually("the first to be gone", async || (gateway.metric("portico_event_watchers", &[]).await == 0.0).then_some(()))
        .await;
    let before = gateway.resident_kib();
    let mut streams = crowd(&gateway, MANY).await;
    let idle = gateway.resident_kib();
    let took = tell_all(&gateway, &mut streams).await;
    let after = gateway.resident_kib();
    let each = |kib: u64| kib.saturating_sub(before) as f64 / MANY as f64;
    eprintln!(
        "{MANY} watchers: {before} KiB before, {:.1} KiB each when idle, {:.1} KiB each after an event, which reached all in {took:?}",
        each(idle),
        each(after)
    );
    assert!(each(idle) < MOST_KIB && took < Duration::from_secs(1));
}
