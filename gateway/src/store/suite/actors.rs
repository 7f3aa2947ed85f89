//! Who asks for a change is looked at when it is made: what every store must do.
//!
//! Invariant: each change here is asked for by somebody who might have been let in when they could still do it.

use super::{users::registered, *};
use crate::model::Role;

pub async fn check(store: &dyn Store) {
    members(store).await;
    tokens(store).await;
    expired_tokens(store).await;
    invitations(store).await;
}

/// A principal's name, with what most such changes take.
pub fn admin(name: String) -> Actor {
    Actor { name, least: Role::Admin, at: at(5) }
}

pub fn person(user: &UserRecord) -> Actor {
    admin(format!("user:{}", user.id))
}

fn machine(token: &TokenRecord) -> Actor {
    admin(format!("token:{}", token.id))
}

fn token(organization: OrganizationId, hash: u8, role: Role) -> TokenRecord {
    TokenRecord { role, ..tokens::record(organization, hash) }
}

async fn role_of(store: &dyn Store, organization: OrganizationId, user: &UserRecord) -> Option<Role> {
    let members = store.members(organization, None, 100).await.unwrap();
    members.iter().find(|member| member.user == user.id).map(|member| member.role)
}

async fn members(store: &dyn Store) {
    let (mine, other) = (organization(store, "acting").await, organization(store, "acting-other").await);
    let owner = registered(store, mine, "a-owner", Role::Owner).await;
    let (bert, cleo) =
        (registered(store, mine, "a-bert", Role::Admin).await, registered(store, mine, "a-cleo", Role::Viewer).await);
    let stranger = registered(store, other, "a-stranger", Role::Owner).await;
    let set = async |user: &UserRecord, role, by: &Actor| store.member_set_role(mine, user.id, role, by, None).await.unwrap();
    let remove = async |user: &UserRecord, by: &Actor| store.member_remove(mine, user.id, by).await.unwrap();
    assert_eq!(set(&bert, Role::Owner, &person(&bert)).await, Err(Objection::Above(Role::Admin)));
    assert!(set(&bert, Role::Viewer, &person(&owner)).await.is_ok());
    // Who was an admin when they were let in raises nobody again, themselves included, and takes nobody out.
    for (user, role) in [(&bert, Role::Admin), (&bert, Role::Viewer), (&cleo, Role::Viewer)] {
        assert_eq!(set(user, role, &person(&bert)).await, Err(Objection::Below(Role::Admin)));
    }
    let anyone = Actor { least: Role::Viewer, ..person(&bert) };
    assert_eq!(set(&bert, Role::Admin, &anyone).await, Err(Objection::Above(Role::Viewer)), "given");
    assert_eq!(set(&owner, Role::Viewer, &anyone).await, Err(Objection::Above(Role::Viewer)), "taken");
    assert_eq!(remove(&cleo, &person(&bert)).await, Err(Objection::Below(Role::Admin)));
    assert_eq!(remove(&owner, &anyone).await, Err(Objection::Above(Role::Viewer)));
    assert!(remove(&bert, &person(&owner)).await.is_ok());
    for by in [person(&bert), person(&stranger), admin("operator".to_owned()), admin("user:x".to_owned())] {
        assert_eq!(set(&cleo, Role::Viewer, &by).await, Err(Objection::Gone), "{by:?}");
        assert_eq!(remove(&cleo, &by).await, Err(Objection::Gone), "{by:?}");
    }
    assert_eq!(role_of(store, mine, &cleo).await, Some(Role::Viewer));
    assert_eq!(role_of(store, mine, &owner).await, Some(Role::Owner));
}

