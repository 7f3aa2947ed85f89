//! Crashes at every step: nothing is lost, and nothing is sent twice unless that is safe.

use super::*;

#[tokio::test]
async fn accepted_but_not_claimed_is_carried_out_by_the_next_process() {
    let fake = Fake::new(Recovery::Neither);
    let stopped = CancellationToken::new();
    stopped.cancel();
    let gateway = Gateway::start_with(&fake, hurried(), stopped).await;
    gateway.operations.stopped().await;
    let id = gateway.submit().await;
    assert_eq!(gateway.get(&id).await.status, OperationStatus::Queued);
    let gateway = gateway.crash().await;
    assert_eq!(gateway.end_of(&id).await.status, OperationStatus::Succeeded);
    assert_eq!(fake.count("sent"), 1);
}

#[tokio::test]
async fn claimed_but_nothing_sent_is_tried_again() {
    let fake = Fake::new(Recovery::Neither);
    fake.script(Call::Mutate, &[Act::Hang]);
    let gateway = Gateway::start(&fake).await;
    let id = gateway.submit().await;
    fake.until("Mutate", 1).await;
    let gateway = gateway.crash().await;
    assert_eq!(gateway.gauge(OperationStatus::Running) + gateway.gauge(OperationStatus::Queued), 1);
    assert_eq!(gateway.end_of(&id).await.status, OperationStatus::Succeeded);
    assert_eq!((fake.count("Mutate"), fake.count("sent")), (2, 1));
    gateway.until_nothing_is_open().await;
}

/// Crashes after the intent, and follows what recovery makes of it: the end, and how often it was sent in all.
async fn check_sent_and_lost(recovery: Recovery, reconcile: &[&[Act]], expected: (OperationStatus, usize)) {
    let fake = Fake::new(recovery);
    fake.script(Call::Mutate, &[Act::Send, Act::Hang]);
    for acts in reconcile {
        fake.script(Call::Reconcile, acts);
    }
    let gateway = Gateway::start(&fake).await;
    let id = gateway.submit().await;
    fake.until("sent", 1).await;
    let gateway = gateway.crash().await;
    let ended = gateway.end_of(&id).await;
    assert_eq!((ended.status, fake.count("sent")), expected, "{recovery:?} {reconcile:?}");
    assert_eq!(fake.count("Reconcile"), reconcile.len());
    if ended.status == OperationStatus::Interrupted {
        let error = ended.error.unwrap();
        assert_eq!(error.code(), "interrupted");
        assert!(error.message.contains("Check at the host whether site very private name runs"), "{error}");
    }
    let gateway = gateway.crash().await;
    assert_eq!(gateway.get(&id).await.status, expected.0);
    let keys: std::collections::BTreeSet<_> =
        fake.log.borrow().iter().filter_map(|line| line.strip_prefix("sent ").map(str::to_owned)).collect();
    assert_eq!(keys.len(), 1, "the idempotency key changed");
}

#[tokio::test]
async fn sent_and_no_answer_is_recovered_by_its_class() {
    use OperationStatus::{Interrupted, Succeeded};
    check_sent_and_lost(Recovery::Neither, &[], (Interrupted, 1)).await;
    check_sent_and_lost(Recovery::Keyed, &[], (Succeeded, 2)).await;
    check_sent_and_lost(Recovery::LookUp, &[&[Act::Done]], (Succeeded, 1)).await;
    check_sent_and_lost(Recovery::LookUp, &[&[Act::Pending("found")]], (Succeeded, 1)).await;
    check_sent_and_lost(Recovery::LookUp, &[&[Act::Absent]], (Succeeded, 2)).await;
    check_sent_and_lost(Recovery::LookUp, &[&[Act::Unknown]], (Interrupted, 1)).await;
    check_sent_and_lost(Recovery::LookUp, &[&[Act::Fail(Kind::NotFound)]], (Interrupted, 1)).await;
    let trouble: &[Act] = &[Act::Fail(Kind::Unavailable)];
    let credentials: &[Act] = &[Act::Fail(Kind::Unauthenticated)];
    check_sent_and_lost(Recovery::LookUp, &[trouble, credentials, trouble, &[Act::Done]], (Succeeded, 1)).await;
}

