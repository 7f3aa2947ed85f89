//! Coming in: by registering, by logging in, by accepting an invitation.
//!
//! Invariant: the way of a login is the same for known and unknown addresses up to the comparison of the password, and both cost
//! a hash; what may be wrong is checked before a hash is computed, and what is stored is checked again where it is stored.

use super::{AccountError, Accounts, Entered, Mode, new_user};
use crate::{
    clock,
    model::{Error, Kind, OrganizationId, Role, Slug},
    policy::{
        authentication::Principal,
        email::Email,
        password::{self, Asker},
        session::{invitation_hash, mint_session},
    },
    store::{self, InvitationRecord, Joined, Joiner, Membership, Organization, SessionRecord, UserRecord},
};
use std::net::IpAddr;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Sessions of one user; the oldest ends when there is one more.
const MAX_SESSIONS: u32 = 50;
pub(super) const MAX_MEMBERS: u32 = 1000;

pub struct Login {
    pub email: Email,
    pub password: Zeroizing<String>,
    /// None: the one that the user joined last.
    pub organization: Option<Slug>,
}

pub struct Registration {
    pub email: Email,
    pub password: Zeroizing<String>,
    pub name: String,
    /// The organization's name, and the slug to make of it.
    pub organization: (String, Slug),
}

/// What somebody without an account sends with an invitation.
pub struct Acceptance {
    pub password: Zeroizing<String>,
    /// None: the address.
    pub name: Option<String>,
}

impl Accounts {
    /// The session that the browser had is ended, as far as the store can: there is another by then.
    pub async fn login(&self, login: Login, from: IpAddr, earlier: Option<[u8; 32]>) -> Result<Entered, AccountError> {
        let earlier = self.earlier(earlier).await;
        let outcome = self.try_login(login, from).await;
        let label = match &outcome {
            Ok(_) => "succeeded",
            Err(AccountError::TooManyAttempts(_) | AccountError::WrongWithinWait(..)) => "throttled",
            Err(AccountError::Failed(error)) if error.kind == Kind::Overloaded => "overloaded",
            Err(AccountError::Failed(_)) => "failed",
            Err(_) => "refused",
        };
        self.logins.with_label_values(&[label]).inc();
        if let (Ok(_), Some(earlier)) = (&outcome, earlier) {
            self.end_earlier(earlier).await;
        }
        outcome
    }

    /// The session that the browser had, looked for when the login comes: until that is through it may get another secret. One
    /// that can't be looked for is left, as one that can't be ended.
    pub(super) async fn earlier(&self, hash: Option<[u8; 32]>) -> Option<Uuid> {
        match self.store.session_by_hash(&hash?).await {
            Ok(found) => found.map(|(session, _)| session.id),
            Err(error) => {
                tracing::warn!(%error, internal = error.internal, "a session that a login replaces could not be looked for");
                None
            }
        }
    }

    /// Its browser forgets it all the same. A failure would leave the session that was just made to nobody; and ended before that one
    /// is made, it would stand in the log as a login that may yet fail.
    pub(super) async fn end_earlier(&self, earlier: Uuid) {
        if let Err(error) = self.store.session_end(earlier).await {
            tracing::warn!(%error, internal = error.internal, "a session that a login replaced could not be ended");
        }
        self.authenticator.forget();
    }

    async fn try_login(&self, login: Login, from: IpAddr) -> Result<Entered, AccountError> {
        let user = self.prove(&login.email.key, login.password, (Asker::stranger(from), from)).await?;
        let memberships = self.store.user_memberships(user.id).await?;
        let membership = choose(memberships, login.organization.as_ref())?;
        self.enter(user, membership).await
    }

