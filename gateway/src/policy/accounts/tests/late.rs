//! What comes to the store late: meanwhile the role, the session's secret or the invitation is another one.
//!
//! Invariant: a principal is kept from before the change, as a request has it that was let in before.

use super::*;
use crate::policy::{Admission, TokenError, TokenWish, Tokens};

impl World {
    /// Somebody new, in the organization of who invites them.
    async fn bring(&self, by: &Principal, email: &str, role: Role) -> Arc<Principal> {
        let invited = self.accounts.invite(by, Email::parse(email).unwrap(), role).await.unwrap();
        let acceptance = Acceptance { password: Zeroizing::new(PASSWORD.to_owned()), name: None };
        let entered = self.accounts.accept(&invited.token, acceptance, HERE).await.unwrap();
        self.principal(&entered).await.unwrap()
    }

    async fn owner(&self) -> Arc<Principal> {
        let entered = self.register("anna@example.com").await;
        self.principal(&entered).await.unwrap()
    }

    /// To give `role`, and to take `member` out.
    async fn attempts(&self, by: &Principal, role: Role, member: &Principal) -> [&'static str; 3] {
        let guest = Email::parse("guest@example.com").unwrap();
        [
            told(self.accounts.set_role(by, id_of(by), role).await),
            told(self.accounts.invite(by, guest, role).await),
            told(self.accounts.remove_member(by, id_of(member)).await),
        ]
    }
}

fn id_of(principal: &Principal) -> Uuid {
    let Who::User { user, .. } = principal.who else { panic!("a person") };
    user
}

fn told<T>(outcome: Result<T, AccountError>) -> &'static str {
    match outcome {
        Ok(_) => "done",
        Err(AccountError::Forbidden { code, .. }) => code,
        Err(AccountError::Ended) => "ended",
        Err(error) => panic!("{error:?}"),
    }
}

fn wish(role: Role) -> TokenWish {
    TokenWish { name: "late".to_owned(), role: Some(role), ..TokenWish::default() }
}