/// The host may still be at it when the next process starts, however long ago the request was sent.
#[tokio::test]
async fn what_a_death_cut_off_is_looked_up_only_when_the_next_process_has_run_for_a_while() {
    let options = || Options { settle: Duration::from_millis(300), ..hurried() };
    let fake = Fake::new(Recovery::LookUp);
    fake.script(Call::Mutate, &[Act::Send, Act::Hang]);
    let Gateway { folder, organization, store, operations, .. } = {
        let gateway = Gateway::start_with(&fake, options(), CancellationToken::new()).await;
        gateway.submit().await;
        gateway
    };
    fake.until("sent", 1).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    drop((operations, store));
    let store = reopen(&folder).await;
    let started = Instant::now();
    let gateway = Gateway::on(folder, organization, store, &fake, options(), CancellationToken::new()).await;
    fake.until("Reconcile", 1).await;
    assert!(started.elapsed() >= options().settle, "looked up after {:?}", started.elapsed());
    gateway.until_nothing_is_open().await;
    assert_eq!((fake.count("sent"), fake.count("Reconcile")), (1, 1));
}

#[tokio::test]
async fn sent_and_refused_by_the_next_process_is_not_taken_for_a_failure() {
    let fake = Fake::new(Recovery::Keyed);
    fake.script(Call::Mutate, &[Act::Send, Act::Hang]).script(Call::Mutate, &[Act::Fail(Kind::Unauthenticated)]);
    fake.script(Call::Mutate, &[Act::Fail(Kind::NotFound)]);
    let gateway = Gateway::start(&fake).await;
    let id = gateway.submit().await;
    fake.until("sent", 1).await;
    let gateway = gateway.crash().await;
    assert_eq!(gateway.end_of(&id).await.status, OperationStatus::Interrupted);
    assert_eq!((fake.count("Mutate"), fake.count("sent")), (3, 1));
}

#[tokio::test]
async fn with_a_handle_it_is_only_polled() {
    let fake = Fake::new(Recovery::Neither);
    fake.script(Call::Mutate, &[Act::Send, Act::Pending("h1")]).script(Call::Poll, &[Act::Hang]);
    let gateway = Gateway::start(&fake).await;
    let id = gateway.submit().await;
    fake.until("Poll", 1).await;
    let seen = gateway.get(&id).await;
    assert_eq!((seen.status, seen.progress, seen.message.as_deref()), (OperationStatus::Running, Some(10), Some("h1")));
    let gateway = gateway.crash().await;
    assert_eq!(gateway.end_of(&id).await.status, OperationStatus::Succeeded);
    assert_eq!((fake.count("Mutate"), fake.count("sent"), fake.count("Reconcile")), (1, 1, 0));
}

