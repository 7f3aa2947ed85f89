//! What every store must do with the audit log.

use super::*;
use std::sync::Arc;

pub async fn check(store: &dyn Store) {
    rows_are_listed(store).await;
    a_change_carries_its_row(store).await;
    what_changes_nothing_is_not_done(store).await;
    somebody_becomes_known(store).await;
    operations_tell_their_cause(store).await;
    who_takes_secrets_is_told(store).await;
}

fn entry(organization: OrganizationId, time: i64, principal: &str, action: &str) -> AuditEntry {
    AuditEntry {
        at: at(time),
        organization: Some(organization),
        principal: principal.to_owned(),
        client: Some([192, 0, 2, 7].into()),
        action: action.to_owned(),
        target: None,
        outcome: "done".to_owned(),
        status: Some(200),
        request_id: None,
        operation: None,
    }
}

async fn rows(store: &dyn Store, organization: OrganizationId) -> Vec<AuditEntry> {
    let rows = store.audit_rows(organization, &AuditFilter::default(), None, 100).await.unwrap();
    rows.into_iter().map(|row| row.entry).collect()
}

async fn rows_are_listed(store: &dyn Store) {
    let (mine, other) = (organization(store, "audit").await, organization(store, "audit-other").await);
    let all = [(10, "token:1", "a"), (20, "user:1", "b"), (30, "token:1", "b"), (40, "user:1", "a")];
    for (time, principal, action) in all {
        store.audit(&entry(mine, time, principal, action)).await.unwrap();
        store.audit(&entry(other, time, principal, action)).await.unwrap();
    }
    let listed = store.audit_rows(mine, &AuditFilter::default(), None, 3).await.unwrap();
    assert_eq!(listed.iter().map(|row| row.entry.at).collect::<Vec<_>>(), [at(40), at(30), at(20)]);
    assert_eq!(listed[0].entry, entry(mine, 40, "user:1", "a"));
    let rest = store.audit_rows(mine, &AuditFilter::default(), Some(listed[2].id), 3).await.unwrap();
    assert_eq!(rest.iter().map(|row| row.entry.at).collect::<Vec<_>>(), [at(10)]);
    for (filter, times) in [
        (AuditFilter { since: Some(at(20)), until: Some(at(40)), ..Default::default() }, vec![at(30), at(20)]),
        (AuditFilter { principal: Some("user:1".to_owned()), ..Default::default() }, vec![at(40), at(20)]),
        (
            AuditFilter { action: Some("b".to_owned()), principal: Some("token:1".to_owned()), ..Default::default() },
            vec![at(30)],
        ),
        (AuditFilter { action: Some("c".to_owned()), ..Default::default() }, vec![]),
    ] {
        let found = store.audit_rows(mine, &filter, None, 100).await.unwrap();
        assert_eq!(found.into_iter().map(|row| row.entry.at).collect::<Vec<_>>(), times, "{filter:?}");
    }
}

async fn a_change_carries_its_row(store: &dyn Store) {
    let organization = organization(store, "audit-changes").await;
    let cause = |target: &str| {
        let cause = Cause::new(Some(organization), "token:1", "connections.create");
        Arc::new(cause.from(Some([192, 0, 2, 7].into()), Some("r-1".to_owned())).about(target))
    };
    let (made, refused) = (cause("/connections/one"), cause("/connections/one"));
    caused_by(Arc::clone(&made), async {
        let _read = store.connections(organization).await.unwrap();
        // Work in a task of its own is this request's, too.
        inherit(store.connection_insert(&connection_record(organization, "one"))).await.unwrap();
    })
    .await;
    let again = caused_by(Arc::clone(&refused), store.connection_insert(&connection_record(organization, "one"))).await;
    assert_eq!((kind(again), made.is_recorded(), refused.is_recorded()), (Kind::Conflict, true, false));
    store.connection_insert(&connection_record(organization, "two")).await.unwrap();
    let found = rows(store, organization).await;
    assert_eq!(found.len(), 1, "{found:?}");
    let AuditEntry { principal, client, action, target, outcome, request_id, .. } = &found[0];
    assert_eq!((principal.as_str(), action.as_str(), outcome.as_str()), ("token:1", "connections.create", "done"));
    assert_eq!((target.as_deref(), request_id.as_deref()), (Some("/connections/one"), Some("r-1")));
    assert_eq!(*client, Some([192, 0, 2, 7].into()));
}

