//! Scopes: what a credential is limited to, whatever its owner's role.
//!
//! In go the words of a token's scopes; out comes what it may read and change, on which connections, from which addresses.
//! Invariant: a scope that isn't known opens nothing, and a limited credential never stands for more than its limits. A check
//! allocates nothing.

use super::authorization::{Access, GROUPS, Group};
use crate::{
    model::{Error, Kind, Network, Slug},
    store::TokenRecord,
};
use std::{net::IpAddr, sync::Arc};

/// One bit for each group; all of them also for groups that come later.
const EVERYTHING: u32 = u32::MAX;

/// Groups that may be read and changed, connections, and networks of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes {
    read: u32,
    write: u32,
    /// None: all of the organization.
    connections: Option<Arc<[Slug]>>,
    /// None are all.
    networks: Arc<[Network]>,
}

impl Scopes {
    /// No limits: what a person has who logged in.
    pub fn all() -> Self {
        Self { read: EVERYTHING, write: EVERYTHING, connections: None, networks: Arc::default() }
    }

    /// The words of [`Scopes::all`].
    pub fn all_words() -> Vec<String> {
        vec!["read".to_owned(), "write".to_owned()]
    }

    pub fn of_token(token: &TokenRecord) -> Self {
        let mut scopes = Self { read: 0, write: 0, connections: None, networks: token.networks.as_slice().into() };
        // A word that a newer gateway wrote opens nothing here.
        token.scopes.iter().filter_map(|word| bits(word)).for_each(|bits| scopes.add(bits));
        scopes.connections = token.connections.as_deref().map(Arc::from);
        scopes
    }

    fn add(&mut self, (access, groups): (Access, u32)) {
        // What may be changed may be read, else nobody could see what came of it.
        self.read |= groups;
        if access == Access::Write {
            self.write |= groups;
        }
    }

    pub const fn allows(&self, group: Group, access: Access) -> bool {
        let groups = match access {
            Access::Read => self.read,
            Access::Write => self.write,
        };
        groups & group.bit() != 0
    }

    pub fn covers(&self, connection: &str) -> bool {
        self.connections.as_ref().is_none_or(|slugs| slugs.iter().any(|slug| slug.as_str() == connection))
    }

    /// The only connections that may be seen, when not all are.
    pub const fn connections(&self) -> Option<&Arc<[Slug]>> {
        self.connections.as_ref()
    }

    /// Whether it may be used from there. Where the client is isn't known, only what is good everywhere is.
    pub fn admit(&self, client: Option<IpAddr>) -> bool {
        let inside = |address: IpAddr| self.networks.iter().any(|network| network.contains(address.to_canonical()));
        self.networks.is_empty() || client.is_some_and(inside)
    }

    pub const fn is_limited_to_connections(&self) -> bool {
        self.connections.is_some()
    }

    /// What limits where they reach, or from where.
    pub fn reach(&self) -> Option<&'static str> {
        match (&self.connections, self.networks.is_empty()) {
            (Some(_), _) => Some("connections"),
            (None, false) => Some("allowed_ips"),
            (None, true) => None,
        }
    }

    /// Whether they are good on connections that `other` isn't.
    pub fn touches_beyond(&self, other: &Self) -> bool {
        match (&self.connections, &other.connections) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(mine), Some(_)) => mine.iter().any(|slug| !other.covers(slug.as_str())),
        }
    }

    /// What these allow and `other` doesn't. None: they stand for no more.
    pub fn beyond(&self, other: &Self) -> Option<&'static str> {
        if self.read & !other.read != 0 || self.write & !other.write != 0 {
            return Some("scopes");
        }
        if self.touches_beyond(other) {
            return Some("connections");
        }
        let fits = |network: &Network| other.networks.iter().any(|wider| network.is_inside(wider));
        let kept = other.networks.is_empty() || (!self.networks.is_empty() && self.networks.iter().all(fits));
        (!kept).then_some("allowed_ips")
    }
}

/// Refuses words that aren't scopes.
pub fn check_scopes(words: &[String]) -> Result<(), Error> {
    let wrong = words.iter().position(|word| bits(word).is_none());
    wrong.map_or(Ok(()), |index| {
        let groups = GROUPS.join(", ");
        let message = format!("read, write, or a group with :read or :write (sites:read); groups are {groups}");
        Err(Error::new(Kind::InvalidInput, message).with_field(format!("scopes[{index}]")))
    })
}

