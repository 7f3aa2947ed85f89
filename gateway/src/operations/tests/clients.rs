//! What clients meet: idempotency keys, waiting, canceling, lists, secrets, full queues.

use super::*;

fn key(key: &str, fingerprint: u8) -> Option<Idempotency> {
    Some(Idempotency { key: key.to_owned(), scope: "POST /sites".to_owned(), fingerprint: [fingerprint; 32] })
}

#[tokio::test]
async fn one_key_is_one_operation() {
    let fake = Fake::new(Recovery::Neither);
    let gateway = Gateway::start(&fake).await;
    let order = |fingerprint| Submit { idempotency: key("k", fingerprint), ..gateway.order() };
    let both = futures_util::future::join(gateway.operations.submit(order(1)), gateway.operations.submit(order(1))).await;
    let (first, second) = (both.0.unwrap(), both.1.unwrap());
    assert_eq!(u8::from(first.replayed) + u8::from(second.replayed), 1);
    let (first, second) = (first.operation, second.operation);
    assert_eq!(first.id, second.id);
    gateway.end_of(&first.id).await;
    let again = gateway.operations.submit(order(1)).await.unwrap().operation;
    assert_eq!((again.id, again.status), (first.id, OperationStatus::Succeeded), "the same operation, as it is now");
    let refused = gateway.operations.submit(order(2)).await.unwrap_err();
    assert_eq!((refused.kind, refused.code()), (Kind::InvalidInput, "idempotency_key_reused"));
    assert_eq!(fake.count("sent"), 1);
    let gateway = gateway.crash().await;
    let after = gateway.operations.submit(Submit { idempotency: key("k", 1), ..gateway.order() }).await.unwrap().operation;
    assert_eq!((after.status, fake.count("sent")), (OperationStatus::Succeeded, 1));
}

#[tokio::test]
async fn waiting_ends_with_the_operation_or_the_deadline() {
    let fake = Fake::new(Recovery::Neither);
    let gate = Arc::new(Semaphore::new(0));
    fake.script(Call::Mutate, &[Act::Gate(Arc::clone(&gate)), Act::Done]);
    let gateway = Gateway::start(&fake).await;
    let id = gateway.submit().await;
    fake.until("Mutate", 1).await;
    let early = gateway.operations.wait(gateway.organization, &id, Instant::now()).await.unwrap();
    assert_eq!(early.status, OperationStatus::Running);
    let waiting = futures_util::future::join3(gateway.end_of(&id), gateway.end_of(&id), async { gate.add_permits(1) });
    let (one, two, ()) = timeout(PATIENCE, waiting).await.unwrap();
    assert_eq!((one.status, two.status), (OperationStatus::Succeeded, OperationStatus::Succeeded));

    let stranger = OrganizationId(uuid::Uuid::new_v4());
    let refused = gateway.operations.wait(stranger, &id, Instant::now() + PATIENCE).await.unwrap_err();
    assert_eq!(refused.kind, Kind::NotFound);
}

#[tokio::test]
async fn canceling_depends_on_how_far_it_is() {
    let fake = Fake::new(Recovery::Neither);
    let gate = Arc::new(Semaphore::new(0));
    fake.script(Call::Mutate, &[Act::Gate(Arc::clone(&gate)), Act::Send, Act::Pending("h")]);
    fake.script(Call::Poll, &[Act::Pending("h")]).script(Call::Poll, &[Act::Canceled]);
    let gateway = Gateway::start_with(&fake, Options { concurrency: 1, ..hurried() }, CancellationToken::new()).await;
    let cancel = async |id: &OperationId| gateway.operations.cancel(gateway.organization, id).await;
    let running = gateway.submit().await;
    fake.until("Mutate", 1).await;
    let queued = gateway.submit().await;

    assert_eq!(cancel(&running).await.unwrap_err().code(), "operation_not_cancelable");
    assert_eq!(cancel(&queued).await.unwrap().status, OperationStatus::Canceled);
    assert_eq!(cancel(&queued).await.unwrap_err().code(), "operation_finished");
    assert_eq!(gateway.gauge(OperationStatus::Queued), 0);
    gate.add_permits(1);
    fake.until("Poll", 1).await;
    // Between two polls the step may still be committing; it has a handle either way.
    cancel(&running).await.unwrap();
    assert_eq!(gateway.end_of(&running).await.status, OperationStatus::Canceled);
    assert_eq!((fake.count("Cancel"), fake.count("Mutate"), fake.count("sent")), (1, 1, 1));
}

