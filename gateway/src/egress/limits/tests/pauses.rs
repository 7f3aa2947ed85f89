//! Pauses that no header asked for, and what ends the caution after one.

use super::*;
use std::collections::BTreeSet;

fn refuse(limits: &Limits, began: Instant) {
    limits.heed(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), began);
}

/// How long nothing leaves from now on, in seconds, by a call that goes then and is not answered.
async fn pause(limits: &Arc<Limits>) -> f64 {
    let start = Instant::now();
    drop(read(limits, 120).await.unwrap());
    start.elapsed().as_secs_f64()
}

#[tokio::test(start_paused = true)]
async fn a_429_that_names_no_time_holds_for_a_moment_and_longer_each_time_in_a_row() {
    let limits = limits(None, 8);
    for length in [1, 2, 4, 8, 16, 32, 60, 60] {
        refuse(&limits, Instant::now());
        let (pause, length) = (pause(&limits).await, f64::from(length));
        assert!((length * 0.74..=length * 1.26).contains(&pause), "{pause} s instead of {length}");
    }
    limits.heed(StatusCode::BAD_GATEWAY, &HeaderMap::new(), Instant::now());
    refuse(&limits, Instant::now());
    assert!(pause(&limits).await > 40.0, "what failed served nobody");
    limits.heard(None);
    refuse(&limits, Instant::now());
    assert!(pause(&limits).await < 1.3, "all was well in between");
}

#[tokio::test(start_paused = true)]
async fn those_that_left_together_and_are_refused_together_count_once() {
    let limits = limits(None, 8);
    let began = Instant::now();
    for _ in 0..8 {
        refuse(&limits, began);
    }
    limits.heed(StatusCode::OK, &HeaderMap::new(), began);
    assert!(pause(&limits).await < 1.3);
    refuse(&limits, Instant::now());
    let pause = pause(&limits).await;
    assert!((1.4..2.6).contains(&pause), "an answer to what began before changes nothing: {pause}");
}

#[tokio::test(start_paused = true)]
async fn a_429_is_held_as_its_headers_say_where_they_say_it() {
    for (headers, length) in [
        (left(said(0, 20)), 20.0),
        (left(said(5, 20)), 1.0),
        (headers(&[("retry-after", 7)]), 7.0),
        (headers(&[("retry-after", 0)]), 1.0),
    ] {
        let limits = limits(None, 8);
        limits.heed(StatusCode::TOO_MANY_REQUESTS, &headers, Instant::now());
        let pause = pause(&limits).await;
        assert!((pause - length).abs() <= 0.26, "{pause} s for {headers:?}");
    }
}

/// Two calls that would go at once; true if the second waits for what comes of the first.
async fn one_goes_first(limits: &Arc<Limits>) -> bool {
    let first = read(limits, 60).await.unwrap();
    let goes_first = read(limits, 1).await.is_err();
    drop(first);
    goes_first
}

