//! Logging in and out, registering, and the caller's own account.
//!
//! In go addresses, passwords and sessions; out come profiles, and cookies in `Set-Cookie`. Invariant: a session's secret is in
//! its cookie and nowhere in a body; what makes a session is refused when another site's page asks for it, unless the operator
//! listed its origin.

use super::{
    Caller, RequestId, Shared,
    extract::Json,
    mutation::NoBody,
    names,
    problem::Problem,
    respond::{self, Read},
};
use crate::{
    model::{Role, Slug, Timestamp, form},
    policy::{
        Acceptance, AccountError, ClientAddress, Email, Entered, Identity, Listed, Login, Profile, Provenance, Registration,
        Secure, SessionCookie, SeveralSessions, provenance, session_hash,
    },
    store::{self, Cause, Organization},
};
use axum::{
    Extension,
    extract::{FromRequestParts, State},
    response::{IntoResponse as _, Response},
};
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, Uri, header, request::Parts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Bytes of these bodies: addresses, names and passwords.
pub const MOST: usize = 16 * 1024;
/// Bytes of a password that is looked at, beyond the characters that one may have.
const MAX_PASSWORD: usize = 1024;
/// The slug of an organization whose name has no letter or digit of a slug.
const NAMELESS: &str = "organization";

/// Where a request comes from, and how its session travels.
pub struct Visit {
    client: IpAddr,
    request_id: Option<String>,
    pub cookie: SessionCookie,
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let client = parts.extensions.get::<ClientAddress>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |client| client.0);
        let request_id = parts.extensions.get::<RequestId>().map(|RequestId(id)| id.to_string());
        Ok(Self { client, request_id, cookie: SessionCookie { secure: parts.extensions.get::<Secure>().is_some() } })
    }
}

impl Visit {
    /// Carries out what lets somebody in. Nobody is known to ask at first; who it was is told on the way (`store::by`), and stands in
    /// the log with what was changed.
    async fn recorded<T>(&self, action: &str, work: impl Future<Output = T>) -> T {
        let cause = Cause::new(None, "nobody", action).from(Some(self.client), self.request_id.clone());
        store::caused_by(Arc::new(cause), work).await
    }
}

/// A visit that wants a session: not by another site's page, which could log its visitor in as somebody else.
pub struct Stranger {
    visit: Visit,
    /// The session that the browser has already.
    earlier: Option<Zeroizing<Vec<u8>>>,
    own: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Stranger {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let visit = Visit::from_request_parts(parts, state).await?;
        let provenance = provenance_of(&parts.extensions, &parts.headers, &parts.uri);
        if provenance == Provenance::Other {
            return Err(cross_origin());
        }
        let sent = visit.cookie.sent(&parts.headers).map_err(|SeveralSessions| two_sessions())?;
        let earlier = sent.map(|sent| Zeroizing::new(sent.to_vec()));
        Ok(Self { visit, earlier, own: provenance == Provenance::Own })
    }
}

/// Where a request was made, by what came with it. The pages of listed origins are as our own.
pub fn provenance_of(extensions: &Extensions, headers: &HeaderMap, uri: &Uri) -> Provenance {
    if extensions.get::<Listed>().is_some() {
        return Provenance::Own;
    }
    provenance(headers, uri.authority(), extensions.get::<Secure>().is_some())
}

pub fn cross_origin() -> Problem {
    let detail = "a request with a session's cookie, and one that begins a session, is taken from our own pages only, and from \
                  those of origins that the operator lists (`[cors] origins`): outside of a browser send Sec-Fetch-Site: none \
                  along, or a token instead of the cookie";
    Problem::new(StatusCode::FORBIDDEN, "cross_origin", detail)
}

pub fn two_sessions() -> Problem {
    Problem::malformed("two cookies of the session's name were sent: delete them, and log in again")
}

/// Nothing was sent that could tell who asks.
pub fn anonymous() -> Problem {
    let detail = "no token and no session was sent: send a token as Authorization: Bearer ptk_… (`portico token create` makes \
                  one), or log in with POST /api/v1/auth/login";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
}

