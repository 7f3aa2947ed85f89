//! What every store must do with sealed values and the ids of master keys.

use super::*;
use crate::{
    seal::{KEY_LENGTH, KeyId, MasterKey, Purpose, SealedBy, Sealer},
    store::{KeyStore, SealedPosition, SealedStep},
};
use std::sync::Arc;

const OLD: [u8; KEY_LENGTH] = [21; KEY_LENGTH];
const NEW: [u8; KEY_LENGTH] = [22; KEY_LENGTH];

fn sealer(keys: &[[u8; KEY_LENGTH]]) -> Arc<Sealer> {
    let keys: Vec<_> = keys.iter().map(MasterKey::from_bytes).collect();
    Arc::new(Sealer::with_ring(&keys).unwrap())
}

fn id(key: &[u8; KEY_LENGTH]) -> KeyId {
    MasterKey::from_bytes(key).id().unwrap()
}

/// Needs a store without anything sealed.
pub async fn check<S: Store + KeyStore>(store: &S) {
    let old = sealer(&[OLD]);
    data_keys(store, &old).await;
    let connection = filled(store, &old).await;
    rotation(store, &connection).await;
    slow_writers(store, &old, connection).await;
}

async fn data_keys(store: &impl KeyStore, old: &Sealer) {
    let seal = |plain: &[u8]| old.seal(Purpose::DataKey, b"a", plain).unwrap();
    let first = store.data_key("a", &seal(b"first")).await.unwrap();
    assert_eq!(old.open(Purpose::DataKey, b"a", &first).unwrap().as_slice(), b"first");
    assert_eq!(store.data_key("a", &seal(b"second")).await.unwrap(), first, "the first stays");
    assert!(store.keys_held().await.unwrap().is_empty());
    store.keys_hold(&[id(&NEW), id(&OLD)]).await.unwrap();
    store.keys_hold(&[id(&OLD), id(&NEW)]).await.unwrap();
    assert_eq!(store.keys_held().await.unwrap(), [id(&OLD), id(&NEW)]);
}

/// More rows than one step takes.
async fn filled<S: Store + KeyStore>(store: &S, old: &Sealer) -> ConnectionRecord {
    let mine = organization(store, "keys").await;
    let mut last = connection_record(mine, "last");
    for index in 0..7 {
        let mut record = connection_record(mine, &format!("c{index}"));
        for name in ["key", "other"] {
            let sealed = old.seal(Purpose::Secret, b"facts", b"s3cret").unwrap();
            record.secrets.insert(name.to_owned(), SealedSecret { sealed, updated_at: at(6) });
        }
        store.connection_insert(&record).await.unwrap();
        let arguments = old.seal(Purpose::Operation, b"facts", b"arguments").unwrap();
        accepted(store, &NewOperation { arguments, ..new_operation(mine, 10) }).await;
        last = record;
    }
    last
}

async fn walk(store: &impl KeyStore, sealer: &Arc<Sealer>, renews: bool) -> SealedStep {
    let mut sum = SealedStep::default();
    let mut at = Some(SealedPosition::default());
    while let Some(from) = at {
        let step = match renews {
            true => store.sealed_renew(sealer, from, 3).await.unwrap(),
            false => store.sealed_check(sealer, from, 3).await.unwrap(),
        };
        sum.seen += step.seen;
        sum.renewed += step.renewed;
        sum.left += step.left;
        at = step.next;
    }
    sum
}

async fn rotation<S: Store + KeyStore>(store: &S, connection: &ConnectionRecord) {
    let (both, new) = (sealer(&[NEW, OLD]), sealer(&[NEW]));
    // One key of the store, seven connections with two secrets each, and seven arguments.
    let all = 1 + 14 + 7;
    let under = |counts: Vec<SealedCount>, key| -> u64 {
        counts.iter().filter(|one| one.by == Some(SealedBy::Key(id(key)))).map(|one| one.count).sum()
    };
    assert_eq!(under(store.sealed_counts().await.unwrap(), &OLD), all);
    assert!(!store.keys_retire(&[id(&OLD)], at(1)).await.unwrap(), "everything is sealed under it");
    assert!(store.keys_retired().await.unwrap().is_empty());
    let nothing_opens = walk(store, &new, false).await;
    assert_eq!((nothing_opens.seen, nothing_opens.left), (all, all));
    let without_the_old = walk(store, &new, true).await;
    assert_eq!((without_the_old.renewed, without_the_old.left), (0, all), "what doesn't open stays as it is");
    let renewed = walk(store, &both, true).await;
    assert_eq!((renewed.seen, renewed.renewed, renewed.left), (all, all, 0));
    assert_eq!(walk(store, &both, true).await.renewed, 0, "once is enough");
    assert_eq!(walk(store, &new, false).await.left, 0);
    assert_eq!(under(store.sealed_counts().await.unwrap(), &NEW), all);
    let now = store.connection(connection.id).await.unwrap().unwrap();
    assert_eq!(new.open(Purpose::Secret, b"facts", &now.secrets["other"].sealed).unwrap().as_slice(), b"s3cret");
    assert_eq!((now.revision, now.secrets["key"].updated_at), (connection.revision, at(6)), "clients see no change");
}

async fn slow_writers<S: Store + KeyStore>(store: &S, old: &Sealer, stale: ConnectionRecord) {
    // Before the old key is retired a slow writer may bring it back; after, it may not.
    let mut stale = ConnectionRecord { revision: stale.revision + 1, ..stale };
    store.connection_update(&stale).await.unwrap();
    assert!(!store.keys_retire(&[id(&OLD)], at(2)).await.unwrap());
    assert_eq!(walk(store, &sealer(&[NEW, OLD]), true).await.renewed, 2);
    assert!(store.keys_retire(&[id(&OLD)], at(3)).await.unwrap());
    assert!(store.keys_retire(&[id(&OLD)], at(4)).await.unwrap(), "once more does no harm");
    assert_eq!(store.keys_retired().await.unwrap(), [id(&OLD)]);
    stale.revision += 1;
    assert_eq!(kind(store.connection_update(&stale).await), Kind::Overloaded);
    let made = ConnectionRecord { id: ConnectionId(Uuid::new_v4()), slug: Slug::parse("late").unwrap(), revision: 1, ..stale };
    assert_eq!(kind(store.connection_insert(&made).await), Kind::Overloaded);
    assert!(!store.connection_slug_used(made.organization, &made.slug).await.unwrap(), "half of it was written");
    let arguments = old.seal(Purpose::Operation, b"facts", b"arguments").unwrap();
    let late = NewOperation { arguments: arguments.clone(), ..new_operation(made.organization, 11) };
    assert_eq!(kind(store.operation_accept(&late).await), Kind::Overloaded);
    let running = new_operation(made.organization, 12);
    let id = accepted(store, &running).await;
    let owner = Uuid::new_v4();
    store.runner_lease(owner, at(100)).await.unwrap();
    let claim = store.operation_claim(&id, owner, at(13)).await.unwrap().unwrap();
    let fence = Fence { id, owner, number: claim.record.fence };
    let completed = Outcome::Completed { sealed: arguments };
    assert_eq!(kind(store.operation_outcome(&fence, &completed, at(14)).await), Kind::Overloaded);
}
