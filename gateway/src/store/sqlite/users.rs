//! Users and their memberships, in SQLite.
//!
//! Invariant: every user is a member of something, and every organization that had an owner keeps one: both are looked at in the
//! transaction that would change it.

use super::{
    actors,
    connections::{self, unless_taken},
    rows::{blob, role, slug, time, uuid},
    runner::Teller,
    tokens,
    writer::Writer,
};
use crate::{
    model::{Error, OrganizationId, Role, Timestamp},
    store::{
        Actor, Joined, Joiner, Measured, MemberChange, MemberRecord, Membership, Objection, Organization, PasswordChange,
        UserRecord, cause,
    },
};
use sqlx::{Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use uuid::Uuid;

const TAKEN: &str = "there is an account of this e-mail address: log in, or ask the operator to reset its password";

fn read(row: &SqliteRow) -> Result<UserRecord, Error> {
    Ok(UserRecord {
        id: uuid(row, "id")?,
        email: row.try_get("email")?,
        email_key: row.try_get("email_key")?,
        name: row.try_get("name")?,
        password: row.try_get("password")?,
        created_at: time(row, "created_at")?,
    })
}

fn read_member(row: &SqliteRow) -> Result<MemberRecord, Error> {
    Ok(MemberRecord {
        user: uuid(row, "user")?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        role: role(row, "role")?,
        created_at: time(row, "created_at")?,
    })
}

pub async fn by_email(readers: &SqlitePool, key: &str) -> Result<Option<UserRecord>, Error> {
    let query = sqlx::query("SELECT id, email, email_key, name, password, created_at FROM users WHERE email_key = ?").bind(key);
    query.fetch_optional(readers).await?.as_ref().map(read).transpose()
}

pub async fn get(readers: &SqlitePool, id: Uuid) -> Result<Option<UserRecord>, Error> {
    let query = sqlx::query("SELECT id, email, email_key, name, password, created_at FROM users WHERE id = ?").bind(blob(id));
    query.fetch_optional(readers).await?.as_ref().map(read).transpose()
}

pub async fn memberships(readers: &SqlitePool, user: Uuid) -> Result<Vec<Membership>, Error> {
    let query = sqlx::query(
        "SELECT o.id, o.slug, o.name, o.created_at, m.role FROM members m JOIN organizations o ON o.id = m.organization \
         WHERE m.user = ? ORDER BY m.created_at, o.slug",
    );
    let rows = query.bind(blob(user)).fetch_all(readers).await?;
    rows.iter()
        .map(|row| {
            let organization = Organization {
                id: OrganizationId(uuid(row, "id")?),
                slug: slug(row, "slug")?,
                name: row.try_get("name")?,
                created_at: time(row, "created_at")?,
            };
            Ok(Membership { organization, role: role(row, "role")? })
        })
        .collect()
}

macro_rules! select_member {
    ($tail:literal) => {
        concat!("SELECT m.user, u.email, u.name, m.role, m.created_at FROM members m JOIN users u ON u.id = m.user ", $tail)
    };
}

/// By the order in which they came to Portico.
pub async fn members(
    readers: &SqlitePool,
    organization: OrganizationId,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<MemberRecord>, Error> {
    let query = sqlx::query(select_member!("WHERE m.organization = ? AND m.user > ? ORDER BY m.user LIMIT ?"));
    let query = query.bind(blob(organization.0)).bind(after.map_or_else(Vec::new, blob)).bind(limit);
    query.fetch_all(readers).await?.iter().map(read_member).collect()
}

pub async fn everyone(readers: &SqlitePool) -> Result<Vec<(Organization, MemberRecord)>, Error> {
    let query = sqlx::query(
        "SELECT o.id, o.slug, o.name AS organization_name, o.created_at AS organization_created_at, m.user, u.email, u.name, \
         m.role, m.created_at FROM members m JOIN users u ON u.id = m.user JOIN organizations o ON o.id = m.organization \
         ORDER BY o.slug, u.email_key",
    );
    let read = |row: &SqliteRow| {
        let organization = Organization {
            id: OrganizationId(uuid(row, "id")?),
            slug: slug(row, "slug")?,
            name: row.try_get("organization_name")?,
            created_at: time(row, "organization_created_at")?,
        };
        Ok((organization, read_member(row)?))
    };
    query.fetch_all(readers).await?.iter().map(read).collect()
}

pub async fn register(writer: &Writer, user: UserRecord, organization: Organization, role: Role) -> Result<(), Error> {
    writer
        .write(move |c| {
            Box::pin(async move {
                let (organization_id, at, id) = (organization.id, user.created_at, user.id);
                insert(&mut *c, user).await?;
                let found = sqlx::query("SELECT 1 FROM organizations WHERE id = ?").bind(blob(organization_id.0));
                if found.fetch_optional(&mut *c).await?.is_none() {
                    connections::insert_organization_in(&mut *c, organization).await?;
                }
                insert_member(c, organization_id, id, role, at).await
            })
        })
        .await
}

async fn insert(c: &mut SqliteConnection, user: UserRecord) -> Result<(), Error> {
    let insert = sqlx::query("INSERT INTO users (id, email, email_key, name, password, created_at) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(blob(user.id))
        .bind(user.email)
        .bind(user.email_key)
        .bind(user.name)
        .bind(user.password)
        .bind(user.created_at.as_millis());
    insert.execute(c).await.map(drop).map_err(|error| unless_taken(error, TAKEN).with_field("email"))
}

async fn insert_member(
    c: &mut SqliteConnection,
    organization: OrganizationId,
    user: Uuid,
    role: Role,
    at: Timestamp,
) -> Result<(), Error> {
    sqlx::query("INSERT INTO members (organization, user, role, created_at) VALUES (?, ?, ?, ?)")
        .bind(blob(organization.0))
        .bind(blob(user))
        .bind(role.as_str())
        .bind(at.as_millis())
        .execute(c)
        .await?;
    Ok(())
}

/// Uses an invitation up.
pub async fn join(
    writer: &Writer,
    invitation: [u8; 32],
    joiner: Joiner,
    max_members: u32,
    now: Timestamp,
) -> Result<Joined, Error> {
    writer.write(move |c| Box::pin(join_in(c, invitation, joiner, max_members, now))).await
}

async fn join_in(
    c: &mut SqliteConnection,
    invitation: [u8; 32],
    joiner: Joiner,
    max_members: u32,
    now: Timestamp,
) -> Result<Joined, Error> {
    let found = sqlx::query("SELECT id, organization, role FROM invitations WHERE hash = ? AND expires_at > ?")
        .bind(invitation.to_vec())
        .bind(now.as_millis())
        .fetch_optional(&mut *c)
        .await?;
    let Some(row) = found else { return Ok(Joined::Gone) };
    let (organization, role) = (OrganizationId(uuid(&row, "organization")?), role(&row, "role")?);
    if let Joiner::Known(user) = &joiner
        && member_in(&mut *c, organization, *user).await?.is_some()
    {
        return Ok(Joined::Member);
    }
    let count = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM members WHERE organization = ?");
    if count.bind(blob(organization.0)).fetch_one(&mut *c).await? >= i64::from(max_members) {
        return Ok(Joined::Full);
    }
    sqlx::query("DELETE FROM invitations WHERE id = ?").bind(blob(uuid(&row, "id")?)).execute(&mut *c).await?;
    let user = match joiner {
        Joiner::Known(user) => user,
        Joiner::New(user) => {
            let id = user.id;
            insert(&mut *c, user).await?;
            id
        }
    };
    insert_member(c, organization, user, role, now).await?;
    Ok(Joined::Joined)
}

async fn member_in(c: &mut SqliteConnection, organization: OrganizationId, user: Uuid) -> Result<Option<MemberRecord>, Error> {
    let query = sqlx::query(select_member!("WHERE m.organization = ? AND m.user = ?"));
    let row = query.bind(blob(organization.0)).bind(blob(user)).fetch_optional(c).await?;
    row.as_ref().map(read_member).transpose()
}

/// What becomes of a change of this member that may not be made. None: it may.
async fn hindrance(
    c: &mut SqliteConnection,
    organization: OrganizationId,
    member: &MemberRecord,
    own: Role,
) -> Result<Option<Result<MemberChange, Objection>>, Error> {
    if member.role > own {
        return Ok(Some(Err(Objection::Above(own))));
    }
    let sole = member.role == Role::Owner && owners(c, organization).await? <= 1;
    Ok(sole.then_some(Ok(MemberChange::SoleOwner)))
}

async fn owners(c: &mut SqliteConnection, organization: OrganizationId) -> Result<i64, Error> {
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM members WHERE organization = ? AND role = 'owner'");
    Ok(count.bind(blob(organization.0)).fetch_one(c).await?)
}

/// Ends the member's sessions in the organization, but for `keep`.
pub async fn set_role(
    writer: &Writer,
    organization: OrganizationId,
    user: Uuid,
    (new, by): (Role, Actor),
    keep: Option<Uuid>,
) -> Measured<MemberChange> {
    writer.write(move |c| Box::pin(set_role_in(c, organization, user, (new, by), keep))).await
}

async fn set_role_in(
    c: &mut SqliteConnection,
    organization: OrganizationId,
    user: Uuid,
    (new, by): (Role, Actor),
    keep: Option<Uuid>,
) -> Measured<MemberChange> {
    let own = match actors::measure(&mut *c, organization, &by, Some(new)).await? {
        Ok(own) => own,
        Err(objection) => return Ok(Err(objection)),
    };
    let Some(member) = member_in(&mut *c, organization, user).await? else { return Ok(Ok(MemberChange::NotFound)) };
    if member.role == new {
        return Ok(Ok(MemberChange::Changed(member)));
    }
    if let Some(hindrance) = hindrance(&mut *c, organization, &member, own).await? {
        return Ok(hindrance);
    }
    let update = sqlx::query("UPDATE members SET role = ? WHERE organization = ? AND user = ?");
    update.bind(new.as_str()).bind(blob(organization.0)).bind(blob(user)).execute(&mut *c).await?;
    let end = sqlx::query("DELETE FROM sessions WHERE organization = ? AND user = ? AND id IS NOT ?");
    end.bind(blob(organization.0)).bind(blob(user)).bind(keep.map(blob)).execute(&mut *c).await?;
    withdraw_above(c, organization, user, Some(new)).await?;
    Ok(Ok(MemberChange::Changed(member)))
}

/// What somebody invited to that is above the role that they have now, or everything, if they have none.
async fn withdraw_above(
    c: &mut SqliteConnection,
    organization: OrganizationId,
    user: Uuid,
    now: Option<Role>,
) -> Result<(), Error> {
    for role in Role::ALL.into_iter().filter(|role| now.is_none_or(|now| *role > now)) {
        let delete = sqlx::query("DELETE FROM invitations WHERE organization = ? AND invited_by = ? AND role = ?");
        delete.bind(blob(organization.0)).bind(format!("user:{user}")).bind(role.as_str()).execute(&mut *c).await?;
    }
    Ok(())
}

/// Sessions in the organization and open invitations go along, and the user with the last membership.
pub async fn remove(writer: &Writer, organization: OrganizationId, user: Uuid, by: Actor) -> Measured<MemberChange> {
    writer.write(move |c| Box::pin(remove_in(c, organization, user, by))).await
}

async fn remove_in(c: &mut SqliteConnection, organization: OrganizationId, user: Uuid, by: Actor) -> Measured<MemberChange> {
    let own = match actors::measure(&mut *c, organization, &by, None).await? {
        Ok(own) => own,
        Err(objection) => return Ok(Err(objection)),
    };
    let Some(member) = member_in(&mut *c, organization, user).await? else { return Ok(Ok(MemberChange::NotFound)) };
    if let Some(hindrance) = hindrance(&mut *c, organization, &member, own).await? {
        return Ok(hindrance);
    }
    let delete = sqlx::query("DELETE FROM members WHERE organization = ? AND user = ?");
    delete.bind(blob(organization.0)).bind(blob(user)).execute(&mut *c).await?;
    withdraw_above(&mut *c, organization, user, None).await?;
    let lonely = "DELETE FROM users WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM members WHERE user = ?1)";
    sqlx::query(lonely).bind(blob(user)).execute(c).await?;
    Ok(Ok(MemberChange::Changed(member)))
}

/// What the member made goes along: tokens, what these made, and whom they invited. A row of the log tells of each token.
pub async fn remove_with_tokens(
    writer: &Writer,
    organization: OrganizationId,
    user: Uuid,
    by: Actor,
) -> Measured<(MemberChange, Vec<Uuid>)> {
    let teller = Teller { chain: writer.chain(), cause: cause::cause() };
    writer.write(move |c| Box::pin(remove_with_tokens_in(c, organization, user, (by, teller)))).await
}

async fn remove_with_tokens_in(
    c: &mut SqliteConnection,
    organization: OrganizationId,
    user: Uuid,
    (by, teller): (Actor, Teller),
) -> Measured<(MemberChange, Vec<Uuid>)> {
    let made = tokens::made_by(&mut *c, organization, format!("user:{user}")).await?;
    let highest = made.iter().map(|(_, role)| *role).max();
    // Before anything is changed: an objection is no failure, which would take back what was.
    if let Err(objection) = actors::measure(&mut *c, organization, &by, highest).await? {
        return Ok(Err(objection));
    }
    let change = match remove_in(&mut *c, organization, user, by).await? {
        Ok(change @ MemberChange::Changed(_)) => change,
        hindered => return Ok(hindered.map(|change| (change, Vec::new()))),
    };
    let ids: Vec<Uuid> = made.into_iter().map(|(id, _)| id).collect();
    for id in &ids {
        tokens::delete(&mut *c, organization, *id).await?;
        tokens::tell_revoked(&mut *c, organization, *id, &teller).await?;
    }
    Ok(Ok((change, ids)))
}

/// False: the user is the only owner of an organization.
pub async fn delete(writer: &Writer, user: Uuid) -> Result<bool, Error> {
    let sole = sqlx::query(
        "SELECT 1 FROM members m WHERE m.user = ?1 AND m.role = 'owner' AND NOT EXISTS (SELECT 1 FROM members o \
         WHERE o.organization = m.organization AND o.role = 'owner' AND o.user <> ?1)",
    )
    .bind(blob(user));
    let invited = sqlx::query("DELETE FROM invitations WHERE invited_by = ?").bind(format!("user:{user}"));
    let delete = sqlx::query("DELETE FROM users WHERE id = ?").bind(blob(user));
    writer
        .write(move |c| {
            Box::pin(async move {
                if sole.fetch_optional(&mut *c).await?.is_some() {
                    return Ok(false);
                }
                invited.execute(&mut *c).await?;
                delete.execute(c).await?;
                Ok(true)
            })
        })
        .await
}

/// Ends the user's other sessions. False: there is no such user, or the password is another one meanwhile.
pub async fn set_password(writer: &Writer, user: Uuid, password: String, change: PasswordChange) -> Result<bool, Error> {
    let (keep, proven) = match change {
        PasswordChange::Own { session, proven } => (Some(session), Some(proven)),
        PasswordChange::Operator => (None, None),
    };
    let update = sqlx::query("UPDATE users SET password = ?1 WHERE id = ?2 AND (?3 IS NULL OR password = ?3)");
    let update = update.bind(password).bind(blob(user)).bind(proven);
    let end = sqlx::query("DELETE FROM sessions WHERE user = ? AND id IS NOT ?").bind(blob(user)).bind(keep.map(blob));
    let rename = sqlx::query("UPDATE sessions SET id = ? WHERE id = ?").bind(blob(Uuid::now_v7())).bind(keep.map(blob));
    writer
        .write(move |c| {
            Box::pin(async move {
                if update.execute(&mut *c).await?.rows_affected() == 0 {
                    return Ok(false);
                }
                end.execute(&mut *c).await?;
                rename.execute(c).await?;
                Ok(true)
            })
        })
        .await
}
