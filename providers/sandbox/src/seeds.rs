//! Sites that are there already: `seed_sites` of the settings, made up on the spot and the same every time.
//!
//! They take no room in the state until something changes them; then they have a record as any other site.
//! Invariant: the id tells the index, and the index tells everything else.

use crate::record::{Domain, DomainStatus, Environment, EnvironmentKind, Kind, Record, Status};
use std::{cell::RefCell, rc::Rc};

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

/// So many of the first stay in memory: what is listed again and again needn't be made up again.
const KEPT: usize = 500;

thread_local! {
    static FIRST_ONES: RefCell<Vec<Rc<Record>>> = const { RefCell::new(Vec::new()) };
}

/// The same record, for reading.
pub fn shared(index: u32) -> Rc<Record> {
    let place = index as usize;
    if place > KEPT {
        return Rc::new(record(index));
    }
    FIRST_ONES.with_borrow_mut(|kept| {
        while kept.len() <= place {
            // The first place stands for no seed: they are counted from 1.
            kept.push(Rc::new(record(u32::try_from(kept.len()).unwrap_or(u32::MAX))));
        }
        Rc::clone(&kept[place])
    })
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

    #[test]
    fn a_shared_record_is_the_record() {
        for number in [1, 7, KEPT as u32, KEPT as u32 + 1, 3] {
            let bytes = |record: &Record| serde_json::to_vec(record).unwrap();
            assert_eq!(bytes(&shared(number)), bytes(&record(number)));
        }
    }
}
