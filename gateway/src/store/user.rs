//! People as the store keeps them: users, their memberships, sessions and invitations.
//!
//! Invariant: a password is here as a slow hash only, and what opens a session or an invitation as a SHA-256 only, so whoever
//! reads the database can't log in with what is in it.

use super::{Actor, Measured, Organization};
use crate::model::{Error, OrganizationId, Role, Timestamp};
use async_trait::async_trait;
use uuid::Uuid;

#[derive(Clone, Debug)]
pub struct UserRecord {
    pub id: Uuid,
    pub email: String,
    /// The address in lower case, by which it is found.
    pub email_key: String,
    pub name: String,
    /// A PHC string.
    pub password: String,
    pub created_at: Timestamp,
}

/// A user in an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRecord {
    pub user: Uuid,
    pub email: String,
    pub name: String,
    pub role: Role,
    /// When they joined.
    pub created_at: Timestamp,
}

/// An organization that a user belongs to.
#[derive(Clone, Debug)]
pub struct Membership {
    pub organization: Organization,
    pub role: Role,
}

#[derive(Clone, Debug)]
pub struct SessionRecord {
    pub id: Uuid,
    pub user: Uuid,
    pub organization: OrganizationId,
    pub hash: [u8; 32],
    pub created_at: Timestamp,
    /// The last use that was noted.
    pub seen_at: Timestamp,
    /// However much it is used.
    pub expires_at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct InvitationRecord {
    pub id: Uuid,
    pub organization: OrganizationId,
    pub email: String,
    pub email_key: String,
    pub role: Role,
    pub hash: [u8; 32],
    /// The principal's name.
    pub invited_by: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// What became of a change of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// The member as they were before.
    Changed(MemberRecord),
    NotFound,
    /// An organization keeps an owner.
    SoleOwner,
}

/// Who gives a user another password.
#[derive(Clone, Debug)]
pub enum PasswordChange {
    /// The user, in this session, which stays under another id, so that nothing goes on by it that somebody else began with its
    /// secret; the hash that they proved to know must still be there.
    Own {
        session: Uuid,
        proven: String,
    },
    Operator,
}

/// What became of an invitation that somebody wanted to accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    Joined,
    /// It was accepted, withdrawn or replaced meanwhile.
    Gone,
    /// The user is a member already.
    Member,
    /// The organization has as many members as it may have.
    Full,
}

/// Who accepts an invitation.
#[derive(Clone, Debug)]
pub enum Joiner {
    New(UserRecord),
    Known(Uuid),
}

/// Users, members, sessions and invitations. Errors are `Kind::Gateway` unless a method says otherwise.
#[async_trait]
pub trait UserStore: Send + Sync + 'static {
    /// Makes a user who is a member of the organization, which is made if it doesn't exist. `Conflict` with the field `email` or
    /// `organization` when one is taken.
    async fn user_register(&self, user: &UserRecord, organization: &Organization, role: Role) -> Result<(), Error>;
    async fn user_by_email(&self, key: &str) -> Result<Option<UserRecord>, Error>;
    async fn user(&self, id: Uuid) -> Result<Option<UserRecord>, Error>;
    /// The one joined first stands first.
    async fn user_memberships(&self, user: Uuid) -> Result<Vec<Membership>, Error>;
    /// Ends the user's other sessions. False: there is no such user, or the password is another one meanwhile.
    async fn user_set_password(&self, user: Uuid, password: &str, change: PasswordChange) -> Result<bool, Error>;
    /// With memberships and sessions. False, and nothing is changed: the user is the only owner of an organization.
    async fn user_delete(&self, user: Uuid) -> Result<bool, Error>;

    /// Beginning after the user `after`.
    async fn members(&self, organization: OrganizationId, after: Option<Uuid>, limit: u32) -> Result<Vec<MemberRecord>, Error>;
    /// Of all organizations, for the operator.
    async fn everyone(&self) -> Result<Vec<(Organization, MemberRecord)>, Error>;
    /// `by` gives and takes no role above their own. The member's sessions in the organization end, but for `keep`.
    async fn member_set_role(
        &self,
        organization: OrganizationId,
        user: Uuid,
        role: Role,
        by: &Actor,
        keep: Option<Uuid>,
    ) -> Measured<MemberChange>;
    /// The same; the user goes with the last membership.
    async fn member_remove(&self, organization: OrganizationId, user: Uuid, by: &Actor) -> Measured<MemberChange>;
    /// The same with the tokens that the user made there, those that these made, and so on, whose roles are measured as well.
    /// Out come their ids. What a token made that is gone is known of nobody, and stays.
    async fn member_remove_with_tokens(
        &self,
        organization: OrganizationId,
        user: Uuid,
        by: &Actor,
    ) -> Measured<(MemberChange, Vec<Uuid>)>;

    /// Ends the user's oldest session when there would be more than `most`. False: meanwhile the user has another password than
    /// this one (its PHC string), or isn't a member any more.
    async fn session_insert(&self, session: &SessionRecord, password: &str, most: u32) -> Result<bool, Error>;
    /// With the role of its user, whether it has expired or not.
    async fn session_by_hash(&self, hash: &[u8; 32]) -> Result<Option<(SessionRecord, Role)>, Error>;
    /// The same by its id, which it keeps with another hash.
    async fn session(&self, id: Uuid) -> Result<Option<(SessionRecord, Role)>, Error>;
    async fn session_touch(&self, id: Uuid, now: Timestamp) -> Result<(), Error>;
    /// Gives a session another hash. False: the old one opens nothing any more.
    async fn session_rotate(
        &self,
        old: &[u8; 32],
        new: &[u8; 32],
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<bool, Error>;
    /// Whatever its hash is by now.
    async fn session_end(&self, id: Uuid) -> Result<(), Error>;
    /// Forgets sessions that have expired, or weren't used since `idle_before`, and expired invitations.
    async fn sessions_expire(&self, now: Timestamp, idle_before: Timestamp) -> Result<(), Error>;

    /// Takes the place of an earlier invitation to the same address, unless that is open and to a role above that of `by`.
    /// False: there are `most` already.
    async fn invitation_insert(&self, invitation: &InvitationRecord, by: &Actor, most: u32) -> Measured<bool>;
    async fn invitation_by_hash(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<InvitationRecord>, Error>;
    /// Beginning after the invitation `after`.
    async fn invitations(
        &self,
        organization: OrganizationId,
        after: Option<Uuid>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<InvitationRecord>, Error>;
    /// `by` takes none away that is open and to a role above their own. False: there is none.
    async fn invitation_delete(&self, organization: OrganizationId, id: Uuid, by: &Actor) -> Measured<bool>;
    /// Uses the invitation up. `Conflict` with the field `email` when a new user's address is taken.
    async fn invitation_accept(
        &self,
        hash: &[u8; 32],
        joiner: &Joiner,
        max_members: u32,
        now: Timestamp,
    ) -> Result<Joined, Error>;
}
