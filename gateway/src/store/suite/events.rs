//! What every store must do with events.

use super::*;
use crate::{model::OperationStatus::*, store::EventSubject};
use serde_json::value::RawValue;

pub async fn check(store: &dyn Store) {
    steps(store).await;
    scopes(store).await;
    pruning(store).await;
}

async fn of(store: &dyn Store, scope: &EventScope, after: i64) -> Vec<EventRecord> {
    store.events(scope, after, 1000).await.unwrap()
}

fn operation(event: &EventRecord) -> &Operation {
    match &event.subject {
        EventSubject::Operation(operation) => operation,
        EventSubject::Health(health) => panic!("{health}"),
    }
}

async fn steps(store: &dyn Store) {
    let (organization, owner) = (organization(store, "events").await, Uuid::new_v4());
    let mut written = store.events_written();
    let before = *written.borrow_and_update();
    assert_eq!(store.events_span().await.unwrap().last, before);
    let new = new_operation(organization, 10);
    let id = accepted(store, &new).await;
    assert_eq!(*written.borrow_and_update(), before + 1, "told before the write is answered");
    store.runner_lease(owner, at(1_000)).await.unwrap();
    let fence = fence_of(&store.operation_claim(&id, owner, at(20)).await.unwrap().unwrap(), owner);
    let pending = |handle: &str, progress| {
        let handle = handle.to_owned();
        Outcome::Pending(PendingUpdate { handle, progress: Some(progress), ..PendingUpdate::default() })
    };
    // Neither another handle, nor an intent, nor the end of the work before its result is news to a client.
    for (outcome, time) in [
        (pending("h1", 40), 30),
        (pending("h2", 40), 31),
        (Outcome::Message("waits".to_owned()), 32),
        (Outcome::Message("waits".to_owned()), 33),
        (Outcome::Completed { sealed: vec![8] }, 34),
    ] {
        store.operation_outcome(&fence, &outcome, at(time)).await.unwrap();
    }
    let (present, position) = store.operation_at_event(organization, &id).await.unwrap().unwrap();
    assert_eq!((present.message.as_deref(), position), (Some("waits"), *written.borrow()));
    assert!(store.operation_at_event(OrganizationId(Uuid::new_v4()), &id).await.unwrap().is_none());
    store.operation_finish(&fence, &end(Succeeded)).await.unwrap();
    assert!(Fence::is_lost(&store.operation_finish(&fence, &end(Failed)).await.unwrap_err()));

    let events = of(store, &EventScope::Operation(organization, id), 0).await;
    let told: Vec<_> = events.iter().map(|event| (operation(event).status, operation(event).progress, event.at)).collect();
    let started = [(Queued, None, at(10)), (Running, None, at(20))];
    let went_on = [(Running, Some(40), at(30)), (Running, Some(40), at(32)), (Succeeded, Some(100), at(500))];
    assert_eq!(told, [started.as_slice(), &went_on].concat());
    assert!(events.is_sorted_by(|one, next| one.id < next.id) && events.iter().all(|event| event.connection == "docker"));
    assert_eq!(events.last().unwrap().id, *written.borrow());
    // Before the end nothing of the end is told.
    for event in &events[..4] {
        let Operation { result, error, finished_at, updated_at, .. } = operation(event);
        assert_eq!((result.is_none(), error, finished_at, *updated_at), (true, &None, &None, event.at));
    }
    let last = operation(&events[4]);
    assert_eq!((last.result.as_ref().unwrap().get(), last.finished_at), ("{\"b\":1, \"a\":2}", Some(at(500))));
    assert_eq!((&last.error, last.target.id.as_deref()), (&end(Succeeded).error, Some("docker~2")));
}

async fn scopes(store: &dyn Store) {
    let (mine, other) = (organization(store, "scopes").await, organization(store, "scopes-other").await);
    let since = store.events_span().await.unwrap().last;
    let id = accepted(store, &new_operation(mine, 10)).await;
    accepted(store, &new_operation(other, 11)).await;
    let health = RawValue::from_string("{\"status\": \"failing\"}".to_owned()).unwrap();
    let connection = Slug::parse("kinsta").unwrap();
    store.event_insert_health(&HealthEvent { organization: mine, connection, health, at: at(12) }).await.unwrap();
    assert!(store.operation_cancel_queued(&id, at(13)).await.unwrap());
    let times = |events: Vec<EventRecord>| events.iter().map(|event| event.at.as_millis()).collect::<Vec<_>>();
    for (scope, expected) in [
        (EventScope::Everyone, &[10, 11, 12, 13][..]),
        (EventScope::Organization(mine), &[10, 12, 13]),
        (EventScope::Organization(other), &[11]),
        (EventScope::Operation(mine, id.clone()), &[10, 13]),
        (EventScope::Operation(other, id), &[]),
    ] {
        assert_eq!(times(of(store, &scope, since).await), expected, "{scope:?}");
    }
    let two = store.events(&EventScope::Organization(mine), since, 2).await.unwrap();
    assert_eq!(times(of(store, &EventScope::Organization(mine), two[1].id).await), [13], "a page and what follows");
    match &two[1].subject {
        EventSubject::Health(health) => {
            assert_eq!((health.get(), two[1].connection.as_str()), ("{\"status\": \"failing\"}", "kinsta"))
        }
        other => panic!("{other:?}"),
    }
}

async fn pruning(store: &dyn Store) {
    let organization = organization(store, "pruning").await;
    for n in 0..10 {
        accepted(store, &new_operation(organization, 1_000 + n)).await;
    }
    let last = store.events_span().await.unwrap().last;
    let kept = async || of(store, &EventScope::Everyone, 0).await.iter().map(|event| event.id).collect::<Vec<_>>();
    let all = kept().await;
    assert_eq!(store.events_prune(at(0), 100_000, 500).await.unwrap(), 0);
    // The oldest first, in batches.
    assert_eq!(store.events_prune(at(1_005), 100_000, 2).await.unwrap(), 2);
    assert_eq!(kept().await, all[2..]);
    while store.events_prune(at(1_005), 100_000, 2).await.unwrap() > 0 {}
    assert_eq!(kept().await, all[all.len() - 5..]);
    assert_eq!(store.events_prune(at(0), 3, 500).await.unwrap(), 2);
    let span = store.events_span().await.unwrap();
    assert_eq!(span, EventSpan { forgotten: last - 3, last });
    assert!(span.follows(last - 3) && span.follows(last) && !span.follows(last - 4) && !span.follows(last + 1));
    // Also when all are gone, an id never comes again.
    store.events_prune(at(2_000), 3, 500).await.unwrap();
    assert_eq!(store.events_span().await.unwrap(), EventSpan { forgotten: last, last });
    accepted(store, &new_operation(organization, 3_000)).await;
    assert_eq!(kept().await, [last + 1]);
}
