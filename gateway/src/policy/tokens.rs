//! The tokens of an organization: made, listed, rotated, revoked.
//!
//! In go a principal and what it wants; out come records, and a new token's value once. Invariant: nobody makes, or gets by
//! rotation, a token that stands for more than they do themselves; a token that was revoked here is refused from then on, and
//! elsewhere within seconds.

use super::{
    authentication::{Authenticator, Principal, Secret, Who, end_of, mint_secret, mint_token},
    authorization::Denied,
    scopes::{Scopes, check_scopes},
};
use crate::{
    clock,
    model::{Error, Kind, Network, OrganizationId, Role, Slug, Timestamp},
    store::{self, Objection, Store, TokenRecord, TokenRotation},
};
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

/// A value that is shown once, and the token that it is of.
pub type Issued = (Zeroizing<String>, TokenRecord);

/// A token that somebody wants. What is left out is as with its maker.
#[derive(Clone, Debug, Default)]
pub struct TokenWish {
    pub name: String,
    pub role: Option<Role>,
    pub scopes: Option<Vec<String>>,
    pub connections: Option<Vec<Slug>>,
    pub networks: Option<Vec<Network>>,
    pub expires_at: Option<Timestamp>,
}

#[derive(Debug)]
pub enum TokenError {
    /// Who asks isn't there any more.
    Ended,
    Denied(Denied),
    /// `InvalidInput`, `NotFound`, `Conflict`, or the store's own.
    Failed(Error),
}

impl From<Error> for TokenError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Denied> for TokenError {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

pub struct Tokens {
    store: Arc<dyn Store>,
    authenticator: Arc<Authenticator>,
}

impl Tokens {
    pub fn new(store: Arc<dyn Store>, authenticator: Arc<Authenticator>) -> Self {
        Self { store, authenticator }
    }

    pub async fn list(&self, of: OrganizationId, after: Option<Uuid>, limit: u32) -> Result<Vec<TokenRecord>, Error> {
        self.store.tokens(of, after, limit).await
    }

    /// `NotFound` also for another organization's.
    pub async fn get(&self, of: OrganizationId, id: Uuid) -> Result<TokenRecord, Error> {
        self.store.token(of, id).await?.ok_or_else(not_found)
    }

    pub async fn create(&self, maker: &Principal, wish: TokenWish) -> Result<Issued, TokenError> {
        let own = self.own(maker).await?;
        let (value, record) = wanted(maker.organization, wish, own.as_ref(), maker.role)?;
        within(&record, maker, own.as_ref())?;
        self.check_connections(&record).await?;
        let by = maker.acting("tokens.create")?;
        let record = TokenRecord { created_by: by.name.clone(), ..record };
        store::about(format!("/tokens/{}", record.id));
        let made = self.store.token_make(&record, &by).await?;
        made.map_err(|objection| refused(objection, Denied::Beyond("role")))?;
        Ok((value, record))
    }

    /// The token that somebody comes with, as its value that was sent has it: one that was rotated away ends sooner.
    async fn own(&self, of: &Principal) -> Result<Option<TokenRecord>, TokenError> {
        let Who::Token(id) = of.who else { return Ok(None) };
        let record = self.store.token(of.organization, id).await?.ok_or(TokenError::Ended)?;
        Ok(Some(TokenRecord { expires_at: end_of(&record, &of.credential.0), ..record }))
    }

    /// The operator's own way, which has no maker to be measured by.
    pub async fn create_as_operator(store: &dyn Store, of: OrganizationId, wish: TokenWish) -> Result<Issued, Error> {
        let (value, record) = wanted(of, wish, None, Role::Owner)?;
        check_connections(store, &record).await?;
        store::about(format!("/tokens/{}", record.id));
        store.token_insert(&record).await?;
        Ok((value, record))
    }

