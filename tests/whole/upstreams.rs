//! The harness's own parts do what the other tests rely on.

use http::Method;
use portico_tests::{Answer, Api, Upstream};
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
