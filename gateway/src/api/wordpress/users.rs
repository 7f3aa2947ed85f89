//! Who gets into a WordPress: new administrators, new passwords, links that log in once.
//!
//! Invariant: a password that a client gives goes into the operation's sealed arguments and nowhere else; one that was generated
//! comes back once.

use super::{
    super::{extract::Json, mutation::Manner, names, problem::Problem},
    Toolkit,
};
use crate::model::{LoginLink, PasswordReset, SiteAdmin, WordpressChange};
use axum::response::Response;

/// As WordPress has it.
const MAX_USER: usize = 60;
const MAX_PASSWORD: usize = 200;

pub async fn create_admin(toolkit: Toolkit, manner: Manner, Json(body): Json<SiteAdmin>) -> Result<Response, Problem> {
    names::text("user", Some(&body.user), MAX_USER)?;
    names::email("email", &body.email)?;
    names::text("password", body.password.as_ref().map(|password| password.as_str()), MAX_PASSWORD)?;
    toolkit.change(WordpressChange::CreateAdmin(body), manner).await
}

pub async fn reset_password(toolkit: Toolkit, manner: Manner, Json(body): Json<PasswordReset>) -> Result<Response, Problem> {
    names::text("user", Some(&body.user), MAX_USER)?;
    names::text("password", body.password.as_ref().map(|password| password.as_str()), MAX_PASSWORD)?;
    toolkit.change(WordpressChange::ResetPassword(body), manner).await
}

pub async fn login_link(toolkit: Toolkit, manner: Manner, Json(body): Json<LoginLink>) -> Result<Response, Problem> {
    names::text("user", Some(&body.user), MAX_USER)?;
    toolkit.change(WordpressChange::LoginLink(body), manner).await
}
