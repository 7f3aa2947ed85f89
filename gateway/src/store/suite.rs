//! What every store must do, as one suite: each backend runs it over a store of its own.
//!
//! In goes an empty store. Invariant: nothing here knows which backend it is, so that a second one is held to the same.

mod actors;
mod audit;
mod events;
mod idempotency;
pub mod keys;
mod labels;
mod tokens;
mod users;

use super::*;
use crate::model::{Action, Kind, OperationStatus, Target};

pub async fn check(store: &dyn Store) {
    organizations(store).await;
    connections(store).await;
    many_connections(store).await;
    state(store).await;
    acceptance(store).await;
    listing(store).await;
    fences(store).await;
    outcomes_and_end(store).await;
    cancel(store).await;
    tokens::check(store).await;
    labels::check(store).await;
    events::check(store).await;
    idempotency::check(store).await;
    audit::check(store).await;
    users::check(store).await;
    actors::check(store).await;
    // The last, since it takes all events away, and whatever else has ended.
    old_operations(store).await;
}

const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub async fn organization(store: &dyn Store, slug: &str) -> OrganizationId {
    let id = OrganizationId(Uuid::new_v4());
    let organization = Organization { id, slug: Slug::parse(slug).unwrap(), name: slug.to_owned(), created_at: at(1) };
    store.organization_insert(&organization).await.unwrap();
    id
}

pub fn connection_record(organization: OrganizationId, slug: &str) -> ConnectionRecord {
    let sealed = SealedSecret { sealed: vec![1, 2, 3], updated_at: at(6) };
    ConnectionRecord {
        id: ConnectionId(Uuid::new_v4()),
        organization,
        slug: Slug::parse(slug).unwrap(),
        provider: "sandbox".to_owned(),
        name: "Test".to_owned(),
        settings: serde_json::json!({"latency": 3}),
        tls: TlsTrust { ca: None, fingerprint: Some("ab".to_owned()) },
        secrets: [("key".to_owned(), sealed)].into(),
        revision: 1,
        created_at: at(5),
        updated_at: at(5),
    }
}

pub fn new_operation(organization: OrganizationId, created: i64) -> NewOperation {
    NewOperation {
        operation: Operation {
            id: OperationId::generate(),
            action: Action::SitesStop,
            connection: "docker".to_owned(),
            target: Target { kind: "site".to_owned(), id: Some("docker~1".to_owned()), site: None },
            status: OperationStatus::Queued,
            progress: None,
            message: None,
            result: None,
            error: None,
            estimated_completion_at: None,
            created_at: at(created),
            updated_at: at(created),
            finished_at: None,
            native: None,
        },
        organization,
        connection: ConnectionId(Uuid::new_v4()),
        principal: "token 1".to_owned(),
        arguments: vec![9; 40],
        idempotency: None,
        queue_limit: 100,
    }
}

async fn accepted(store: &dyn Store, new: &NewOperation) -> OperationId {
    assert!(matches!(store.operation_accept(new).await.unwrap(), Acceptance::Accepted));
    new.operation.id.clone()
}

fn kind<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Kind {
    outcome.unwrap_err().kind
}

async fn organizations(store: &dyn Store) {
    let id = organization(store, "organizations").await;
    let slug = Slug::parse("organizations").unwrap();
    assert_eq!(store.organization_by_slug(&slug).await.unwrap().unwrap().id, id);
    assert_eq!(store.organization(id).await.unwrap().unwrap().created_at, at(1));
    assert!(store.organization(OrganizationId(Uuid::new_v4())).await.unwrap().is_none());
    let again = Organization { id: OrganizationId(Uuid::new_v4()), slug, name: String::new(), created_at: at(1) };
    assert_eq!(kind(store.organization_insert(&again).await), Kind::Conflict);
}

