//! What every store must do with tokens.

use super::*;
use crate::model::{Network, Role};

pub async fn check(store: &dyn Store) {
    records(store).await;
    rotation(store).await;
    listing_and_use(store).await;
    limit(store).await;
}

pub fn record(organization: OrganizationId, hash: u8) -> TokenRecord {
    TokenRecord {
        id: Uuid::now_v7(),
        organization,
        name: "ci".to_owned(),
        hash: [hash; 32],
        prefix: "ptk_abc".to_owned(),
        role: Role::Operator,
        scopes: vec!["sites:read".to_owned(), "backups:write".to_owned()],
        connections: Some(vec![Slug::parse("docker").unwrap()]),
        networks: vec!["10.0.0.0/8".parse().unwrap()],
        created_by: "token:1".to_owned(),
        created_at: at(2),
        expires_at: Some(at(9)),
        last_used_at: None,
        previous: None,
    }
}

async fn records(store: &dyn Store) {
    let (mine, other) = (organization(store, "tokens").await, organization(store, "tokens-other").await);
    let token = record(mine, 3);
    store.token_insert(&token).await.unwrap();
    let found = store.token_by_hash(&[3; 32]).await.unwrap().unwrap();
    assert_eq!(format!("{found:?}"), format!("{token:?}"), "what comes out isn't what went in");
    let open = TokenRecord { connections: None, networks: Vec::new(), expires_at: None, ..record(mine, 4) };
    store.token_insert(&open).await.unwrap();
    let found = store.token(mine, open.id).await.unwrap().unwrap();
    assert_eq!(format!("{found:?}"), format!("{open:?}"));
    assert!(store.token_by_hash(&[5; 32]).await.unwrap().is_none());
    assert_eq!(kind(store.token_insert(&record(mine, 3)).await), Kind::Conflict);
    let orphan = record(OrganizationId(Uuid::new_v4()), 6);
    assert!(store.token_insert(&orphan).await.is_err(), "a token of no organization");

    assert!(store.token(other, token.id).await.unwrap().is_none(), "another organization's token");
    assert!(!store.token_delete(other, token.id).await.unwrap());
    assert!(store.token_by_hash(&[3; 32]).await.unwrap().is_some(), "deleted by another organization");
    assert!(store.token_delete(mine, token.id).await.unwrap());
    assert!(!store.token_delete(mine, token.id).await.unwrap());
    assert!(store.token_by_hash(&[3; 32]).await.unwrap().is_none());
}

async fn rotation(store: &dyn Store) {
    let (mine, other) = (organization(store, "rotate").await, organization(store, "rotate-other").await);
    let token = record(mine, 10);
    store.token_insert(&token).await.unwrap();
    let theirs = record(other, 13);
    store.token_insert(&theirs).await.unwrap();
    let rotate = async |whose: OrganizationId, present: u8, hash: u8, until: i64| {
        let by = if whose == mine { token.id } else { theirs.id };
        let by = Actor { name: format!("token:{by}"), least: Role::Operator, at: at(5) };
        let present = [present; 32];
        let rotation = TokenRotation { present, hash: [hash; 32], prefix: format!("ptk_{hash}"), previous_until: at(until) };
        store.token_rotate(whose, token.id, &rotation, &by).await.unwrap().unwrap()
    };
    assert!(!rotate(other, 10, 11, 50).await);
    assert!(rotate(mine, 10, 11, 50).await);
    assert!(!rotate(mine, 10, 12, 50).await, "it was replaced by then");
    for hash in [10, 11] {
        let found = store.token_by_hash(&[hash; 32]).await.unwrap().unwrap();
        assert_eq!((found.id, found.hash, found.previous), (token.id, [11; 32], Some(([10; 32], at(50)))));
        assert_eq!(found.prefix, "ptk_11");
    }
    assert!(rotate(mine, 11, 12, 60).await);
    assert!(store.token_by_hash(&[10; 32]).await.unwrap().is_none(), "the value before the one before");
    assert!(store.token_delete(mine, token.id).await.unwrap());
    for hash in [11, 12] {
        assert!(store.token_by_hash(&[hash; 32]).await.unwrap().is_none(), "deleted, but still found");
    }
}

async fn listing_and_use(store: &dyn Store) {
    let (mine, other) = (organization(store, "list").await, organization(store, "list-other").await);
    let made: Vec<_> = (20..25).map(|hash| record(mine, hash)).collect();
    let theirs = record(other, 25);
    for token in made.iter().chain([&theirs]) {
        store.token_insert(token).await.unwrap();
    }
    let mut walked: Vec<Uuid> = Vec::new();
    while let Ok(page) = store.tokens(mine, walked.last().copied(), 2).await
        && !page.is_empty()
    {
        walked.extend(page.iter().map(|token| token.id));
    }
    assert_eq!(walked, made.iter().map(|token| token.id).collect::<Vec<_>>());

    let used = async |id| store.token(mine, id).await.unwrap().unwrap().last_used_at;
    store.tokens_used(&[(made[0].id, at(70)), (Uuid::new_v4(), at(70)), (made[1].id, at(71))]).await.unwrap();
    store.tokens_used(&[(made[0].id, at(60)), (made[1].id, at(80))]).await.unwrap();
    assert_eq!((used(made[0].id).await, used(made[1].id).await), (Some(at(70)), Some(at(80))), "a use went back in time");
    assert_eq!(used(made[2].id).await, None);
    // A network that nobody could give any more is read as it is.
    let old = TokenRecord { networks: vec![Network::kept("::ffff:0:0/96").unwrap()], ..record(mine, 26) };
    store.token_insert(&old).await.unwrap();
    assert_eq!(store.token(mine, old.id).await.unwrap().unwrap().networks, old.networks);
}

async fn limit(store: &dyn Store) {
    let mine = organization(store, "many").await;
    let fill = (0..MAX_TOKENS).map(|number| {
        let mut token = record(mine, 30);
        token.hash[..4].copy_from_slice(&number.to_be_bytes());
        async move { store.token_insert(&token).await }
    });
    futures_util::future::try_join_all(fill).await.unwrap();
    let refused = store.token_insert(&record(mine, 31)).await.unwrap_err();
    assert_eq!((refused.kind, refused.code()), (Kind::Conflict, "too_many_tokens"));
}
