//! Members and invitations: who belongs to an organization, and who may.
//!
//! Invariant: nobody gives, takes or invites to a role above their own as it is when that is stored, nor takes such an
//! invitation away, tokens included; who has limits beside the role gives none; what a removed member or token invited to is
//! withdrawn, and of a member's tokens all are revoked that are to be, or none; a change of somebody's role ends their sessions
//! there, so that what they hold was given under the role that they have.

use super::{AccountError, Accounts, Entered, own::sole_owner};
use crate::{
    clock,
    model::{Error, Kind, Role},
    policy::{
        authentication::{Principal, Who, end_of},
        authorization::authorize,
        email::Email,
        session::mint_invitation,
    },
    store::{self, InvitationRecord, MemberChange, MemberRecord, Objection},
};
use uuid::Uuid;
use zeroize::Zeroizing;

const MAX_INVITATIONS: u32 = 200;
const INVITATION_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// An invitation that was just made: its secret is in here once.
pub struct Invited {
    pub token: Zeroizing<String>,
    pub invitation: InvitationRecord,
}

impl Accounts {
    pub async fn members(
        &self,
        principal: &Principal,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<MemberRecord>, AccountError> {
        Ok(self.store.members(principal.organization, after, limit).await?)
    }

    /// The member as they are now, and the caller's own session when it was theirs that changed.
    pub async fn set_role(
        &self,
        principal: &Principal,
        member: Uuid,
        role: Role,
    ) -> Result<(MemberRecord, Option<Entered>), AccountError> {
        self.at_most(principal, role).await?;
        let own = match principal.who {
            Who::User { user, session } if user == member => Some(session),
            _ => None,
        };
        let by = principal.acting("members.update")?;
        let before = changed(self.store.member_set_role(principal.organization, member, role, &by, own).await??)?;
        self.authenticator.forget();
        let entered = match own.filter(|_| before.role != role) {
            Some(_) => Some(self.refresh(principal, None).await?),
            None => None,
        };
        Ok((MemberRecord { role, ..before }, entered))
    }

    pub async fn remove_member(&self, principal: &Principal, member: Uuid) -> Result<(), AccountError> {
        everywhere(principal)?;
        let by = principal.acting("members.delete")?;
        changed(self.store.member_remove(principal.organization, member, &by).await??)?;
        self.authenticator.forget();
        Ok(())
    }

    /// With the tokens that they made, those that these made, and so on: all of them, or nobody is removed. It takes what it
    /// takes to revoke each: the store looks at their roles, and no token is for more connections than one without that limit.
    /// Out come their ids.
    pub async fn remove_member_with_tokens(&self, principal: &Principal, member: Uuid) -> Result<Vec<Uuid>, AccountError> {
        everywhere(principal)?;
        authorize(principal, "tokens.delete")?;
        let by = principal.acting("members.delete")?;
        // Where the row of this change tells it.
        store::about(format!("/members/{member}?revoke_tokens=true"));
        let (change, revoked) = self.store.member_remove_with_tokens(principal.organization, member, &by).await??;
        changed(change)?;
        self.authenticator.forget();
        Ok(revoked)
    }

    pub async fn invite(&self, principal: &Principal, email: Email, role: Role) -> Result<Invited, AccountError> {
        self.at_most(principal, role).await?;
        if let Some(user) = self.store.user_by_email(&email.key).await? {
            let memberships = self.store.user_memberships(user.id).await?;
            if memberships.iter().any(|one| one.organization.id == principal.organization) {
                return Err(already_member().into());
            }
        }
        let (token, hash) = mint_invitation()?;
        let by = principal.acting("invitations.create")?;
        let now = by.at;
        let invitation = InvitationRecord {
            id: Uuid::now_v7(),
            organization: principal.organization,
            email: email.address,
            email_key: email.key,
            role,
            hash,
            invited_by: by.name.clone(),
            created_at: now,
            expires_at: now.plus_millis(INVITATION_MS),
        };
        store::about(format!("/invitations/{}", invitation.id));
        if !self.store.invitation_insert(&invitation, &by, MAX_INVITATIONS).await?? {
            let text = format!("an organization has at most {MAX_INVITATIONS} open invitations: withdraw some");
            return Err(Error::new(Kind::Conflict, text).with_code("too_many_invitations").into());
        }
        Ok(Invited { token, invitation })
    }

    pub async fn invitations(
        &self,
        principal: &Principal,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<InvitationRecord>, AccountError> {
        Ok(self.store.invitations(principal.organization, after, limit, clock::now()).await?)
    }

    pub async fn withdraw(&self, principal: &Principal, invitation: Uuid) -> Result<(), AccountError> {
        everywhere(principal)?;
        let by = principal.acting("invitations.delete")?;
        if self.store.invitation_delete(principal.organization, invitation, &by).await?? {
            return Ok(());
        }
        Err(Error::new(Kind::NotFound, "there is no open invitation of this id").into())
    }
}

impl Accounts {
    /// People have what their role allows on every connection, from everywhere and for good: so nobody gives one who hasn't. The scope
    /// to invite is enough of a scope: whoever gave it meant that.
    async fn at_most(&self, principal: &Principal, role: Role) -> Result<(), AccountError> {
        if role > principal.role {
            return Err(Objection::Above(principal.role).into());
        }
        if let Some(field) = principal.scopes.reach() {
            return Err(limited(field));
        }
        let Who::Token(id) = principal.who else { return Ok(()) };
        let token = self.store.token(principal.organization, id).await?.ok_or(AccountError::Ended)?;
        if end_of(&token, &principal.credential.0).is_some() { Err(limited("expires_at")) } else { Ok(()) }
    }
}

/// Members are there on every connection, and so must be who takes them away. From where and for how long that one is good doesn't matter.
fn everywhere(principal: &Principal) -> Result<(), AccountError> {
    let field = principal.scopes.reach().filter(|field| *field == "connections");
    field.map_or(Ok(()), |field| Err(limited(field)))
}

fn limited(field: &str) -> AccountError {
    let detail = format!(
        "a token with a limit (`{field}`) can't invite, give a role or take one away: a person has none; use one without, or log in"
    );
    AccountError::forbidden("forbidden", detail)
}

fn changed(change: MemberChange) -> Result<MemberRecord, AccountError> {
    match change {
        MemberChange::Changed(member) => Ok(member),
        MemberChange::NotFound => Err(Error::new(Kind::NotFound, "there is no member of this id").into()),
        MemberChange::SoleOwner => Err(sole_owner().into()),
    }
}

pub(super) fn already_member() -> Error {
    Error::new(Kind::Conflict, "this address is a member of the organization already").with_code("already_member")
}
