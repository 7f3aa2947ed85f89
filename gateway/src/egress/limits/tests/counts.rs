//! What counts as used of what the upstream said is left, and which calls earn retries.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_was_answered_is_not_taken_off_what_is_left_once_more() {
    let limits = limits(None, 16);
    let mut downloads = Vec::new();
    for _ in 0..5 {
        downloads.push(read(&limits, 0).await.unwrap());
    }
    limits.heard(said(5, 60));
    downloads.iter_mut().for_each(Turn::answered);
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(read(&limits, 0).await.expect("the upstream had counted the downloads when it said that five are left"));
    }
    let error = read(&limits, 5).await.err().unwrap();
    assert_eq!(error.message, "the upstream \"api\" says that its limit is used up for 60 s", "not a sixth");
    // A place is one until the body is there.
    assert_eq!(limits.report().running, 10);
    drop((downloads, others));
}

#[tokio::test(start_paused = true)]
async fn a_further_request_is_not_held_up_by_its_own_turn() {
    let limits = limits(Some((1, 10)), 8);
    let _turn = read(&limits, 0).await.unwrap();
    limits.heard(said(1, 60));
    let start = Instant::now();
    limits.time(flow(Lane::Reads, 0), in_seconds(20)).await.expect("the rate allows it in time, and the quota too");
    assert_eq!(start.elapsed(), Duration::from_millis(10_250));
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_under_a_turn_that_was_answered_counts_as_under_way() {
    let limits = limits(None, 8);
    let mut upload = read(&limits, 0).await.unwrap();
    limits.heard(said(1, 60));
    upload.judge(Verdict::Good);
    upload.asks_more();
    limits.time(flow(Lane::Changes, 0), in_seconds(0)).await.expect("one is left");
    assert_eq!(read(&limits, 5).await.err().unwrap().retry_after, Some(60), "the login has it");
    drop(upload);
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_and_who_tries_again_earn_no_retries() {
    let limits = limits(None, 8);
    for _ in 0..100 {
        drop(read(&limits, 0).await.unwrap());
    }
    assert_eq!(limits.report().retries_left, 1, "a turn alone is no call: it may be that of a second try");
    limits.hold(StatusCode::TOO_MANY_REQUESTS, seconds(60));
    for _ in 0..100 {
        assert!(read(&limits, 1).await.is_err());
    }
    assert_eq!(limits.report().retries_left, 1, "nothing was sent");
    (0..10).for_each(|_| limits.earn());
    assert_eq!(limits.report().retries_left, 2);
}
