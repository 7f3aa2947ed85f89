//! What every store must do with tokens.

use super::{actors::person, users::registered, *};
use crate::model::{Network, Role};

pub async fn check(store: &dyn Store) {
    records(store).await;
    rotation(store).await;
    listing_and_use(store).await;
    with_their_maker(store).await;
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

async fn with_their_maker(store: &dyn Store) {
    let (mine, other) = (organization(store, "makers").await, organization(store, "makers-other").await);
    let owner = registered(store, mine, "k-owner", Role::Owner).await;
    let (bert, cleo) =
        (registered(store, mine, "k-bert", Role::Admin).await, registered(store, mine, "k-cleo", Role::Admin).await);
    let make = async |of: OrganizationId, hash: u8, created_by: String, role: Role| {
        let token = TokenRecord { created_by, role, ..record(of, hash) };
        store.token_insert(&token).await.unwrap();
        token.id
    };
    let first = make(mine, 40, person(&bert).name, Role::Admin).await;
    let second = make(mine, 41, format!("token:{first}"), Role::Owner).await;
    let third = make(mine, 42, format!("token:{second}"), Role::Viewer).await;
    let cleos = make(mine, 43, person(&cleo).name, Role::Viewer).await;
    let elsewhere = make(other, 44, person(&bert).name, Role::Viewer).await;
    let left = async |of| store.tokens(of, None, 10).await.unwrap().into_iter().map(|token| token.id).collect::<Vec<_>>();
    let remove =
        async |user: &UserRecord, by: &UserRecord| store.member_remove_with_tokens(mine, user.id, &person(by)).await.unwrap();
    // One of the tokens is above who asks, so nothing is changed.
    assert_eq!(remove(&bert, &cleo).await, Err(Objection::Above(Role::Admin)));
    assert_eq!(remove(&owner, &owner).await, Ok((MemberChange::SoleOwner, Vec::new())));
    assert_eq!(left(mine).await, [first, second, third, cleos]);
    assert!(store.members(mine, None, 10).await.unwrap().iter().any(|member| member.user == bert.id));
    let cause = Cause::new(Some(mine), person(&owner).name, "members.delete").from(None, Some("r-9".to_owned()));
    let removed = caused_by(std::sync::Arc::new(cause.about("/members/bert")), remove(&bert, &owner)).await;
    let Ok((MemberChange::Changed(_), mut gone)) = removed else { panic!("nobody was removed") };
    gone.sort_unstable();
    assert_eq!(gone, [first, second, third]);
    each_is_told(store, mine, &person(&owner).name, &gone).await;
    assert_eq!((left(mine).await, left(other).await), (vec![cleos], vec![elsewhere]));
    assert_eq!(remove(&bert, &owner).await, Ok((MemberChange::NotFound, Vec::new())));
    // A removal alone leaves what somebody made.
    assert!(matches!(store.member_remove(mine, cleo.id, &person(&owner)).await.unwrap(), Ok(MemberChange::Changed(_))));
    assert_eq!(left(mine).await, [cleos]);
}

/// A row for each token, by whoever removed its maker, and then the removal's own.
async fn each_is_told(store: &dyn Store, mine: OrganizationId, by: &str, gone: &[Uuid]) {
    let rows = store.audit_rows(mine, &AuditFilter::default(), None, 10).await.unwrap();
    let entries: Vec<_> = rows.into_iter().map(|row| row.entry).collect();
    assert!(entries.iter().all(|one| one.principal == by && one.request_id.as_deref() == Some("r-9")), "{entries:?}");
    let mut told: Vec<_> = entries.into_iter().map(|one| (one.action, one.target.unwrap_or_default(), one.outcome)).collect();
    let row = |action: &str, target: String| (action.to_owned(), target, "done".to_owned());
    // The latest is the first.
    assert_eq!(told.remove(0), row("members.delete", "/members/bert".to_owned()));
    told.sort_unstable();
    assert_eq!(told, gone.iter().map(|id| row("tokens.delete", format!("/tokens/{id}"))).collect::<Vec<_>>());
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