    /// A new value; the present one stays good for `overlap_millis`.
    pub async fn rotate(&self, by: &Principal, id: Uuid, overlap_millis: i64) -> Result<Issued, TokenError> {
        let present = self.get(by.organization, id).await?;
        // Who gets the value gets all that the token may.
        let scopes = Scopes::of_token(&present);
        if present.role > by.role {
            return Err(Denied::Above(present.role).into());
        }
        if by.who != Who::Token(id)
            && let Some(field) = scopes.beyond(&by.scopes)
        {
            return Err(Denied::Beyond(field).into());
        }
        if outlives(&present, self.own(by).await?.as_ref()) {
            return Err(Denied::Beyond("expires_at").into());
        }
        if present.expires_at.is_some_and(|at| at <= clock::now()) {
            return Err(Error::new(Kind::Conflict, "the token has expired: make a new one").into());
        }
        let Secret { value, hash, prefix } = mint_secret()?;
        let rotation =
            TokenRotation { present: present.hash, hash, prefix, previous_until: clock::now().plus_millis(overlap_millis) };
        let rotated = self.store.token_rotate(by.organization, id, &rotation, &by.acting("tokens.rotate")?).await?;
        if !rotated.map_err(|objection| refused(objection, Denied::Above(present.role)))? {
            return Err(Error::new(Kind::Conflict, "the token was rotated or revoked meanwhile: look at it again").into());
        }
        self.authenticator.forget();
        Ok((value, self.get(by.organization, id).await?))
    }

    /// A token of connections that the caller's own isn't for is as little theirs to take as to give. For groups, addresses and times it is
    /// another matter: who may write tokens may take any away, from wherever.
    pub async fn revoke(&self, by: &Principal, id: Uuid) -> Result<(), TokenError> {
        let present = self.get(by.organization, id).await?;
        if present.role > by.role {
            return Err(Denied::Above(present.role).into());
        }
        if by.who != Who::Token(id) && Scopes::of_token(&present).touches_beyond(&by.scopes) {
            return Err(Denied::Beyond("connections").into());
        }
        let revoked = self.store.token_revoke(by.organization, id, &by.acting("tokens.delete")?).await?;
        if !revoked.map_err(|objection| refused(objection, Denied::Above(present.role)))? {
            return Err(not_found().into());
        }
        self.authenticator.forget();
        Ok(())
    }

