//! Members of the organization, and invitations to it.
//!
//! Invariant: an invitation's secret is in the one answer that made it, and in a link only where browsers send it to nobody.

use super::{
    Caller, Shared,
    auth::{self, Visit},
    cursor::Scope,
    extract::{Json, Path, Query},
    mutation::NoBody,
    problem::Problem,
    respond::{self, Read},
    walk::{self, Page},
};
use crate::{
    model::{Role, Timestamp, form},
    policy::{Origin, Principal},
    store::{InvitationRecord, MemberRecord},
};
use axum::{Extension, extract::State, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListParameters {
    #[schemars(with = "Option<form::Limit>")]
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteParameters {
    /// Also revoke the organization's tokens that the member made, those that these made, and so on. If one of them has a role
    /// above your own (403), nothing is done. It takes the scope `tokens:write`, too.
    #[serde(default)]
    revoke_tokens: bool,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "MemberUpdate")]
#[serde(deny_unknown_fields)]
pub struct UpdateBody {
    /// At most your own.
    role: Role,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "InvitationCreate")]
#[serde(deny_unknown_fields)]
pub struct InviteBody {
    #[schemars(with = "form::Email")]
    email: String,
    /// At most your own.
    role: Role,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Member")]
pub struct View<'a> {
    #[schemars(with = "String")]
    id: Uuid,
    email: &'a str,
    name: &'a str,
    role: Role,
    /// When they joined.
    created_at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Invitation")]
pub struct InvitationView<'a> {
    #[schemars(with = "String")]
    id: Uuid,
    email: &'a str,
    role: Role,
    /// `user:` or `token:`, and its id.
    invited_by: &'a str,
    created_at: Timestamp,
    expires_at: Timestamp,
    /// What the invited person sends to `/invitations/accept`; only in the answer that made the invitation.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    /// A page of the gateway where a person can do that: put the gateway's address before it, unless it begins with one
    /// (`server.public_url`). Only in the same answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

fn view(member: &MemberRecord) -> View<'_> {
    View { id: member.user, email: &member.email, name: &member.name, role: member.role, created_at: member.created_at }
}

/// `shown`: what is shown once, the invitation's secret and a link with it.
fn invitation_view<'a>(invitation: &'a InvitationRecord, shown: Option<(&'a str, String)>) -> InvitationView<'a> {
    let (token, link) = shown.unzip();
    InvitationView {
        id: invitation.id,
        email: &invitation.email,
        role: invitation.role,
        invited_by: &invitation.invited_by,
        created_at: invitation.created_at,
        expires_at: invitation.expires_at,
        token,
        link,
    }
}

/// Of the page where an invitation is accepted. Where the operator doesn't say where people find the gateway, nobody here knows.
fn link(public_url: Option<&Origin>, token: &str) -> String {
    format!("{}/join#{token}", public_url.map_or("", Origin::as_str))
}

pub async fn list(
    State(api): Shared,
    Extension(principal): Caller,
    Query(parameters): Query<ListParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let place = Place::new(&api, &principal, "members", &parameters)?;
    let members = api.accounts.members(&principal, place.after, place.fetch()).await?;
    place.page(&headers, &members, |member| member.user, view)
}

pub async fn update(
    State(api): Shared,
    Extension(principal): Caller,
    visit: Visit,
    Path(id): Path<String>,
    Json(body): Json<UpdateBody>,
) -> Result<Response, Problem> {
    let (member, entered) = api.accounts.set_role(&principal, uuid(&id)?, body.role).await?;
    let mut response = respond::json(StatusCode::OK, respond::to_bytes(&view(&member))?);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(entered) = entered {
        api.give(&mut response, &entered, visit.cookie)?;
    }
    Ok(response)
}

pub async fn delete(
    State(api): Shared,
    Extension(principal): Caller,
    Path(id): Path<String>,
    Query(parameters): Query<DeleteParameters>,
    _: NoBody,
) -> Result<StatusCode, Problem> {
    let member = uuid(&id)?;
    if parameters.revoke_tokens {
        let revoked = api.accounts.remove_member_with_tokens(&principal, member).await?;
        revoked.into_iter().for_each(|token| api.events.dismiss(token));
    } else {
        api.accounts.remove_member(&principal, member).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

pub async fn invitations(
    State(api): Shared,
    Extension(principal): Caller,
    Query(parameters): Query<ListParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let place = Place::new(&api, &principal, "invitations", &parameters)?;
    let invitations = api.accounts.invitations(&principal, place.after, place.fetch()).await?;
    place.page(&headers, &invitations, |invitation| invitation.id, |invitation| invitation_view(invitation, None))
}

pub async fn invite(
    State(api): Shared,
    Extension(principal): Caller,
    Json(body): Json<InviteBody>,
) -> Result<Response, Problem> {
    let email = auth::email("email", &body.email)?;
    let invited = api.accounts.invite(&principal, email, body.role).await?;
    let token: &str = &invited.token;
    let view = invitation_view(&invited.invitation, Some((token, link(api.public_url.as_ref(), token))));
    let mut response = respond::json(StatusCode::CREATED, respond::to_bytes(&view)?);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

pub async fn withdraw(
    State(api): Shared,
    Extension(principal): Caller,
    Path(id): Path<String>,
    _: NoBody,
) -> Result<StatusCode, Problem> {
    api.accounts.withdraw(&principal, uuid(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn uuid(text: &str) -> Result<Uuid, Problem> {
    let detail = || Problem::new(StatusCode::BAD_REQUEST, "invalid_id", format!("{text:?} is no id: take it from the list"));
    Uuid::try_parse(text).map_err(|_| detail())
}

/// Where in a list by ids a request wants to be.
struct Place<'a> {
    scope: Scope<'a>,
    after: Option<Uuid>,
    limit: usize,
}

impl<'a> Place<'a> {
    fn new(
        api: &'a super::Api,
        principal: &'a Principal,
        question: &str,
        parameters: &ListParameters,
    ) -> Result<Self, Problem> {
        let scope = Scope { sealer: &api.sealer, principal, question: question.to_owned() };
        let after = parameters.cursor.as_deref().map(|cursor| scope.open(cursor)).transpose()?;
        Ok(Self { after, limit: walk::limit(parameters.limit)?, scope })
    }

    /// One more than asked tells whether there is more.
    fn fetch(&self) -> u32 {
        u32::try_from(self.limit + 1).unwrap_or(u32::MAX)
    }

    fn page<'r, R, V: Serialize>(
        &self,
        headers: &HeaderMap,
        records: &'r [R],
        id: impl Fn(&R) -> Uuid,
        view: impl Fn(&'r R) -> V,
    ) -> Result<Response, Problem> {
        let shown = &records[..records.len().min(self.limit)];
        let last = shown.last().filter(|_| records.len() > self.limit);
        let next_cursor = last.map(|last| self.scope.seal(&id(last))).transpose()?;
        let data = shown.iter().map(view).collect();
        let page = Page { data, next_cursor, total: None, as_of: None, errors: Vec::new() };
        Read::own(headers).answer(&page)
    }
}