async fn connections(store: &dyn Store) {
    let (mine, other) = (organization(store, "mine").await, organization(store, "other").await);
    let mut record = connection_record(mine, "docker");
    store.connection_insert(&record).await.unwrap();
    store.connection_insert(&connection_record(other, "docker")).await.unwrap();
    assert_eq!(kind(store.connection_insert(&connection_record(mine, "docker")).await), Kind::Conflict);

    let read = store.connection(record.id).await.unwrap().unwrap();
    assert_eq!((&read.settings, &read.tls, read.revision), (&record.settings, &record.tls, 1));
    assert_eq!(read.secrets["key"].sealed, [1, 2, 3]);
    record.revision = 2;
    record.settings = serde_json::json!({});
    store.connection_update(&record).await.unwrap();
    assert_eq!(kind(store.connection_update(&record).await), Kind::Conflict);
    assert_eq!(store.connection(record.id).await.unwrap().unwrap().settings, serde_json::json!({}));
    let listed: Vec<_> = store.connections(mine).await.unwrap().into_iter().map(|found| found.id).collect();
    assert_eq!(listed, [record.id]);

    let new = NewOperation { connection: record.id, ..new_operation(mine, 10) };
    accepted(store, &new).await;
    assert_eq!(store.operations_open(record.id).await.unwrap(), 1);
    assert_eq!(kind(store.connection_delete(record.id, false).await), Kind::Conflict);
    assert!(store.connection_delete(record.id, true).await.unwrap());
    assert!(!store.connection_delete(record.id, true).await.unwrap());
    assert!(store.connection(record.id).await.unwrap().is_none());
    assert_eq!(kind(store.connection_insert(&connection_record(mine, "docker")).await), Kind::Conflict, "reused");
    assert!(store.connection_slug_used(mine, &Slug::parse("docker").unwrap()).await.unwrap());
    assert!(!store.connection_slug_used(mine, &Slug::parse("docker-2").unwrap()).await.unwrap());
}

async fn many_connections(store: &dyn Store) {
    let mine = organization(store, "many-connections").await;
    let all: Vec<_> = (0..MAX_CONNECTIONS).map(|number| connection_record(mine, &format!("c-{number}"))).collect();
    futures_util::future::try_join_all(all.iter().map(|record| store.connection_insert(record))).await.unwrap();
    let more = connection_record(mine, "more");
    let refused = store.connection_insert(&more).await.unwrap_err();
    assert_eq!((refused.kind, refused.code()), (Kind::Conflict, "too_many_connections"));
    assert!(!store.connection_slug_used(mine, &more.slug).await.unwrap(), "its id was used up");
    assert!(store.connection_delete(all[0].id, false).await.unwrap());
    store.connection_insert(&more).await.unwrap();
}

async fn state(store: &dyn Store) {
    let organization = organization(store, "state").await;
    let (one, two) = (connection_record(organization, "one"), connection_record(organization, "two"));
    store.connection_insert(&one).await.unwrap();
    store.connection_insert(&two).await.unwrap();
    store.state_set(one.id, "key", b"a").await.unwrap();
    store.state_set(one.id, "key", b"b").await.unwrap();
    store.state_set(two.id, "key", b"other").await.unwrap();
    store.state_set(two.id, "gone", b"").await.unwrap();
    store.state_delete(two.id, "gone").await.unwrap();
    assert_eq!(store.state_load(one.id).await.unwrap(), [("key".to_owned(), b"b".to_vec())]);
    assert_eq!(store.state_load(two.id).await.unwrap(), [("key".to_owned(), b"other".to_vec())]);
    store.connection_delete(one.id, false).await.unwrap();
    store.state_set(one.id, "late", b"x").await.unwrap();
    assert_eq!(store.state_load(one.id).await.unwrap(), [], "state outlived its connection");
}

