//! What calls come to: successes, failures of every kind before and after something was sent, and many at once.

use super::*;
use OperationStatus::{Canceled, Failed, Interrupted, Succeeded};

#[tokio::test]
async fn a_mutation_is_carried_to_its_end() {
    let fake = Fake::new(Recovery::Neither);
    let gateway = Gateway::start(&fake).await;
    let id = gateway.submit().await;
    let ended = gateway.end_of(&id).await;
    assert_eq!((ended.status, ended.progress, ended.message.as_deref()), (Succeeded, Some(100), Some("made")));
    assert_eq!(ended.target.id.as_deref(), Some("docker~new=20site"));
    assert_eq!(ended.result.unwrap().get(), "\"new site\"");
    assert!(ended.finished_at.is_some() && ended.error.is_none());
    let log: Vec<_> = fake.log.borrow().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(log, ["Mutate", "sent", "changed", "Result", "changed"]);
    gateway.until_nothing_is_open().await;
    assert_eq!(gateway.metrics.operations_finished.with_label_values(&["sites.stop", "succeeded"]).get(), 1);
}

/// The second time is the end's; a client that polls sees that end in the store, as soon as it is there.
#[tokio::test]
async fn old_answers_are_gone_before_the_end_can_be_read() {
    let fake = Fake::new(Recovery::Neither);
    let gateway = Gateway::start(&fake).await;
    for done in 1..=50 {
        let id = gateway.submit().await;
        let polled = async { while !gateway.get(&id).await.status.is_terminal() {} };
        assert!(timeout(PATIENCE, polled).await.is_ok(), "{:?}", fake.log.borrow());
        assert_eq!(fake.count("changed"), 2 * done, "it ended, and old answers are still given");
    }
}

