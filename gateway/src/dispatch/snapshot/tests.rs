//! The cache over a provider that counts how often it is asked, and fails when told.

use super::*;
use crate::model::{Labels, MAX_LABELS, Site};
use bytes::Bytes;
use http::HeaderValue;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tokio::time::{advance, sleep};

const LIFETIME: Duration = Duration::from_secs(10);

struct Fixture {
    snapshots: Snapshots,
    asked: Arc<AtomicU32>,
    down: Arc<AtomicBool>,
    gone: Arc<AtomicBool>,
}

fn fixture() -> Fixture {
    let config = CacheConfig {
        stale_while_revalidate_seconds: 5,
        stale_if_error_seconds: 60,
        absent_seconds: 2,
        ..CacheConfig::default()
    };
    let snapshots = Snapshots::new(&config, &Arc::new(Metrics::new().unwrap()));
    Fixture { snapshots, asked: Arc::default(), down: Arc::default(), gone: Arc::default() }
}

fn key(query: Query) -> Key {
    Key { connection: ConnectionId(uuid::Uuid::nil()), revision: 1, generation: 0, query }
}

impl Fixture {
    async fn get(&self, freshness: Freshness) -> Result<Found, Error> {
        let ask = |_| {
            let (asked, down, gone) = (Arc::clone(&self.asked), Arc::clone(&self.down), Arc::clone(&self.gone));
            async move {
                asked.fetch_add(1, Ordering::Relaxed);
                if down.load(Ordering::Relaxed) {
                    return Err(Error::new(Kind::Unavailable, "down"));
                }
                if gone.load(Ordering::Relaxed) {
                    return Err(Error::new(Kind::NotFound, "gone"));
                }
                Ok(Answer::Sites(Vec::<Site>::new()))
            }
        };
        self.snapshots.get(key(Query::SitesList), freshness, LIFETIME, ask).await
    }

    /// How a read came, and how often the provider was asked until it had ended and its renewal, too.
    async fn check(&self, freshness: Freshness, expected: Result<Came, Kind>, asked: u32) {
        let came = self.get(freshness).await.map(|found| found.came).map_err(|error| error.kind);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!((came, self.asked.load(Ordering::Relaxed)), (expected, asked));
    }

    fn down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }

    /// A read whose answer takes so many seconds to come.
    async fn slow(&self, freshness: Freshness, takes: u64, outcome: Result<Answer, Error>) -> Result<Found, Error> {
        let ask = |_| async move {
            sleep(Duration::from_secs(takes)).await;
            outcome
        };
        self.snapshots.get(key(Query::SitesList), freshness, LIFETIME, ask).await
    }

    /// The same, asked so many seconds later.
    async fn slow_in(
        &self,
        later: u64,
        freshness: Freshness,
        takes: u64,
        outcome: Result<Answer, Error>,
    ) -> Result<Found, Error> {
        sleep(Duration::from_secs(later)).await;
        self.slow(freshness, takes, outcome).await
    }
}

const fn sites() -> Result<Answer, Error> {
    Ok(Answer::Sites(Vec::new()))
}

