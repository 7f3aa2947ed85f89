//! Each state of a connection has its time, on a clock that stands still.

use super::*;

const PATIENCE: Patience =
    Patience { head: Duration::from_secs(10), idle: Duration::from_secs(120), stalled: Duration::from_secs(30) };

/// How long it takes until it is over, and why.
async fn ending(life: &Life) -> (u64, Reason) {
    let before = Instant::now();
    let reason = life.over(PATIENCE).await;
    (before.elapsed().as_secs(), reason)
}

/// Bytes came, and more are wanted.
fn hear(life: &Life) {
    life.hear();
    life.want();
}

#[tokio::test(start_paused = true)]
async fn each_state_has_its_time() {
    let life = Life::new();
    assert_eq!(ending(&life).await, (10, Reason::NoRequest));
    life.begin_request(false);
    // The gateway thinks for as long as it likes.
    let thinking = tokio::time::timeout(Duration::from_secs(3600), life.over(PATIENCE)).await;
    assert!(thinking.is_err());
    let turn = life.hand();
    assert_eq!(ending(&life).await, (30, Reason::Stalled));
    life.take_back(turn);
    // A state with less patience isn't missed by a timer that was set for another.
    let becoming = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        life.hand();
    };
    assert_eq!(tokio::join!(ending(&life), becoming).0, (31, Reason::Stalled));
    // Over HTTP/1 all turns are alike.
    life.take_back(turn);
    life.hand();
    tokio::time::advance(Duration::from_secs(29)).await;
    life.take_back(turn);
    life.end_request(true);
    // At rest since the last piece.
    assert_eq!(ending(&life).await, (91, Reason::Idle));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_ends_the_connection_whatever_else_moves() {
    let life = Life::new();
    life.begin_request(true);
    life.hand();
    let asking = async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(25)).await;
            life.begin_request(true);
            life.touch();
            life.end_request(true);
        }
    };
    tokio::select! {
        ended = ending(&life) => assert_eq!(ended, (30, Reason::Stalled)),
        () = asking => panic!("it was kept by what it asked beside"),
    }
}

#[tokio::test(start_paused = true)]
async fn one_client_of_many_ends_it_for_none_of_the_others() {
    let life = Life::new();
    life.speak_for_many();
    life.begin_request(true);
    life.hand();
    for _ in 0..10 {
        life.begin_request(true);
        life.touch();
        life.end_request(true);
        assert!(tokio::time::timeout(Duration::from_secs(25), life.over(PATIENCE)).await.is_err());
    }
    // Where nothing moves at all, nobody is there.
    assert_eq!(ending(&life).await.1, Reason::Stalled);
}

#[tokio::test(start_paused = true)]
async fn a_slow_download_lasts_as_long_as_its_pieces_are_taken() {
    let life = Life::new();
    life.begin_request(true);
    // Beside it, an event stream without events.
    life.begin_request(true);
    let taking = async {
        for _ in 0..10 {
            let turn = life.hand();
            tokio::time::sleep(Duration::from_secs(25)).await;
            life.take_back(turn);
        }
    };
    tokio::select! {
        ended = ending(&life) => panic!("it was cut: {ended:?}"),
        () = taking => {}
    }
    // Of two that wait, the older one counts, until it is taken.
    let older = life.hand();
    tokio::time::advance(Duration::from_secs(20)).await;
    life.hand();
    life.take_back(older);
    assert_eq!(ending(&life).await, (30, Reason::Stalled));
}

#[tokio::test(start_paused = true)]
async fn a_head_has_its_time_from_its_first_byte() {
    let life = Life::new();
    life.begin_request(false);
    // Of a body, or of a request that is sent ahead.
    hear(&life);
    life.touch();
    life.end_request(true);
    tokio::time::advance(Duration::from_secs(60)).await;
    let slow = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        hear(&life);
        tokio::time::sleep(Duration::from_secs(9)).await;
        // One more byte is no new beginning.
        hear(&life);
    };
    assert_eq!(tokio::join!(ending(&life), slow).0, (10, Reason::NoRequest));
    life.begin_request(false);
    life.touch();
    life.end_request(true);
    assert_eq!(ending(&life).await, (120, Reason::Idle), "a whole head leaves nothing behind");
}

#[tokio::test(start_paused = true)]
async fn frames_of_http_2_begin_no_head() {
    let life = Life::new();
    life.begin_request(true);
    life.touch();
    life.end_request(true);
    hear(&life);
    assert_eq!(ending(&life).await, (120, Reason::Idle));
}

#[tokio::test(start_paused = true)]
async fn who_breaks_off_everything_is_sent_away() {
    let life = Life::new();
    for _ in 0..=FEW_ABORTS {
        life.begin_request(false);
        life.end_request(true);
    }
    for _ in 0..=FEW_ABORTS {
        life.begin_request(false);
        life.end_request(false);
    }
    assert_eq!(ending(&life).await.1, Reason::Idle, "as many answers were taken");
    life.begin_request(false);
    life.end_request(false);
    assert_eq!(ending(&life).await, (0, Reason::Aborts));
    life.evict(Reason::Full);
    assert_eq!(life.evicted().await, Reason::Aborts, "the first reason stays");
}