/// What was sent opens nothing. Why, nobody is told who doesn't hold it anyway.
pub fn unauthenticated() -> Problem {
    let detail = "the token or session that was sent isn't valid: it is unknown, expired, revoked or ended; send another token as \
                  Authorization: Bearer ptk_…, or log in with POST /api/v1/auth/login";
    Problem { invalid_token: true, ..Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail) }
}

/// The same for a header's credential: one of a scheme that isn't ours says more of a client that was set up wrongly.
pub fn opens_nothing(credential: &[u8]) -> Problem {
    if !is_of_another_scheme(credential) {
        return unauthenticated();
    }
    let detail = "the Authorization that was sent isn't of a scheme that is taken here: send a token as Authorization: Bearer \
                  ptk_…, or log in with POST /api/v1/auth/login";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
}

/// A value without a scheme is taken for a token.
fn is_of_another_scheme(credential: &[u8]) -> bool {
    let mut words = credential.splitn(2, |&byte| byte == b' ');
    let ours = |scheme: &[u8]| [&b"bearer"[..], b"apikey"].iter().any(|own| scheme.eq_ignore_ascii_case(own));
    matches!((words.next(), words.next()), (Some(scheme), Some(_)) if !ours(scheme))
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::WrongCredentials(_) => {
                let detail = "the e-mail address or the password is wrong";
                Self::new(StatusCode::UNAUTHORIZED, "wrong_credentials", detail)
            }
            AccountError::TooManyAttempts(seconds) | AccountError::WrongWithinWait(_, seconds) => {
                let detail = format!("too many failed attempts from here: wait {seconds} s");
                let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", detail);
                Self { retry_after: Some(seconds), ..problem }
            }
            AccountError::Ended => unauthenticated(),
            AccountError::Forbidden { code, detail } => Self::new(StatusCode::FORBIDDEN, code, detail),
            AccountError::Failed(error) => error.into(),
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "Registration")]
#[serde(deny_unknown_fields)]
pub struct RegisterBody {
    #[schemars(with = "form::Email")]
    email: String,
    /// 12 to 128 characters. Those that everybody tries are refused, and those with the address in them.
    #[schemars(with = "form::NewPassword")]
    password: Zeroizing<String>,
    /// The person's name; the address, when it is left out.
    #[schemars(with = "Option<form::Name>")]
    name: Option<String>,
    /// The new organization's name; made from the address, when it is left out.
    #[schemars(with = "Option<form::Name>")]
    organization: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "Login")]
#[serde(deny_unknown_fields)]
pub struct LoginBody {
    #[schemars(with = "Option<form::Email>")]
    email: Option<String>,
    /// Another name for `email`.
    #[schemars(with = "Option<form::Email>")]
    username: Option<String>,
    #[schemars(with = "form::GivenPassword")]
    password: Zeroizing<String>,
    /// The id of one that you are a member of; the one that you joined last, when it is left out.
    organization: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "Refresh")]
#[serde(deny_unknown_fields)]
pub struct RefreshBody {
    /// The id of one that you are a member of: the session goes on there.
    organization: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PasswordChange")]
#[serde(deny_unknown_fields)]
pub struct PasswordBody {
    #[schemars(with = "form::GivenPassword")]
    current: Zeroizing<String>,
    /// 12 to 128 characters. Those that everybody tries are refused, and those with the address in them.
    #[schemars(with = "form::NewPassword")]
    password: Zeroizing<String>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "InvitationAccept")]