async fn acceptance(store: &dyn Store) {
    let (mine, other) = (organization(store, "accept").await, organization(store, "accept-other").await);
    let key = |fingerprint, expires| {
        let scope = "POST /sites token 1".to_owned();
        Some(IdempotencyRecord { scope, key: "k".to_owned(), fingerprint: [fingerprint; 32], expires_at: at(expires) })
    };
    let first = NewOperation { idempotency: key(1, 100), ..new_operation(mine, 10) };
    let id = accepted(store, &first).await;
    match store.operation_accept(&NewOperation { idempotency: key(1, 120), ..new_operation(mine, 20) }).await.unwrap() {
        Acceptance::Existing(found) => assert_eq!(found.id, id),
        other => panic!("{other:?}"),
    }
    let changed = NewOperation { idempotency: key(2, 120), ..new_operation(mine, 20) };
    assert!(matches!(store.operation_accept(&changed).await.unwrap(), Acceptance::KeyReused));
    accepted(store, &NewOperation { idempotency: key(2, 120), ..new_operation(other, 20) }).await;
    accepted(store, &NewOperation { idempotency: key(2, 220), ..new_operation(mine, 100) }).await;
    store.idempotency_expire(at(220)).await.unwrap();
    accepted(store, &NewOperation { idempotency: key(3, 320), ..new_operation(mine, 150) }).await;

    let full = NewOperation { queue_limit: 3, ..new_operation(mine, 30) };
    assert!(matches!(store.operation_accept(&full).await.unwrap(), Acceptance::QueueFull));
    assert!(store.operation(mine, &full.operation.id).await.unwrap().is_none());
    assert!(store.operation(other, &id).await.unwrap().is_none(), "another organization's operation");
    let record = store.operation_record(&id).await.unwrap().unwrap();
    assert_eq!((record.organization, record.connection, record.arguments), (mine, first.connection, Some(vec![9; 40])));
}

async fn listing(store: &dyn Store) {
    let organization = organization(store, "listing").await;
    let mut ids = Vec::new();
    for index in 0..7 {
        let mut new = new_operation(organization, 10 + index / 2);
        if index == 3 {
            new.operation.connection = "kinsta".to_owned();
            new.operation.action = Action::BackupsCreate;
            new.operation.target = Target { kind: "backup".to_owned(), id: None, site: Some("kinsta~7".to_owned()) };
        }
        ids.push((new.operation.created_at, accepted(store, &new).await));
    }
    ids.sort();
    ids.reverse();
    let mut walked = Vec::new();
    while let Ok(page) = store.operations(organization, &ListFilter::default(), walked.last(), 3).await
        && !page.is_empty()
    {
        walked.extend(page.into_iter().map(|operation| (operation.created_at, operation.id)));
    }
    assert_eq!(walked, ids);
    let kinsta = || Some("kinsta".to_owned());
    for (filter, expected) in [
        (ListFilter { connection: kinsta(), ..Default::default() }, 1),
        (ListFilter { action: Some(Action::SitesStop), ..Default::default() }, 6),
        (ListFilter { target: Some("kinsta~7".to_owned()), ..Default::default() }, 1),
        (ListFilter { target: Some("docker~1".to_owned()), ..Default::default() }, 6),
        (ListFilter { status: Some(OperationStatus::Queued), ..Default::default() }, 7),
        (ListFilter { status: Some(OperationStatus::Failed), ..Default::default() }, 0),
        (ListFilter { connection: kinsta(), action: Some(Action::SitesStop), ..Default::default() }, 0),
        (ListFilter { connections: Some(vec![]), ..Default::default() }, 0),
        (ListFilter { connections: Some(vec!["kinsta".to_owned(), "other".to_owned()]), ..Default::default() }, 1),
        (ListFilter { connections: Some(vec!["docker".to_owned()]), connection: kinsta(), ..Default::default() }, 0),
    ] {
        assert_eq!(store.operations(organization, &filter, None, 100).await.unwrap().len(), expected, "{filter:?}");
    }
}

pub fn fence_of(claim: &Claim, owner: Uuid) -> Fence {
    Fence { id: claim.record.operation.id.clone(), owner, number: claim.record.fence }
}