fn bits(word: &str) -> Option<(Access, u32)> {
    let (group, access) = word.split_once(':').map_or((None, word), |(group, access)| (Some(group), access));
    let access = match access {
        "read" => Access::Read,
        "write" => Access::Write,
        _ => return None,
    };
    let groups = match group {
        None => EVERYTHING,
        Some(name) => Group::named(name)?.bit(),
    };
    Some((access, groups))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::OrganizationId, policy::mint_token};

    fn scopes(words: &[&str], connections: Option<&[&str]>, networks: &[&str]) -> Scopes {
        let (_, record) = mint_token(OrganizationId(uuid::Uuid::nil()), "t", None).unwrap();
        Scopes::of_token(&TokenRecord {
            scopes: words.iter().map(|&word| word.to_owned()).collect(),
            connections: connections.map(|slugs| slugs.iter().map(|slug| Slug::parse(slug).unwrap()).collect()),
            networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
            ..record
        })
    }

    #[test]
    fn words_open_groups_for_reading_and_writing() {
        let (sites, tokens) = (Group::named("sites").unwrap(), Group::named("tokens").unwrap());
        let check = |words: &[&str], expected: [bool; 4]| {
            let scopes = scopes(words, None, &[]);
            let found = [(sites, Access::Read), (sites, Access::Write), (tokens, Access::Read), (tokens, Access::Write)];
            assert_eq!(found.map(|(group, access)| scopes.allows(group, access)), expected, "{words:?}");
        };
        check(&[], [false; 4]);
        check(&["read"], [true, false, true, false]);
        check(&["write"], [true; 4]);
        check(&["sites:read"], [true, false, false, false]);
        check(&["sites:write"], [true, true, false, false]);
        check(&["sites:write", "tokens:read"], [true, true, true, false]);
        check(&["read", "sites:write"], [true, true, true, false]);
        check(&["site:read", "sites:admin", "Sites:read", "", ":", "sites:", ":read", "moons:write"], [false; 4]);
        let words = |words: &[&str]| check_scopes(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        assert!(words(&["read", "write", "backups:write"]).is_ok());
        let refused = words(&["read", "site:read"]).unwrap_err();
        assert_eq!((refused.kind, refused.field.as_deref()), (Kind::InvalidInput, Some("scopes[1]")));
    }

    #[test]
    fn connections_and_networks_are_limits() {
        let limited = scopes(&["read"], Some(&["a", "b"]), &["10.0.0.0/8", "fd00::/8"]);
        assert!(limited.covers("a") && !limited.covers("c") && Scopes::all().covers("c"));
        assert!(!scopes(&["read"], Some(&[]), &[]).covers("a"));
        for (client, admitted) in [
            (Some("10.1.2.3"), true),
            (Some("::ffff:10.1.2.3"), true),
            (Some("fd00::1"), true),
            (Some("11.0.0.1"), false),
            (None, false),
        ] {
            let client = client.map(|address| address.parse().unwrap());
            assert_eq!((limited.admit(client), Scopes::all().admit(client)), (admitted, true), "{client:?}");
        }
    }

    #[test]
    fn nothing_given_on_is_more_than_its_giver_has() {
        let own = scopes(&["sites:write", "tokens:write"], Some(&["a", "b"]), &["10.0.0.0/8"]);
        let check = |words: &[&str], connections: Option<&[&str]>, networks: &[&str], beyond: Option<&str>| {
            let given = scopes(words, connections, networks);
            assert_eq!(given.beyond(&own), beyond, "{words:?} {connections:?} {networks:?}");
            assert_eq!(given.beyond(&Scopes::all()), None);
        };
        check(&["sites:write", "tokens:write"], Some(&["a", "b"]), &["10.0.0.0/8"], None);
        check(&["sites:read"], Some(&["b"]), &["10.1.0.0/16", "10.2.3.4"], None);
        check(&["read"], Some(&["a"]), &["10.0.0.0/8"], Some("scopes"));
        check(&["backups:read"], Some(&["a"]), &["10.0.0.0/8"], Some("scopes"));
        check(&["sites:read"], None, &["10.0.0.0/8"], Some("connections"));
        check(&["sites:read"], Some(&["a", "c"]), &["10.0.0.0/8"], Some("connections"));
        check(&["sites:read"], Some(&["a"]), &[], Some("allowed_ips"));
        check(&["sites:read"], Some(&["a"]), &["10.0.0.0/8", "11.0.0.1"], Some("allowed_ips"));
        check(&["sites:read"], Some(&["a"]), &["10.0.0.0/7"], Some("allowed_ips"));
    }
}
