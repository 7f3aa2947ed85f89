//! The harness's own parts do what the other tests rely on.

use bytes::Bytes;
use http::Method;
use portico_tests::{
    Answer, Api, Upstream,
    simulators::{Fault, Request, Simulator, World},
};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn an_upstream_remembers_and_answers_by_script() {
    let upstream = Upstream::start(|seen| match seen.path.as_str() {
        "/big" => Answer::Bytes(200_000),
        "/late" => Answer::After(Duration::from_millis(1), Box::new(Answer::Json(503, json!({})))),
        _ => Answer::Json(201, seen.json()),
    })
    .await;
    let api = Api::new(upstream.address(), None);
    assert_eq!(api.json(Method::POST, "/echo?a=b", &[], &json!({"c": 1})).await.is(201).json(), json!({"c": 1}));
    assert_eq!(api.get("/big").await.is(200).body.len(), 200_000);
    let _ = api.get("/late").await.is(503);
    let paths: Vec<String> = upstream.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/echo?a=b", "/big", "/late"]);
    assert_eq!(upstream.count(&Method::POST, "/echo"), 1);
}

/// Counts what is made, and says where and how it was asked.
struct Counter(u64);

impl World for Counter {
    fn answer(&mut self, request: &Request) -> Answer {
        match (request.parts().0, &request.parts().1[..]) {
            ("POST", ["things", _]) => {
                self.0 += 1;
                Answer::Json(201, json!({"made": self.0, "path": request.segments, "q": request.query("q")}))
            }
            _ => Answer::Json(404, json!({})),
        }
    }
}

#[tokio::test]
async fn a_simulator_has_a_world_and_faults_to_order() {
    let simulator = Simulator::start(Counter(0)).await;
    let api = Api::new(simulator.address(), None);
    let post = async |path: &str| api.fresh().try_send(Method::POST, path, &[], Bytes::new()).await;
    let made = post("/things/a%2Fb?q=c+d%26").await.expect("an answer").is(201).json();
    assert_eq!(made, json!({"made": 1, "path": ["things", "a/b"], "q": "c d&"}));

    simulator.inject(Method::POST, "/things/*", 1, Fault::TooMany(Some(7)));
    simulator.inject(Method::POST, "/**", 1, Fault::Html(502));
    simulator.inject(Method::POST, "/things/**", 1, Fault::Redirect("http://127.0.0.1:1/".to_owned()));
    simulator.inject(Method::GET, "/**", 1, Fault::Silent);
    assert_eq!(post("/things/a").await.expect("an answer").is(429).header("retry-after"), Some("7"));
    assert!(post("/things/a").await.expect("an answer").is(502).text().starts_with("<html>"));
    assert_eq!(post("/things/a").await.expect("an answer").is(302).header("location"), Some("http://127.0.0.1:1/"));
    assert_eq!((simulator.world(|counter| counter.0), simulator.faults_left()), (1, 1));

    simulator.inject(Method::POST, "/things/a", 1, Fault::Cut);
    assert!(post("/things/a").await.is_err(), "the answer is whole");
    assert_eq!(simulator.world(|counter| counter.0), 2, "it is done although nobody heard of it");
    assert_eq!(simulator.count(&Method::POST, "/things/*"), 5);
}