async fn operations_tell_their_cause(store: &dyn Store) {
    let organization = organization(store, "audit-operations").await;
    let cause = Arc::new(Cause::new(Some(organization), "token:1", "sites.stop").from(None, Some("r-2".to_owned())));
    let new = new_operation(organization, 10);
    let id = caused_by(Arc::clone(&cause), accepted(store, &new)).await;
    assert!(cause.is_recorded());
    let canceler = Arc::new(Cause::new(Some(organization), "user:2", "operations.cancel"));
    assert!(caused_by(canceler, store.operation_cancel_queued(&id, at(11))).await.unwrap());
    let told: Vec<_> =
        rows(store, organization).await.into_iter().map(|row| (row.principal, row.action, row.outcome)).collect();
    let expected =
        [("user:2", "operations.cancel", "done"), ("token 1", "sites.stop", "canceled"), ("token 1", "sites.stop", "accepted")];
    assert_eq!(told, expected.map(|(who, what, how)| (who.to_owned(), what.to_owned(), how.to_owned())));
    let accepted = rows(store, organization).await.pop().unwrap();
    assert_eq!((accepted.request_id.as_deref(), accepted.target.as_deref()), (Some("r-2"), Some("/sites/docker~1")));
    assert_eq!(accepted.operation.as_deref(), Some(id.as_str()));
}

async fn what_changes_nothing_is_not_done(store: &dyn Store) {
    let organization = organization(store, "audit-nothing").await;
    let (owner, key) = (Uuid::new_v4(), KeyRef { organization, scope: "s".to_owned(), key: "k".to_owned() });
    let limit = KeyLimit { keys: 9, bytes: 99 };
    let (fingerprint, now, expires_at) = ([1; 32], at(10), at(1000));
    let reservation = Reservation { key: key.clone(), fingerprint, owner, runs: Runs::default(), now, expires_at, limit };
    assert_eq!(store.idempotency_reserve(&reservation).await.unwrap(), Reserved::New);
    let cause = Arc::new(Cause::new(Some(organization), "token:1", "members.remove"));
    let token = TokenRecord { role: crate::model::Role::Admin, ..super::tokens::record(organization, 151) };
    store.token_insert(&token).await.unwrap();
    let by = super::actors::admin(format!("token:{}", token.id));
    let nobody = under_key(key.clone(), store.member_remove(organization, Uuid::new_v4(), &by));
    assert_eq!(caused_by(Arc::clone(&cause), nobody).await.unwrap(), Ok(MemberChange::NotFound));
    assert!(!cause.is_recorded() && rows(store, organization).await.is_empty(), "told as done");
    store.idempotency_end(&key, owner, &KeyEnd::AnsweredIfChanged(vec![9])).await.unwrap();
    assert_eq!(store.idempotency_reserve(&reservation).await.unwrap(), Reserved::New, "the key isn't free");
}

async fn somebody_becomes_known(store: &dyn Store) {
    let (mine, other) = (organization(store, "audit-known").await, organization(store, "audit-known-too").await);
    let cause = Arc::new(Cause::new(None, "nobody", "auth.register"));
    caused_by(Arc::clone(&cause), async {
        by(mine, "user:7");
        concerns([mine, other]);
        store.connection_insert(&connection_record(mine, "one")).await.unwrap();
    })
    .await;
    for organization in [mine, other] {
        let found = rows(store, organization).await;
        assert_eq!(found.iter().map(|row| row.principal.as_str()).collect::<Vec<_>>(), ["user:7"]);
    }
}

async fn who_takes_secrets_is_told(store: &dyn Store) {
    let organization = organization(store, "audit-secrets").await;
    let (id, owner) = (accepted(store, &new_operation(organization, 10)).await, Uuid::new_v4());
    store.runner_lease(owner, at(10_000)).await.unwrap();
    let fence = fence_of(&store.operation_claim(&id, owner, at(20)).await.unwrap().unwrap(), owner);
    store.operation_finish(&fence, &end(OperationStatus::Succeeded)).await.unwrap();
    let take = async |who: &str| {
        let cause = Cause::new(Some(organization), who, "operations.get").from(None, Some("r-3".to_owned()));
        caused_by(Arc::new(cause), store.operation_take_secrets(organization, &id, None, at(30))).await.unwrap()
    };
    assert_eq!((take("token:2").await, take("token:3").await), (Some(vec![7; 10]), None));
    let all = rows(store, organization).await;
    let told: Vec<_> = all.iter().filter(|row| row.action == "operations.secrets").collect();
    assert_eq!(told.len(), 1, "{all:?}");
    let AuditEntry { principal, target, outcome, request_id, operation, .. } = told[0];
    assert_eq!((principal.as_str(), outcome.as_str(), request_id.as_deref()), ("token:2", "done", Some("r-3")));
    assert_eq!((target.as_deref(), operation.as_deref()), (Some(&*format!("/operations/{id}")), Some(id.as_str())));
}
