//! What every store must do with idempotency keys of changes that make no operation.

use super::*;

const LIMIT: KeyLimit = KeyLimit { keys: 4, bytes: 100 };

fn reservation(organization: OrganizationId, key: &str, owner: Uuid, now: i64) -> Reservation {
    let key = KeyRef { organization, scope: "token 1 POST /connections".to_owned(), key: key.to_owned() };
    Reservation {
        key,
        fingerprint: [1; 32],
        owner,
        runs: running(true),
        now: at(now),
        expires_at: at(now + 1000),
        limit: LIMIT,
    }
}

/// The requests under a key: the one that asks, and whether there is another.
fn running(others: bool) -> Runs {
    let runs = Runs::default();
    (0..=u8::from(others)).for_each(|_| runs.begin());
    runs
}

pub async fn check(store: &dyn Store) {
    one_key_is_one_answer(store).await;
    what_a_process_left(store).await;
    what_a_process_could_not_end(store).await;
    answers_that_are_lost(store).await;
    limits(store).await;
    keys_of_operations(store).await;
}

async fn one_key_is_one_answer(store: &dyn Store) {
    let (mine, other) = (organization(store, "keys").await, organization(store, "keys-other").await);
    let owner = Uuid::new_v4();
    let reserve = async |reservation: Reservation| store.idempotency_reserve(&reservation).await.unwrap();
    let again = |now| reservation(mine, "k", owner, now);
    assert_eq!(reserve(again(10)).await, Reserved::New);
    assert_eq!(reserve(again(11)).await, Reserved::InProgress);
    let changed = || Reservation { fingerprint: [2; 32], ..again(11) };
    assert_eq!(reserve(changed()).await, Reserved::Reused);
    assert_eq!(reserve(reservation(other, "k", owner, 11)).await, Reserved::New, "another organization's key");
    let elsewhere = KeyRef { scope: "token 1 POST /tokens".to_owned(), ..again(11).key };
    assert_eq!(reserve(Reservation { key: elsewhere, ..again(11) }).await, Reserved::New, "another path's key");
    // Not by one who doesn't hold it.
    store.idempotency_end(&again(0).key, Uuid::new_v4(), &KeyEnd::Free).await.unwrap();
    assert_eq!(reserve(again(12)).await, Reserved::InProgress);
    store.idempotency_end(&again(0).key, owner, &KeyEnd::Answered(vec![5; 3])).await.unwrap();
    assert_eq!(reserve(again(13)).await, Reserved::Answered(vec![5; 3]));
    store.idempotency_end(&again(0).key, owner, &KeyEnd::Free).await.unwrap();
    assert_eq!(reserve(again(1009)).await, Reserved::Answered(vec![5; 3]), "an answer that was kept went");
    assert_eq!(reserve(changed()).await, Reserved::Reused);
    assert_eq!(reserve(again(1010)).await, Reserved::New, "a key is kept longer than its time");
    store.idempotency_end(&again(0).key, owner, &KeyEnd::AnsweredIfChanged(vec![1])).await.unwrap();
    assert_eq!(reserve(again(1011)).await, Reserved::New, "nothing was changed, and the key isn't free");
    store.idempotency_end(&again(0).key, owner, &KeyEnd::AnswerLost).await.unwrap();
    assert_eq!(reserve(again(1012)).await, Reserved::AnswerLost);
    store.idempotency_expire(at(3000)).await.unwrap();
    assert_eq!(reserve(again(1013)).await, Reserved::New);
}

/// The process lives, but what it did under the keys has ended without a word.
async fn what_a_process_could_not_end(store: &dyn Store) {
    let organization = organization(store, "keys-stuck").await;
    let owner = Uuid::new_v4();
    store.runner_lease(owner, at(100)).await.unwrap();
    let reserve = async |key: &str, owner, runs| {
        let reservation = Reservation { runs: running(runs), ..reservation(organization, key, owner, 10) };
        store.idempotency_reserve(&reservation).await.unwrap()
    };
    for key in ["untouched", "changed"] {
        assert_eq!(reserve(key, owner, false).await, Reserved::New);
        assert_eq!(reserve(key, owner, true).await, Reserved::InProgress);
        assert_eq!(reserve(key, Uuid::new_v4(), false).await, Reserved::InProgress, "another process can't know");
    }
    let key = reservation(organization, "changed", owner, 10).key;
    under_key(key, store.connection_insert(&connection_record(organization, "made"))).await.unwrap();
    let told = (reserve("untouched", owner, false).await, reserve("changed", owner, false).await);
    assert_eq!(told, (Reserved::New, Reserved::AnswerLost));
}