#[tokio::test(start_paused = true)]
async fn what_began_before_a_pause_does_not_end_the_caution_after_it() {
    for said in [None, said(50, 60)] {
        let limits = limits(None, 8);
        let mut running = Vec::new();
        for _ in 0..8 {
            running.push(read(&limits, 0).await.unwrap());
        }
        let began = Instant::now();
        tokio::time::sleep(seconds(1)).await;
        limits.heed(StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", 30)]), began);
        limits.heed(StatusCode::OK, &left(said), began);
        drop(running);
        assert!(one_goes_first(&limits).await, "{said:?}");
        limits.heed(StatusCode::OK, &left(said), began + seconds(30));
        assert!(one_goes_first(&limits).await, "it left just before the end: {said:?}");
        limits.heed(StatusCode::OK, &left(said), began + seconds(31));
        assert!(!one_goes_first(&limits).await, "{said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_began_in_a_window_that_ran_dry_says_nothing_of_the_next() {
    let limits = limits(None, 8);
    let (held, began) = (read(&limits, 0).await.unwrap(), Instant::now());
    limits.heard(said(0, 10));
    tokio::time::sleep(seconds(11)).await;
    limits.heed(StatusCode::OK, &HeaderMap::new(), began);
    drop(held);
    assert!(one_goes_first(&limits).await);
}

/// Also between the end of that window and the moment, a little later, when we come back.
#[tokio::test(start_paused = true)]
async fn nor_does_what_is_answered_before_we_come_back() {
    let limits = lagging(None, 8, &Metrics::new().unwrap());
    let (held, began) = (read(&limits, 0).await.unwrap(), Instant::now());
    limits.heard(said(0, 300));
    let back = limits.soonest(flow(Lane::Reads, 0), 0) - began;
    assert!(back > seconds(300), "{back:?}");
    tokio::time::sleep_until(began + seconds(300) + (back - seconds(300)) / 2).await;
    limits.heed(StatusCode::OK, &left(said(50, 60)), began);
    drop(held);
    assert!(read(&limits, 0).await.is_err(), "not before");
    assert!(one_goes_first(&limits).await);
    assert!(began.elapsed() >= back, "{:?}, not {back:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_began_before_a_pause_may_say_that_nothing_is_left() {
    let limits = limits(None, 8);
    let began = Instant::now();
    limits.heed(StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", 5)]), began);
    limits.heed(StatusCode::OK, &left(said(0, 20)), began);
    assert!((19.9..20.1).contains(&pause(&limits).await));
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_since_before_a_pause_holds_nobody_up_after_it() {
    for fields in [headers(&[]), headers(&[("retry-after", 1)])] {
        let limits = limits(None, 8);
        // A transfer, whose answer began, and its body takes half an hour.
        let mut transfer = read(&limits, 0).await.unwrap();
        transfer.answered();
        tokio::time::sleep(seconds(1)).await;
        limits.heed(StatusCode::TOO_MANY_REQUESTS, &fields, Instant::now());
        let start = Instant::now();
        let first = read(&limits, 60).await.unwrap();
        assert!(start.elapsed() < seconds(2), "{:?}", start.elapsed());
        limits.heard(None);
        drop((first, read(&limits, 0).await.unwrap()));
        drop(transfer);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_go_on_after_a_pause_do_not_wait_for_each_other() {
    let limits = limits(None, 8);
    let turns = [read(&limits, 0).await.unwrap(), read(&limits, 0).await.unwrap(), read(&limits, 0).await.unwrap()];
    tokio::time::sleep(seconds(1)).await;
    refuse(&limits, Instant::now());
    let start = Instant::now();
    // A redirect each; the answer to the first lets the next one go.
    for _ in 0..2 {
        limits.time(flow(Lane::Reads, 0), in_seconds(60)).await.unwrap();
        limits.heard(None);
    }
    assert!(start.elapsed() < seconds(2), "{:?}", start.elapsed());
    drop(turns);
}

#[tokio::test(start_paused = true)]
async fn the_one_that_goes_first_is_not_waited_for_for_ever() {
    let limits = limits(None, 8);
    refuse(&limits, Instant::now());
    let first = read(&limits, 60).await.unwrap();
    let start = Instant::now();
    let second = read(&limits, 60).await.unwrap();
    assert_eq!(start.elapsed(), seconds(5));
    // One that is over without an answer makes room at once.
    drop(second);
    drop(read(&limits, 0).await.unwrap());
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_429_without_a_word_does_not_undo_what_is_known() {
    let limits = limits(None, 8);
    limits.heard(said(0, 20));
    refuse(&limits, Instant::now());
    assert!((19.9..20.1).contains(&pause(&limits).await));
}

/// Connections of one account are told the same, and would all ask again at that moment.
#[tokio::test(start_paused = true)]
async fn those_that_were_told_the_same_come_back_at_different_moments_and_none_too_early() {
    let metrics = Metrics::new().unwrap();
    let asked = headers(&[("retry-after", 30)]);
    for (status, fields) in [(429, asked.clone()), (503, asked), (200, left(said(0, 30)))] {
        let start = Instant::now();
        let back = |_| {
            let limits = lagging(None, 8, &metrics);
            // However many are told so.
            for _ in 0..50 {
                limits.heed(StatusCode::from_u16(status).unwrap(), &fields, start);
            }
            limits.soonest(flow(Lane::Reads, 0), 0) - start
        };
        let pauses: BTreeSet<Duration> = (0..20).map(back).collect();
        assert!(pauses.len() > 10 && pauses.iter().all(|pause| (seconds(30)..seconds(33)).contains(pause)), "{pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_window_is_over_a_little_later_than_the_upstream_says() {
    let limits = lagging(None, 8, &Metrics::new().unwrap());
    limits.heard(said(0, 30));
    let back = limits.soonest(flow(Lane::Reads, 0), 0) - Instant::now();
    let pause = pause(&limits).await;
    assert!((30.0..=33.01).contains(&pause) && (seconds(30)..seconds(33)).contains(&back), "{pause} s, {back:?}");
}
