//! What every store must do with labels.

use super::*;
use crate::model::{Labels, MAX_LABELS, OperationStatus::Succeeded};

pub async fn check(store: &dyn Store) {
    changes(store).await;
    ends(store).await;
    protection(store).await;
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

async fn change(store: &dyn Store, on: ConnectionId, pairs: &[(&str, Option<&str>)], time: i64) -> Result<(), Error> {
    let changes = pairs.iter().map(|&(key, value)| (key.to_owned(), value.map(str::to_owned))).collect();
    store.labels_change(on, "a/b", &changes, at(time)).await
}

async fn changes(store: &dyn Store) {
    let (mine, other) = (organization(store, "labels").await, organization(store, "labels-other").await);
    let (one, two, theirs) = (connection_record(mine, "one"), connection_record(mine, "two"), connection_record(other, "one"));
    for record in [&one, &two, &theirs] {
        store.connection_insert(record).await.unwrap();
        change(store, record.id, &[("a", Some("1")), ("b", Some(""))], 10).await.unwrap();
    }
    change(store, one.id, &[("a", Some("2")), ("b", None), ("c", Some("ä")), ("gone", None)], 11).await.unwrap();
    assert_eq!(store.labels_of(one.id, "a/b").await.unwrap(), labels(&[("a", "2"), ("c", "ä")]));
    assert_eq!(store.labels_of(one.id, "a").await.unwrap(), Labels::new());
    let mut listed = store.labels(mine).await.unwrap();
    listed.sort_by_key(|record| record.labels.len() + usize::from(record.connection == two.id));
    let record = |connection: &ConnectionRecord, pairs: &[(&str, &str)]| LabelRecord {
        connection: connection.id,
        site: "a/b".to_owned(),
        labels: labels(pairs),
    };
    assert_eq!(listed, [record(&one, &[("a", "2"), ("c", "ä")]), record(&two, &[("a", "1"), ("b", "")])]);

    // One too many, and nothing of it is there; as many may come as go.
    let keys: Vec<String> = (0..MAX_LABELS).map(|n| format!("k{n}")).collect();
    let many: Vec<(&str, Option<&str>)> = keys.iter().map(|key| (key.as_str(), Some("x"))).collect();
    let refused = change(store, one.id, &many, 12).await.unwrap_err();
    assert_eq!((refused.kind, refused.field.as_deref()), (Kind::InvalidInput, Some("labels")));
    assert_eq!(store.labels_of(one.id, "a/b").await.unwrap().len(), 2);
    change(store, one.id, &[many, vec![("a", None), ("c", None)]].concat(), 13).await.unwrap();
    assert_eq!(store.labels_of(one.id, "a/b").await.unwrap().len(), keys.len());

    store.connection_delete(one.id, false).await.unwrap();
    assert_eq!(store.labels_of(one.id, "a/b").await.unwrap(), Labels::new(), "labels outlived their connection");
    assert_eq!(kind(change(store, one.id, &[("a", Some("1"))], 14).await), Kind::NotFound);
    assert_eq!(store.labels(mine).await.unwrap().len(), 1);
    assert_eq!(store.labels(other).await.unwrap().len(), 1);
}

/// Accepts an operation on the connection at 20, changes labels at 25 and ends it like this.
async fn ended(store: &dyn Store, on: &ConnectionRecord, meanwhile: &[(&str, Option<&str>)], labels: LabelEnd) {
    let new = NewOperation { connection: on.id, ..new_operation(on.organization, 20) };
    let (id, owner) = (accepted(store, &new).await, Uuid::new_v4());
    store.runner_lease(owner, at(1_000)).await.unwrap();
    let fence = fence_of(&store.operation_claim(&id, owner, at(20)).await.unwrap().unwrap(), owner);
    change(store, on.id, meanwhile, 25).await.unwrap();
    let stale = Fence { number: fence.number + 1, ..fence.clone() };
    let finish = Finish { labels: Some(labels), ..end(Succeeded) };
    assert!(Fence::is_lost(&store.operation_finish(&stale, &finish).await.unwrap_err()));
    store.operation_finish(&fence, &finish).await.unwrap();
}

/// A connection whose sites are protected goes by force alone, and the refusal tells what is lost then.
async fn protection(store: &dyn Store) {
    let record = connection_record(organization(store, "label-protection").await, "one");
    store.connection_insert(&record).await.unwrap();
    let refused = async || store.connection_delete(record.id, false).await.unwrap_err();
    for (value, site) in [("false", "free"), ("yes", "d"), ("", "c"), ("FALSE", "b"), ("no", "a/b")] {
        let changes = [("protected".to_owned(), Some(value.to_owned()))].into();
        store.labels_change(record.id, site, &changes, at(10)).await.unwrap();
    }
    let error = refused().await;
    assert_eq!((error.kind, error.code()), (Kind::Conflict, "protected"));
    assert!(error.message.contains(": one~a=2Fb, one~b, one~c and 1 more. "), "{error}");
    assert!(error.message.contains("?force=true"), "{error}");
    let new = NewOperation { connection: record.id, ..new_operation(record.organization, 20) };
    let id = accepted(store, &new).await;
    let error = refused().await;
    assert_eq!(error.code(), "protected", "a force for the operations alone would take the protection with it");
    assert!(error.message.contains(id.as_str()), "{error}");
    for site in ["a/b", "b", "c", "d"] {
        let lift = [("protected".to_owned(), None)].into();
        store.labels_change(record.id, site, &lift, at(30)).await.unwrap();
    }
    let error = refused().await;
    assert_eq!((error.kind, error.code()), (Kind::Conflict, "operations_running"));
    assert!(error.message.contains(&format!(": {}. ", id.as_str())) && error.message.contains("?force=true"), "{error}");
    assert_eq!(
        store.labels_of(record.id, "free").await.unwrap(),
        labels(&[("protected", "false")]),
        "a refusal changed labels"
    );
    // Nothing is left that keeps it; and what comes again keeps it again.
    assert!(store.operation_cancel_queued(&id, at(40)).await.unwrap());
    let again = [("protected".to_owned(), Some("yes".to_owned()))].into();
    store.labels_change(record.id, "free", &again, at(50)).await.unwrap();
    assert_eq!(refused().await.code(), "protected");
    assert!(store.connection_delete(record.id, true).await.unwrap());
    assert_eq!(store.labels_of(record.id, "free").await.unwrap(), Labels::new());
}

async fn ends(store: &dyn Store) {
    let record = connection_record(organization(store, "label-ends").await, "one");
    store.connection_insert(&record).await.unwrap();
    // Labels of an earlier site of the same id.
    change(store, record.id, &[("protected", Some("yes")), ("a", Some("old"))], 10).await.unwrap();
    let site = || "a/b".to_owned();
    let made = |pairs| LabelEnd::Made { site: site(), labels: labels(pairs) };
    ended(store, &record, &[("b", Some("meanwhile"))], made(&[("a", "new"), ("b", "new")])).await;
    assert_eq!(store.labels_of(record.id, "a/b").await.unwrap(), labels(&[("a", "new"), ("b", "meanwhile")]));
    // Also with what was said meanwhile there are never too many.
    let keys: Vec<String> = (0..MAX_LABELS).map(|n| format!("k{n}")).collect();
    let many = keys.iter().map(|key| (key.clone(), String::new())).collect();
    ended(store, &record, &[("b", Some("again"))], LabelEnd::Made { site: site(), labels: many }).await;
    let now = store.labels_of(record.id, "a/b").await.unwrap();
    assert_eq!((now.len(), now["b"].as_str()), (keys.len(), "again"));
    ended(store, &record, &[], LabelEnd::Gone { site: site() }).await;
    assert_eq!(store.labels_of(record.id, "a/b").await.unwrap(), Labels::new());
}
