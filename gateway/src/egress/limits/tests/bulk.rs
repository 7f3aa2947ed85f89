//! Bulk transfers: how many places they have, in which order they wait, and when one stops being the probe.

use super::*;

async fn transfer(limits: &Arc<Limits>, wait: u64) -> Result<Turn, Error> {
    limits.bulk_turn(flow(Lane::Reads, 0), in_seconds(wait)).await
}

/// One that waits, and tells its name when it has its turn.
fn waits_as(
    limits: &Arc<Limits>,
    caller: u128,
    name: &'static str,
    order: &Arc<Mutex<Vec<&'static str>>>,
) -> tokio::task::JoinHandle<()> {
    let (limits, order) = (Arc::clone(limits), Arc::clone(order));
    tokio::spawn(async move {
        let turn = limits.bulk_turn(flow(Lane::Reads, caller), in_seconds(3600)).await.unwrap();
        order.lock().unwrap().push(name);
        drop(turn);
    })
}

#[tokio::test(start_paused = true)]
async fn transfers_have_half_of_the_places_and_calls_the_others() {
    for (places, most) in [(10, 5), (3, 2), (2, 1), (1, 1)] {
        let metrics = Metrics::new().unwrap();
        let limits = limits_with(None, places, &metrics);
        let mut transfers = Vec::new();
        for _ in 0..most {
            transfers.push(transfer(&limits, 0).await.unwrap());
        }
        let start = Instant::now();
        let error = transfer(&limits, 2).await.err().unwrap();
        assert_eq!((error.kind, error.retry_after, start.elapsed()), (Kind::RateLimited, Some(1), seconds(2)));
        let told = format!("all {most} bulk transfers that may run at once at the upstream \"api\" are running");
        assert_eq!(error.message, told);
        assert!(metric(&metrics, "portico_upstream_refused_total{provider=\"kinsta\",reason=\"concurrency\"} 1"));
        let mut calls = Vec::new();
        for _ in most..places {
            calls.push(read(&limits, 0).await.expect("a place is left"));
        }
        assert_eq!(limits.report().running, places);
        drop((transfers.pop(), calls));
        drop(transfer(&limits, 0).await.expect("one has ended"));
        drop(transfers);
        assert_eq!((limits.report().running, limits.report().queued), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_blob_origin_keeps_no_places_for_calls_that_never_come() {
    let config = EgressConfig { concurrency: 2, ..EgressConfig::default() };
    let limits = Limits::of_blobs(whose("https://blobs.example"), &config, Gauges::new(&Metrics::new().unwrap(), "kinsta"));
    let both = (transfer(&limits, 0).await.unwrap(), transfer(&limits, 0).await.unwrap());
    assert!(transfer(&limits, 0).await.is_err());
    drop(both);
}

#[tokio::test(start_paused = true)]
async fn transfers_wait_apart_from_calls_and_callers_in_turn() {
    let limits = limits(None, 2);
    let held = transfer(&limits, 0).await.unwrap();
    let order = Arc::default();
    let mut all: Vec<_> = (0..3).map(|_| waits_as(&limits, 1, "greedy", &order)).collect();
    tokio::task::yield_now().await;
    all.push(waits_as(&limits, 2, "modest", &order));
    tokio::task::yield_now().await;
    assert_eq!(limits.report().queued, 4);
    for _ in 0..8 {
        drop(read(&limits, 0).await.expect("nobody waits behind them"));
    }
    drop(held);
    for one in all {
        one.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), ["greedy", "modest", "greedy", "greedy"]);
    assert_eq!((limits.report().running, limits.report().queued), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_gives_its_part_to_the_next() {
    let metrics = Metrics::new().unwrap();
    let limits = limits_with(None, 2, &metrics);
    let held = transfer(&limits, 0).await.unwrap();
    let order = Arc::default();
    let (first, second) = (waits_as(&limits, 1, "first", &order), waits_as(&limits, 1, "second", &order));
    let third = waits_as(&limits, 1, "third", &order);
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.is_err());
    assert_eq!(limits.report().queued, 2);
    assert!(metric(&metrics, "portico_upstream_queued{provider=\"kinsta\"} 2"));
    drop(held);
    // It has it already, and didn't look yet.
    second.abort();
    assert!(second.await.is_err());
    third.await.unwrap();
    assert_eq!(*order.lock().unwrap(), ["third"]);
    assert_eq!(limits.report().queued, 0);
    assert!(metric(&metrics, "portico_upstream_queued{provider=\"kinsta\"} 0"));
    drop(transfer(&limits, 0).await.unwrap());
    assert_eq!(limits.report().running, 0);
}

#[tokio::test(start_paused = true)]
async fn a_transfer_that_cannot_be_in_time_is_refused_at_once_though_it_waits_for_others() {
    let limits = limits(None, 2);
    let _held = transfer(&limits, 0).await.unwrap();
    limits.hold(StatusCode::TOO_MANY_REQUESTS, seconds(30));
    let start = Instant::now();
    let error = transfer(&limits, 10).await.err().unwrap();
    assert_eq!((error.kind, error.retry_after), (Kind::RateLimited, Some(30)), "{error}");
    tokio::time::sleep(seconds(30)).await;
    limits.heard(None);
    for _ in 0..5 {
        fails(&limits).await;
    }
    let error = transfer(&limits, 10).await.err().unwrap();
    assert_eq!(error.kind, Kind::Unavailable, "{error}");
    assert_eq!(start.elapsed(), seconds(30), "neither waited");
}

#[tokio::test(start_paused = true)]
async fn a_transfer_that_waits_for_others_is_told_when_the_host_wants_a_longer_pause() {
    let limits = limits(None, 2);
    let _held = transfer(&limits, 0).await.unwrap();
    let start = Instant::now();
    let pause = async {
        tokio::time::sleep(seconds(3)).await;
        limits.hold(StatusCode::TOO_MANY_REQUESTS, seconds(60));
    };
    let (waited, ()) = tokio::join!(transfer(&limits, 30), pause);
    let error = waited.err().unwrap();
    assert_eq!(error.kind, Kind::RateLimited, "{error}");
    assert!(start.elapsed() <= seconds(4) && error.retry_after.is_some_and(|wait| wait > 50), "{error}");
}

#[tokio::test(start_paused = true)]
async fn who_passes_the_probe_on_says_nothing_of_it_any_more() {
    let limits = limits(None, 8);
    for _ in 0..5 {
        fails(&limits).await;
    }
    tokio::time::sleep(Duration::from_millis(1260)).await;
    let mut upload = transfer(&limits, 0).await.unwrap();
    assert!(upload.is_probe());
    upload.pass_on();
    assert!(!upload.is_probe());
    let mut probe = read(&limits, 0).await.expect("the next one finds out");
    assert!(probe.is_probe());
    upload.judge(Verdict::Good);
    drop(upload);
    assert_eq!(limits.report().breaker.state, BreakerState::HalfOpen, "another is asked");
    probe.judge(Verdict::Good);
    drop(probe);
    assert_eq!((limits.report().breaker.state, limits.report().running), (BreakerState::Closed, 0));
}
