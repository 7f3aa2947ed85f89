//! Schemathesis (PyPI) asks the running gateway what its document promises: every phase, stateful links included, every check.
//!
//! In goes a gateway with two sandboxes; a failure comes out for a 5xx, an undocumented status, an answer that doesn't fit its
//! schema, a refusal of data that fits, or the acceptance of data that doesn't. Invariant: the run is bounded and repeatable
//! (`TEST_SEED`, and `CI=1` for as much as CI draws), and one that asked too little, or followed no links, fails like one that found
//! something.

use portico_tests::{Gateway, gateway::root};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path, process::Stdio, time::Duration};
use tokio::process::Command;

/// What is asked is the same each time, unless `TEST_SEED` says otherwise.
const SEED: &str = "1";
/// Drawn at random for each operation, beside what the document's examples and limits give: in CI, and where somebody waits.
const EXAMPLES: [&str; 2] = ["8", "3"];
const PATIENCE: Duration = Duration::from_secs(600);

/// What a run did, from its report of events.
#[derive(Debug, Default)]
struct Run {
    cases: u64,
    /// By phase.
    phases: BTreeMap<String, u64>,
    followed: u64,
    accepted: u64,
    failures: Vec<String>,
}

/// Two runs side by side, each on a gateway of its own, since one alone takes as long as all other tests together: what follows from
/// the document as it stands, and what is drawn and walked.
#[tokio::test]
async fn the_gateway_does_what_its_document_says() {
    let runs = [&["examples", "coverage"], &["fuzzing", "stateful"]].map(agrees);
    let [first, second] = futures_util::future::join_all(runs).await.try_into().expect("two runs");
    assert!(first.cases + second.cases >= 2000, "only {first:?} and {second:?}");
    assert!(second.followed > 0, "no link was followed: {second:?}");
}

async fn agrees(phases: &[&str; 2]) -> Run {
    let gateway = Gateway::start().await;
    // Work ends at once, so that answers tell how it ended; and there are sites from the beginning.
    let settings = json!({ "work_seconds": 0, "seed_sites": 5 });
    let change = json!({ "settings": settings });
    let _ = gateway.api.json(http::Method::PATCH, "/connections/sandbox", &[], &change).await.is(200);
    gateway.connect("spare", "sandbox", settings).await;

    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = folder.path().join("events.ndjson");
    let said = schemathesis(&gateway, &report, phases).await;
    let run = read(&report);
    assert!(run.failures.is_empty() && said.0, "{}\n{:#?}", said.1, run.failures);
    for phase in phases {
        assert!(run.phases.get(*phase).is_some_and(|cases| *cases > 0), "no {phase}: {run:?}");
    }
    // A run that has locked itself out, or deleted what it asks about, says nothing.
    assert!(run.accepted >= run.cases / 20, "too little succeeds: {run:?}");
    let _ = gateway.api.get("/sites?connection=sandbox").await.is(200);
    eprintln!("schemathesis: {run:?}");
    run
}

/// Whether it is content, and its words.
async fn schemathesis(gateway: &Gateway, report: &Path, phases: &[&str]) -> (bool, String) {
    let token = std::fs::read_to_string(gateway.data().join("dev-token")).expect("the token");
    let mut command = Command::new("scripts/schemathesis");
    let examples = EXAMPLES[usize::from(std::env::var_os("CI").is_none())];
    command.arg(format!("http://{}", gateway.api_address)).args(["--checks", "all", "--max-examples", examples]);
    command.arg("--phases").arg(phases.join(","));
    command.arg("--seed").arg(std::env::var("TEST_SEED").unwrap_or(SEED.to_owned())).arg("--report-ndjson-path").arg(report);
    command.env("PORTICO_TOKEN", token.trim()).current_dir(root()).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("the run ends").expect("it runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), said)
}

fn read(report: &Path) -> Run {
    let text = std::fs::read_to_string(report).expect("a report");
    let mut run = Run::default();
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        if let Some(error) = event.get("NonFatalError").or_else(|| event.get("FatalError")) {
            run.failures.push(error.to_string());
        }
        if let Some(scenario) = event.get("ScenarioFinished") {
            run.count(scenario);
        }
    }
    run
}

impl Run {
    fn count(&mut self, scenario: &Value) {
        let recorder = &scenario["recorder"];
        let entries = |name: &str| recorder[name].as_object().into_iter().flatten();
        let phase = scenario["phase"].as_str().expect("a phase").to_owned();
        let cases = entries("cases").count() as u64;
        self.cases += cases;
        *self.phases.entry(phase).or_default() += cases;
        self.followed += entries("cases").filter(|(_, case)| case["is_transition_applied"] == true).count() as u64;
        let succeeded =
            |interaction: &Value| interaction["response"]["status_code"].as_u64().is_some_and(|status| status < 300);
        self.accepted += entries("interactions").filter(|(_, interaction)| succeeded(interaction)).count() as u64;
        let checks = entries("checks").flat_map(|(_, checks)| checks.as_array().into_iter().flatten());
        self.failures.extend(checks.filter(|check| check["status"] == "failure").map(Value::to_string));
    }
}