#[tokio::test]
async fn a_new_site_has_its_labels_before_its_end_can_be_read() {
    let fake = Fake::new(Recovery::Neither);
    let gateway = Gateway::start(&fake).await;
    let input = r#"{"name": "n", "kind": "wordpress", "options": {}, "labels": {"protected": "yes"}}"#;
    for done in 1..=20 {
        let mutation = Mutation::SitesCreate(serde_json::from_str(input).unwrap());
        let id = gateway.operations.submit(Submit { mutation, ..gateway.order() }).await.unwrap().operation.id;
        let polled = async { while !gateway.get(&id).await.status.is_terminal() {} };
        assert!(timeout(PATIENCE, polled).await.is_ok(), "{:?}", fake.log.borrow());
        let told = fake.count(r#"labels of new site: {"protected": "yes"}"#);
        assert_eq!(told, done, "it is there, and nobody knows that it is protected");
    }
}

/// Runs one operation over scripts of its calls, to its end.
async fn run(recovery: Recovery, scripts: &[(Call, &[Act])]) -> (Arc<Fake>, Gateway, Operation) {
    let fake = Fake::new(recovery);
    for (call, acts) in scripts {
        fake.script(*call, acts);
    }
    let gateway = Gateway::start(&fake).await;
    let id = gateway.submit().await;
    let ended = gateway.end_of(&id).await;
    (fake, gateway, ended)
}

/// Counts how often old answers went.
async fn check_outdated(recovery: Recovery, scripts: &[(Call, &[Act])], expected: (OperationStatus, usize)) {
    let (fake, _gateway, ended) = run(recovery, scripts).await;
    assert_eq!((ended.status, fake.count("changed")), expected, "{scripts:?}");
}

#[tokio::test]
async fn only_what_may_have_left_outdates_old_answers() {
    use Call::{Mutate, Poll, Reconcile};
    for kind in [Kind::Unavailable, Kind::InvalidInput, Kind::Timeout] {
        check_outdated(Recovery::LookUp, &[(Mutate, &[Act::Fail(kind)])], (Failed, 0)).await;
    }
    // Once when it was carried out in the end, and once at the end itself.
    check_outdated(Recovery::Neither, &[(Mutate, &[Act::Away]), (Mutate, &[Act::Away])], (Succeeded, 2)).await;
    check_outdated(Recovery::Neither, &[(Mutate, &[Act::Send, Act::Fail(Kind::Conflict)])], (Failed, 1)).await;
    let lost: (Call, &[Act]) = (Mutate, &[Act::Send, Act::Fail(Kind::Timeout)]);
    check_outdated(Recovery::Neither, &[lost], (Interrupted, 2)).await;
    check_outdated(Recovery::Neither, &[(Mutate, &[Act::Send, Act::Panic])], (Interrupted, 1)).await;
    check_outdated(Recovery::LookUp, &[lost, (Reconcile, &[Act::Done])], (Succeeded, 3)).await;
    let pending: (Call, &[Act]) = (Mutate, &[Act::Send, Act::Pending("h")]);
    check_outdated(Recovery::Neither, &[pending, (Poll, &[Act::Failed(Kind::Conflict)])], (Failed, 2)).await;
    check_outdated(Recovery::Neither, &[pending, (Poll, &[Act::Canceled])], (Canceled, 2)).await;
}

/// Forbids it when the first call is there, after what the call does `before`.
async fn check_forbidden(before: &[Act], after: &[Act], expected: (OperationStatus, usize, usize)) -> Option<Error> {
    let fake = Fake::new(Recovery::Keyed);
    let gate = Arc::new(Semaphore::new(0));
    let wait = [Act::Gate(Arc::clone(&gate))];
    fake.script(Call::Mutate, &[before, wait.as_slice(), after].concat());
    let gateway = Gateway::start(&fake).await;
    let id = gateway.submit().await;
    fake.until(if before.is_empty() { "Mutate" } else { "sent" }, 1).await;
    fake.forbids.store(true, SeqCst);
    gate.add_permits(1);
    let ended = gateway.end_of(&id).await;
    assert_eq!((ended.status, fake.count("Mutate"), fake.count("sent")), expected, "{before:?} {after:?}");
    gateway.until_nothing_is_open().await;
    ended.error
}

#[tokio::test]
async fn what_is_forbidden_before_it_left_is_not_sent() {
    // While it waits to be tried again, and while a call waits for its turn.
    for after in [&[Act::Fail(Kind::Overloaded)] as &[Act], &[Act::Away], &[Act::Send, Act::Done]] {
        let error = check_forbidden(&[], after, (Failed, 1, 0)).await;
        let error = error.unwrap_or_else(|| panic!("{after:?}"));
        assert_eq!((error.kind, error.code()), (Kind::Conflict, "protected"));
    }
    // Too late.
    check_forbidden(&[Act::Send], &[Act::Send, Act::Done], (Succeeded, 1, 2)).await;
    check_forbidden(&[Act::Send], &[Act::Fail(Kind::Timeout)], (Succeeded, 2, 2)).await;
}

/// Counts how often something was sent.
async fn check(recovery: Recovery, scripts: &[(Call, &[Act])], expected: (OperationStatus, usize)) -> Operation {
    let (fake, gateway, ended) = run(recovery, scripts).await;
    assert_eq!((ended.status, fake.count("sent")), expected, "{recovery:?} {scripts:?}");
    gateway.until_nothing_is_open().await;
    ended
}

#[tokio::test]
async fn before_anything_was_sent_a_failure_is_a_failure_unless_it_is_about_room() {
    use Kind::{Forbidden, Internal, InvalidInput, NotFound, Timeout, Trapped, Unavailable, Unsupported};
    for kind in [Forbidden, Internal, InvalidInput, NotFound, Timeout, Trapped, Unavailable, Unsupported] {
        let ended = check(Recovery::LookUp, &[(Call::Mutate, &[Act::Fail(kind)])], (Failed, 0)).await;
        assert_eq!(ended.error.unwrap().kind, kind);
    }
    for kind in [Kind::Overloaded, Kind::RateLimited, Kind::Gateway] {
        check(Recovery::Neither, &[(Call::Mutate, &[Act::Fail(kind)]), (Call::Mutate, &[Act::Fail(kind)])], (Succeeded, 1))
            .await;
    }
    check(Recovery::Neither, &[(Call::Mutate, &[Act::Away]), (Call::Mutate, &[Act::Away])], (Succeeded, 1)).await;
}

#[tokio::test]
async fn room_that_never_comes_is_a_failure_in_the_end() {
    let fake = Fake::new(Recovery::Neither);
    for _ in 0..1000 {
        fake.script(Call::Mutate, &[Act::Fail(Kind::Overloaded)]);
    }
    let options = Options { patience: Duration::from_millis(50), ..hurried() };
    let gateway = Gateway::start_with(&fake, options, CancellationToken::new()).await;
    let id = gateway.submit().await;
    let ended = gateway.end_of(&id).await;
    assert_eq!((ended.status, ended.error.unwrap().kind), (Failed, Kind::Overloaded));
}

#[tokio::test]
async fn after_something_was_sent_only_a_definite_refusal_is_a_failure() {
    use Kind::{Conflict, Forbidden, InvalidInput, NotFound, QuotaExceeded, Unauthenticated, Unsupported};
    for kind in [Conflict, Forbidden, InvalidInput, NotFound, QuotaExceeded, Unauthenticated, Unsupported] {
        let ended = check(Recovery::LookUp, &[(Call::Mutate, &[Act::Send, Act::Fail(kind)])], (Failed, 1)).await;
        assert_eq!(ended.error.unwrap().kind, kind);
    }
    for kind in [Kind::Timeout, Kind::Unavailable, Kind::Trapped, Kind::Internal, Kind::RateLimited] {
        let lost: &[Act] = &[Act::Send, Act::Fail(kind)];
        let ended = check(Recovery::Neither, &[(Call::Mutate, lost)], (Interrupted, 1)).await;
        assert_eq!(ended.error.unwrap().code(), "interrupted");
        check(Recovery::Keyed, &[(Call::Mutate, lost), (Call::Mutate, lost)], (Succeeded, 3)).await;
        check(Recovery::LookUp, &[(Call::Mutate, lost), (Call::Reconcile, &[Act::Done])], (Succeeded, 1)).await;
        check(Recovery::LookUp, &[(Call::Mutate, lost), (Call::Reconcile, &[Act::Absent])], (Succeeded, 2)).await;
        check(Recovery::LookUp, &[(Call::Mutate, lost), (Call::Reconcile, &[Act::Unknown])], (Interrupted, 1)).await;
    }
}

/// The first was sent and nobody heard the answer. Counts how often something was sent in all.
async fn check_again(second: &[Act], expected: (OperationStatus, usize)) -> Operation {
    let lost: (Call, &[Act]) = (Call::Mutate, &[Act::Send, Act::Fail(Kind::Timeout)]);
    check(Recovery::Keyed, &[lost, (Call::Mutate, second)], expected).await
}

#[tokio::test]
async fn a_refusal_of_the_second_try_says_nothing_of_the_first() {
    use Kind::{Conflict, Forbidden, InvalidInput, NotFound, QuotaExceeded, Unauthenticated, Unsupported};
    for kind in [Conflict, InvalidInput, NotFound, QuotaExceeded, Unsupported] {
        for (second, sent) in [(&[Act::Fail(kind)] as &[Act], 1), (&[Act::Send, Act::Fail(kind)], 2)] {
            let error = check_again(second, (Interrupted, sent)).await.error.unwrap();
            assert_eq!(error.code(), "interrupted");
            assert!(error.message.contains("unknown, and a second try was refused (scripted). Check at the host"), "{error}");
        }
    }
    for kind in [Forbidden, Unauthenticated] {
        check_again(&[Act::Fail(kind)], (Succeeded, 2)).await;
        check_again(&[Act::Send, Act::Fail(kind)], (Succeeded, 3)).await;
    }
}

#[tokio::test]
async fn a_refusal_after_the_host_had_no_time_is_a_failure() {
    let declined: (Call, &[Act]) = (Call::Mutate, &[Act::Send, Act::Declined, Act::Fail(Kind::RateLimited)]);
    let refused: (Call, &[Act]) = (Call::Mutate, &[Act::Fail(Kind::NotFound)]);
    for recovery in [Recovery::Neither, Recovery::Keyed] {
        let ended = check(recovery, &[declined, refused], (Failed, 1)).await;
        assert_eq!(ended.error.unwrap().kind, Kind::NotFound);
    }
}

#[tokio::test]
async fn what_the_host_had_no_time_for_is_sent_again_whatever_the_class() {
    let declined: &[Act] = &[Act::Send, Act::Declined, Act::Fail(Kind::RateLimited)];
    check(Recovery::Neither, &[(Call::Mutate, declined), (Call::Mutate, declined)], (Succeeded, 3)).await;
    check(Recovery::Keyed, &[(Call::Mutate, declined)], (Succeeded, 2)).await;
    // A first request of two was carried out, or the provider says that something else is wrong.
    let half: &[Act] = &[Act::Send, Act::Send, Act::Declined, Act::Fail(Kind::RateLimited)];
    check(Recovery::Neither, &[(Call::Mutate, half)], (Interrupted, 2)).await;
    let other: &[Act] = &[Act::Send, Act::Declined, Act::Fail(Kind::Internal)];
    check(Recovery::Neither, &[(Call::Mutate, other)], (Interrupted, 1)).await;
}

#[tokio::test]
async fn what_never_arrives_is_not_sent_for_ever() {
    let fake = Fake::new(Recovery::LookUp);
    for _ in 0..50 {
        fake.script(Call::Mutate, &[Act::Send, Act::Fail(Kind::Timeout)]).script(Call::Reconcile, &[Act::Absent]);
    }
    let gateway = Gateway::start(&fake).await;
    let id = gateway.submit().await;
    let ended = gateway.end_of(&id).await;
    assert_eq!((ended.status, fake.count("sent")), (Failed, 8));
    assert!(ended.error.unwrap().message.ends_with("sent 8 times"));
}

#[tokio::test]
async fn only_what_was_sent_counts_as_sent() {
    let full: (Call, &[Act]) = (Call::Mutate, &[Act::Fail(Kind::Overloaded)]);
    let lost: (Call, &[Act]) = (Call::Mutate, &[Act::Send, Act::Fail(Kind::Timeout)]);
    let unseen: (Call, &[Act]) = (Call::Reconcile, &[Act::Fail(Kind::Overloaded)]);
    let absent: (Call, &[Act]) = (Call::Reconcile, &[Act::Absent]);
    let script = [[full; 9].as_slice(), &[lost], &[unseen; 9], &[absent]].concat();
    check(Recovery::LookUp, &script, (Succeeded, 2)).await;
}

#[tokio::test]
async fn polls_go_on_through_trouble_and_end_as_the_host_says() {
    let sent: (Call, &[Act]) = (Call::Mutate, &[Act::Send, Act::Pending("h")]);
    use Kind::{Forbidden, Gateway, Internal, Overloaded, RateLimited, Timeout, Trapped, Unauthenticated, Unavailable};
    for kind in [Forbidden, Gateway, Internal, Overloaded, RateLimited, Timeout, Trapped, Unauthenticated, Unavailable] {
        check(Recovery::Neither, &[sent, (Call::Poll, &[Act::Fail(kind)]), (Call::Poll, &[Act::Done])], (Succeeded, 1)).await;
    }
    for kind in [Kind::NotFound, Kind::Conflict, Kind::InvalidInput] {
        let ended = check(Recovery::Keyed, &[sent, (Call::Poll, &[Act::Fail(kind)])], (Failed, 1)).await;
        assert_eq!(ended.error.unwrap().kind, kind);
    }
    let ended = check(Recovery::Keyed, &[sent, (Call::Poll, &[Act::Failed(Kind::Timeout)])], (Failed, 1)).await;
    assert_eq!(ended.error.unwrap().message, "h");
    check(Recovery::Keyed, &[sent, (Call::Poll, &[Act::Canceled])], (Canceled, 1)).await;
    let next: (Call, &[Act]) = (Call::Poll, &[Act::Send, Act::Pending("next")]);
    let ended = check(Recovery::Neither, &[sent, next, (Call::Poll, &[Act::Failed(Kind::Conflict)])], (Failed, 2)).await;
    assert_eq!(ended.error.unwrap().message, "next", "the new handle replaces the old");
}

#[tokio::test]
async fn clients_are_told_why_it_takes_longer() {
    let fake = Fake::new(Recovery::Neither);
    fake.script(Call::Mutate, &[Act::Send, Act::Pending("h")]);
    (0..3).for_each(|_| _ = fake.script(Call::Poll, &[Act::Fail(Kind::Unavailable)]));
    fake.script(Call::Poll, &[Act::Hang]);
    let gateway = Gateway::start(&fake).await;
    let id = gateway.submit().await;
    fake.until("Poll", 4).await;
    let waiting = gateway.get(&id).await;
    assert_eq!(waiting.message.as_deref(), Some("waits until the host can be asked again: scripted"));
    assert_eq!(waiting.status, OperationStatus::Running);
}

#[tokio::test]
async fn success_outlives_an_unreadable_result() {
    let ended = check(Recovery::Neither, &[(Call::Result, &[Act::Fail(Kind::Unavailable)])], (Succeeded, 1)).await;
    assert!(ended.result.is_none());
    assert!(ended.message.unwrap().contains("could not be read back"));
}

#[tokio::test]
async fn a_panic_ends_one_step_and_nothing_else() {
    check(Recovery::Neither, &[(Call::Mutate, &[Act::Panic])], (Succeeded, 1)).await;
    check(Recovery::Neither, &[(Call::Mutate, &[Act::Send, Act::Panic])], (Interrupted, 1)).await;
}

#[tokio::test]
async fn a_call_that_never_returns_is_uncertain_after_its_time() {
    let fake = Fake::new(Recovery::Neither);
    fake.script(Call::Mutate, &[Act::Send, Act::Hang]);
    let options = Options { call: Duration::from_millis(1), grace: Duration::from_millis(200), ..hurried() };
    let gateway = Gateway::start_with(&fake, options, CancellationToken::new()).await;
    let id = gateway.submit().await;
    assert_eq!(gateway.end_of(&id).await.status, Interrupted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_pending_operations_complete() {
    const COUNT: usize = 1000;
    let fake = Fake::new(Recovery::Neither);
    for _ in 0..COUNT {
        fake.script(Call::Mutate, &[Act::Send, Act::Pending("h")]).script(Call::Poll, &[Act::Pending("h")]);
    }
    let gateway = Gateway::start(&fake).await;
    let submitted = (0..COUNT).map(|_| gateway.submit());
    let ids = futures_util::future::join_all(submitted).await;
    for id in &ids {
        assert_eq!(gateway.end_of(id).await.status, Succeeded);
    }
    assert_eq!((fake.count("sent"), fake.count("Mutate"), fake.count("Poll")), (COUNT, COUNT, 2 * COUNT));
    gateway.until_nothing_is_open().await;
}

const FULL: &str = "CREATE TRIGGER full BEFORE UPDATE ON operations BEGIN SELECT RAISE(FAIL, 'the disk is full'); END";

/// A call that answers while nothing can be written, and how it ends when that is over.
async fn check_remembered(answer: Act, expected: OperationStatus) {
    let fake = Fake::new(Recovery::Neither);
    let gate = Arc::new(Semaphore::new(0));
    fake.script(Call::Mutate, &[Act::Send, Act::Gate(Arc::clone(&gate)), answer.clone()]);
    let gateway = Gateway::start(&fake).await;
    let id = gateway.submit().await;
    fake.until("sent", 1).await;
    gateway.execute(FULL).await;
    gate.add_permits(1);
    gateway.until_writes_failed(15).await;
    assert_eq!(gateway.get(&id).await.status, OperationStatus::Running);
    gateway.execute("DROP TRIGGER full").await;
    let ended = gateway.end_of(&id).await;
    assert_eq!((ended.status, fake.count("Mutate"), fake.count("sent")), (expected, 1, 1), "{answer:?}");
    gateway.until_nothing_is_open().await;
}

#[tokio::test]
async fn a_store_that_cannot_be_written_for_long_forgets_no_answer() {
    check_remembered(Act::Done, Succeeded).await;
    check_remembered(Act::Pending("h"), Succeeded).await;
    check_remembered(Act::Fail(Kind::Conflict), Failed).await;
}

#[tokio::test]
async fn a_store_that_cannot_be_written_does_not_hold_up_the_end() {
    let fake = Fake::new(Recovery::Neither);
    let gate = Arc::new(Semaphore::new(0));
    fake.script(Call::Mutate, &[Act::Send, Act::Gate(Arc::clone(&gate)), Act::Done]);
    let options = Options { drain: Duration::from_millis(50), ..hurried() };
    let gateway = Gateway::start_with(&fake, options, CancellationToken::new()).await;
    gateway.submit().await;
    fake.until("sent", 1).await;
    gateway.execute(FULL).await;
    gate.add_permits(1);
    gateway.until_writes_failed(15).await;
    gateway.shutdown.cancel();
    assert!(timeout(PATIENCE, gateway.operations.stopped()).await.is_ok(), "it insists after the shutdown");
}

/// However long ago it was sent: a host that was slow for so long may be at it still.
#[tokio::test]
async fn what_breaks_off_late_is_not_looked_up_at_once() {
    let options = Options { settle: Duration::from_millis(300), ..hurried() };
    let (settle, gate) = (options.settle, Arc::new(Semaphore::new(0)));
    let fake = Fake::new(Recovery::LookUp);
    fake.script(Call::Mutate, &[Act::Send, Act::Gate(Arc::clone(&gate)), Act::Fail(Kind::Timeout)]);
    let gateway = Gateway::start_with(&fake, options, CancellationToken::new()).await;
    gateway.submit().await;
    fake.until("sent", 1).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let broke_off = Instant::now();
    gate.add_permits(1);
    fake.until("Reconcile", 1).await;
    assert!(broke_off.elapsed() >= settle, "looked up after {:?}", broke_off.elapsed());
}
