//! Users, members, sessions and invitations: what every store must do with them.
//!
//! Invariant: what another organization has, and what has ended, is never found.

use super::{actors::person, at, kind, organization};
use crate::{
    model::{Kind, OrganizationId, Role, Slug},
    store::{
        Actor, InvitationRecord, Joined, Joiner, MemberChange, Objection, Organization, PasswordChange, SessionRecord, Store,
        UserRecord,
    },
};
use uuid::Uuid;

pub async fn check(store: &dyn Store) {
    registering(store).await;
    members(store).await;
    owners_stay(store).await;
    sessions(store).await;
    passwords(store).await;
    invitations(store).await;
    inviters(store).await;
}

fn user(name: &str) -> UserRecord {
    let email = format!("{name}@Example.com");
    let email_key = email.to_lowercase();
    UserRecord { id: Uuid::now_v7(), email, email_key, name: name.to_owned(), password: "phc".to_owned(), created_at: at(5) }
}

pub async fn registered(store: &dyn Store, id: OrganizationId, name: &str, role: Role) -> UserRecord {
    let (user, organization) = (user(name), store.organization(id).await.unwrap().unwrap());
    store.user_register(&user, &organization, role).await.unwrap();
    user
}

async fn role_of(store: &dyn Store, organization: OrganizationId, user: Uuid) -> Option<Role> {
    let memberships = store.user_memberships(user).await.unwrap();
    memberships.iter().find(|one| one.organization.id == organization).map(|one| one.role)
}

async fn registering(store: &dyn Store) {
    let new = |slug: &str| Organization {
        id: OrganizationId(Uuid::new_v4()),
        slug: Slug::parse(slug).unwrap(),
        name: "Studio".to_owned(),
        created_at: at(5),
    };
    let (studio, anna) = (new("register-studio"), user("register-anna"));
    store.user_register(&anna, &studio, Role::Owner).await.unwrap();
    let found = store.user_by_email("register-anna@example.com").await.unwrap().unwrap();
    assert_eq!((found.id, &*found.email, &*found.password), (anna.id, "register-anna@Example.com", "phc"));
    assert!(store.user_by_email("register-anna@Example.com").await.unwrap().is_none(), "it is found by its key");
    assert_eq!(role_of(store, studio.id, anna.id).await, Some(Role::Owner));

    let again = UserRecord { id: Uuid::now_v7(), ..anna.clone() };
    let other = new("register-other");
    let taken = store.user_register(&again, &other, Role::Owner).await.unwrap_err();
    assert_eq!((taken.kind, taken.field.as_deref()), (Kind::Conflict, Some("email")));
    assert!(store.organization(other.id).await.unwrap().is_none(), "a refused registration left an organization");
    let taken = store.user_register(&user("register-bert"), &new("register-studio"), Role::Owner).await.unwrap_err();
    assert_eq!((taken.kind, taken.field.as_deref()), (Kind::Conflict, Some("organization")));
    assert!(store.user_by_email("register-bert@example.com").await.unwrap().is_none());
    let everyone = store.everyone().await.unwrap();
    assert!(everyone.iter().any(|(of, member)| of.slug == studio.slug && member.user == anna.id));
}

async fn members(store: &dyn Store) {
    let (mine, other) = (organization(store, "members").await, organization(store, "members-other").await);
    let mut all = Vec::new();
    for (name, role) in [("m-owner", Role::Owner), ("m-admin", Role::Admin), ("m-operator", Role::Operator)] {
        all.push(registered(store, mine, name, role).await);
    }
    let stranger = person(&registered(store, other, "m-stranger", Role::Owner).await);
    let mut walked = Vec::new();
    while let Ok(page) = store.members(mine, walked.last().copied(), 2).await
        && !page.is_empty()
    {
        walked.extend(page.iter().map(|member| member.user));
    }
    assert_eq!(walked, all.iter().map(|user| user.id).collect::<Vec<_>>());
    let [owner, admin, operator] = &all[..] else { panic!("three") };
    let by = person(admin);
    let set = async |of, user, by: &Actor| store.member_set_role(of, user, Role::Viewer, by, None).await.unwrap();
    assert_eq!(set(mine, owner.id, &by).await, Err(Objection::Above(Role::Admin)));
    assert_eq!(set(other, admin.id, &stranger).await, Ok(MemberChange::NotFound));
    let changed = set(mine, operator.id, &by).await;
    assert!(matches!(changed, Ok(MemberChange::Changed(before)) if before.role == Role::Operator));
    assert_eq!(role_of(store, mine, operator.id).await, Some(Role::Viewer));
    assert_eq!(store.member_remove(other, admin.id, &stranger).await.unwrap(), Ok(MemberChange::NotFound));
    assert!(matches!(store.member_remove(mine, operator.id, &by).await.unwrap(), Ok(MemberChange::Changed(_))));
    assert!(store.user(operator.id).await.unwrap().is_none(), "a user without an organization");
}