fn denied<T: std::fmt::Debug>(outcome: Result<T, TokenError>) -> Option<Denied> {
    match outcome {
        Err(TokenError::Denied(denied)) => Some(denied),
        Err(TokenError::Ended) => None,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_role_that_was_taken_away_gives_and_takes_nothing() {
    let world = World::new().await;
    let anna = world.owner().await;
    let bert = world.bring(&anna, "bert@example.com", Role::Owner).await;
    let cleo = world.bring(&anna, "cleo@example.com", Role::Viewer).await;
    // Who asked as an owner is an admin, then a viewer, then nobody.
    world.accounts.set_role(&anna, id_of(&bert), Role::Admin).await.unwrap();
    assert_eq!(world.attempts(&bert, Role::Owner, &anna).await, ["role_too_high"; 3]);
    world.accounts.set_role(&anna, id_of(&bert), Role::Viewer).await.unwrap();
    assert_eq!(world.attempts(&bert, Role::Admin, &cleo).await, ["forbidden"; 3]);
    assert_eq!(world.attempts(&bert, Role::Viewer, &cleo).await, ["forbidden"; 3]);
    world.accounts.remove_member(&anna, id_of(&bert)).await.unwrap();
    assert_eq!(world.attempts(&bert, Role::Viewer, &cleo).await, ["ended"; 3]);
    let members = world.accounts.members(&anna, None, 10).await.unwrap();
    let roles: Vec<_> = members.iter().map(|member| (member.user, member.role)).collect();
    assert_eq!(roles, [(id_of(&anna), Role::Owner), (id_of(&cleo), Role::Viewer)]);
    assert!(world.accounts.invitations(&anna, None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_role_that_was_taken_away_makes_and_takes_no_tokens() {
    let world = World::new().await;
    let anna = world.owner().await;
    let bert = world.bring(&anna, "bert@example.com", Role::Owner).await;
    let tokens = Tokens::new(world.store.clone(), Arc::clone(&world.authenticator));
    let (_, owners) = tokens.create(&bert, wish(Role::Owner)).await.unwrap();
    let attempts = async |role| {
        [
            denied(tokens.create(&bert, wish(role)).await),
            denied(tokens.rotate(&bert, owners.id, 0).await),
            denied(tokens.revoke(&bert, owners.id).await),
        ]
    };
    let (above, least) = (Some(Denied::Above(Role::Owner)), Some(Denied::Role(Role::Admin)));
    world.accounts.set_role(&anna, id_of(&bert), Role::Admin).await.unwrap();
    assert_eq!(attempts(Role::Owner).await, [Some(Denied::Beyond("role")), above, above]);
    world.accounts.set_role(&anna, id_of(&bert), Role::Viewer).await.unwrap();
    assert_eq!(attempts(Role::Viewer).await, [least; 3]);
    world.accounts.remove_member(&anna, id_of(&bert)).await.unwrap();
    assert_eq!(attempts(Role::Viewer).await, [None::<Denied>; 3]);
    assert_eq!(tokens.list(anna.organization, None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_ends_whatever_its_secret_is_by_then() {
    let world = World::new().await;
    let first = world.owner().await;
    let refreshed = world.accounts.refresh(&first, None).await.unwrap();
    world.accounts.logout(&first).await.unwrap();
    assert!(world.principal(&refreshed).await.is_none(), "it lives on after the logout");
    // And so does one that a login replaces, which is looked for before the password is.
    let entered = world.login(None).await;
    let earlier = world.accounts.earlier(Some(hash_of(&entered))).await.unwrap();
    let second = world.principal(&entered).await.unwrap();
    let refreshed = world.accounts.refresh(&second, None).await.unwrap();
    world.accounts.end_earlier(earlier).await;
    assert!(world.principal(&refreshed).await.is_none(), "it lives on beside the one that replaces it");
}

#[tokio::test]
async fn an_invitation_above_the_own_role_is_nobodys_to_take() {
    let world = World::new().await;
    let anna = world.owner().await;
    let bert = world.bring(&anna, "bert@example.com", Role::Admin).await;
    let invite = async |by: &Principal, role| world.accounts.invite(by, Email::parse("olga@example.com").unwrap(), role).await;
    let invited = invite(&anna, Role::Owner).await.unwrap();
    assert_eq!(told(invite(&bert, Role::Viewer).await), "role_too_high");
    assert_eq!(told(world.accounts.withdraw(&bert, invited.invitation.id).await), "role_too_high");
    let open = world.accounts.invitations(&bert, None, 10).await.unwrap();
    assert_eq!(open.iter().map(|one| one.id).collect::<Vec<_>>(), [invited.invitation.id]);
    // One that has expired is in nobody's way.
    world.execute("UPDATE invitations SET expires_at = 1").await;
    let again = invite(&bert, Role::Admin).await.unwrap();
    assert_eq!(told(world.accounts.withdraw(&bert, again.invitation.id).await), "done");
}

#[tokio::test]
async fn a_request_goes_on_when_its_session_gets_another_secret_and_ends_with_it() {
    let world = World::new().await;
    let entered = world.register("anna@example.com").await;
    let admission = Admission::now(&world.authenticator);
    let principal = world.principal(&entered).await.unwrap();
    let _ = world.accounts.refresh(&principal, None).await.unwrap();
    assert!(admission.still_holds(&principal).await.unwrap(), "nothing was taken away");
    assert!(!world.authenticator.still_holds(&principal).await.unwrap(), "what goes on for hours ends with its secret");
    world.accounts.logout(&principal).await.unwrap();
    assert!(!admission.still_holds(&principal).await.unwrap());
}

#[tokio::test]
async fn who_was_let_in_by_a_stolen_secret_goes_no_further_after_another_password() {
    let world = World::new().await;
    let entered = world.register("anna@example.com").await;
    let admission = Admission::now(&world.authenticator);
    let principal = world.principal(&entered).await.unwrap();
    let word = |text: &str| Zeroizing::new(text.to_owned());
    let change = world.accounts.change_password(&principal, word(PASSWORD), word("other words that I remember"), HERE);
    let next = change.await.unwrap();
    assert!(!admission.still_holds(&principal).await.unwrap(), "somebody else may have sent it");
    assert!(world.principal(&next).await.is_some_and(|next| next.role == Role::Owner));
}
