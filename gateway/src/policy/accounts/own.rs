//! What people do to their own account: refresh, log out, change the password, leave.
//!
//! Invariant: whatever changes what a session may do gives it another secret, and the old one opens nothing from then on.

use super::{
    AccountError, Accounts, Entered,
    enter::{check_password, choose},
    person,
};
use crate::{
    clock,
    model::{Error, Kind, OrganizationId, Slug},
    policy::{authentication::Principal, password::Asker, session::mint_session},
    store::{self, PasswordChange, UserRecord},
};
use std::net::IpAddr;
use zeroize::Zeroizing;

impl Accounts {
    /// Another secret for the same session, which goes on in `organization` when one is named.
    pub async fn refresh(&self, principal: &Principal, organization: Option<&Slug>) -> Result<Entered, AccountError> {
        let (user, _) = person(principal)?;
        let user = self.store.user(user).await?.ok_or(AccountError::Ended)?;
        // Whoever goes over to another organization comes in there.
        let organization = match organization {
            Some(_) => choose(self.store.user_memberships(user.id).await?, organization)?.organization.id,
            None => principal.organization,
        };
        store::concerns([organization]);
        self.rotate(principal, user, organization).await
    }

    pub(super) async fn rotate(
        &self,
        principal: &Principal,
        user: UserRecord,
        organization: OrganizationId,
    ) -> Result<Entered, AccountError> {
        let (token, hash) = mint_session()?;
        if !self.store.session_rotate(&principal.credential.0, &hash, organization, clock::now()).await? {
            return Err(AccountError::Ended);
        }
        self.authenticator.forget();
        let (session, _) = self.authenticator.session(&hash).await?.ok_or(AccountError::Ended)?;
        Ok(Entered { token, profile: self.profile_of(user, session).await? })
    }

    /// The session is over, also where it was given another secret meanwhile.
    pub async fn logout(&self, principal: &Principal) -> Result<(), AccountError> {
        let (_, session) = person(principal)?;
        self.store.session_end(session).await?;
        self.authenticator.forget();
        Ok(())
    }

    /// Ends all other sessions of the user.
    pub async fn change_password(
        &self,
        principal: &Principal,
        current: Zeroizing<String>,
        new: Zeroizing<String>,
        from: IpAddr,
    ) -> Result<Entered, AccountError> {
        let (id, session) = person(principal)?;
        let user = self.store.user(id).await?.ok_or(AccountError::Ended)?;
        check_password(&new, &user.email_key)?;
        if *new == *current {
            return Err(AccountError::invalid("password", "not the one that you have"));
        }
        let asker = Asker::SignedIn(id);
        let user = self.prove(&user.email_key, current, (asker, from)).await?;
        // Sessions of all of them end.
        store::concerns(self.store.user_memberships(id).await?.iter().map(|membership| membership.organization.id));
        let kept = self.passwords.hash(asker, new).await?;
        let change = PasswordChange::Own { session, proven: user.password.clone() };
        let changed = self.store.user_set_password(id, &kept, change).await;
        // The other sessions are over from here on, whatever becomes of this one; and perhaps also where no answer came.
        self.authenticator.forget();
        if !changed? {
            return Err(AccountError::Ended);
        }
        let organization = principal.organization;
        self.rotate(principal, user, organization).await
    }

    pub async fn delete_account(&self, principal: &Principal) -> Result<(), AccountError> {
        let (user, _) = person(principal)?;
        let memberships = self.store.user_memberships(user).await?;
        store::concerns(memberships.iter().map(|membership| membership.organization.id));
        if !self.store.user_delete(user).await? {
            return Err(sole_owner().into());
        }
        self.authenticator.forget();
        Ok(())
    }
}

pub(super) fn sole_owner() -> Error {
    let text = "an organization keeps an owner: make another member one first; who is alone in it invites somebody, or asks \
                the operator, who makes an owner (`portico user create`)";
    Error::new(Kind::Conflict, text).with_code("sole_owner")
}
