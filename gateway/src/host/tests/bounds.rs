//! How long an instance is kept, and how much one call and one organization may take: each limit, set low, is met.

use super::*;
use crate::host::engine::Housekeeping as _;

/// What the guest counts in its memory: 1 is a fresh instance.
async fn counts(fixture: &Fixture, on: &Arc<Configured>, calls: usize) -> Vec<String> {
    let mut counts = Vec::new();
    for _ in 0..calls {
        counts.push(fixture.get(on, "c").await.unwrap().name);
    }
    counts
}

#[tokio::test]
async fn an_instance_is_used_for_so_many_calls() {
    // The first is its configuration.
    let fixture = fixture_with(Limits { reuse_calls: 3, ..small() }).await;
    let on = fixture.connection("one").await;
    assert_eq!(counts(&fixture, &on, 5).await, ["1", "2", "1", "2", "1"]);
}

#[tokio::test]
async fn an_instance_that_is_too_old_or_too_large_is_not_kept() {
    let fixture = fixture_with(Limits { reuse_seconds: 1, ..small() }).await;
    let on = fixture.connection("one").await;
    assert_eq!(counts(&fixture, &on, 1).await, ["1"]);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    // Its age is looked at when it comes back.
    assert_eq!(counts(&fixture, &on, 2).await, ["2", "1"]);
    let fixture = fixture_with(Limits { idle_memory: 65_535, ..small() }).await;
    let on = fixture.connection("one").await;
    assert_eq!(counts(&fixture, &on, 2).await, ["1", "1"], "it has a page of memory");
}

#[tokio::test]
async fn an_instance_that_nobody_uses_is_dropped() {
    let fixture = fixture_with(Limits { idle_seconds: 1, ..small() }).await;
    let on = fixture.connection("one").await;
    assert_eq!(counts(&fixture, &on, 1).await, ["1"]);
    fixture.host.pool.housekeeping();
    assert_eq!(fixture.host.stats(), Stats { instances: 1, resting: 1 }, "it may still be asked for");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    fixture.host.pool.housekeeping();
    assert_eq!(fixture.host.stats(), Stats { instances: 0, resting: 0 });
}

#[tokio::test]
async fn what_one_call_may_ask_and_move_is_bounded() {
    for limits in [Limits { state_calls: 0, ..small() }, Limits { traffic_bytes: 5, ..small() }] {
        let fixture = fixture_with(limits).await;
        let on = fixture.connection("one").await;
        let error = fixture.get(&on, "k").await.unwrap_err();
        assert_eq!((error.kind, fixture.traps("limit")), (Kind::Trapped, 1), "{error:?}");
    }
    let fixture = fixture().await;
    let on = fixture.connection("one").await;
    fixture.get(&on, "k").await.unwrap();
}

#[tokio::test]
async fn an_organization_with_all_its_calls_under_way_waits_and_no_other_does() {
    let limits = Limits { calls_per_organization: 1, cpu_ms: 60_000, computing_per_organization: 4, ..small() };
    let fixture = fixture_with(limits).await;
    let (busy, same) = (fixture.connection("busy").await, fixture.connection("same").await);
    let organization = suite::organization(&*fixture.store, "other").await;
    let record = suite::connection_record(organization, "theirs");
    fixture.store.connection_insert(&record).await.unwrap();
    let theirs = fixture.configured(&spec(record.id, organization, "theirs")).await;
    let others = async {
        let refused = fixture.get(&same, "c").await.unwrap_err();
        assert_eq!((refused.kind, refused.retry_after), (Kind::Overloaded, Some(1)));
        assert_eq!(counts(&fixture, &theirs, 1).await, ["1"]);
    };
    tokio::select! {
        biased;
        outcome = fixture.get(&busy, "s") => panic!("it ended before the others: {outcome:?}"),
        () = others => {}
    }
}

