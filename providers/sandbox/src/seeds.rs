//! Sites that are there already: `seed_sites` of the settings, made up on the spot and the same every time.
//!
//! They take no room in the state until something changes them; then they have a record as any other site.
//! Invariant: the id tells the index, and the index tells everything else.

use crate::record::{Domain, DomainStatus, Environment, EnvironmentKind, Kind, Record, Status};

/// 2024-01-01T00:00:00Z: the first is this old, and each is a minute younger than the one before.
const FIRST: u64 = 1_704_067_200_000;

pub fn id(index: u32) -> String {
    format!("seed-{index:05}")
}

/// The index, 1 or more, of an id that a seed has.
pub fn index(id: &str) -> Option<u32> {
    let digits = id.strip_prefix("seed-")?;
    let plain = digits.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|index| plain && *index > 0)
}

pub fn record(index: u32) -> Record {
    let id = id(index);
    let at = FIRST + u64::from(index) * 60_000;
    let kind = if index.is_multiple_of(10) { Kind::Plain } else { Kind::Wordpress };
    let wordpress = kind == Kind::Wordpress;
    let production = Environment {
        id: "production".to_owned(),
        name: "production".to_owned(),
        kind: EnvironmentKind::Production,
        status: Status::Running,
        php_version: Some("8.3".to_owned()),
        wordpress_version: wordpress.then(|| "6.8".to_owned()),
        released: Vec::new(),
        wordpress: None,
    };
    let domain = Domain {
        name: format!("{id}.example.com"),
        environment: production.id.clone(),
        primary: true,
        status: DomainStatus::Active,
        verified_at: Some(at),
    };
    Record {
        name: id.clone(),
        kind,
        status: if index.is_multiple_of(7) { Status::Stopped } else { Status::Running },
        locale: None,
        title: None,
        region: None,
        template: None,
        admin: None,
        multisite: false,
        created_at: at,
        updated_at: at,
        environments: vec![production],
        domains: vec![domain],
        backups: Vec::new(),
        deployments: Vec::new(),
        plans: Vec::new(),
        jobs: Vec::new(),
        gone_at: None,
        id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_indexes_are_each_others_inverse() {
        for number in [1, 2, 99_999] {
            assert_eq!(index(&id(number)), Some(number));
        }
        for other in ["seed-00000", "seed-1", "seed-000001", "site-00001", "seed-+0001"] {
            assert_eq!(index(other), None, "{other}");
        }
    }
}
