//! The part of the store that is about people: each method hands on to the file that knows its tables.
//!
//! Invariant: nothing is decided here.

use super::{SqliteStore, sessions, users};
use crate::{
    model::{Error, OrganizationId, Role, Timestamp},
    store::{
        Actor, InvitationRecord, Joined, Joiner, Measured, MemberChange, MemberRecord, Membership, Organization,
        PasswordChange, SessionRecord, UserRecord, UserStore,
    },
};
use async_trait::async_trait;
use uuid::Uuid;

#[async_trait]
impl UserStore for SqliteStore {
    async fn user_register(&self, user: &UserRecord, organization: &Organization, role: Role) -> Result<(), Error> {
        users::register(&self.writer, user.clone(), organization.clone(), role).await
    }

    async fn user_by_email(&self, key: &str) -> Result<Option<UserRecord>, Error> {
        users::by_email(&self.readers, key).await
    }

    async fn user(&self, id: Uuid) -> Result<Option<UserRecord>, Error> {
        users::get(&self.readers, id).await
    }

    async fn user_memberships(&self, user: Uuid) -> Result<Vec<Membership>, Error> {
        users::memberships(&self.readers, user).await
    }

    async fn user_set_password(&self, user: Uuid, password: &str, change: PasswordChange) -> Result<bool, Error> {
        users::set_password(&self.writer, user, password.to_owned(), change).await
    }

    async fn user_delete(&self, user: Uuid) -> Result<bool, Error> {
        users::delete(&self.writer, user).await
    }

    async fn members(&self, organization: OrganizationId, after: Option<Uuid>, limit: u32) -> Result<Vec<MemberRecord>, Error> {
        users::members(&self.readers, organization, after, limit).await
    }

    async fn everyone(&self) -> Result<Vec<(Organization, MemberRecord)>, Error> {
        users::everyone(&self.readers).await
    }

    async fn member_set_role(
        &self,
        organization: OrganizationId,
        user: Uuid,
        role: Role,
        by: &Actor,
        keep: Option<Uuid>,
    ) -> Measured<MemberChange> {
        users::set_role(&self.writer, organization, user, (role, by.clone()), keep).await
    }

    async fn member_remove(&self, organization: OrganizationId, user: Uuid, by: &Actor) -> Measured<MemberChange> {
        users::remove(&self.writer, organization, user, by.clone()).await
    }

    async fn member_remove_with_tokens(
        &self,
        organization: OrganizationId,
        user: Uuid,
        by: &Actor,
    ) -> Measured<(MemberChange, Vec<Uuid>)> {
        users::remove_with_tokens(&self.writer, organization, user, by.clone()).await
    }

    async fn session_insert(&self, session: &SessionRecord, password: &str, most: u32) -> Result<bool, Error> {
        sessions::insert(&self.writer, session.clone(), password.to_owned(), most).await
    }

    async fn session_by_hash(&self, hash: &[u8; 32]) -> Result<Option<(SessionRecord, Role)>, Error> {
        sessions::by_hash(&self.readers, hash).await
    }

    async fn session(&self, id: Uuid) -> Result<Option<(SessionRecord, Role)>, Error> {
        sessions::by_id(&self.readers, id).await
    }

    async fn session_touch(&self, id: Uuid, now: Timestamp) -> Result<(), Error> {
        sessions::touch(&self.writer, id, now).await
    }

    async fn session_rotate(
        &self,
        old: &[u8; 32],
        new: &[u8; 32],
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<bool, Error> {
        sessions::rotate(&self.writer, (*old, *new), organization, now).await
    }

    async fn session_end(&self, id: Uuid) -> Result<(), Error> {
        sessions::end(&self.writer, id).await
    }

    async fn sessions_expire(&self, now: Timestamp, idle_before: Timestamp) -> Result<(), Error> {
        sessions::expire(&self.writer, now, idle_before).await
    }

    async fn invitation_insert(&self, invitation: &InvitationRecord, by: &Actor, most: u32) -> Measured<bool> {
        sessions::invite(&self.writer, invitation.clone(), by.clone(), most).await
    }

    async fn invitation_by_hash(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<InvitationRecord>, Error> {
        sessions::invitation_by_hash(&self.readers, hash, now).await
    }

    async fn invitations(
        &self,
        organization: OrganizationId,
        after: Option<Uuid>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<InvitationRecord>, Error> {
        sessions::invitations(&self.readers, organization, after, limit, now).await
    }

    async fn invitation_delete(&self, organization: OrganizationId, id: Uuid, by: &Actor) -> Measured<bool> {
        sessions::withdraw(&self.writer, organization, id, by.clone()).await
    }

    async fn invitation_accept(
        &self,
        hash: &[u8; 32],
        joiner: &Joiner,
        max_members: u32,
        now: Timestamp,
    ) -> Result<Joined, Error> {
        users::join(&self.writer, *hash, joiner.clone(), max_members, now).await
    }
}