#[serde(deny_unknown_fields)]
pub struct AcceptBody {
    /// `pti_…`, from the invitation.
    #[schemars(with = "String")]
    token: Zeroizing<String>,
    /// Of the new account: 12 to 128 characters, and none that everybody tries. Leave it out when you are logged in already.
    #[schemars(with = "Option<form::NewPassword>")]
    password: Option<Zeroizing<String>>,
    /// The person's name; the address, when it is left out.
    #[schemars(with = "Option<form::Name>")]
    name: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Me")]
pub struct View<'a> {
    /// Which the session or the token acts for.
    organization: OrganizationView<'a>,
    role: Role,
    /// Null for a token.
    user: Option<UserView<'a>>,
    session: Option<SessionView>,
    /// Null for a person.
    token: Option<TokenView<'a>>,
    /// All that the person is a member of.
    organizations: Vec<MembershipView<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Organization")]
struct OrganizationView<'a> {
    #[schemars(with = "String")]
    id: &'a Slug,
    name: &'a str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Membership")]
struct MembershipView<'a> {
    organization: OrganizationView<'a>,
    role: Role,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "User")]
struct UserView<'a> {
    #[schemars(with = "String")]
    id: Uuid,
    email: &'a str,
    name: &'a str,
    created_at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Session")]
struct SessionView {
    #[schemars(with = "String")]
    id: Uuid,
    created_at: Timestamp,
    /// However much it is used.
    expires_at: Timestamp,
    /// If it isn't used any more.
    ends_at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OwnToken")]
struct TokenView<'a> {
    #[schemars(with = "String")]
    id: Uuid,
    name: &'a str,
    expires_at: Option<Timestamp>,
}

fn organization_view(organization: &Organization) -> OrganizationView<'_> {
    OrganizationView { id: &organization.slug, name: &organization.name }
}

fn view(profile: &Profile) -> View<'_> {
    let (organization, role) = (organization_view(&profile.organization), profile.role);
    match &profile.who {
        Identity::Token(token) => {
            let token = TokenView { id: token.id, name: &token.name, expires_at: token.expires_at };
            View { organization, role, user: None, session: None, token: Some(token), organizations: Vec::new() }
        }
        Identity::User { user, session, ends_at, memberships } => {
            let memberships = memberships
                .iter()
                .map(|one| MembershipView { organization: organization_view(&one.organization), role: one.role });
            View {
                organization,
                role,
                user: Some(UserView { id: user.id, email: &user.email, name: &user.name, created_at: user.created_at }),
                session: Some(SessionView {
                    id: session.id,
                    created_at: session.created_at,
                    expires_at: session.expires_at,
                    ends_at: *ends_at,
                }),
                token: None,
                organizations: memberships.collect(),
            }
        }
    }
}

impl super::Api {
    /// The profile, and the session's cookie.
    fn entered(&self, status: StatusCode, entered: &Entered, cookie: SessionCookie) -> Result<Response, Problem> {
        let mut response = respond::json(status, respond::to_bytes(&view(&entered.profile))?);
        if status == StatusCode::CREATED {
            response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/api/v1/auth/me"));
        }
        self.give(&mut response, entered, cookie)?;
        Ok(response)
    }

    /// That somebody failed to come in is in the log of who they tried to be, before they are told; where that is nobody, in the
    /// gateway's own. Attempts at which no password was looked at leave no row: a flood must not fill the log.
    async fn turned_away(&self, error: AccountError, visit: Visit, (action, named): (&str, Option<&Slug>)) -> Problem {
        let (user, status) = match error {
            AccountError::WrongCredentials(user) => (user, StatusCode::UNAUTHORIZED),
            AccountError::WrongWithinWait(user, _) => (user, StatusCode::TOO_MANY_REQUESTS),
            _ => return error.into(),
        };
        let organization = match self.accounts.organization_of(user, named).await {
            Ok(organization) => organization,
            Err(error) => return error.into(),
        };
        let tried = user.map_or_else(|| "nobody".to_owned(), |user| format!("user:{user}"));
        let cause = Cause::new(organization, tried, action).from(Some(visit.client), visit.request_id);
        let recorded = self.recorded(&cause.entry("refused", Some(status.as_u16()))).await;
        recorded.err().unwrap_or_else(|| error.into())
    }