async fn tokens(store: &dyn Store) {
    let mine = organization(store, "acting-tokens").await;
    let owner = registered(store, mine, "t-owner", Role::Owner).await;
    let bert = registered(store, mine, "t-bert", Role::Owner).await;
    let (owners, admins) = (token(mine, 161, Role::Owner), token(mine, 162, Role::Admin));
    store.token_make(&owners, &person(&bert)).await.unwrap().unwrap();
    store.token_make(&admins, &person(&bert)).await.unwrap().unwrap();
    let refused = |objection: Objection| [Err::<(), _>(objection); 3];
    let attempts = async |of: &TokenRecord, by: &Actor| {
        let made = store.token_make(&token(mine, 169, of.role), by).await.unwrap();
        let rotation =
            TokenRotation { present: of.hash, hash: [168; 32], prefix: "ptk_168".to_owned(), previous_until: at(50) };
        let rotated = store.token_rotate(mine, of.id, &rotation, by).await.unwrap();
        [made, rotated.map(drop), store.token_revoke(mine, of.id, by).await.unwrap().map(drop)]
    };
    store.member_set_role(mine, bert.id, Role::Admin, &person(&owner), None).await.unwrap().unwrap();
    assert_eq!(attempts(&owners, &person(&bert)).await, refused(Objection::Above(Role::Admin)));
    store.member_set_role(mine, bert.id, Role::Viewer, &person(&owner), None).await.unwrap().unwrap();
    assert_eq!(attempts(&admins, &person(&bert)).await, refused(Objection::Below(Role::Admin)));
    store.member_remove(mine, bert.id, &person(&owner)).await.unwrap().unwrap();
    assert_eq!(attempts(&admins, &person(&bert)).await, refused(Objection::Gone));
    assert_eq!(attempts(&owners, &machine(&admins)).await, refused(Objection::Above(Role::Admin)));
    assert_eq!(attempts(&admins, &machine(&owners)).await, [Ok::<(), Objection>(()); 3]);
    assert_eq!(attempts(&owners, &machine(&admins)).await, refused(Objection::Gone), "it was revoked");
    assert!(store.token(mine, owners.id).await.unwrap().is_some_and(|kept| kept.hash == owners.hash));
}

/// [`tokens::record`] goes to 9.
async fn expired_tokens(store: &dyn Store) {
    let mine = organization(store, "acting-expired").await;
    let owners = token(mine, 171, Role::Owner);
    store.token_insert(&owners).await.unwrap();
    let endless = TokenRecord { expires_at: None, ..token(mine, 172, Role::Owner) };
    store.token_insert(&endless).await.unwrap();
    let make = async |hash, by: &TokenRecord, now| {
        let by = Actor { at: at(now), ..machine(by) };
        store.token_make(&token(mine, hash, Role::Viewer), &by).await.unwrap()
    };
    assert_eq!(make(173, &owners, 8).await, Ok(()));
    assert_eq!(make(174, &owners, 9).await, Err(Objection::Gone));
    assert_eq!(make(175, &endless, 9).await, Ok(()));
    assert!(store.token_by_hash(&[174; 32]).await.unwrap().is_none());
}

async fn invitations(store: &dyn Store) {
    let mine = organization(store, "acting-invites").await;
    let owner = registered(store, mine, "n-owner", Role::Owner).await;
    let bert = registered(store, mine, "n-bert", Role::Admin).await;
    let invite = async |hash: u8, role, by: &Actor| {
        let invitation = InvitationRecord {
            id: Uuid::now_v7(),
            organization: mine,
            email: "n-olga@example.com".to_owned(),
            email_key: "n-olga@example.com".to_owned(),
            role,
            hash: [hash; 32],
            invited_by: by.name.clone(),
            created_at: by.at,
            expires_at: at(100),
        };
        (invitation.id, store.invitation_insert(&invitation, by, 9).await.unwrap())
    };
    let open = async |hash: u8| store.invitation_by_hash(&[hash; 32], at(50)).await.unwrap().is_some();
    let above = Err(Objection::Above(Role::Admin));
    let (id, made) = invite(181, Role::Owner, &person(&owner)).await;
    assert_eq!(made, Ok(true));
    assert_eq!(invite(182, Role::Viewer, &person(&bert)).await.1, above, "an owner's was replaced");
    assert_eq!(store.invitation_delete(mine, id, &person(&bert)).await.unwrap(), above);
    assert!(open(181).await && !open(182).await);
    // One that has expired is in nobody's way.
    let later = Actor { at: at(100), ..person(&bert) };
    assert_eq!(invite(183, Role::Admin, &later).await.1, Ok(true));
    let (id, made) = invite(184, Role::Owner, &person(&owner)).await;
    assert_eq!((made, open(183).await), (Ok(true), false));
    assert_eq!(store.invitation_delete(mine, id, &later).await.unwrap(), Ok(true));
    assert_eq!(store.invitation_delete(mine, id, &later).await.unwrap(), Ok(false));
    // Who has no such role any more invites nobody, and takes nobody's invitation away.
    let (id, _) = invite(185, Role::Viewer, &person(&owner)).await;
    store.member_set_role(mine, bert.id, Role::Operator, &person(&owner), None).await.unwrap().unwrap();
    let below = Err(Objection::Below(Role::Admin));
    assert_eq!(invite(186, Role::Viewer, &person(&bert)).await.1, below);
    assert_eq!(store.invitation_delete(mine, id, &person(&bert)).await.unwrap(), below);
    assert!(open(185).await && !open(186).await);
}