async fn owners_stay(store: &dyn Store) {
    let (mine, other) = (organization(store, "owners").await, organization(store, "owners-other").await);
    let (one, two) = (registered(store, mine, "o-one", Role::Owner).await, registered(store, mine, "o-two", Role::Admin).await);
    let by = person(&one);
    let set = async |user: &UserRecord, role| store.member_set_role(mine, user.id, role, &by, None).await.unwrap();
    assert_eq!(set(&one, Role::Viewer).await, Ok(MemberChange::SoleOwner));
    assert_eq!(store.member_remove(mine, one.id, &by).await.unwrap(), Ok(MemberChange::SoleOwner));
    assert!(!store.user_delete(one.id).await.unwrap());
    assert_eq!(role_of(store, mine, one.id).await, Some(Role::Owner));
    // The same role again is no change, also of the only owner.
    for (user, role) in [(&one, Role::Owner), (&two, Role::Owner), (&one, Role::Viewer)] {
        assert!(matches!(set(user, role).await, Ok(MemberChange::Changed(_))));
    }
    assert!(store.user_delete(one.id).await.unwrap());
    assert!(store.user(one.id).await.unwrap().is_none());
    // Owner of another organization alone: that one counts, too.
    let three = registered(store, other, "o-three", Role::Owner).await;
    invited(store, mine, &two, "o-three@example.com", 31).await;
    store.invitation_accept(&[31; 32], &Joiner::Known(three.id), 10, at(10)).await.unwrap();
    assert!(!store.user_delete(three.id).await.unwrap());
    assert!(matches!(store.member_remove(mine, three.id, &person(&two)).await.unwrap(), Ok(MemberChange::Changed(_))));
    assert!(store.user(three.id).await.unwrap().is_some(), "a member of another organization went");
}

fn session(user: &UserRecord, organization: OrganizationId, hash: u8, created: i64) -> SessionRecord {
    SessionRecord {
        id: Uuid::now_v7(),
        user: user.id,
        organization,
        hash: [hash; 32],
        created_at: at(created),
        seen_at: at(created),
        expires_at: at(1000),
    }
}

async fn opens(store: &dyn Store, hash: u8) -> Option<Role> {
    store.session_by_hash(&[hash; 32]).await.unwrap().map(|(_, role)| role)
}

async fn sessions(store: &dyn Store) {
    let mine = organization(store, "sessions").await;
    let anna = registered(store, mine, "s-anna", Role::Owner).await;
    let bert = registered(store, mine, "s-bert", Role::Operator).await;
    let insert = async |user: &UserRecord, hash, created| {
        store.session_insert(&session(user, mine, hash, created), "phc", 3).await.unwrap()
    };
    assert!(insert(&anna, 101, 10).await && insert(&bert, 102, 10).await);
    assert_eq!((opens(store, 101).await, opens(store, 102).await), (Some(Role::Owner), Some(Role::Operator)));
    let (found, _) = store.session_by_hash(&[101; 32]).await.unwrap().unwrap();
    store.session_touch(found.id, at(20)).await.unwrap();
    store.session_touch(found.id, at(15)).await.unwrap();
    assert_eq!(store.session_by_hash(&[101; 32]).await.unwrap().unwrap().0.seen_at, at(20), "time went back");

    assert!(store.session_rotate(&[101; 32], &[103; 32], mine, at(30)).await.unwrap());
    assert_eq!((opens(store, 101).await, opens(store, 103).await), (None, Some(Role::Owner)));
    let (by_id, role) = store.session(found.id).await.unwrap().unwrap();
    assert_eq!((by_id.hash, role), ([103; 32], Role::Owner));
    assert!(!store.session_rotate(&[101; 32], &[104; 32], mine, at(30)).await.unwrap());
    for (hash, created) in [(105, 40), (106, 50), (107, 60)] {
        assert!(insert(&anna, hash, created).await);
    }
    assert_eq!((opens(store, 103).await, opens(store, 105).await), (None, Some(Role::Owner)), "the oldest ends");
    assert_eq!(opens(store, 102).await, Some(Role::Operator), "another user's ended");

    // Also where it has another hash than the one that it was found by.
    let (found, _) = store.session_by_hash(&[105; 32]).await.unwrap().unwrap();
    assert!(store.session_rotate(&[105; 32], &[109; 32], mine, at(65)).await.unwrap());
    store.session_end(found.id).await.unwrap();
    assert_eq!((opens(store, 105).await, opens(store, 109).await), (None, None));
    store.member_set_role(mine, bert.id, Role::Viewer, &person(&anna), None).await.unwrap().unwrap();
    assert_eq!(opens(store, 102).await, None, "a session outlived its role");
    assert!(insert(&bert, 108, 60).await);
    store.sessions_expire(at(70), at(55)).await.unwrap();
    assert_eq!((opens(store, 106).await, opens(store, 107).await), (None, Some(Role::Owner)), "idle ones end");
    store.member_remove(mine, bert.id, &person(&anna)).await.unwrap().unwrap();
    assert_eq!(opens(store, 108).await, None, "a session outlived its membership");
    store.sessions_expire(at(1000), at(0)).await.unwrap();
    assert_eq!(opens(store, 107).await, None, "expired ones end");
}