    pub(super) fn give(&self, response: &mut Response, entered: &Entered, cookie: SessionCookie) -> Result<(), Problem> {
        let Identity::User { session, .. } = &entered.profile.who else { return Ok(()) };
        let text = cookie.given(&entered.token, self.accounts.session_seconds(session));
        let mut value = HeaderValue::from_str(&text).map_err(|_| Problem::from(crate::model::Error::gateway("no cookie")))?;
        value.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, value);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(())
    }
}

pub async fn register(
    State(api): Shared,
    stranger: Stranger,
    Json(body): Json<RegisterBody, MOST>,
) -> Result<Response, Problem> {
    let email = email("email", &body.email)?;
    let name = person_name(body.name, &email)?;
    let organization = body.organization.unwrap_or_else(|| email.address.split('@').next().unwrap_or(NAMELESS).to_owned());
    names::display_name("organization", &organization)?;
    let slug = names::slugify(&organization).map_or_else(|| names::slug(NAMELESS), Ok)?;
    let password = password("password", body.password)?;
    let registration = Registration { email, password, name, organization: (organization, slug) };
    let registered = api.accounts.register(registration, stranger.visit.client);
    let entered = stranger.visit.recorded("auth.register", registered).await?;
    api.entered(StatusCode::CREATED, &entered, stranger.visit.cookie)
}

pub async fn login(State(api): Shared, stranger: Stranger, Json(body): Json<LoginBody, MOST>) -> Result<Response, Problem> {
    let address = match (body.email, body.username) {
        (Some(email), None) => email,
        (None, Some(username)) => username,
        _ => return Err(Problem::invalid("email", "send your address as either email or username")),
    };
    let organization = body.organization.as_deref().map(organization).transpose()?;
    let named = organization.clone();
    let login = Login { email: email("email", &address)?, password: password("password", body.password)?, organization };
    let earlier = stranger.earlier.as_ref().and_then(|token| session_hash(token));
    let login = api.accounts.login(login, stranger.visit.client, earlier);
    let entered = match stranger.visit.recorded("auth.login", login).await {
        Ok(entered) => entered,
        Err(error) => return Err(api.turned_away(error, stranger.visit, ("auth.login", named.as_ref())).await),
    };
    api.entered(StatusCode::OK, &entered, stranger.visit.cookie)
}

/// By somebody new with a password, or by a member of another organization with their session.
pub async fn accept(State(api): Shared, stranger: Stranger, Json(body): Json<AcceptBody, MOST>) -> Result<Response, Problem> {
    const ACCEPT: &str = "invitations.accept";
    body.name.as_deref().map_or(Ok(()), |name| names::display_name("name", name))?;
    let visit = &stranger.visit;
    let entered = match body.password {
        Some(given) => {
            let acceptance = Acceptance { password: password("password", given)?, name: body.name };
            visit.recorded(ACCEPT, api.accounts.accept(&body.token, acceptance, visit.client)).await?
        }
        None => {
            let principal = api.accounts.session(stranger.earlier.as_ref().map(|token| token.as_slice())).await?;
            let Some(principal) = principal else {
                return Err(Problem::invalid("password", "choose one for your new account, or log in before you accept"));
            };
            // Only here does the open door look at a cookie.
            if !stranger.own {
                return Err(cross_origin());
            }
            visit.recorded(ACCEPT, api.accounts.join(&body.token, &principal)).await?
        }
    };
    api.entered(StatusCode::CREATED, &entered, visit.cookie)
}

pub async fn refresh(
    State(api): Shared,
    Extension(principal): Caller,
    visit: Visit,
    Json(body): Json<RefreshBody, MOST>,
) -> Result<Response, Problem> {
    let organization = body.organization.as_deref().map(organization).transpose()?;
    let entered = api.accounts.refresh(&principal, organization.as_ref()).await?;
    api.entered(StatusCode::OK, &entered, visit.cookie)
}