#[tokio::test]
async fn done_but_not_finished_is_finished_with_its_secrets() {
    let fake = Fake::new(Recovery::Neither);
    fake.script(Call::Mutate, &[Act::Send, Act::Secret]).script(Call::Result, &[Act::Hang]);
    let gateway = Gateway::start(&fake).await;
    let id = gateway.submit().await;
    fake.until("Result", 1).await;
    let gateway = gateway.crash().await;
    let ended = gateway.end_of(&id).await;
    assert_eq!((ended.status, ended.result.unwrap().get()), (OperationStatus::Succeeded, "\"new site\""));
    assert_eq!((fake.count("Mutate"), fake.count("Poll"), fake.count("Result")), (1, 0, 2));
    assert_eq!(gateway.operations.take_secrets(gateway.organization, &id, None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_old_owner_can_neither_send_nor_overwrite() {
    for sends_late in [true, false] {
        let fake = Fake::new(Recovery::Keyed);
        let gate = Arc::new(Semaphore::new(0));
        let before = if sends_late { vec![] } else { vec![Act::Send] };
        let after = if sends_late { vec![Act::Send, Act::Done] } else { vec![Act::Fail(Kind::Conflict)] };
        fake.script(Call::Mutate, &[before, vec![Act::Gate(Arc::clone(&gate))], after].concat());
        let old = Gateway::start(&fake).await;
        let id = old.submit().await;
        fake.until(if sends_late { "Mutate" } else { "sent" }, 1).await;
        let (folder, store) = (Arc::clone(&old.folder), Arc::clone(&old.store));
        let new = Gateway::on(folder, old.organization, store, &fake, hurried(), CancellationToken::new()).await;
        assert_eq!(new.end_of(&id).await.status, OperationStatus::Succeeded);
        let sent = fake.count("sent");
        gate.add_permits(1);
        old.shutdown.cancel();
        old.operations.stopped().await;
        assert_eq!(new.get(&id).await.status, OperationStatus::Succeeded);
        assert_eq!(fake.count("sent"), sent, "the old owner sent");
    }
}

#[tokio::test]
async fn a_shutdown_lets_running_calls_finish_and_the_next_start_goes_on_at_once() {
    let fake = Fake::new(Recovery::Neither);
    let gate = Arc::new(Semaphore::new(0));
    fake.script(Call::Mutate, &[Act::Send, Act::Gate(Arc::clone(&gate)), Act::Done]);
    let gateway = Gateway::start(&fake).await;
    let first = gateway.submit().await;
    fake.until("sent", 1).await;
    gateway.shutdown.cancel();
    let second = gateway.submit().await;
    gate.add_permits(1);
    gateway.operations.stopped().await;
    assert_eq!(gateway.get(&first).await.status, OperationStatus::Succeeded);
    assert_eq!(gateway.get(&second).await.status, OperationStatus::Queued, "claimed after the shutdown began");
    let gateway = gateway.crash().await;
    assert_eq!(gateway.end_of(&second).await.status, OperationStatus::Succeeded);
}

/// Crashes when the log has `lines` lines: whatever is under way then, the promise holds.
async fn check_crash_after(lines: usize) {
    const OPERATIONS: usize = 4;
    let fake = Fake::new(Recovery::Neither);
    for _ in 0..OPERATIONS {
        fake.script(Call::Mutate, &[Act::Send, Act::Pending("h")]);
    }
    let gateway = Gateway::start(&fake).await;
    let submitted = (0..OPERATIONS).map(|_| gateway.submit());
    let ids = futures_util::future::join_all(submitted).await;
    fake.until("", lines).await;
    let gateway = gateway.crash().await;
    for id in &ids {
        let ended = gateway.end_of(id).await;
        let key = uuid::Uuid::parse_str(&id.as_str()[3..]).unwrap();
        let sent = fake.count(&format!("sent {key}"));
        let expected: &[OperationStatus] = match sent {
            0 => &[OperationStatus::Interrupted],
            _ => &[OperationStatus::Succeeded, OperationStatus::Interrupted],
        };
        assert!(sent <= 1 && expected.contains(&ended.status), "after {lines}: {sent} {ended:?} {:?}", fake.log.borrow());
    }
    gateway.until_nothing_is_open().await;
}

#[tokio::test]
async fn wherever_it_crashes_each_is_sent_at_most_once_and_ends() {
    // All four write six lines each.
    futures_util::future::join_all((1..=24).map(check_crash_after)).await;
}

#[tokio::test]
async fn the_lease_is_renewed_while_a_call_runs() {
    let fake = Fake::new(Recovery::Neither);
    let gate = Arc::new(Semaphore::new(0));
    fake.script(Call::Mutate, &[Act::Gate(Arc::clone(&gate)), Act::Send, Act::Done]);
    let options = Options { lease: Duration::from_millis(600), ..hurried() };
    let gateway = Gateway::start_with(&fake, options, CancellationToken::new()).await;
    let id = gateway.submit().await;
    fake.until("Mutate", 1).await;
    let later = now().plus_millis(700);
    let renewed = async {
        while gateway.store.operations_claimable(later, None, 10).await.unwrap().iter().any(|(one, _)| *one == id) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, renewed).await.expect("the lease was not renewed");
    gate.add_permits(1);
    assert_eq!(gateway.end_of(&id).await.status, OperationStatus::Succeeded);
}

#[tokio::test]
async fn without_a_lease_nothing_is_sent_and_nothing_is_judged() {
    let fake = Fake::new(Recovery::Neither);
    let gate = Arc::new(Semaphore::new(0));
    fake.script(Call::Mutate, &[Act::Gate(Arc::clone(&gate)), Act::Send, Act::Done]);
    // The lease comes back with the next upkeep, after the call has met its loss.
    let options = Options { lease: Duration::from_secs(3), ..hurried() };
    let gateway = Gateway::start_with(&fake, options, CancellationToken::new()).await;
    let id = gateway.submit().await;
    fake.until("Mutate", 1).await;
    gateway.store.runner_release(gateway.operations.runner.owner).await.unwrap();
    gate.add_permits(1);
    fake.until("Mutate", 2).await;
    assert_eq!(gateway.end_of(&id).await.status, OperationStatus::Succeeded);
    assert_eq!(fake.count("sent"), 1);
}
