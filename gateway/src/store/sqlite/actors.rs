//! Who asks for a change, as SQLite has them at the moment.
//!
//! In go their name and the role that the change is about; out comes their role, or what is against the change. Invariant: it
//! is asked in the transaction of the change itself, so nothing comes in between.

use super::rows::{blob, optional_time, role};
use crate::{
    model::{Error, OrganizationId, Role},
    store::{Actor, Measured, Objection},
};
use sqlx::SqliteConnection;
use uuid::Uuid;

/// `about`: the highest role that is given or taken, as far as there is one. Out comes the role of who asks.
pub async fn measure(
    c: &mut SqliteConnection,
    organization: OrganizationId,
    by: &Actor,
    about: Option<Role>,
) -> Measured<Role> {
    let Some(own) = present(c, organization, by).await? else { return Ok(Err(Objection::Gone)) };
    if own < by.least {
        return Ok(Err(Objection::Below(by.least)));
    }
    Ok(if about.is_some_and(|about| about > own) { Err(Objection::Above(own)) } else { Ok(own) })
}

/// The role of a member, or of a token, which ends. Members don't.
async fn present(c: &mut SqliteConnection, organization: OrganizationId, by: &Actor) -> Result<Option<Role>, Error> {
    let (table, id) = match by.name.split_once(':') {
        Some(("user", id)) => ("SELECT role, NULL AS expires_at FROM members WHERE organization = ? AND user = ?", id),
        Some(("token", id)) => ("SELECT role, expires_at FROM tokens WHERE organization = ? AND id = ?", id),
        _ => return Ok(None),
    };
    let Ok(id) = id.parse::<Uuid>() else { return Ok(None) };
    let query = sqlx::query(table).bind(blob(organization.0)).bind(blob(id));
    let Some(row) = query.fetch_optional(c).await? else { return Ok(None) };
    let goes_on = optional_time(&row, "expires_at")?.is_none_or(|end| by.at < end);
    goes_on.then(|| role(&row, "role")).transpose()
}
