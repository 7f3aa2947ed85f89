//! What protects a WordPress: its switches, and its files compared with those that were published.
//!
//! Invariant: PATCH says the wanted state, never "toggle"; each field is a feature of its own.

use super::{
    super::{
        Fresh,
        extract::Json,
        mutation::{Manner, NoBody},
        problem::Problem,
    },
    Toolkit,
};
use crate::model::{SecurityChange, WordpressChange, WordpressQuery};
use axum::response::Response;
use http::HeaderMap;

pub async fn get(toolkit: Toolkit, Fresh(freshness): Fresh, headers: HeaderMap) -> Result<Response, Problem> {
    toolkit.read(WordpressQuery::Security, freshness, &headers).await
}

pub async fn update(toolkit: Toolkit, manner: Manner, Json(body): Json<SecurityChange>) -> Result<Response, Problem> {
    let wanted = [body.file_edit, body.file_protection, body.hide_login, body.debug];
    if wanted.iter().all(Option::is_none) {
        return Err(Problem::no_change("file_edit, file_protection, hide_login, debug"));
    }
    toolkit.change(WordpressChange::Security(body), manner).await
}

pub async fn verify_checksums(toolkit: Toolkit, manner: Manner, _: NoBody) -> Result<Response, Problem> {
    toolkit.change(WordpressChange::VerifyChecksums, manner).await
}