#[tokio::test]
async fn secrets_are_shown_once_and_sealed_until_then() {
    let fake = Fake::new(Recovery::Neither);
    fake.script(Call::Mutate, &[Act::Send, Act::Secret]);
    let gateway = Gateway::start(&fake).await;
    let id = gateway.submit().await;
    let ended = gateway.end_of(&id).await;
    assert!(!serde_json::to_string(&ended).unwrap().contains("correct horse"));
    for file in ["portico.db", "portico.db-wal"] {
        let bytes = std::fs::read(gateway.folder.path().join(file)).unwrap();
        for secret in ["correct horse", "very private name"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} in {file}");
        }
    }
    let stranger = OrganizationId(uuid::Uuid::new_v4());
    assert!(gateway.operations.take_secrets(stranger, &id, None).await.unwrap().is_empty());
    let secrets = gateway.operations.take_secrets(gateway.organization, &id, None).await.unwrap();
    assert_eq!((secrets.len(), &*secrets[0].name, &*secrets[0].value), (1, "password", "correct horse"));
    assert!(gateway.operations.take_secrets(gateway.organization, &id, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_key_that_took_secrets_gets_them_again_and_nobody_else_does() {
    let fake = Fake::new(Recovery::Neither);
    fake.script(Call::Mutate, &[Act::Send, Act::Secret]);
    let gateway = Gateway::start(&fake).await;
    let order = Submit { idempotency: key("k", 1), ..gateway.order() };
    let id = gateway.operations.submit(order).await.unwrap().operation.id;
    gateway.end_of(&id).await;
    let named = |key: &str| KeyRef { organization: gateway.organization, scope: "POST /sites".to_owned(), key: key.to_owned() };
    let take = async |key: Option<KeyRef>| {
        gateway.operations.take_secrets(gateway.organization, &id, key.as_ref()).await.unwrap().len()
    };
    for (key, shown) in
        [(Some(named("k")), 1), (Some(named("k")), 1), (None, 0), (Some(named("other")), 0), (Some(named("k")), 1)]
    {
        assert_eq!(take(key.clone()).await, shown, "{key:?}");
    }
    gateway.store.idempotency_expire(now().plus_millis(KEY_LIFETIME_MILLIS)).await.unwrap();
    assert_eq!(take(Some(named("k"))).await, 0, "kept longer than its key");
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_when_to_come_back() {
    let fake = Fake::new(Recovery::Neither);
    let stopped = CancellationToken::new();
    stopped.cancel();
    let gateway = Gateway::start_with(&fake, Options { queue_limit: 3, ..hurried() }, stopped).await;
    for _ in 0..3 {
        gateway.submit().await;
    }
    let refused = gateway.operations.submit(gateway.order()).await.unwrap_err();
    assert_eq!((refused.kind, refused.retry_after), (Kind::Overloaded, Some(10)));
    assert_eq!(gateway.gauge(OperationStatus::Queued), 3);
    let connection = gateway.order().connection;
    assert_eq!(gateway.operations.running_for(connection).await.unwrap(), 3);
    let filter = ListFilter { status: Some(OperationStatus::Queued), ..Default::default() };
    assert_eq!(gateway.operations.list(gateway.organization, &filter, None, 2).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_failure_that_may_pass_frees_its_key_if_nothing_was_sent() {
    for (script, freed) in [
        (&[Act::Fail(Kind::Unavailable)] as &[Act], true),
        (&[Act::Fail(Kind::InvalidInput)], false),
        (&[Act::Send, Act::Fail(Kind::Unavailable)], false),
    ] {
        let fake = Fake::new(Recovery::Neither);
        fake.script(Call::Mutate, script);
        let gateway = Gateway::start(&fake).await;
        let order = || Submit { idempotency: key("k", 1), ..gateway.order() };
        let first = gateway.operations.submit(order()).await.unwrap().operation;
        assert!(gateway.end_of(&first.id).await.error.is_some());
        let again = gateway.operations.submit(order()).await.unwrap().operation;
        assert_eq!(first.id != again.id, freed, "{script:?}");
    }
}

#[tokio::test]
async fn what_the_host_certainly_did_not_do_frees_its_key() {
    let fake = Fake::new(Recovery::LookUp);
    for _ in 0..8 {
        fake.script(Call::Mutate, &[Act::Send, Act::Fail(Kind::Timeout)]).script(Call::Reconcile, &[Act::Absent]);
    }
    let gateway = Gateway::start(&fake).await;
    let order = || Submit { idempotency: key("k", 1), ..gateway.order() };
    let first = gateway.operations.submit(order()).await.unwrap().operation;
    assert_eq!(gateway.end_of(&first.id).await.error.unwrap().kind, Kind::Unavailable);
    let again = gateway.operations.submit(order()).await.unwrap().operation;
    assert_ne!(first.id, again.id);
    assert!(gateway.end_of(&again.id).await.error.is_none());
}