pub async fn logout(State(api): Shared, Extension(principal): Caller, visit: Visit, _: NoBody) -> Result<Response, Problem> {
    api.accounts.logout(&principal).await?;
    Ok(left(visit.cookie))
}

pub async fn me(State(api): Shared, Extension(principal): Caller, headers: HeaderMap) -> Result<Response, Problem> {
    let profile = api.accounts.profile(&principal).await?;
    Read::own(&headers).answer(&view(&profile))
}

/// A guess at the password of whose session it is: told in the audit log.
pub const WRONG_PASSWORD: &str = "wrong_password";

pub async fn change_password(
    State(api): Shared,
    Extension(principal): Caller,
    visit: Visit,
    Json(body): Json<PasswordBody, MOST>,
) -> Result<Response, Problem> {
    let (current, new) = (password("current", body.current)?, password("password", body.password)?);
    let changed = api.accounts.change_password(&principal, current, new, visit.client).await;
    let entered = changed.map_err(|error| match error {
        // 401 would say that the session is over.
        AccountError::WrongCredentials(_) => {
            Problem { code: WRONG_PASSWORD.into(), ..Problem::invalid("current", "isn't your present password") }
        }
        error => error.into(),
    })?;
    api.entered(StatusCode::OK, &entered, visit.cookie)
}

pub async fn delete_account(
    State(api): Shared,
    Extension(principal): Caller,
    visit: Visit,
    _: NoBody,
) -> Result<Response, Problem> {
    api.accounts.delete_account(&principal).await?;
    Ok(left(visit.cookie))
}

/// 204, and the browser forgets its cookie.
fn left(cookie: SessionCookie) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().extend(HeaderValue::from_str(&cookie.taken()).ok().map(|value| (header::SET_COOKIE, value)));
    response
}

pub fn email(field: &str, text: &str) -> Result<Email, Problem> {
    Email::parse(text).ok_or_else(|| Problem::invalid(field, "not an e-mail address"))
}

fn person_name(name: Option<String>, email: &Email) -> Result<String, Problem> {
    let Some(name) = name else { return Ok(email.address.clone()) };
    names::display_name("name", &name).map(|()| name)
}

/// How long and how good it must be is said where one is chosen.
fn password(field: &str, given: Zeroizing<String>) -> Result<Zeroizing<String>, Problem> {
    match given.len() {
        0 => Err(Problem::invalid(field, "it is empty")),
        1..=MAX_PASSWORD => Ok(given),
        _ => Err(Problem::invalid(field, format!("at most {MAX_PASSWORD} bytes"))),
    }
}

fn organization(text: &str) -> Result<Slug, Problem> {
    Slug::parse(text).map_err(|_| Problem::invalid("organization", "not the id of an organization"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_listed_origins_are_as_our_own() {
        let foreign: HeaderMap = [("sec-fetch-site", "cross-site"), ("origin", "https://app.example.com")]
            .into_iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let (mut extensions, uri) = (Extensions::new(), Uri::from_static("/api/v1/sites"));
        assert_eq!(provenance_of(&extensions, &foreign, &uri), Provenance::Other);
        assert_eq!(provenance_of(&extensions, &HeaderMap::new(), &uri), Provenance::Unsaid);
        extensions.insert(Listed);
        assert_eq!(provenance_of(&extensions, &foreign, &uri), Provenance::Own);
    }

    #[test]
    fn another_scheme_is_told_from_a_bad_token() {
        for other in ["Basic dXNlcjpwYXNz", "Token ptk_x", "Basic "] {
            let problem = opens_nothing(other.as_bytes());
            assert!(problem.detail.contains("isn't of a scheme") && !problem.invalid_token, "{other}: {}", problem.detail);
        }
        for ours in ["", "Bearer ptk_x", "apikey  ptk_x", "ptk_x", "Basic"] {
            let problem = opens_nothing(ours.as_bytes());
            assert!(problem.detail.contains("isn't valid") && problem.invalid_token, "{ours}: {}", problem.detail);
        }
    }
}