    /// The user of this address, if the password is theirs.
    pub(super) async fn prove(
        &self,
        key: &str,
        password: Zeroizing<String>,
        (asker, from): (Asker, IpAddr),
    ) -> Result<UserRecord, AccountError> {
        // Also of whoever must wait, so that who was given another password needn't. Known and unknown addresses take as long; only
        // the few attempts that a wait leaves to another password take longer than to be told to wait.
        let user = self.store.user_by_email(key).await?;
        let kept = user.as_ref().map(|user| user.password.clone());
        let attempt = self.backoff.begin(key, from, kept.as_deref()).map_err(AccountError::TooManyAttempts)?;
        match (self.passwords.verify(asker, password, kept).await, user) {
            (Ok(true), Some(user)) => {
                attempt.succeeded();
                Ok(user)
            }
            (Ok(_), user) => {
                let user = user.map(|user| user.id);
                Err(match attempt.held() {
                    Some(wait) => AccountError::WrongWithinWait(user, wait),
                    None => AccountError::WrongCredentials(user),
                })
            }
            (Err(error), _) => {
                // Who fills the line would be told of another password by being told of the line.
                let held = attempt.held().filter(|_| error.kind == Kind::Overloaded);
                attempt.taken_back();
                Err(held.map_or_else(|| error.into(), AccountError::TooManyAttempts))
            }
        }
    }

    /// The organization in whose log it stands that somebody tried to be this user: where the login would have led, or, if it named
    /// one that the user isn't in, where it would have led without. Nobody's is looked for, too, so that the time it takes doesn't
    /// tell who is known.
    pub async fn organization_of(&self, user: Option<Uuid>, named: Option<&Slug>) -> Result<Option<OrganizationId>, Error> {
        let memberships = self.store.user_memberships(user.unwrap_or_default()).await?;
        let meant = memberships.iter().find(|one| Some(&one.organization.slug) == named);
        Ok(meant.or_else(|| memberships.last()).map(|membership| membership.organization.id))
    }

    async fn enter(&self, user: UserRecord, membership: Membership) -> Result<Entered, AccountError> {
        let (token, hash) = mint_session()?;
        let now = clock::now();
        let session = SessionRecord {
            id: Uuid::now_v7(),
            user: user.id,
            organization: membership.organization.id,
            hash,
            created_at: now,
            seen_at: now,
            expires_at: now.plus_millis(self.sessions.absolute_millis()),
        };
        store::by(session.organization, format!("user:{}", user.id));
        if !self.store.session_insert(&session, &user.password, MAX_SESSIONS).await? {
            return Err(AccountError::WrongCredentials(Some(user.id)));
        }
        Ok(Entered { token, profile: self.profile_of(user, session).await? })
    }

    /// Makes an account, and an organization that it owns.
    pub async fn register(&self, new: Registration, from: IpAddr) -> Result<Entered, AccountError> {
        if self.mode != Mode::Open {
            let detail = match self.mode {
                Mode::Invitation => "an account is made by invitation: ask a member of the organization for one",
                _ => "accounts are made by the operator alone",
            };
            return Err(AccountError::forbidden("registration_closed", detail));
        }
        check_password(&new.password, &new.email.key)?;
        // Before it is known whether the address is taken, so that time doesn't tell.
        let kept = self.passwords.hash(Asker::stranger(from), new.password).await?;
        let user = new_user(new.email, new.name, kept);
        let organization = self.found(&user, new.organization).await?;
        self.enter(user, Membership { organization, role: Role::Owner }).await
    }

    /// Stores the user with an organization of a free slug: `studio`, or `studio-1f2e3d`.
    async fn found(&self, user: &UserRecord, (name, base): (String, Slug)) -> Result<Organization, AccountError> {
        const TRIES: u32 = 3;
        let mut slug = base.clone();
        for _ in 0..TRIES {
            if !self.reserved.iter().any(|reserved| reserved == slug.as_str()) {
                let organization = Organization {
                    id: crate::model::OrganizationId(Uuid::now_v7()),
                    slug: slug.clone(),
                    name: name.clone(),
                    created_at: user.created_at,
                };
                store::by(organization.id, format!("user:{}", user.id));
                match self.store.user_register(user, &organization, Role::Owner).await {
                    Ok(()) => return Ok(organization),
                    Err(error) if error.kind != Kind::Conflict => return Err(error.into()),
                    Err(error) if error.field.as_deref() == Some("organization") => {}
                    Err(error) => return Err(error.with_code("email_taken").into()),
                }
            }
            let mut bytes = [0; 3];
            password::random(&mut bytes)?;
            let [one, two, three] = bytes;
            slug = Slug::parse(&format!("{base}-{one:02x}{two:02x}{three:02x}"))
                .map_err(|_| AccountError::invalid("organization", "no slug can be made from this name: choose another"))?;
        }
        Err(Error::new(Kind::Conflict, "organizations of this name exist: choose another").with_field("organization").into())
    }