async fn seconds(seconds: u64) {
    advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_given_for_its_time_then_renewed_behind_then_fetched() {
    let fixture = fixture();
    fixture.check(Freshness::Cached, Ok(Came::Missing), 1).await;
    fixture.check(Freshness::Cached, Ok(Came::Kept), 1).await;
    seconds(11).await;
    fixture.check(Freshness::Cached, Ok(Came::Stale), 2).await;
    fixture.check(Freshness::Cached, Ok(Came::Kept), 2).await;
    seconds(16).await;
    fixture.check(Freshness::Cached, Ok(Came::Expired), 3).await;
    fixture.check(Freshness::Live, Ok(Came::Asked), 4).await;
    seconds(4).await;
    fixture.check(Freshness::Within(Duration::from_secs(5)), Ok(Came::Kept), 4).await;
    fixture.check(Freshness::Within(Duration::from_secs(3)), Ok(Came::Asked), 5).await;
    seconds(11).await;
    fixture.check(Freshness::Within(Duration::from_secs(3)), Ok(Came::Expired), 6).await;
}

/// However long it takes: nobody believes any more then that it is gone, but it was found out later.
#[tokio::test(start_paused = true)]
async fn a_slow_answer_does_not_bring_back_what_is_gone() {
    let fixture = fixture();
    fixture.gone.store(true, Ordering::Relaxed);
    let gone = async {
        sleep(Duration::from_secs(1)).await;
        fixture.check(Freshness::Cached, Err(Kind::NotFound), 1).await;
    };
    let (slow, ()) = tokio::join!(fixture.slow(Freshness::Live, 10, sites()), gone);
    assert_eq!(slow.unwrap().came, Came::Asked);
    fixture.check(Freshness::Cached, Err(Kind::NotFound), 2).await;
}

/// Between a caller's look into the cache and its joining of a call, the call that others wait for may end.
#[tokio::test(start_paused = true)]
async fn what_a_call_brought_since_the_look_is_not_asked_for_again() {
    let fixture = fixture();
    let never = |_: Query| async { Err(Error::new(Kind::Internal, "it was asked again")) };
    fixture.check(Freshness::Cached, Ok(Came::Missing), 1).await;
    let found = fixture.snapshots.missing(key(Query::SitesList), Freshness::Cached, LIFETIME, never).await.unwrap();
    // Nor is it renewed, when what was seen isn't the newest any more.
    let seen = Arc::clone(&found.snapshot);
    seconds(11).await;
    fixture.check(Freshness::Live, Ok(Came::Asked), 2).await;
    let (_, renewed) = fixture.snapshots.renew(&key(Query::SitesList), Seen::Kept(seen), LIFETIME, never).await;
    assert!(!Arc::ptr_eq(&renewed.unwrap(), &found.snapshot));
    // Nor what turned out not to be there.
    fixture.gone.store(true, Ordering::Relaxed);
    fixture.check(Freshness::Live, Err(Kind::NotFound), 3).await;
    let (_, gone) = fixture.snapshots.renew(&key(Query::SitesList), Seen::Nothing, LIFETIME, never).await;
    assert_eq!(gone.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn old_answers_stand_in_for_a_failing_upstream_and_then_no_longer() {
    let fixture = fixture();
    fixture.check(Freshness::Cached, Ok(Came::Missing), 1).await;
    fixture.down(true);
    seconds(16).await;
    fixture.check(Freshness::Cached, Ok(Came::Failed(Kind::Unavailable)), 2).await;
    // Not asked again at once, unless somebody insists.
    fixture.check(Freshness::Cached, Ok(Came::Failed(Kind::Unavailable)), 2).await;
    fixture.check(Freshness::Live, Err(Kind::Unavailable), 3).await;
    fixture.check(Freshness::Within(Duration::from_secs(1)), Err(Kind::Unavailable), 4).await;
    seconds(60).await;
    fixture.check(Freshness::Cached, Err(Kind::Unavailable), 5).await;
    fixture.down(false);
    fixture.check(Freshness::Cached, Ok(Came::Expired), 6).await;
}

/// The cache's own clock stands still here: what counts is until when it was told to keep the entry.
#[tokio::test(start_paused = true)]
async fn an_answer_that_was_renewed_is_kept_as_long_as_a_new_one_and_inserted_seldom() {
    let fixture = fixture();
    let slot = || fixture.snapshots.0.kept.get(&key(Query::SitesList)).unwrap();
    fixture.check(Freshness::Live, Ok(Came::Asked), 1).await;
    let (mut last, mut inserted) = (slot(), 0);
    // Answers are of use for 70 s; an eighth is 8.75.
    for asked in 2..=100 {
        seconds(1).await;
        fixture.check(Freshness::Live, Ok(Came::Asked), asked).await;
        let overstays = slot().overstays().expect("it is kept as long as it may be given");
        assert!(overstays <= Duration::from_millis(8750), "{overstays:?}");
        inserted += u32::from(!Arc::ptr_eq(&last, &slot()));
        last = slot();
    }
    assert_eq!(inserted, 11, "once in nine seconds");
}

#[tokio::test(start_paused = true)]
async fn old_answers_stand_in_for_failures_of_the_moment_and_for_no_others() {
    let fixture = fixture();
    let old = fixture.get(Freshness::Cached).await.unwrap().snapshot;
    for (kind, stands_in) in [
        (Kind::Unavailable, true),
        (Kind::Timeout, true),
        (Kind::RateLimited, true),
        (Kind::Internal, true),
        (Kind::Trapped, true),
        (Kind::Overloaded, true),
        (Kind::NotFound, false),
        (Kind::Forbidden, false),
        (Kind::Unauthenticated, false),
        (Kind::Unsupported, false),
    ] {
        let found = fixture.snapshots.instead(Arc::clone(&old), Duration::ZERO, Error::new(kind, "failed"));
        let expected = if stands_in { Ok(Came::Failed(kind)) } else { Err(kind) };
        assert_eq!(found.map(|found| found.came).map_err(|error| error.kind), expected);
    }
}

/// The provider hangs; nobody ends its call in this test.
#[tokio::test(start_paused = true)]
async fn an_old_answer_stands_in_for_one_that_is_late() {
    let fixture = fixture();
    let check = async |freshness, expected: Result<Came, Kind>| {
        let hangs = |_: Query| std::future::pending();
        let read = fixture.snapshots.get(key(Query::SitesList), freshness, LIFETIME, hangs);
        let late = || (key(Query::SitesList), Error::new(Kind::Timeout, "late"));
        let found = fixture.snapshots.in_time(Duration::from_secs(3), freshness, read, late).await;
        assert_eq!(found.map(|found| found.came).map_err(|error| error.kind), expected);
    };
    fixture.check(Freshness::Cached, Ok(Came::Missing), 1).await;
    seconds(16).await;
    check(Freshness::Cached, Ok(Came::Failed(Kind::Timeout))).await;
    // Who insists is told.
    check(Freshness::Within(Duration::from_secs(15)), Err(Kind::Timeout)).await;
    check(Freshness::Live, Err(Kind::Timeout)).await;
    seconds(60).await;
    check(Freshness::Cached, Err(Kind::Timeout)).await;
}

#[tokio::test(start_paused = true)]
async fn that_something_is_not_there_is_taken_from_memory_by_those_whom_it_is_new_enough_for() {
    let fixture = fixture();
    fixture.gone.store(true, Ordering::Relaxed);
    let within = |seconds| Freshness::Within(Duration::from_secs(seconds));
    fixture.check(Freshness::Cached, Err(Kind::NotFound), 1).await;
    advance(Duration::from_millis(1500)).await;
    fixture.check(Freshness::Cached, Err(Kind::NotFound), 1).await;
    fixture.check(within(2), Err(Kind::NotFound), 1).await;
    fixture.check(within(1), Err(Kind::NotFound), 2).await;
    fixture.check(within(1), Err(Kind::NotFound), 2).await;
    advance(Duration::from_millis(1)).await;
    fixture.gone.store(false, Ordering::Relaxed);
    fixture.check(within(0), Ok(Came::Missing), 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_without_an_old_answer_is_the_answer_and_is_not_kept() {
    let fixture = fixture();
    fixture.down(true);
    fixture.check(Freshness::Cached, Err(Kind::Unavailable), 1).await;
    fixture.check(Freshness::Cached, Err(Kind::Unavailable), 2).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_asked_for_once_in_a_while_and_replaces_what_was() {
    let fixture = fixture();
    fixture.check(Freshness::Cached, Ok(Came::Missing), 1).await;
    fixture.gone.store(true, Ordering::Relaxed);
    fixture.check(Freshness::Live, Err(Kind::NotFound), 2).await;
    fixture.check(Freshness::Cached, Err(Kind::NotFound), 2).await;
    fixture.gone.store(false, Ordering::Relaxed);
    fixture.check(Freshness::Live, Ok(Came::Asked), 3).await;
    fixture.check(Freshness::Cached, Ok(Came::Kept), 3).await;
}

/// It is believed for longer than the answer lasts; nobody can advance the cache's clock, so the answer is taken away.
#[tokio::test(start_paused = true)]
async fn that_something_was_not_there_is_forgotten_when_it_is() {
    let fixture = fixture();
    fixture.gone.store(true, Ordering::Relaxed);
    fixture.check(Freshness::Cached, Err(Kind::NotFound), 1).await;
    fixture.gone.store(false, Ordering::Relaxed);
    fixture.check(Freshness::Live, Ok(Came::Asked), 2).await;
    fixture.snapshots.0.kept.invalidate(&key(Query::SitesList));
    fixture.check(Freshness::Cached, Ok(Came::Missing), 3).await;
}

#[tokio::test(start_paused = true)]
async fn once_a_lasting_failure_was_told_no_old_answer_is_given_until_a_new_one_comes() {
    let fixture = fixture();
    let refused = async || {
        let ask = |_: Query| async { Err(Error::new(Kind::Unauthenticated, "refused")) };
        let read = fixture.snapshots.get(key(Query::SitesList), Freshness::Cached, LIFETIME, ask).await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        read.map(|found| found.came).map_err(|error| error.kind)
    };
    fixture.check(Freshness::Cached, Ok(Came::Missing), 1).await;
    seconds(11).await;
    assert_eq!(refused().await, Ok(Came::Stale));
    // Within the five seconds for which it would be given, and after the two for which the host is left alone.
    for _ in 0..4 {
        assert_eq!(refused().await, Err(Kind::Unauthenticated));
        seconds(1).await;
    }
    seconds(2).await;
    fixture.check(Freshness::Cached, Ok(Came::Expired), 2).await;
    fixture.check(Freshness::Cached, Ok(Came::Kept), 2).await;
}

#[tokio::test]
async fn a_million_questions_stay_within_the_bound() {
    let config = CacheConfig { max_bytes: 1 << 20, ..CacheConfig::default() };
    let snapshots = Snapshots::new(&config, &Arc::new(Metrics::new().unwrap()));
    for site in 0..1_000_000_u32 {
        let ask = |_| async move {
            match site % 2 {
                0 => Ok(Answer::Sites(Vec::new())),
                _ => Err(Error::new(Kind::NotFound, "gone")),
            }
        };
        let key = key(Query::SitesGet { site: format!("site-{site}") });
        // Live: in the caller's own task, so that the test takes seconds.
        drop(snapshots.get(key, Freshness::Live, LIFETIME, ask).await);
    }
    snapshots.0.kept.run_pending_tasks();
    snapshots.0.absent.run_pending_tasks();
    assert!(snapshots.0.kept.weighted_size() <= 1 << 20, "{}", snapshots.0.kept.weighted_size());
    assert!(snapshots.0.absent.weighted_size() <= 1 << 16, "{}", snapshots.0.absent.weighted_size());
    assert!(snapshots.0.kept.entry_count() > 1000, "it must keep some");
}

/// What hosts and clients send is as long as they like.
#[tokio::test]
async fn long_words_stay_within_the_bound() {
    const LONG: usize = 10_000;
    let config = CacheConfig { max_bytes: 1 << 20, ..CacheConfig::default() };
    let snapshots = Snapshots::new(&config, &Arc::new(Metrics::new().unwrap()));
    let get = async |site: String, outcome: Result<Answer, Error>| {
        drop(snapshots.get(key(Query::SitesGet { site }), Freshness::Live, LIFETIME, |_| async { outcome }).await);
    };
    for site in 0..500 {
        get(format!("{site:0>LONG$}"), Ok(Answer::Sites(Vec::new()))).await;
        get(format!("gone-{site:0>LONG$}"), Err(Error::new(Kind::NotFound, "gone"))).await;
        get(format!("told-{site}"), Err(Error::new(Kind::NotFound, "gone".repeat(LONG / 4)))).await;
    }
    snapshots.0.kept.run_pending_tasks();
    snapshots.0.absent.run_pending_tasks();
    let counts = (snapshots.0.kept.entry_count(), snapshots.0.absent.entry_count());
    assert!((1..=104).contains(&counts.0) && (1..=6).contains(&counts.1), "{counts:?}");
}

/// Labels are written into it, and nobody knew them when it was weighed.
#[tokio::test]
async fn what_was_written_is_kept_unless_it_is_longer_than_was_weighed() {
    let text = serde_json::json!({
        "id": "shop~site-1", "connection": "shop", "provider": "sandbox", "name": "Shop", "slug": "shop", "kind": "wordpress",
        "status": "running", "url": "https://shop.example.com", "wordpress_version": "6.9", "php_version": "8.4",
        "environments": [], "usage": {"storage": 123_456_789, "bandwidth": 123_456_789, "visits": 1234}, "labels": {},
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "native": null,
    });
    let site: Site = serde_json::from_str(&text.to_string()).unwrap();
    let snapshot = Snapshot::new(Answer::Site(site.clone()), LIFETIME, Instant::now());
    let written = |labels: Labels| {
        let body = Bytes::from(serde_json::to_vec(&site.with(&labels)).unwrap());
        Arc::new(Written { body, tag: HeaderValue::from_static("\"t\""), labels: Some(Arc::new(labels)) })
    };
    let ordinary = written((0..16).map(|number| (format!("label-{number:04}"), "x".repeat(30))).collect());
    let long = written((0..MAX_LABELS).map(|number| (format!("label-{number}"), "x".repeat(255))).collect());
    for kept in [&ordinary, &long] {
        snapshot.keep_written(kept);
        assert!(snapshot.written().is_some_and(|kept| Arc::ptr_eq(&kept, &ordinary)), "{} bytes", kept.held());
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_takes_no_place_from_one_that_was_asked_for_later() {
    let fixture = fixture();
    let early = fixture.slow(Freshness::Cached, 5, sites());
    let late = fixture.slow_in(2, Freshness::Live, 1, sites());
    let (early, late) = tokio::join!(early, late);
    let kept = fixture.get(Freshness::Cached).await.unwrap();
    assert!(Arc::ptr_eq(&kept.snapshot, &late.unwrap().snapshot) && early.is_ok(), "{:?}", kept.age(Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn a_late_failure_says_nothing_of_what_was_asked_for_after_it() {
    for kind in [Kind::NotFound, Kind::Unavailable] {
        let fixture = fixture();
        let early = fixture.slow(Freshness::Live, 5, Err(Error::new(kind, "early")));
        let late = fixture.slow_in(2, Freshness::Live, 1, sites());
        let (early, late) = tokio::join!(early, late);
        assert_eq!(early.unwrap_err().kind, kind);
        let kept = fixture.get(Freshness::Cached).await.unwrap();
        assert!(Arc::ptr_eq(&kept.snapshot, &late.unwrap().snapshot));
        let slot = fixture.snapshots.0.kept.get(&key(Query::SitesList)).unwrap();
        assert_eq!(slot.failed_just_now(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_does_not_bring_back_what_is_gone() {
    let fixture = fixture();
    let early = fixture.slow(Freshness::Live, 5, sites());
    let late = fixture.slow_in(2, Freshness::Live, 1, Err(Error::new(Kind::NotFound, "gone")));
    let (early, late) = tokio::join!(early, late);
    assert_eq!((early.is_ok(), late.unwrap_err().kind), (true, Kind::NotFound));
    fixture.check(Freshness::Cached, Err(Kind::NotFound), 0).await;
}

/// A call may wait for its turn at the host for as long as its answer lasts.
#[tokio::test(start_paused = true)]
async fn an_answer_lasts_from_when_it_came_and_is_of_use_to_all_who_waited() {
    let fixture = fixture();
    let one = fixture.slow(Freshness::Cached, 12, sites());
    let other = fixture.slow_in(1, Freshness::Within(Duration::ZERO), 12, sites());
    let (one, other) = tokio::join!(one, other);
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!((one.came, other.came), (Came::Missing, Came::Joined));
    assert!(Arc::ptr_eq(&one.snapshot, &other.snapshot));
    fixture.check(Freshness::Cached, Ok(Came::Kept), 0).await;
}
