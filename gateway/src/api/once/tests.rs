//! Answers that can't be kept at once, over a real store in which the sealer's master key was retired.
//!
//! Invariant: what counts is what a repetition is told.

use super::{kept::Ended, *};
use crate::{
    policy::mint_token,
    seal::{KEY_LENGTH, MasterKey, Sealer},
    store::{KeyStore as _, SqliteStore, Store as _, TokenStore as _, suite},
};
use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};
use uuid::Uuid;
use zeroize::Zeroizing;

struct Held {
    folder: tempfile::TempDir,
    store: SqliteStore,
    sealer: Sealer,
    reservation: Reservation,
}

impl Held {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("portico.db")).await.unwrap();
        let sealer = Sealer::new(&[1; KEY_LENGTH]).unwrap();
        let organization = suite::organization(&store, "acme").await;
        let key = KeyRef { organization, scope: "token 1 POST /connections".to_owned(), key: "k".to_owned() };
        let (owner, now) = (Uuid::new_v4(), clock::now());
        let expires_at = now.plus_millis(KEY_LIFETIME_MILLIS);
        let reservation =
            Reservation { key, fingerprint: [1; 32], owner, runs: Runs::default(), now, expires_at, limit: LIMIT };
        let held = Self { folder, store, sealer, reservation };
        assert_eq!(held.again().await, Reserved::New);
        assert!(held.store.keys_retire(&held.sealer.key_ids(), now).await.unwrap());
        held
    }

    async fn again(&self) -> Reserved {
        self.store.idempotency_reserve(&self.reservation).await.unwrap()
    }

    /// Changes something under the key.
    async fn change(&self) {
        let key = self.reservation.key.clone();
        let (_, token) = mint_token(key.organization, "made", None).unwrap();
        store::under_key(key, self.store.token_insert(&token)).await.unwrap();
    }

    /// Behind the gateway's back.
    async fn execute(&self, statements: [&'static str; 2]) {
        let options = SqliteConnectOptions::new().filename(self.folder.path().join("portico.db"));
        let mut connection = options.connect().await.unwrap();
        for statement in statements {
            sqlx::query(statement).execute(&mut connection).await.unwrap();
        }
        sqlx::Connection::close(connection).await.unwrap();
    }

    async fn end(&self, ended: &Ended) {
        let Reservation { key, owner, .. } = &self.reservation;
        Keeper { store: &self.store, sealer: &self.sealer, owner: *owner }.end(key, ended).await;
    }
}

fn answer() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(b"answer".to_vec())
}

#[tokio::test]
async fn a_master_key_that_is_replaced_between_two_tries_loses_no_answer() {
    let held = Held::new().await;
    let ended = Ended::Answered(answer());
    // The first try has sealed when this one's turn comes.
    let replaced = async { held.sealer.adopt(&[MasterKey::from_bytes(&[2; KEY_LENGTH])]).unwrap() };
    futures_util::future::join(held.end(&ended), replaced).await;
    let Reserved::Answered(sealed) = held.again().await else { panic!("the answer wasn't kept") };
    let plain = held.sealer.open(Purpose::Operation, &facts(&held.reservation.key), &sealed).unwrap();
    assert_eq!(plain.as_slice(), b"answer");
}

/// A key of yesterday's gateway, which hashed the bytes as they were sent.
#[tokio::test]
async fn a_key_is_known_by_the_bytes_that_were_sent_too() {
    let held = Held::new().await;
    held.change().await;
    let (own, other) = ([1; 32], [2; 32]);
    for (meant, sent, expected) in [
        (own, None, Reserved::AnswerLost),
        (own, Some(other), Reserved::AnswerLost),
        (other, Some(own), Reserved::AnswerLost),
        (other, None, Reserved::Reused),
        (other, Some([3; 32]), Reserved::Reused),
    ] {
        let reservation = Reservation { fingerprint: meant, ..held.reservation.clone() };
        assert_eq!(reserved(&held.store, reservation, sent).await.unwrap(), expected, "{meant:?} {sent:?}");
    }
}

#[tokio::test]
async fn a_key_whose_answer_cannot_be_kept_is_in_progress_no_more() {
    for (ended, changes, told) in [
        (Ended::Answered(answer()), true, Reserved::AnswerLost),
        // Nothing was changed under it.
        (Ended::Answered(answer()), false, Reserved::New),
        (Ended::Refused(answer()), false, Reserved::New),
    ] {
        let held = Held::new().await;
        if changes {
            held.change().await;
        }
        tokio::time::pause();
        held.end(&ended).await;
        tokio::time::resume();
        assert_eq!(held.again().await, told);
    }
}

#[tokio::test]
async fn a_key_whose_end_cannot_be_written_is_in_progress_only_while_it_runs() {
    for (changes, told) in [(true, Reserved::AnswerLost), (false, Reserved::New)] {
        let held = Held::new().await;
        if changes {
            held.change().await;
        }
        held.execute([
            "CREATE TRIGGER kept BEFORE UPDATE ON idempotency BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
            "CREATE TRIGGER freed BEFORE DELETE ON idempotency BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
        ])
        .await;
        tokio::time::pause();
        held.end(&Ended::Answered(answer())).await;
        tokio::time::resume();
        held.execute(["DROP TRIGGER kept", "DROP TRIGGER freed"]).await;
        // The reservation, and what it asks about.
        (0..2).for_each(|_| held.reservation.runs.begin());
        assert_eq!(held.again().await, Reserved::InProgress);
        assert!(!held.reservation.runs.end());
        assert_eq!(held.again().await, told);
    }
}
