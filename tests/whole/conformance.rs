//! Conformance: one suite over every provider, chosen by the features that each declares.
//!
//! In go the providers of `subjects`, each group of checks with a connection and a host of its own; out comes `PROVIDERS.md`.
//! Invariant: a feature that is declared passes its check and one that isn't is refused by name, so the table says what is true; a new
//! provider needs a line in `subjects`, and a new feature needs a check, or this fails.

mod backups;
mod billing;
mod deployments;
mod environments;
mod promises;
mod run;
mod sites;
mod subject;
mod subjects;
mod table;
mod wordpress;

use super::{engine_e2e::engine, recovery::docker_grant};
use futures_util::{FutureExt as _, StreamExt as _, future::LocalBoxFuture, stream};
use portico_tests::{Gateway, Setup};
use run::{Passed, Run};
use std::{collections::BTreeSet, panic::AssertUnwindSafe, sync::Arc};
use subject::{Place, Subject};
use table::{Cells, Column};

type Check = for<'a> fn(&'a Run) -> LocalBoxFuture<'a, ()>;

/// A group's name, how many sites are there before it begins, and its check.
const GROUPS: &[(&str, usize, Check)] = &[
    ("life", 0, |run| Box::pin(sites::life(run))),
    ("cancel", 0, |run| Box::pin(sites::cancel(run))),
    ("fields", 0, |run| Box::pin(sites::fields(run))),
    ("environments", 0, |run| Box::pin(environments::environments(run))),
    ("domains", 0, |run| Box::pin(environments::domains(run))),
    ("backups", 0, |run| Box::pin(backups::backups(run))),
    ("deployments", 0, |run| Box::pin(deployments::deployments(run))),
    ("core", 0, |run| Box::pin(wordpress::core(run))),
    ("plugins", 0, |run| Box::pin(wordpress::plugins(run))),
    ("themes", 0, |run| Box::pin(wordpress::themes(run))),
    ("cache", 0, |run| Box::pin(wordpress::cache(run))),
    ("security", 0, |run| Box::pin(wordpress::security(run))),
    ("people", 0, |run| Box::pin(wordpress::people(run))),
    ("billing", 0, |run| Box::pin(billing::billing(run))),
    ("lists", 7, |run| Box::pin(promises::lists(run))),
    ("native", 0, |run| Box::pin(promises::native(run))),
    ("absent", 0, |run| Box::pin(promises::absent(run))),
    ("credentials", 0, |run| Box::pin(promises::credentials(run))),
    ("limit", 0, |run| Box::pin(promises::limit(run))),
    ("down", 0, |run| Box::pin(promises::down(run))),
    ("nonsense", 0, |run| Box::pin(promises::nonsense(run))),
    ("undeclared", 0, |run| Box::pin(promises::undeclared(run))),
];

/// So many groups at a time: they wait for hosts, mostly.
const AT_ONCE: usize = 32;

/// With any grant of its own, a configuration has to allow the simulators, too.
const LOOPBACK: &str = "[[grants]]\norganization = \"*\"\nprovider = \"*\"\nnetworks = [\"127.0.0.0/8\"]\nhttp = true\n";

/// What a group has to say: which features its connection declares, and why it broke off, if it did.
struct Outcome {
    column: &'static str,
    group: &'static str,
    declared: BTreeSet<String>,
    broke: Option<String>,
}

#[tokio::test]
async fn every_provider_does_what_it_declares_and_nothing_else() {
    let engine = engine().await;
    let archives = subjects::Archives::start().await;
    let origins = format!("[egress]\nblob_origins = [{:?}]\n", archives.origin());
    let config = engine.as_ref().map(docker_grant).unwrap_or_default() + LOOPBACK + &origins;
    let gateway = Arc::new(Gateway::start_with(Setup { config, ..Setup::default() }).await);
    let mut subjects = subjects::simulated(&archives);
    if let Some(engine) = &engine {
        subjects.push(subjects::docker(engine).await);
    }
    let passed: Vec<Passed> = subjects.iter().map(|_| Passed::default()).collect();
    let pairs = subjects.iter().zip(&passed);
    let all = GROUPS.iter().flat_map(|group| pairs.clone().map(move |(subject, passed)| (subject, passed, group)));
    let runs = all.map(|(subject, passed, group)| try_group(Arc::clone(&gateway), subject, Arc::clone(passed), group));
    let outcomes: Vec<Outcome> = stream::iter(runs).buffer_unordered(AT_ONCE).collect().await;

    let mut wrong: Vec<String> =
        outcomes.iter().filter_map(|one| Some(format!("{} {}: {}", one.column, one.group, one.broke.as_ref()?))).collect();
    let mut cells = Cells::new();
    for (subject, passed) in subjects.iter().zip(&passed) {
        let passed = passed.lock().expect("no check holds it").clone();
        let declared = outcomes.iter().filter(|one| one.column == subject.column).flat_map(|one| &one.declared);
        let unseen: BTreeSet<&String> = declared.filter(|feature| !passed.contains(*feature)).collect();
        if !unseen.is_empty() {
            wrong.push(format!("{}: declared, and not seen to work: {unseen:?}", subject.column));
        }
        cells.insert(subject.column, Column { provider: subject.column, basis: subject.basis, passed });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let untried: &[&str] = if engine.is_some() { &[] } else { &["docker"] };
    table::compare(&cells, untried);
}

/// A check that fails ends its group alone.
async fn try_group(gateway: Arc<Gateway>, subject: &Subject, passed: Passed, group: &(&'static str, usize, Check)) -> Outcome {
    let (name, sites, check) = *group;
    let place = Place::new(gateway, subject, name, sites).await;
    let declared = place.features.clone();
    let run = Run { place, passed };
    let ended = AssertUnwindSafe(check(&run)).catch_unwind().await;
    let broke = ended.err().map(|panic| words(panic.as_ref()));
    Outcome { column: subject.column, group: name, declared, broke }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}