    async fn check_connections(&self, record: &TokenRecord) -> Result<(), Error> {
        check_connections(&*self.store, record).await
    }
}

/// As they would be answered if they asked only now; `above`: where it is about a role above theirs.
fn refused(objection: Objection, above: Denied) -> TokenError {
    match objection {
        Objection::Gone => TokenError::Ended,
        Objection::Below(least) => Denied::Role(least).into(),
        Objection::Above(_) => above.into(),
    }
}

fn not_found() -> Error {
    Error::new(Kind::NotFound, "there is no such token")
}

fn wanted(of: OrganizationId, wish: TokenWish, own: Option<&TokenRecord>, role: Role) -> Result<Issued, Error> {
    let expires_at = wish.expires_at.or_else(|| own.and_then(|own| own.expires_at));
    if expires_at.is_some_and(|at| at <= clock::now()) {
        return Err(Error::new(Kind::InvalidInput, "a time to come").with_field("expires_at"));
    }
    let (value, record) = mint_token(of, &wish.name, expires_at)?;
    let scopes = wish.scopes.or_else(|| own.map(|own| own.scopes.clone())).unwrap_or(record.scopes);
    check_scopes(&scopes)?;
    let record = TokenRecord {
        role: wish.role.unwrap_or(role),
        scopes,
        connections: wish.connections.or_else(|| own.and_then(|own| own.connections.clone())),
        networks: wish.networks.or_else(|| own.map(|own| own.networks.clone())).unwrap_or_default(),
        ..record
    };
    Ok((value, record))
}

/// A token that is made by another inherits its limits; narrower ones may be given, wider ones not.
fn within(record: &TokenRecord, maker: &Principal, own: Option<&TokenRecord>) -> Result<(), Denied> {
    if record.role > maker.role {
        return Err(Denied::Beyond("role"));
    }
    if let Some(field) = Scopes::of_token(record).beyond(&maker.scopes) {
        return Err(Denied::Beyond(field));
    }
    if outlives(record, own) { Err(Denied::Beyond("expires_at")) } else { Ok(()) }
}

/// Whether a token goes on after the one that somebody comes with.
fn outlives(record: &TokenRecord, own: Option<&TokenRecord>) -> bool {
    let end = own.and_then(|own| own.expires_at);
    end.is_some_and(|end| record.expires_at.is_none_or(|at| at > end))
}

/// A name that no connection has would be a limit that nobody meant.
async fn check_connections(store: &dyn Store, record: &TokenRecord) -> Result<(), Error> {
    let Some(wanted) = &record.connections else { return Ok(()) };
    let present = store.connections(record.organization).await?;
    let missing = wanted.iter().position(|slug| present.iter().all(|one| one.slug != *slug));
    missing.map_or(Ok(()), |index| {
        let message = format!("there is no connection {}", wanted[index]);
        Err(Error::new(Kind::InvalidInput, message).with_field(format!("connections[{index}]")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::Refusal,
        store::{SqliteStore, TokenStore as _, suite},
    };

    struct World {
        _folder: tempfile::TempDir,
        store: Arc<SqliteStore>,
        authenticator: Arc<Authenticator>,
        tokens: Tokens,
        organization: OrganizationId,
    }

    impl World {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Arc::new(SqliteStore::open(&folder.path().join("portico.db")).await.unwrap());
            let organization = suite::organization(&*store, "acme").await;
            for slug in ["a", "b"] {
                crate::store::Store::connection_insert(&*store, &suite::connection_record(organization, slug)).await.unwrap();
            }
            let authenticator = Arc::new(Authenticator::new(store.clone()));
            let tokens = Tokens::new(store.clone(), Arc::clone(&authenticator));
            Self { _folder: folder, store, authenticator, tokens, organization }
        }

        /// Who acts by a token like this.
        async fn acting(&self, change: impl FnOnce(&mut TokenRecord)) -> Arc<Principal> {
            let (value, mut record) = mint_token(self.organization, "maker", None).unwrap();
            change(&mut record);
            self.store.token_insert(&record).await.unwrap();
            self.enter(&value).await.unwrap()
        }

        async fn enter(&self, value: &str) -> Result<Arc<Principal>, Refusal> {
            self.authenticator.authenticate(Some(value.as_bytes()), "10.1.1.1".parse().ok()).await
        }
    }

    fn wish() -> TokenWish {
        TokenWish { name: "new".to_owned(), ..TokenWish::default() }
    }

    fn slugs(names: &[&str]) -> Vec<Slug> {
        names.iter().map(|name| Slug::parse(name).unwrap()).collect()
    }

    fn limited(record: &mut TokenRecord) {
        record.role = Role::Admin;
        record.scopes = vec!["sites:write".to_owned(), "tokens:write".to_owned()];
        record.connections = Some(slugs(&["a"]));
        record.networks = vec!["10.0.0.0/8".parse().unwrap()];
        record.expires_at = Some(clock::now().plus_millis(60_000));
    }

    #[tokio::test]
    async fn what_is_left_out_is_as_with_the_maker() {
        let world = World::new().await;
        let maker = world.acting(limited).await;
        let (value, record) = world.tokens.create(&maker, wish()).await.unwrap();
        let made = world.enter(&value).await.unwrap();
        assert_eq!((made.role, &made.scopes), (maker.role, &maker.scopes));
        assert!(record.expires_at.is_some());
        assert_eq!(record.created_by, maker.name());
        assert_eq!(world.tokens.get(world.organization, record.id).await.unwrap().prefix, value[..10]);
        assert!(world.store.token_delete(world.organization, maker.credential_id()).await.unwrap());
        let late = world.tokens.create(&maker, wish()).await;
        assert!(matches!(late, Err(TokenError::Ended)), "a maker that is gone: {late:?}");
    }

    #[tokio::test]
    async fn nobody_makes_more_than_they_are() {
        let world = World::new().await;
        let maker = world.acting(limited).await;
        let narrow = TokenWish { role: Some(Role::Viewer), scopes: Some(vec!["sites:read".to_owned()]), ..wish() };
        assert!(world.tokens.create(&maker, narrow).await.is_ok());
        let late = clock::now().plus_millis(120_000);
        for (wish, field) in [
            (TokenWish { role: Some(Role::Owner), ..wish() }, "role"),
            (TokenWish { scopes: Some(vec!["read".to_owned()]), ..wish() }, "scopes"),
            (TokenWish { connections: Some(slugs(&["a", "b"])), ..wish() }, "connections"),
            (TokenWish { networks: Some(Vec::new()), ..wish() }, "allowed_ips"),
            (TokenWish { expires_at: Some(late), ..wish() }, "expires_at"),
        ] {
            match world.tokens.create(&maker, wish).await {
                Err(TokenError::Denied(Denied::Beyond(found))) => assert_eq!(found, field),
                other => panic!("{field}: {other:?}"),
            }
        }
        let owner = world.acting(|_| ()).await;
        for (wish, field) in [
            (TokenWish { scopes: Some(vec!["moon:read".to_owned()]), ..wish() }, "scopes[0]"),
            (TokenWish { connections: Some(slugs(&["a", "c"])), ..wish() }, "connections[1]"),
            (TokenWish { expires_at: Some(clock::now()), ..wish() }, "expires_at"),
        ] {
            match world.tokens.create(&owner, wish).await {
                Err(TokenError::Failed(error)) => assert_eq!(error.field.as_deref(), Some(field)),
                other => panic!("{field}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_rotated_value_is_good_for_the_overlap_and_revoked_ones_at_once_not() {
        let world = World::new().await;
        let owner = world.acting(|_| ()).await;
        let (old, record) = world.tokens.create(&owner, wish()).await.unwrap();
        let before = world.enter(&old).await.unwrap();
        let (new, rotated) = world.tokens.rotate(&owner, record.id, 60_000).await.unwrap();
        assert_eq!((rotated.id, &*rotated.prefix), (record.id, &new[..10]));
        assert_eq!(world.enter(&new).await.unwrap().who, before.who);
        assert!(world.enter(&old).await.is_ok() && world.authenticator.still_holds(&before).await.unwrap());
        // Without an overlap the present value ends at once, although it was remembered.
        let (newest, _) = world.tokens.rotate(&owner, record.id, 0).await.unwrap();
        for gone in [&old, &new] {
            assert!(matches!(world.enter(gone).await, Err(Refusal::Unauthenticated)));
        }
        assert!(!world.authenticator.still_holds(&before).await.unwrap());
        assert!(world.enter(&newest).await.is_ok());
        world.tokens.revoke(&owner, record.id).await.unwrap();
        assert!(matches!(world.enter(&newest).await, Err(Refusal::Unauthenticated)));
        let again = world.tokens.revoke(&owner, record.id).await;
        assert!(matches!(again, Err(TokenError::Failed(Error { kind: Kind::NotFound, .. }))), "{again:?}");
    }

    #[tokio::test]
    async fn nobody_rotates_or_revokes_what_is_above_them() {
        let world = World::new().await;
        let owner = world.acting(|_| ()).await;
        let Who::Token(owners) = owner.who else { panic!("a token") };
        let admin = world.acting(limited).await;
        let denied = |outcome: Result<(), TokenError>| match outcome {
            Err(TokenError::Denied(denied)) => denied,
            other => panic!("{other:?}"),
        };
        assert_eq!(denied(world.tokens.rotate(&admin, owners, 0).await.map(drop)), Denied::Above(Role::Owner));
        assert_eq!(denied(world.tokens.revoke(&admin, owners).await), Denied::Above(Role::Owner));
        // A wider one of the same role would be a way to its scopes.
        let (_, wide) = world.tokens.create(&owner, TokenWish { role: Some(Role::Admin), ..wish() }).await.unwrap();
        assert_eq!(denied(world.tokens.rotate(&admin, wide.id, 0).await.map(drop)), Denied::Beyond("scopes"));
        let Who::Token(own) = admin.who else { panic!("a token") };
        // Nor is what reaches further theirs to take; what they themselves gave is.
        let elsewhere = TokenWish { role: Some(Role::Admin), connections: Some(slugs(&["b"])), ..wish() };
        let (_, elsewhere) = world.tokens.create(&owner, elsewhere).await.unwrap();
        assert_eq!(denied(world.tokens.revoke(&admin, elsewhere.id).await), Denied::Beyond("connections"));
        let (_, child) = world.tokens.create(&admin, wish()).await.unwrap();
        assert!(world.tokens.revoke(&admin, child.id).await.is_ok());
        assert!(world.tokens.rotate(&admin, own, 0).await.is_ok());
    }

    #[tokio::test]
    async fn nobody_gets_past_the_end_of_their_own_value() {
        let world = World::new().await;
        let owner = world.acting(|_| ()).await;
        let denied = |outcome: Result<(), TokenError>| matches!(outcome, Err(TokenError::Denied(Denied::Beyond("expires_at"))));
        let endless = world.tokens.create(&owner, wish()).await.unwrap().1;
        let brief = world.acting(|record| record.expires_at = Some(clock::now().plus_millis(60_000))).await;
        assert!(denied(world.tokens.rotate(&brief, endless.id, 0).await.map(drop)));
        // A value that was rotated away is good for its overlap, and gives nothing that is good for longer.
        let (old, rotated) = world.tokens.create(&owner, wish()).await.unwrap();
        world.tokens.rotate(&owner, rotated.id, 60_000).await.unwrap();
        let former = world.enter(&old).await.unwrap();
        assert!(
            denied(world.tokens.rotate(&former, rotated.id, 0).await.map(drop)),
            "the new value isn't for who has the old one"
        );
        let late = TokenWish { expires_at: Some(clock::now().plus_millis(120_000)), ..wish() };
        assert!(denied(world.tokens.create(&former, late).await.map(drop)));
        let (_, child) = world.tokens.create(&former, wish()).await.unwrap();
        assert!(child.expires_at.is_some_and(|at| at <= clock::now().plus_millis(60_000)), "{child:?}");
    }

    #[tokio::test]
    async fn an_expired_token_and_one_from_elsewhere_are_refused() {
        let world = World::new().await;
        let (value, record) = mint_token(world.organization, "t", Some(clock::now().plus_millis(-1))).unwrap();
        world.store.token_insert(&record).await.unwrap();
        assert!(matches!(world.enter(&value).await, Err(Refusal::Unauthenticated)));
        let owner = world.acting(|_| ()).await;
        let rotated = world.tokens.rotate(&owner, record.id, 0).await;
        assert!(matches!(rotated, Err(TokenError::Failed(Error { kind: Kind::Conflict, .. }))), "{rotated:?}");
        let networks = Some(vec!["10.0.0.0/8".parse().unwrap()]);
        let (value, _) = world.tokens.create(&owner, TokenWish { networks, ..wish() }).await.unwrap();
        for (client, admitted) in [(Some("10.9.9.9"), true), (Some("11.1.1.1"), false), (None, false), (Some("10.0.0.1"), true)]
        {
            let client = client.map(|address| address.parse().unwrap());
            let outcome = world.authenticator.authenticate(Some(value.as_bytes()), client).await;
            let fits = matches!((&outcome, admitted), (Ok(_), true) | (Err(Refusal::Address(_)), false));
            assert!(fits, "{client:?}: {outcome:?}");
        }
    }
}