    /// Makes the account of somebody who was invited.
    pub async fn accept(&self, token: &str, acceptance: Acceptance, from: IpAddr) -> Result<Entered, AccountError> {
        let invitation = self.invitation(token).await?;
        if self.mode == Mode::Closed {
            return Err(AccountError::forbidden("registration_closed", "accounts are made by the operator alone"));
        }
        check_password(&acceptance.password, &invitation.email_key)?;
        if self.store.user_by_email(&invitation.email_key).await?.is_some() {
            return Err(account_exists());
        }
        let kept = self.passwords.hash(Asker::stranger(from), acceptance.password).await?;
        let email = Email { address: invitation.email, key: invitation.email_key };
        let name = acceptance.name.unwrap_or_else(|| email.address.clone());
        let user = new_user(email, name, kept);
        store::by(invitation.organization, format!("user:{}", user.id));
        let joined =
            self.store.invitation_accept(&invitation.hash, &Joiner::New(user.clone()), MAX_MEMBERS, clock::now()).await;
        joined_or(joined.map_err(|error| if error.kind == Kind::Conflict { account_exists() } else { error.into() })?)?;
        let membership = choose(self.store.user_memberships(user.id).await?, None)?;
        self.enter(user, membership).await
    }

    /// Joins another organization; the session goes on there.
    pub async fn join(&self, token: &str, principal: &Principal) -> Result<Entered, AccountError> {
        let (user, _) = super::person(principal)?;
        let invitation = self.invitation(token).await?;
        let user = self.store.user(user).await?.ok_or(AccountError::Ended)?;
        if user.email_key != invitation.email_key {
            let detail = "this invitation is for another address: log in with the account of that one, or make it";
            return Err(AccountError::forbidden("invitation_of_another", detail));
        }
        let joiner = Joiner::Known(user.id);
        store::by(invitation.organization, principal.name());
        joined_or(self.store.invitation_accept(&invitation.hash, &joiner, MAX_MEMBERS, clock::now()).await?)?;
        self.rotate(principal, user, invitation.organization).await
    }

    async fn invitation(&self, token: &str) -> Result<InvitationRecord, AccountError> {
        let Some(hash) = invitation_hash(token.as_bytes()) else { return Err(gone()) };
        self.store.invitation_by_hash(&hash, clock::now()).await?.ok_or_else(gone)
    }
}

fn gone() -> AccountError {
    let text = "no open invitation: it was accepted, withdrawn or replaced, or its seven days are over; ask for another";
    Error::new(Kind::InvalidInput, text).with_code("invitation_invalid").with_field("token").into()
}

fn account_exists() -> AccountError {
    let text = "there is an account of the invited address already: log in, and accept the invitation with that session; if that \
                account isn't yours, ask the operator, who gives it to you with another password (`portico user reset`)";
    Error::new(Kind::Conflict, text).with_code("account_exists").into()
}

fn joined_or(joined: Joined) -> Result<(), AccountError> {
    match joined {
        Joined::Joined => Ok(()),
        Joined::Gone => Err(gone()),
        Joined::Member => Err(super::members::already_member().into()),
        Joined::Full => {
            let text = format!("an organization has at most {MAX_MEMBERS} members");
            Err(Error::new(Kind::Conflict, text).with_code("too_many_members").into())
        }
    }
}

pub(super) fn check_password(password: &str, email: &str) -> Result<(), AccountError> {
    password::objection(password, email).map_or(Ok(()), |objection| Err(AccountError::invalid("password", objection)))
}

/// Of those that fit, the one that was joined last: whoever invited an address first, with or without its owner, isn't where its owner
/// works from then on.
pub(super) fn choose(memberships: Vec<Membership>, slug: Option<&Slug>) -> Result<Membership, AccountError> {
    let found = memberships.into_iter().rfind(|one| slug.is_none_or(|slug| one.organization.slug == *slug));
    found.ok_or_else(|| AccountError::invalid("organization", "you are no member of such an organization"))
}