/// In each of two organizations as many guests spin as may, and there is an instance for a third one.
#[tokio::test]
async fn organizations_whose_hosts_hang_leave_instances_to_others() {
    let limits = Limits { instances: 32, calls_per_organization: 16, cpu_ms: 60_000, computing_per_organization: 1, ..small() };
    let fixture = fixture_with(limits).await;
    let mut hanging = Vec::new();
    for name in ["a", "b"] {
        hanging.extend([fixture.connection_of(name, "one").await, fixture.connection_of(name, "two").await]);
    }
    let theirs = fixture.connection_of("c", "one").await;
    let good = fixture.connection_of("b", "good").await;
    let spins = futures_util::future::join_all(hanging.iter().flat_map(|on| (0..16).map(|_| fixture.get(on, "s"))));
    let others = async {
        while fixture.host.stats().instances < 28 {
            tokio::task::yield_now().await;
        }
        // Those that wait are refused meanwhile, and take nothing more.
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(fixture.host.stats().instances, 28);
        assert_eq!(counts(&fixture, &theirs, 1).await, ["1"]);
        // Nor do one organization's hosts that hang keep out what is the only call on another of its connections.
        assert_eq!(counts(&fixture, &good, 1).await, ["1"]);
    };
    tokio::select! {
        _ = spins => panic!("the spinning guests ended"),
        () = others => {}
    }
}

/// Many calls at once evict many instances at rest. (That two choose the same one is too rare for a test to meet.)
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_at_once_find_room_while_instances_rest() {
    let limits = Limits { instances: 8, wait_ms: 20_000, computing_per_organization: 4, ..small() };
    let fixture = fixture_with(limits).await;
    let mut connections = Vec::new();
    for number in 0..16 {
        connections.push(fixture.connection(&format!("c{number}")).await);
    }
    let began = Instant::now();
    for round in 0..40 {
        let calls = connections.iter().skip(round % 2 * 8).take(6).map(|on| {
            let (host, on) = (Arc::clone(&fixture.host), Arc::clone(on));
            tokio::spawn(async move { host.query(&on, &Query::SitesGet { site: "c".into() }, &context()).await.map(drop) })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap().unwrap();
        }
    }
    assert!(began.elapsed() < Duration::from_secs(20), "somebody waited: {:?}", began.elapsed());
}

/// Each has half of the time, so both end at the end of it; one after the other, the first would end at half of it.
#[tokio::test]
async fn guests_of_one_organization_compute_in_turn() {
    let fixture = fixture_with(Limits { cpu_ms: 300, computing_per_organization: 1, ..small() }).await;
    let (one, two) = (fixture.connection("one").await, fixture.connection("two").await);
    let began = Instant::now();
    let spin = async |on| {
        assert_eq!(fixture.get(on, "s").await.unwrap_err().kind, Kind::Trapped);
        began.elapsed()
    };
    let (first, second) = tokio::join!(spin(&one), spin(&two));
    let (first, last) = (first.min(second), first.max(second));
    assert!(first > last.mul_f64(0.7), "one ended after {first:?}, the other after {last:?}");
}

#[tokio::test]
async fn a_call_whose_time_ends_before_its_turn_is_refused_and_its_guest_not_blamed() {
    let fixture = fixture_with(Limits { cpu_ms: 60_000, computing_per_organization: 1, ..small() }).await;
    let (one, two) = (fixture.connection("one").await, fixture.connection("two").await);
    let context = CallContext { deadline: Instant::now() + Duration::from_millis(300), ..context() };
    let query = Query::SitesGet { site: "s".into() };
    let refused = tokio::select! {
        biased;
        outcome = fixture.get(&one, "s") => panic!("it ended before the other: {outcome:?}"),
        outcome = fixture.host.query(&two, &query, &context) => outcome.unwrap_err(),
    };
    assert_eq!((refused.kind, refused.retry_after, fixture.traps("wall")), (Kind::Overloaded, Some(1), 0), "{refused:?}");
}

#[tokio::test]
async fn a_component_that_is_too_large_is_not_compiled() {
    let fixture = fixture().await;
    let bytes = Guest::default().build();
    let most = bytes.len() as u64 - 1;
    let host = new_host(
        fixture.folder.path(),
        Limits { component_bytes: most, ..small() },
        fixture.store.clone(),
        fixture.metrics.clone(),
    );
    let error = host.load("large.wasm", &bytes).await.unwrap_err();
    assert!(error.message.contains(&format!("limits.component_bytes is {most}")), "{}", error.message);
}