async fn fences(store: &dyn Store) {
    let organization = organization(store, "fences").await;
    let id = accepted(store, &new_operation(organization, 10)).await;
    let (old, new) = (Uuid::new_v4(), Uuid::new_v4());
    store.runner_lease(old, at(100)).await.unwrap();
    assert!(store.operations_claimable(at(50), None, 1000).await.unwrap().contains(&(id.clone(), organization)));
    let claim = store.operation_claim(&id, old, at(50)).await.unwrap().unwrap();
    assert_eq!((claim.from, claim.record.operation.status), (OperationStatus::Queued, OperationStatus::Running));
    let stale = fence_of(&claim, old);
    store.operation_sent(&stale, &[1; 32], at(60)).await.unwrap();
    assert!(store.operation_claim(&id, new, at(60)).await.unwrap().is_none(), "taken from an owner with a lease");
    assert!(!store.operations_claimable(at(60), None, 1000).await.unwrap().contains(&(id.clone(), organization)));
    assert!(Fence::is_lost(&store.operation_sent(&stale, &[1; 32], at(100)).await.unwrap_err()), "sent without a lease");

    let claim = store.operation_claim(&id, new, at(100)).await.unwrap().unwrap();
    assert_eq!((claim.from, claim.record.sent_at, claim.record.steps), (OperationStatus::Running, Some(at(60)), 1));
    let late = Outcome::Completed { sealed: vec![1] };
    assert!(Fence::is_lost(&store.operation_outcome(&stale, &late, at(70)).await.unwrap_err()));
    assert!(Fence::is_lost(&store.operation_finish(&stale, &end(OperationStatus::Failed)).await.unwrap_err()));
    assert_eq!(store.operation(organization, &id).await.unwrap().unwrap().status, OperationStatus::Running);

    store.runner_release(new).await.unwrap();
    let claim = store.operation_claim(&id, old, at(101)).await.unwrap().unwrap();
    store.operation_finish(&fence_of(&claim, old), &end(OperationStatus::Succeeded)).await.unwrap();
    assert!(store.operation_claim(&id, old, at(102)).await.unwrap().is_none(), "a finished one was claimed");
    let twice = store.operation_finish(&fence_of(&claim, old), &end(OperationStatus::Failed)).await;
    assert!(Fence::is_lost(&twice.unwrap_err()), "a terminal status changed");
}

fn end(status: OperationStatus) -> Finish {
    Finish {
        status,
        target: Target { kind: "site".to_owned(), id: Some("docker~2".to_owned()), site: None },
        progress: Some(100),
        message: Some("done".to_owned()),
        result: serde_json::value::RawValue::from_string("{\"b\":1, \"a\":2}".to_owned()).ok(),
        native: None,
        error: Some(Error::new(Kind::Conflict, "why").with_field("name")),
        secrets: Some(vec![7; 10]),
        frees_key: false,
        labels: None,
        at: at(500),
    }
}

async fn outcomes_and_end(store: &dyn Store) {
    let organization = organization(store, "outcomes").await;
    let before = store.operation_counts().await.unwrap();
    let id = accepted(store, &new_operation(organization, 10)).await;
    assert_eq!(store.operation_counts().await.unwrap(), OpenCounts { queued: before.queued + 1, ..before });
    let owner = Uuid::new_v4();
    store.runner_lease(owner, at(1_000)).await.unwrap();
    let fence = fence_of(&store.operation_claim(&id, owner, at(20)).await.unwrap().unwrap(), owner);
    assert_eq!(store.operation_counts().await.unwrap(), OpenCounts { running: before.running + 1, ..before });
    let update = PendingUpdate {
        handle: "h1".to_owned(),
        target_id: None,
        progress: Some(40),
        message: Some("pulling".to_owned()),
        estimated_completion_at: Some(at(900)),
    };
    store.operation_sent(&fence, &[2; 32], at(25)).await.unwrap();
    store.operation_outcome(&fence, &Outcome::Pending(update), at(30)).await.unwrap();
    let record = store.operation_record(&id).await.unwrap().unwrap();
    assert_eq!((record.handle.as_deref(), record.operation.progress), (Some("h1"), Some(40)));
    assert_eq!(record.operation.target.id.as_deref(), Some("docker~1"), "an unknown target must not erase a known one");
    store.operation_outcome(&fence, &Outcome::Absent, at(31)).await.unwrap();
    store.operation_outcome(&fence, &Outcome::Completed { sealed: vec![8] }, at(32)).await.unwrap();
    let record = store.operation_record(&id).await.unwrap().unwrap();
    assert_eq!((record.sent_at, record.completion), (None, Some(vec![8])));

    assert!(store.operation_take_secrets(organization, &id, None, at(1)).await.unwrap().is_none());
    store.operation_finish(&fence, &end(OperationStatus::Succeeded)).await.unwrap();
    assert_eq!(store.operation_counts().await.unwrap(), before);
    let ended = store.operation_record(&id).await.unwrap().unwrap();
    assert_eq!((ended.arguments, ended.completion), (None, None), "kept after the end");
    assert_eq!(ended.operation.result.unwrap().get(), "{\"b\":1, \"a\":2}");
    assert_eq!(ended.operation.error, end(OperationStatus::Succeeded).error);
    assert_eq!((ended.operation.finished_at, ended.operation.estimated_completion_at), (Some(at(500)), None));
    assert_eq!(store.operation_take_secrets(OrganizationId(Uuid::new_v4()), &id, None, at(1)).await.unwrap(), None);
    assert_eq!(store.operation_take_secrets(organization, &id, None, at(1)).await.unwrap(), Some(vec![7; 10]));
    assert_eq!(store.operation_take_secrets(organization, &id, None, at(1)).await.unwrap(), None, "shown twice");
}

