//! What those are told who wait for the one that goes first after a pause or a dry window.

use super::*;

fn refusals(metrics: &Metrics, reason: &str, count: u32) -> bool {
    metric(metrics, &format!("portico_upstream_refused_total{{provider=\"kinsta\",reason=\"{reason}\"}} {count}"))
}

#[tokio::test(start_paused = true)]
async fn after_a_pause_they_are_told_that_one_request_finds_out() {
    for (status, kind) in [(429, Kind::RateLimited), (503, Kind::Unavailable)] {
        let metrics = Metrics::new().unwrap();
        let limits = limits_with(None, 64, &metrics);
        limits.hold(StatusCode::from_u16(status).unwrap(), seconds(30));
        let first = read(&limits, 60).await.unwrap();
        let start = Instant::now();
        let error = read(&limits, 2).await.err().unwrap();
        assert_eq!((error.kind, error.retry_after), (kind, Some(3)));
        assert_eq!(start.elapsed(), seconds(2), "the first might have been answered");
        let expected = "the upstream \"api\" asked to be left alone for a while, and one request is under way to find out \
                        whether it serves again; the others wait for its answer, at most 3 s more: try again then";
        assert_eq!(error.message, expected);
        assert!(refusals(&metrics, "pause", 1) && refusals(&metrics, "concurrency", 0));
        drop(first);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_dry_window_they_are_told_that_one_request_finds_out() {
    let metrics = Metrics::new().unwrap();
    let limits = limits_with(None, 64, &metrics);
    limits.heard(said(0, 10));
    let _first = read(&limits, 60).await.unwrap();
    let error = read(&limits, 1).await.err().unwrap();
    assert_eq!((error.kind, error.retry_after), (Kind::RateLimited, Some(4)));
    let expected = "the upstream \"api\" said that its limit was used up, and one request is under way to find out how much \
                    it allows now; the others wait for its answer, at most 4 s more: try again then";
    assert_eq!(error.message, expected);
    assert!(refusals(&metrics, "quota", 1) && refusals(&metrics, "concurrency", 0));
}

#[tokio::test(start_paused = true)]
async fn who_has_less_time_than_the_others_patience_is_served_if_the_first_is_answered() {
    let limits = limits(None, 64);
    limits.hold(StatusCode::TOO_MANY_REQUESTS, seconds(30));
    let first = read(&limits, 60).await.unwrap();
    let waiting = waits(&limits, flow(Lane::Reads, 1), 2);
    tokio::time::sleep(seconds(1)).await;
    limits.heard(None);
    assert_eq!(waiting.await.unwrap(), (None, seconds(1)));
    drop(first);
}

/// Its turn is from before the pause, and tells nothing of what left after it.
#[tokio::test(start_paused = true)]
async fn a_further_request_that_went_first_and_breaks_off_is_not_waited_for() {
    for ends_with_its_turn in [false, true] {
        let limits = limits(None, 64);
        let turn = read(&limits, 0).await.unwrap();
        tokio::time::sleep(seconds(1)).await;
        limits.hold(StatusCode::TOO_MANY_REQUESTS, seconds(30));
        let further = limits.time(flow(Lane::Reads, 0), in_seconds(60)).await.unwrap();
        let waiting = waits(&limits, flow(Lane::Reads, 1), 60);
        tokio::time::sleep(seconds(1)).await;
        assert_eq!(limits.report().queued, 1, "it waits for what goes first");
        let kept = (!ends_with_its_turn).then_some(turn);
        drop(further);
        assert_eq!(waiting.await.unwrap(), (None, seconds(1)));
        drop(kept);
    }
}

/// After a pause the turn itself is what goes first; a login under it, or the same request again, doesn't wait for that.
#[tokio::test(start_paused = true)]
async fn a_turn_does_not_wait_for_itself() {
    let limits = limits(None, 8);
    limits.hold(StatusCode::TOO_MANY_REQUESTS, seconds(30));
    let turn = read(&limits, 60).await.unwrap();
    let start = Instant::now();
    turn.after_a_login();
    let login = limits.time(flow(Lane::Reads, 0), in_seconds(60)).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    // Others wait for the login now.
    assert!(read(&limits, 1).await.is_err());
    drop(login);
    let began = Instant::now();
    limits.hold(StatusCode::TOO_MANY_REQUESTS, seconds(30));
    let again = limits.time(flow(Lane::Reads, 0), in_seconds(60)).await.unwrap();
    limits.is_over(Instant::now());
    let once_more = limits.time(flow(Lane::Reads, 0), in_seconds(60)).await.unwrap();
    assert_eq!(began.elapsed(), seconds(30));
    drop((again, once_more, turn));
}

#[tokio::test(start_paused = true)]
async fn whom_the_rate_keeps_for_longer_than_the_first_does_is_refused_at_once() {
    let limits = limits(Some((1, 10)), 8);
    limits.hold(StatusCode::TOO_MANY_REQUESTS, seconds(30));
    let _first = read(&limits, 60).await.unwrap();
    let start = Instant::now();
    let error = read(&limits, 6).await.err().unwrap();
    assert_eq!(error.message, "the rate that the upstream \"api\" allows is used up for 11 s");
    assert_eq!(start.elapsed(), Duration::ZERO);
}
