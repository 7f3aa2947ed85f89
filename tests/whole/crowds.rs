//! Many callers and many questions: memory has a bound, whoever comes and whatever is asked.
//!
//! Invariant: the tokens are those of the store, the answers those of the sandbox, and all of it goes through the whole gateway.
//! Tokens are written to the database at once, since making each by the API would take longer than the test.

use futures_util::{StreamExt as _, stream};
use portico_tests::{Api, Gateway, Setup};
use ring::digest;
use serde_json::json;

/// Requests at the same time.
const TOGETHER: usize = 64;
/// The most that a sandbox connection seeds.
const SEEDED: usize = 10_000;

fn token(number: usize) -> String {
    format!("ptk_{number:0>43}")
}

/// Many tokens of the demo organization, as if each had been made.
async fn make_tokens(gateway: &Gateway, many: usize) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(gateway.data().join("portico.db"));
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("the database");
    let mut change = sqlx::Connection::begin(&mut connection).await.expect("a transaction");
    for number in 0..many {
        let insert = "INSERT INTO tokens (id, organization, name, hash, prefix, created_at) \
                      SELECT ?, id, 'one of many', ?, 'ptk_000000', 0 FROM organizations WHERE slug = 'demo'";
        let hash = digest::digest(&digest::SHA256, token(number).as_bytes()).as_ref().to_vec();
        let insert = sqlx::query(insert).bind((number as u128 + 1).to_be_bytes().to_vec()).bind(hash);
        assert_eq!(insert.execute(&mut *change).await.expect("it is inserted").rows_affected(), 1);
    }
    change.commit().await.expect("it is written");
    sqlx::Connection::close(connection).await.expect("it is closed");
}

/// Asks once with each, some at a time; all are answered with 200.
async fn ask_all(asked: impl Iterator<Item = (Api, String)>) {
    let replies = stream::iter(asked).map(async |(api, path)| api.get(&path).await.is(200)).buffer_unordered(TOGETHER);
    replies.for_each(async |_| ()).await;
}

async fn connect(gateway: &Gateway, number: usize) {
    gateway.connect(&format!("many-{number}"), "sandbox", json!({"seed_sites": SEEDED})).await;
}

/// So many tokens, then so many questions, each of them once. Gives the memory before, after the tokens, and at its largest.
async fn crowd(tokens: usize, questions: usize, cache_mib: usize) -> [u64; 3] {
    let config = format!("[cache]\nmax_bytes = {}\n", cache_mib << 20);
    let gateway = Gateway::start_with(Setup { config, ..Setup::default() }).await;
    let connections = questions.div_ceil(SEEDED);
    for number in 0..connections {
        connect(&gateway, number).await;
    }
    make_tokens(&gateway, tokens).await;
    let site = |number: usize| format!("/sites/many-{}~seed-{:05}", number / SEEDED, number % SEEDED + 1);
    // What the first requests cost once isn't theirs.
    ask_all((0..TOGETHER).map(|_| (gateway.api.clone(), site(0)))).await;
    let before = gateway.resident_kib() / 1024;
    ask_all((0..tokens).map(|number| (gateway.api.with_token(&token(number)), site(0)))).await;
    let known = gateway.resident_kib() / 1024;
    let mut most = known;
    let numbers: Vec<usize> = (0..questions).collect();
    for some in numbers.chunks(SEEDED) {
        ask_all(some.iter().map(|number| (gateway.api.clone(), site(*number)))).await;
        most = most.max(gateway.resident_kib() / 1024);
    }
    // The newest are kept: asked again, since on a busy machine its time may be over.
    ask_all([(gateway.api.clone(), site(questions - 1))].into_iter()).await;
    let last = gateway.api.get(&site(questions - 1)).await.is(200);
    assert!(last.header("cache-status").is_some_and(|status| status.contains("hit")), "{last:?}");
    [before, known, most]
}

#[tokio::test]
async fn thousands_of_tokens_and_questions_stay_within_their_bound() {
    let [before, known, most] = crowd(2000, 5000, 2).await;
    assert!(known <= before + 24, "{before} MiB, then {known} MiB with 2000 tokens");
    assert!(most <= known + 40, "{known} MiB, then {most} MiB with 5000 answers and a cache of 2 MiB");
}

#[tokio::test]
#[ignore = "because it takes minutes: a hundred thousand tokens and a million answers (cargo test … -- --ignored --nocapture)"]
async fn a_hundred_thousand_tokens_and_a_million_questions() {
    const CACHE_MIB: usize = 128;
    let [before, known, most] = crowd(100_000, 1_000_000, CACHE_MIB).await;
    eprintln!(
        "{before} MiB before, {known} MiB after 100,000 tokens, {most} MiB at most during a million distinct answers \
         with a cache of {CACHE_MIB} MiB"
    );
    assert!(known <= before + 64, "{before} MiB, then {known} MiB with 100,000 tokens");
    assert!(most <= known + 2 * CACHE_MIB as u64, "{known} MiB, then {most} MiB");
}