async fn cancel(store: &dyn Store) {
    let organization = organization(store, "cancel").await;
    let id = accepted(store, &new_operation(organization, 10)).await;
    assert!(store.operation_cancel_queued(&id, at(11)).await.unwrap());
    assert!(!store.operation_cancel_queued(&id, at(12)).await.unwrap());
    let operation = store.operation(organization, &id).await.unwrap().unwrap();
    assert_eq!((operation.status, operation.finished_at), (OperationStatus::Canceled, Some(at(11))));
    let owner = Uuid::new_v4();
    store.runner_lease(owner, at(1_000)).await.unwrap();
    let id = accepted(store, &new_operation(organization, 10)).await;
    let fence = fence_of(&store.operation_claim(&id, owner, at(20)).await.unwrap().unwrap(), owner);
    assert!(!store.operation_cancel_queued(&id, at(21)).await.unwrap(), "a running one was canceled");
    store.operation_outcome(&fence, &Outcome::Queued { message: None }, at(22)).await.unwrap();
    assert!(store.operation_cancel_queued(&id, at(23)).await.unwrap());
}

async fn old_operations(store: &dyn Store) {
    let organization = organization(store, "old-operations").await;
    let key = KeyRef { organization, scope: "POST /sites".to_owned(), key: "old".to_owned() };
    let record =
        IdempotencyRecord { scope: key.scope.clone(), key: key.key.clone(), fingerprint: [1; 32], expires_at: at(100_000) };
    let old = accepted(store, &NewOperation { idempotency: Some(record), ..new_operation(organization, 10) }).await;
    let young = accepted(store, &new_operation(organization, 10)).await;
    let open = accepted(store, &new_operation(organization, 10)).await;
    assert!(store.operation_cancel_queued(&old, at(11)).await.unwrap());
    assert!(store.operation_cancel_queued(&young, at(5_000)).await.unwrap());
    let left = async || {
        let mut left = Vec::new();
        for id in [&old, &young, &open] {
            left.push(store.operation(organization, id).await.unwrap().is_some());
        }
        left
    };
    let prune = async |before: i64| {
        while store.operations_prune(at(before), 2).await.unwrap() > 0 {}
    };
    prune(1_000).await;
    assert_eq!(left().await, [true, true, true], "its events are still told");
    while store.events_prune(at(10_000), 0, 500).await.unwrap() > 0 {}
    assert!(store.operation_of_key(&key, at(20)).await.unwrap());
    prune(1_000).await;
    assert_eq!(left().await, [false, true, true]);
    assert!(!store.operation_of_key(&key, at(20)).await.unwrap(), "its key stayed");
    prune(10_000).await;
    assert_eq!(left().await, [false, false, true], "what goes on was taken away, too");
}
