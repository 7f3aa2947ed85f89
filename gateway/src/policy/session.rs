//! Sessions: what a browser that logged in sends back, and whether it still holds.
//!
//! In goes the value of a cookie; out comes the principal behind it. Invariant: a session is found by the SHA-256 of 256 random
//! bits and by nothing else; it ends by idleness, by age, with its user's membership, and at once when it is ended here. Use is
//! noted now and then, never with every request; where it can't be, the request goes on.

use super::{
    authentication::{Authenticator, Credential, Principal, Refusal, Who, hash},
    scopes::Scopes,
};
use crate::{
    clock,
    model::{Error, Role, Timestamp},
    store::SessionRecord,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::time::Instant;
use zeroize::Zeroizing;

const SESSION: &str = "pts_";
const INVITATION: &str = "pti_";
/// A prefix of four and 32 bytes in base64url.
const LENGTH: usize = 4 + 43;
const PLAIN: &str = "portico_session";
/// Browsers take a cookie of this prefix only with `Secure`, for this host alone and for all of its paths (RFC 6265bis).
const HOST: &str = "__Host-portico_session";

/// The `[sessions]` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionsConfig {
    /// A session that wasn't used for this long has ended.
    pub idle_minutes: u32,
    /// However much it is used, it ends after this.
    pub absolute_hours: u32,
}

impl Default for SessionsConfig {
    fn default() -> Self {
        Self { idle_minutes: 8 * 60, absolute_hours: 7 * 24 }
    }
}

impl SessionsConfig {
    pub const fn idle_millis(&self) -> i64 {
        self.idle_minutes as i64 * 60_000
    }

    pub const fn absolute_millis(&self) -> i64 {
        self.absolute_hours as i64 * 3_600_000
    }

    /// When the session ends if it isn't used any more.
    pub fn ends_at(&self, session: &SessionRecord) -> Timestamp {
        session.expires_at.min(session.seen_at.plus_millis(self.idle_millis()))
    }

    /// Use is noted once in a sixteenth of the idle time, or once a minute where that is shorter.
    fn note_millis(&self) -> i64 {
        (self.idle_millis() / 16).min(60_000)
    }

    fn is_worth_noting(&self, session: &SessionRecord, now: Timestamp) -> bool {
        now.as_millis() - session.seen_at.as_millis() >= self.note_millis()
    }
}

/// Cookies of the session's name came more than once: another site of the same domain may have set one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeveralSessions;

/// The cookie that carries a session, over TLS or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionCookie {
    pub secure: bool,
}

impl SessionCookie {
    const fn name(self) -> &'static str {
        if self.secure { HOST } else { PLAIN }
    }

    /// The one that was sent.
    pub fn sent(self, headers: &HeaderMap) -> Result<Option<&[u8]>, SeveralSessions> {
        let fields = headers.get_all(header::COOKIE).into_iter().flat_map(|field| field.as_bytes().split(|&byte| byte == b';'));
        let pairs = fields.filter_map(|pair| {
            let pair = pair.trim_ascii();
            let end = pair.iter().position(|&byte| byte == b'=')?;
            (&pair[..end] == self.name().as_bytes()).then(|| &pair[end + 1..])
        });
        let mut values = pairs;
        let first = values.next();
        if values.next().is_some() { Err(SeveralSessions) } else { Ok(first) }
    }

    /// The value of `Set-Cookie` that gives the session to the browser.
    pub fn given(self, token: &str, seconds: i64) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "{}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{}",
            self.name(),
            self.attribute()
        ))
    }

    /// The value of `Set-Cookie` that takes it back.
    pub fn taken(self) -> String {
        format!("{}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0{}", self.name(), self.attribute())
    }

    const fn attribute(self) -> &'static str {
        if self.secure { "; Secure" } else { "" }
    }
}

/// A secret that is sent to somebody once, and the hash that is kept of it.
pub type Minted = (Zeroizing<String>, [u8; 32]);

pub fn mint_session() -> Result<Minted, Error> {
    mint(SESSION)
}

pub fn mint_invitation() -> Result<Minted, Error> {
    mint(INVITATION)
}

fn mint(prefix: &str) -> Result<Minted, Error> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    super::password::random(bytes.as_mut())?;
    let token = Zeroizing::new(format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes.as_ref())));
    let hash = hash(token.as_bytes());
    Ok((token, hash))
}

/// None: it can't be a session.
pub fn session_hash(token: &[u8]) -> Option<[u8; 32]> {
    (token.len() == LENGTH && token.starts_with(SESSION.as_bytes())).then(|| hash(token))
}

pub fn invitation_hash(token: &[u8]) -> Option<[u8; 32]> {
    (token.len() == LENGTH && token.starts_with(INVITATION.as_bytes())).then(|| hash(token))
}

