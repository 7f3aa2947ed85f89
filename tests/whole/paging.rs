//! 10,000 sites in one connection and 50 connections: the list pages to its end, each site exactly once.
//!
//! Invariant: one connection is down and another slow all the while; every page says so, and no site is missing or twice.

use portico_tests::{Answer, Gateway, Upstream};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

const BIG: u32 = 10_000;
/// Together with the big, the slow and the one that is down: 50.
const SMALL: usize = 47;
const SEEDS: u32 = 3;

fn seeds(connection: &str, count: u32) -> impl Iterator<Item = String> {
    (1..=count).map(move |n| format!("{connection}~seed-{n:05}"))
}

struct Crowd {
    gateway: Gateway,
    expected: BTreeSet<String>,
    _latency: Upstream,
}

impl Crowd {
    async fn new() -> Self {
        let gateway = Gateway::start().await;
        // The demo connection would be the 51st.
        let _ = gateway.api.delete("/connections/sandbox").await.is(204);
        let latency = Upstream::start(|_| Answer::After(Duration::from_secs(1), Box::new(Answer::Json(200, json!({}))))).await;
        gateway.connect("big", "sandbox", json!({"seed_sites": BIG})).await;
        gateway.connect("down", "sandbox", json!({"seed_sites": SEEDS, "fail": {"sites.list": "unavailable"}})).await;
        gateway.connect("slow", "sandbox", json!({"seed_sites": SEEDS, "latency_url": latency.url()})).await;
        let mut expected: BTreeSet<String> = seeds("big", BIG).chain(seeds("slow", SEEDS)).collect();
        for n in 0..SMALL {
            let id = format!("small-{n:02}");
            gateway.connect(&id, "sandbox", json!({"seed_sites": SEEDS})).await;
            expected.extend(seeds(&id, SEEDS));
        }
        Self { gateway, expected, _latency: latency }
    }

    /// Walks to the end and checks every page.
    async fn walk(&self, path: &str, expected: &BTreeSet<String>) -> Vec<Value> {
        let pages = self.gateway.api.walk(path).await;
        let mut sites = Vec::new();
        for page in &pages {
            let errors = page["errors"].as_array().expect("errors");
            let down: Vec<&Value> = errors.iter().map(|error| &error["connection"]).collect();
            assert_eq!(down, ["down"], "a page doesn't say what is missing: {errors:?}");
            assert_eq!(errors[0]["code"], "upstream_unavailable");
            assert_eq!(page["total"], Value::Null, "the total can't be known");
            assert_eq!(page["as_of"], pages[0]["as_of"], "the walk is of one moment");
            sites.extend(page["data"].as_array().expect("data").iter().cloned());
        }
        let ids: BTreeSet<String> = sites.iter().map(|site| site["id"].as_str().expect("an id").to_owned()).collect();
        assert_eq!(sites.len(), ids.len(), "{path}: a site came twice");
        let missing: Vec<&String> = expected.difference(&ids).take(5).collect();
        let strange: Vec<&String> = ids.difference(expected).take(5).collect();
        assert!(missing.is_empty() && strange.is_empty(), "{path}: missing {missing:?}, strange {strange:?}");
        sites
    }
}

#[tokio::test]
async fn the_fan_out_list_pages_to_its_end() {
    let crowd = Crowd::new().await;
    let connections = crowd.gateway.api.get("/connections?limit=1").await.is(200).json();
    assert_eq!(connections["total"], 50);
    let sites = crowd.walk("/sites?limit=100", &crowd.expected).await;
    let keys: Vec<(&str, &str)> =
        sites.iter().map(|site| (site["name"].as_str().expect("a name"), site["id"].as_str().expect("an id"))).collect();
    assert!(keys.is_sorted(), "the list isn't sorted by name and id");
    // The other way round.
    let back = crowd.walk("/sites?limit=100&order=desc", &crowd.expected).await;
    assert!(back.iter().map(|site| &site["id"]).eq(sites.iter().rev().map(|site| &site["id"])), "desc is not asc reversed");
    // Filtered, with pages of another size.
    let stopped: BTreeSet<String> = sites
        .iter()
        .filter(|site| site["status"] == "stopped")
        .map(|site| site["id"].as_str().expect("an id").to_owned())
        .collect();
    assert!(stopped.len() > 1000, "every seventh is stopped");
    crowd.walk("/sites?limit=37&status=stopped", &stopped).await;
}