async fn passwords(store: &dyn Store) {
    let mine = organization(store, "passwords").await;
    let anna = registered(store, mine, "p-anna", Role::Owner).await;
    let kept = session(&anna, mine, 111, 10);
    assert!(store.session_insert(&kept, "phc", 9).await.unwrap());
    assert!(store.session_insert(&session(&anna, mine, 112, 10), "phc", 9).await.unwrap());
    let own = |proven: &str| PasswordChange::Own { session: kept.id, proven: proven.to_owned() };
    assert!(store.user_set_password(anna.id, "new", own("phc")).await.unwrap());
    assert_eq!((opens(store, 111).await, opens(store, 112).await), (Some(Role::Owner), None));
    assert!(store.session(kept.id).await.unwrap().is_none(), "it has the id that it had");
    assert!(!store.session_insert(&session(&anna, mine, 113, 10), "phc", 9).await.unwrap(), "a login with the old password");
    assert!(store.user_set_password(anna.id, "newer", PasswordChange::Operator).await.unwrap());
    assert_eq!(opens(store, 111).await, None);
    assert_eq!(store.user(anna.id).await.unwrap().unwrap().password, "newer");
    // Who proved the old one before the operator's reset comes too late.
    assert!(!store.user_set_password(anna.id, "mine", own("new")).await.unwrap());
    assert_eq!(store.user(anna.id).await.unwrap().unwrap().password, "newer");
    assert!(!store.user_set_password(Uuid::new_v4(), "new", PasswordChange::Operator).await.unwrap());
}

async fn invited(store: &dyn Store, organization: OrganizationId, by: &UserRecord, email: &str, hash: u8) -> InvitationRecord {
    let invitation = InvitationRecord {
        id: Uuid::now_v7(),
        organization,
        email: email.to_owned(),
        email_key: email.to_owned(),
        role: Role::Operator,
        hash: [hash; 32],
        invited_by: format!("user:{}", by.id),
        created_at: at(5),
        expires_at: at(100),
    };
    assert_eq!(store.invitation_insert(&invitation, &person(by), 2).await.unwrap(), Ok(true));
    invitation
}

