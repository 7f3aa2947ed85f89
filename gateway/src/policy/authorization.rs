//! Authorization: which role and which scope each action takes.
//!
//! In go a principal and the name of an action; out comes whether it may, or what it lacks. Invariant: an action that isn't in
//! the table is refused, and no other place decides by role or scope. It allocates nothing and waits for nothing: where who began
//! something makes a difference, whoever asks finds that out.

use super::Principal;
use crate::model::Role;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

impl Access {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// What scopes name: the part of an action's name before its first dot.
pub const GROUPS: &[&str] = &[
    "account",
    "audit",
    "auth",
    "backups",
    "billing",
    "connections",
    "deployments",
    "domains",
    "environments",
    "events",
    "invitations",
    "members",
    "operations",
    "providers",
    "sites",
    "tokens",
    "wordpress",
];

/// A place in [`GROUPS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group(u8);

impl Group {
    pub fn named(name: &str) -> Option<Self> {
        GROUPS.iter().position(|group| *group == name).and_then(|index| u8::try_from(index).ok()).map(Self)
    }

    pub fn as_str(self) -> &'static str {
        GROUPS.get(usize::from(self.0)).copied().unwrap_or_default()
    }

    pub const fn bit(self) -> u32 {
        1 << self.0
    }
}

/// Who may: this role or a higher one, with this scope.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub action: &'static str,
    pub role: Role,
    pub group: Group,
    pub access: Access,
}

macro_rules! table {
    ($($action:literal $role:ident $access:ident;)+) => {
        /// Every action, in the order of names: each is found by halving.
        pub static TABLE: &[Rule] = &[$(Rule {
            action: $action,
            role: Role::$role,
            // An action of a group that isn't in the list doesn't compile.
            group: const { group_of($action) },
            access: Access::$access,
        }),+];
    };
}

// A download is all of a site, its users and their hashed passwords included, so it takes more than to look.
table! {
    "account.delete" Viewer Write;
    "audit.list" Admin Read;
    "auth.logout" Viewer Write;
    "auth.me" Viewer Read;
    "auth.password" Viewer Write;
    "auth.refresh" Viewer Write;
    "backups.create" Operator Write;
    "backups.delete" Operator Write;
    "backups.download" Operator Read;
    "backups.get" Viewer Read;
    "backups.list" Viewer Read;
    "backups.restore" Operator Write;
    "billing.checkout" Admin Write;
    "billing.invoices" Viewer Read;
    "billing.subscription" Viewer Read;
    "billing.usage" Viewer Read;
    "connections.create" Admin Write;
    "connections.delete" Admin Write;
    "connections.get" Viewer Read;
    "connections.list" Viewer Read;
    "connections.test" Admin Write;
    "connections.update" Admin Write;
    "deployments.commit" Operator Write;
    "deployments.create" Operator Write;
    "deployments.get" Viewer Read;
    "deployments.list" Viewer Read;
    "deployments.plan" Operator Write;
    "deployments.release" Operator Write;
    "deployments.rollback" Operator Write;
    "deployments.upload" Operator Write;
    "domains.create" Operator Write;
    "domains.delete" Operator Write;
    "domains.list" Viewer Read;
    "domains.set_primary" Operator Write;
    "domains.verify" Operator Write;
    "environments.create" Operator Write;
    "environments.current" Viewer Read;
    "environments.delete" Operator Write;
    "environments.list" Viewer Read;
    "environments.push" Operator Write;
    "environments.update" Operator Write;
    "events.watch" Viewer Read;
    "invitations.create" Admin Write;
    "invitations.delete" Admin Write;
    "invitations.list" Admin Read;
    "members.delete" Admin Write;
    "members.list" Viewer Read;
    "members.update" Admin Write;
    "operations.cancel" Operator Write;
    "operations.events" Viewer Read;
    "operations.get" Viewer Read;
    "operations.list" Viewer Read;
    "providers.get" Viewer Read;
    "providers.list" Viewer Read;
    "sites.clone" Operator Write;
    "sites.create" Operator Write;
    "sites.delete" Operator Write;
    "sites.get" Viewer Read;
    "sites.list" Viewer Read;
    "sites.logs" Viewer Read;
    "sites.start" Operator Write;
    "sites.stop" Operator Write;
    "sites.update" Operator Write;
    "sites.usage" Viewer Read;
    "tokens.create" Admin Write;
    "tokens.delete" Admin Write;
    "tokens.get" Admin Read;
    "tokens.list" Admin Read;
    "tokens.rotate" Admin Write;
    "wordpress.admin.create" Operator Write;
    "wordpress.cache.disable" Operator Write;
    "wordpress.cache.enable" Operator Write;
    "wordpress.cache.flush" Operator Write;
    "wordpress.cache.get" Viewer Read;
    "wordpress.cache.purge" Operator Write;
    "wordpress.core.reinstall" Operator Write;
    "wordpress.core.update" Operator Write;
    "wordpress.login_link" Operator Write;
    "wordpress.maintenance" Operator Write;
    "wordpress.password_reset" Operator Write;
    "wordpress.plugins.activate" Operator Write;
    "wordpress.plugins.deactivate" Operator Write;
    "wordpress.plugins.delete" Operator Write;
    "wordpress.plugins.install" Operator Write;
    "wordpress.plugins.list" Viewer Read;
    "wordpress.plugins.update" Operator Write;
    "wordpress.search_replace" Operator Write;
    "wordpress.security.get" Viewer Read;
    "wordpress.security.update" Operator Write;
    "wordpress.security.verify_checksums" Operator Write;
    "wordpress.status" Viewer Read;
    "wordpress.themes.activate" Operator Write;
    "wordpress.themes.deactivate" Operator Write;
    "wordpress.themes.delete" Operator Write;
    "wordpress.themes.install" Operator Write;
    "wordpress.themes.list" Viewer Read;
    "wordpress.themes.update" Operator Write;
}