impl Authenticator {
    /// `token`: the value of a session's cookie.
    pub async fn authenticate_session(&self, token: &[u8]) -> Result<Arc<Principal>, Refusal> {
        let hash = session_hash(token).ok_or(Refusal::Unauthenticated)?;
        if let Some(principal) = self.remembered(&hash, Instant::now()) {
            return Ok(principal);
        }
        let epoch = self.epoch();
        let (session, role) = self.session(&hash).await.map_err(Refusal::Failed)?.ok_or(Refusal::Unauthenticated)?;
        let now = clock::now();
        if self.sessions.is_worth_noting(&session, now) {
            self.note_session(&session, now).await;
        }
        let ends_at = self.sessions.ends_at(&session);
        Ok(self.remember(principal(&session, role), Some(ends_at), epoch))
    }

    /// A store that can't be written shuts nobody out: what can be read may still be all that they want.
    async fn note_session(&self, session: &SessionRecord, now: Timestamp) {
        let (pauses, pause) = (&self.uses.sessions, self.sessions.note_millis());
        if !pauses.begin(session.id, now, pause) {
            return;
        }
        match self.store.session_touch(session.id, now).await {
            Ok(()) => pauses.worked(session.id),
            Err(error) if pauses.failed(now, pause) => {
                tracing::warn!(%error, internal = error.internal, "the last use of sessions could not be written");
            }
            Err(_) => {}
        }
    }

    /// As [`Self::has_met`], of the value of a session's cookie.
    pub fn has_met_session(&self, token: &[u8]) -> bool {
        session_hash(token).is_some_and(|hash| self.has_met_hash(&hash))
    }

    /// A session that has not ended.
    pub(super) async fn session(&self, hash: &[u8; 32]) -> Result<Option<(SessionRecord, Role)>, Error> {
        let found = self.store.session_by_hash(hash).await?;
        Ok(found.filter(|(session, _)| clock::now() < self.sessions.ends_at(session)))
    }

    /// The same where a request goes on that began before the session was given another secret: that takes nothing away.
    pub(super) async fn session_goes_on(&self, now: &Principal) -> Result<bool, Error> {
        let Who::User { session, .. } = now.who else { return Ok(false) };
        if self.session_holds(now).await? {
            return Ok(true);
        }
        let found = self.store.session(session).await?.filter(|(session, _)| clock::now() < self.sessions.ends_at(session));
        let same = |(session, role)| Principal { credential: now.credential, ..principal(&session, role) } == *now;
        Ok(found.is_some_and(same))
    }

    /// Asks without noting it as use: a stream that is open doesn't keep its session alive.
    pub(super) async fn session_holds(&self, now: &Principal) -> Result<bool, Error> {
        let hash = now.credential.0;
        if let Some(principal) = self.remembered(&hash, Instant::now()) {
            return Ok(*principal == *now);
        }
        let found = self.session(&hash).await?;
        Ok(found.is_some_and(|(session, role)| principal(&session, role) == *now))
    }
}

pub(super) fn principal(session: &SessionRecord, role: Role) -> Principal {
    let who = Who::User { user: session.user, session: session.id };
    let (organization, scopes) = (session.organization, Scopes::all());
    Principal { organization, who, role, scopes, credential: Credential(session.hash) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn finds_its_own_cookie_among_others() {
        let (plain, secure) = (SessionCookie { secure: false }, SessionCookie { secure: true });
        let check = |cookies: &[&'static str], cookie: SessionCookie, expected: Result<Option<&str>, SeveralSessions>| {
            let headers = cookies.iter().map(|&value| (header::COOKIE, HeaderValue::from_static(value)));
            let headers = HeaderMap::from_iter(headers);
            assert_eq!(cookie.sent(&headers), expected.map(|value| value.map(str::as_bytes)), "{cookies:?}");
        };
        check(&[], plain, Ok(None));
        check(&["portico_session=a"], plain, Ok(Some("a")));
        check(&["portico_session=a"], secure, Ok(None));
        check(&["__Host-portico_session=a"], secure, Ok(Some("a")));
        check(&["__Host-portico_session=a"], plain, Ok(None));
        check(&["x=1; portico_session=a=b ; y"], plain, Ok(Some("a=b")));
        check(&["x=1", "portico_session="], plain, Ok(Some("")));
        check(&["Portico_Session=a; portico_session2=b; xportico_session=c"], plain, Ok(None));
        check(&["portico_session=a; portico_session=b"], plain, Err(SeveralSessions));
        check(&["portico_session=a", "portico_session=b"], plain, Err(SeveralSessions));
    }

    #[test]
    fn is_given_for_this_host_and_out_of_reach_of_scripts() {
        let given = SessionCookie { secure: true }.given("pts_x", 60);
        assert_eq!(*given, "__Host-portico_session=pts_x; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure");
        let taken = SessionCookie { secure: false }.taken();
        assert_eq!(taken, "portico_session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    }

    #[test]
    fn a_secret_of_one_kind_is_none_of_another() {
        let ((session, kept), (invitation, invited)) = (mint_session().unwrap(), mint_invitation().unwrap());
        assert_eq!((session_hash(session.as_bytes()), invitation_hash(invitation.as_bytes())), (Some(kept), Some(invited)));
        assert_eq!((session_hash(invitation.as_bytes()), invitation_hash(session.as_bytes())), (None, None));
        assert_ne!(*session, *mint_session().unwrap().0);
        assert_eq!(session_hash(b"pts_"), None);
    }
}