async fn invitations(store: &dyn Store) {
    let (mine, other) = (organization(store, "invite").await, organization(store, "invite-other").await);
    let owner = registered(store, mine, "i-owner", Role::Owner).await;
    let first = invited(store, mine, &owner, "i-anna@example.com", 121).await;
    let second = invited(store, mine, &owner, "i-bert@example.com", 122).await;
    let third = InvitationRecord { id: Uuid::now_v7(), email_key: "c".to_owned(), hash: [123; 32], ..first.clone() };
    let (by, stranger) = (person(&owner), person(&registered(store, other, "i-stranger", Role::Owner).await));
    assert_eq!(store.invitation_insert(&third, &by, 2).await.unwrap(), Ok(false), "more than there may be");
    let ids = async |after| {
        let page = store.invitations(mine, after, 10, at(50)).await.unwrap();
        page.into_iter().map(|one| one.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None).await, [first.id, second.id]);
    assert_eq!(ids(Some(first.id)).await, [second.id]);
    assert_eq!(store.invitations(mine, None, 10, at(100)).await.unwrap().len(), 0, "expired ones are shown");
    assert!(store.invitation_by_hash(&[121; 32], at(100)).await.unwrap().is_none());
    // Another one to the same address takes its place, also where there are as many as there may be.
    let again = invited(store, mine, &owner, "i-anna@example.com", 124).await;
    assert!(store.invitation_by_hash(&[121; 32], at(50)).await.unwrap().is_none());
    assert_eq!(store.invitation_by_hash(&[124; 32], at(50)).await.unwrap().unwrap().id, again.id);

    let anna = user("i-anna");
    let accept = async |hash: u8, joiner: Joiner, most, now| store.invitation_accept(&[hash; 32], &joiner, most, at(now)).await;
    assert_eq!(accept(124, Joiner::New(anna.clone()), 9, 100).await.unwrap(), Joined::Gone, "it has expired");
    assert_eq!(accept(124, Joiner::New(anna.clone()), 1, 50).await.unwrap(), Joined::Full);
    assert_eq!(kind(accept(124, Joiner::New(UserRecord { id: Uuid::now_v7(), ..owner.clone() }), 9, 50).await), Kind::Conflict);
    assert_eq!(accept(124, Joiner::Known(owner.id), 9, 50).await.unwrap(), Joined::Member);
    assert_eq!(accept(124, Joiner::New(anna.clone()), 9, 50).await.unwrap(), Joined::Joined);
    assert_eq!(role_of(store, mine, anna.id).await, Some(Role::Operator));
    assert_eq!(accept(124, Joiner::New(user("i-late")), 9, 50).await.unwrap(), Joined::Gone, "it was used twice");

    assert_eq!(store.invitation_delete(other, second.id, &stranger).await.unwrap(), Ok(false));
    assert_eq!(store.invitation_delete(mine, second.id, &by).await.unwrap(), Ok(true));
    assert_eq!(store.invitation_delete(mine, second.id, &by).await.unwrap(), Ok(false));
    invited(store, mine, &owner, "i-old@example.com", 125).await;
    store.sessions_expire(at(100), at(0)).await.unwrap();
    assert!(store.invitation_by_hash(&[125; 32], at(50)).await.unwrap().is_none());
}

/// What somebody invited to ends with what they may.
async fn inviters(store: &dyn Store) {
    let mine = organization(store, "inviters").await;
    let owner = person(&registered(store, mine, "v-owner", Role::Owner).await);
    let (bert, cleo) =
        (registered(store, mine, "v-bert", Role::Admin).await, registered(store, mine, "v-cleo", Role::Admin).await);
    let token = super::tokens::record(mine, 149);
    store.token_insert(&token).await.unwrap();
    let invite = async |hash: u8, by: String, role| {
        let by = Actor { name: by, least: Role::Viewer, at: at(5) };
        let (id, email) = (Uuid::now_v7(), format!("v-{hash}@example.com"));
        let (email_key, hash, expires_at) = (email.clone(), [hash; 32], at(100));
        let one = InvitationRecord {
            id,
            organization: mine,
            email,
            email_key,
            role,
            hash,
            invited_by: by.name.clone(),
            created_at: at(5),
            expires_at,
        };
        store.invitation_insert(&one, &by, 9).await.unwrap()
    };
    let user = |user: &UserRecord| format!("user:{}", user.id);
    assert_eq!(invite(141, user(&bert), Role::Admin).await, Ok(true));
    assert_eq!(invite(142, user(&bert), Role::Operator).await, Ok(true));
    assert_eq!(invite(143, user(&cleo), Role::Admin).await, Ok(true));
    assert_eq!(invite(144, format!("token:{}", token.id), Role::Viewer).await, Ok(true));
    let open = async || {
        let page = store.invitations(mine, None, 10, at(50)).await.unwrap();
        page.into_iter().map(|one| one.hash[0]).collect::<Vec<_>>()
    };
    store.member_set_role(mine, bert.id, Role::Operator, &owner, None).await.unwrap().unwrap();
    assert_eq!(open().await, [142, 143, 144], "to a role that the inviter hasn't any more");
    let refused = invite(145, user(&bert), Role::Admin).await;
    assert_eq!(refused, Err(Objection::Above(Role::Operator)), "who was an admin when it began");
    store.member_remove(mine, bert.id, &owner).await.unwrap().unwrap();
    assert_eq!(invite(145, user(&bert), Role::Viewer).await, Err(Objection::Gone), "who was a member when it began");
    assert_eq!(open().await, [143, 144]);
    assert!(store.token_delete(mine, token.id).await.unwrap());
    assert_eq!(open().await, [143]);
    assert!(store.user_delete(cleo.id).await.unwrap());
    assert_eq!(open().await, [0; 0]);
}
