//! Who waits for what nobody can time wakes when it turns into a moment.

use super::*;

/// One has the only place, another waits for it.
async fn one_and_another(limits: &Arc<Limits>) -> (Turn, tokio::task::JoinHandle<(Option<u32>, Duration)>) {
    let held = read(limits, 0).await.unwrap();
    let waiting = waits(limits, flow(Lane::Reads, 0), 60);
    tokio::task::yield_now().await;
    (held, waiting)
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_free_before_the_pace_is_due_is_taken_when_it_is() {
    let limits = limits(Some((1, 1)), 1);
    let (held, waiting) = one_and_another(&limits).await;
    tokio::time::sleep(Duration::from_millis(625)).await;
    drop(held);
    assert_eq!(waiting.await.unwrap(), (None, Duration::from_millis(1125)), "and not at its deadline");
}

#[tokio::test(start_paused = true)]
async fn a_short_pause_ends_with_its_last_second_or_with_the_pace() {
    for (per, pause, granted) in [(1, 2, Duration::from_secs(2)), (2, 1, Duration::from_millis(2250))] {
        let limits = limits(Some((1, per)), 1);
        let (held, waiting) = one_and_another(&limits).await;
        limits.hold(StatusCode::TOO_MANY_REQUESTS, seconds(pause));
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(held);
        assert_eq!(waiting.await.unwrap(), (None, granted), "one in {per} s, and a pause of {pause} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_that_ends_earlier_than_was_said_is_not_waited_out() {
    let limits = limits(None, 8);
    limits.heard(said(0, 40));
    let waiting = waits(&limits, flow(Lane::Reads, 0), 60);
    tokio::task::yield_now().await;
    limits.heard(said(0, 5));
    assert_eq!(waiting.await.unwrap(), (None, seconds(5)));
}