const fn group_of(action: &str) -> Group {
    let action = action.as_bytes();
    let mut index = 0;
    while index < GROUPS.len() {
        if begins_with(action, GROUPS[index].as_bytes()) {
            #[expect(clippy::cast_possible_truncation, reason = "a set of 32 bits holds all groups, which a test counts")]
            return Group(index as u8);
        }
        index += 1;
    }
    panic!("the action's group isn't in GROUPS")
}

/// With a dot behind it.
const fn begins_with(action: &[u8], group: &[u8]) -> bool {
    if action.len() <= group.len() || action[group.len()] != b'.' {
        return false;
    }
    let mut index = 0;
    while index < group.len() {
        if action[index] != group[index] {
            return false;
        }
        index += 1;
    }
    true
}

pub fn rule(action: &str) -> Option<&'static Rule> {
    TABLE.binary_search_by(|rule| rule.action.cmp(action)).ok().map(|index| &TABLE[index])
}

/// Why somebody may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Nobody said who may.
    Unlisted,
    /// The least role that may.
    Role(Role),
    Scope(Group, Access),
    /// It is on a connection that the credential isn't for.
    Connection,
    /// Somebody of a higher role.
    Above(Role),
    /// More than the giver has: in this field.
    Beyond(&'static str),
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlisted => f.write_str("nobody may do this"),
            Self::Role(role) => write!(f, "this takes the role {} or a higher one", role.as_str()),
            Self::Scope(group, access) => write!(f, "this takes the scope {}:{}", group.as_str(), access.as_str()),
            Self::Connection => f.write_str("the token is not for this connection: its connections don't name it"),
            Self::Above(role) => write!(f, "it has the role {}, which is above yours", role.as_str()),
            Self::Beyond(field) => {
                write!(
                    f,
                    "{field}: nobody gives a token more than their own credential is for, nor for longer, nor takes one away that is for more connections"
                )
            }
        }
    }
}

/// Whether the principal may do this at all; on which connections is [`super::Scopes::covers`]'s word.
pub fn authorize(principal: &Principal, action: &str) -> Result<(), Denied> {
    rule(action).ok_or(Denied::Unlisted)?.admit(principal)
}

/// Whether the denial holds for others alone: how an operation goes may be read by whoever began it, since 202 points there, and by
/// them alone without the scope to read all operations.
pub fn is_for_others(action: &str, denied: Denied) -> bool {
    action == "operations.get" && matches!(denied, Denied::Scope(..))
}

impl Rule {
    pub fn admit(&self, principal: &Principal) -> Result<(), Denied> {
        if principal.role < self.role {
            return Err(Denied::Role(self.role));
        }
        if principal.scopes.allows(self.group, self.access) { Ok(()) } else { Err(Denied::Scope(self.group, self.access)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::OrganizationId,
        policy::{Scopes, mint_token},
        store::TokenRecord,
    };

    fn principal(role: Role, scopes: &[&str]) -> Principal {
        let (_, record) = mint_token(OrganizationId(uuid::Uuid::nil()), "t", None).unwrap();
        let scopes = scopes.iter().map(|&word| word.to_owned()).collect();
        Principal::of_token(&TokenRecord { role, scopes, ..record }, [0; 32])
    }

    #[test]
    fn the_table_is_sorted_and_its_groups_are_used() {
        assert!(TABLE.is_sorted_by(|one, next| one.action < next.action), "each action once, in order");
        assert!(GROUPS.len() <= 32 && GROUPS.is_sorted());
        for group in GROUPS {
            let used = TABLE.iter().any(|rule| rule.group.as_str() == *group);
            assert!(used, "{group} has no action");
        }
        for rule in TABLE {
            assert!(rule.action.starts_with(&format!("{}.", rule.group.as_str())), "{}", rule.action);
        }
    }

    #[test]
    fn every_action_takes_its_role_and_its_scope() {
        for rule in TABLE {
            for role in Role::ALL {
                let expected = if role < rule.role { Err(Denied::Role(rule.role)) } else { Ok(()) };
                assert_eq!(authorize(&principal(role, &["write"]), rule.action), expected, "{role:?} {}", rule.action);
            }
            for group in GROUPS {
                for access in [Access::Read, Access::Write] {
                    let words = format!("{group}:{}", access.as_str());
                    let fits = *group == rule.group.as_str() && (access == Access::Write || rule.access == Access::Read);
                    let expected = if fits { Ok(()) } else { Err(Denied::Scope(rule.group, rule.access)) };
                    assert_eq!(authorize(&principal(Role::Owner, &[&words]), rule.action), expected, "{words} {}", rule.action);
                }
            }
        }
    }

    #[test]
    fn only_the_scope_to_look_at_an_operation_is_for_others_alone() {
        let starter = principal(Role::Operator, &["sites:write"]);
        let spared: Vec<_> = TABLE
            .iter()
            .filter(|rule| authorize(&starter, rule.action).is_err_and(|denied| is_for_others(rule.action, denied)))
            .map(|rule| rule.action)
            .collect();
        assert_eq!(spared, ["operations.get"]);
        for denied in [Denied::Unlisted, Denied::Role(Role::Viewer), Denied::Connection] {
            assert!(!is_for_others("operations.get", denied), "{denied:?}");
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_refused() {
        let owner = principal(Role::Owner, &["write"]);
        assert_eq!(owner.scopes, Scopes::all());
        for action in ["", "sites", "sites.", "sites.explode", "SITES.LIST", "sites.list "] {
            assert_eq!(authorize(&owner, action), Err(Denied::Unlisted), "{action:?}");
        }
    }
}