async fn what_a_process_left(store: &dyn Store) {
    let organization = organization(store, "keys-left").await;
    let (dead, alive) = (Uuid::new_v4(), Uuid::new_v4());
    store.runner_lease(dead, at(100)).await.unwrap();
    for key in ["untouched", "changed"] {
        assert_eq!(store.idempotency_reserve(&reservation(organization, key, dead, 10)).await.unwrap(), Reserved::New);
    }
    let key = reservation(organization, "changed", dead, 10).key;
    under_key(key, store.connection_insert(&connection_record(organization, "made"))).await.unwrap();
    let reserve = async |key: &str, now| store.idempotency_reserve(&reservation(organization, key, alive, now)).await.unwrap();
    assert_eq!(reserve("untouched", 50).await, Reserved::InProgress, "taken from a process with a lease");
    assert_eq!((reserve("untouched", 101).await, reserve("changed", 101).await), (Reserved::New, Reserved::AnswerLost));
    assert_eq!(reserve("untouched", 102).await, Reserved::InProgress);
    // A change that failed has marked nothing.
    let key = reservation(organization, "untouched", alive, 10).key;
    let taken = under_key(key.clone(), store.connection_insert(&connection_record(organization, "made"))).await;
    assert_eq!(kind(taken), Kind::Conflict);
    store.idempotency_end(&key, alive, &KeyEnd::AnsweredIfChanged(vec![9])).await.unwrap();
    assert_eq!(reserve("untouched", 103).await, Reserved::New);
    // One that was made is answered, whatever the status was.
    under_key(key.clone(), store.connection_insert(&connection_record(organization, "more"))).await.unwrap();
    store.idempotency_end(&key, alive, &KeyEnd::AnsweredIfChanged(vec![9])).await.unwrap();
    assert_eq!(reserve("untouched", 104).await, Reserved::Answered(vec![9]));
}

async fn answers_that_are_lost(store: &dyn Store) {
    let organization = organization(store, "keys-lost").await;
    let owner = Uuid::new_v4();
    let of = |key: &str| reservation(organization, key, owner, 10);
    for (key, changes, told) in [("refused", false, Reserved::New), ("made", true, Reserved::AnswerLost)] {
        assert_eq!(store.idempotency_reserve(&of(key)).await.unwrap(), Reserved::New);
        if changes {
            under_key(of(key).key, store.connection_insert(&connection_record(organization, key))).await.unwrap();
        }
        store.idempotency_end(&of(key).key, owner, &KeyEnd::AnswerLostIfChanged).await.unwrap();
        assert_eq!(store.idempotency_reserve(&of(key)).await.unwrap(), told);
    }
}

async fn limits(store: &dyn Store) {
    let (mine, other) = (organization(store, "keys-many").await, organization(store, "keys-few").await);
    let owner = Uuid::new_v4();
    for key in ["1", "2", "3", "4"] {
        assert_eq!(store.idempotency_reserve(&reservation(mine, key, owner, 10)).await.unwrap(), Reserved::New);
    }
    assert_eq!(store.idempotency_reserve(&reservation(mine, "5", owner, 10)).await.unwrap(), Reserved::Full);
    assert_eq!(store.idempotency_reserve(&reservation(mine, "4", owner, 10)).await.unwrap(), Reserved::InProgress);
    let large = reservation(other, "1", owner, 10);
    assert_eq!(store.idempotency_reserve(&large).await.unwrap(), Reserved::New);
    store.idempotency_end(&large.key, owner, &KeyEnd::Answered(vec![0; 100])).await.unwrap();
    assert_eq!(store.idempotency_reserve(&reservation(other, "2", owner, 10)).await.unwrap(), Reserved::Full);
}

/// One key is one thing: never an operation and an answer.
async fn keys_of_operations(store: &dyn Store) {
    let organization = organization(store, "keys-both").await;
    let owner = Uuid::new_v4();
    let own = reservation(organization, "k", owner, 10);
    let scope = own.key.scope.clone();
    let record =
        |key: &str| IdempotencyRecord { scope: scope.clone(), key: key.to_owned(), fingerprint: [1; 32], expires_at: at(1010) };
    let operation = |key: &str| NewOperation { idempotency: Some(record(key)), ..new_operation(organization, 10) };
    let id = accepted(store, &operation("op")).await;
    assert_eq!(store.idempotency_reserve(&reservation(organization, "op", owner, 11)).await.unwrap(), Reserved::Reused);
    assert_eq!(store.idempotency_reserve(&own).await.unwrap(), Reserved::New);
    assert!(matches!(store.operation_accept(&operation("k")).await.unwrap(), Acceptance::KeyReused));
    // What a key took of an operation's secrets, it gets again.
    store.runner_lease(owner, at(10_000)).await.unwrap();
    let fence = fence_of(&store.operation_claim(&id, owner, at(20)).await.unwrap().unwrap(), owner);
    store.operation_finish(&fence, &end(OperationStatus::Succeeded)).await.unwrap();
    let key = |key: &str| KeyRef { organization, scope: scope.clone(), key: key.to_owned() };
    let take =
        async |key: Option<KeyRef>, now| store.operation_take_secrets(organization, &id, key.as_ref(), at(now)).await.unwrap();
    assert_eq!(take(Some(key("op")), 30).await, Some(vec![7; 10]));
    assert_eq!((take(None, 30).await, take(Some(key("k")), 30).await), (None, None), "shown to another");
    assert_eq!(take(Some(key("op")), 1009).await, Some(vec![7; 10]));
    assert_eq!(take(Some(key("op")), 1010).await, None, "kept longer than the key");
}
