//! Sealing as its users rely on it: bound to facts, keys and purposes, and movable from one master key to the next.

use super::*;

const OLD: [u8; KEY_LENGTH] = [7; KEY_LENGTH];
const NEW: [u8; KEY_LENGTH] = [8; KEY_LENGTH];

fn ring(keys: &[[u8; KEY_LENGTH]]) -> Sealer {
    Sealer::with_ring(&keys.iter().map(MasterKey::from_bytes).collect::<Vec<_>>()).unwrap()
}

/// As gateways sealed before keys had ids.
fn in_the_first_form(key: &[u8; KEY_LENGTH], facts: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut out = [&[VERSION_1][..], &[3; NONCE_LEN], plain].concat();
    let nonce = Nonce::assume_unique_for_key([3; NONCE_LEN]);
    Keys::derive(key).unwrap().seal(Purpose::Secret, nonce, facts, &mut out, 1 + NONCE_LEN).unwrap();
    out
}

#[test]
fn opens_only_under_the_same_key_purpose_and_facts() {
    let (sealer, other) = (ring(&[OLD]), ring(&[NEW]));
    let sealed = sealer.seal(Purpose::Secret, b"connection 1", b"hunter2").unwrap();
    let opened = sealer.open(Purpose::Secret, b"connection 1", &sealed).unwrap();
    assert_eq!(opened.as_slice(), b"hunter2");
    assert!(sealer.open(Purpose::Secret, b"connection 2", &sealed).is_none());
    assert!(sealer.open(Purpose::Cursor, b"connection 1", &sealed).is_none());
    assert!(other.open(Purpose::Secret, b"connection 1", &sealed).is_none());
    for index in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[index] ^= 1;
        assert!(sealer.open(Purpose::Secret, b"connection 1", &changed).is_none(), "byte {index}");
        assert!(sealer.open(Purpose::Secret, b"connection 1", &sealed[..index]).is_none(), "the first {index}");
    }
    assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
}

#[test]
fn values_move_to_another_key_with_their_facts() {
    let (old, both, new) = (ring(&[OLD]), ring(&[NEW, OLD]), ring(&[NEW]));
    let sealed = old.seal(Purpose::Secret, b"facts", b"hunter2").unwrap();
    assert_eq!(SealedBy::of(&sealed), Some(SealedBy::Key(old.key_ids()[0])));
    assert!(both.open(Purpose::Secret, b"facts", &sealed).is_some() && new.is_foreign(&sealed) && !both.is_current(&sealed));
    assert!(new.renew(Purpose::Secret, &sealed).is_none(), "without the key it was sealed under");
    assert!(both.renew(Purpose::Operation, &sealed).is_none(), "for another purpose");
    let renewed = both.renew(Purpose::Secret, &sealed).unwrap().unwrap();
    assert!(new.is_current(&renewed) && old.is_foreign(&renewed));
    assert_eq!(new.open(Purpose::Secret, b"facts", &renewed).unwrap().as_slice(), b"hunter2");
    assert!(new.open(Purpose::Secret, b"other facts", &renewed).is_none());
}

#[test]
fn a_ring_is_replaced_under_those_who_use_it() {
    let sealer = ring(&[OLD]);
    let before = sealer.seal(Purpose::Cursor, b"", b"x").unwrap();
    sealer.adopt(&[MasterKey::from_bytes(&NEW)]).unwrap();
    assert!(sealer.is_current(&sealer.seal(Purpose::Cursor, b"", b"x").unwrap()) && !sealer.is_current(&before));
    assert!(sealer.open(Purpose::Cursor, b"", &before).is_some(), "what was here already opens still");
    assert_eq!(sealer.key_ids(), [ring(&[NEW]).key_ids(), ring(&[OLD]).key_ids()].concat());
    sealer.keep(&[]);
    assert!(sealer.open(Purpose::Cursor, b"", &before).is_none() && sealer.is_foreign(&before));
    assert_eq!(sealer.key_ids(), ring(&[NEW]).key_ids());
    assert!(sealer.adopt(&[]).is_err());
}

#[test]
fn the_first_form_opens_under_any_of_the_keys() {
    let sealed = in_the_first_form(&OLD, b"facts", b"hunter2");
    for sealer in [ring(&[OLD]), ring(&[NEW, OLD])] {
        assert_eq!(sealer.open(Purpose::Secret, b"facts", &sealed).unwrap().as_slice(), b"hunter2");
        assert!(sealer.open(Purpose::Secret, b"other", &sealed).is_none());
        assert!(sealer.renew(Purpose::Secret, &sealed).is_none() && !sealer.is_current(&sealed));
    }
    assert!(ring(&[NEW]).open(Purpose::Secret, b"facts", &sealed).is_none());
    assert_eq!(SealedBy::of(&sealed), Some(SealedBy::Unnamed));
    assert_eq!(SealedBy::of(b""), None);
    assert_eq!(SealedBy::of(&[VERSION_2, 1]), None);
}

#[test]
fn artifacts_verify_under_their_name_and_key_only() {
    let sealer = ring(&[OLD]);
    let tag = sealer.tag_artifact("a", b"bc").unwrap();
    assert!(sealer.verify_artifact("a", b"bc", &tag) && ring(&[NEW, OLD]).verify_artifact("a", b"bc", &tag));
    assert!(!sealer.verify_artifact("ab", b"c", &tag));
    assert!(!sealer.verify_artifact("a", b"bd", &tag));
    assert!(!ring(&[NEW]).verify_artifact("a", b"bc", &tag));
}

#[test]
fn a_stable_hash_depends_on_its_key_and_label_and_not_on_the_master_key() {
    let (one, two) = (ring(&[OLD]).with_stable_key(&[1; 32]), ring(&[NEW]).with_stable_key(&[1; 32]));
    assert_eq!(one.stable_hash("audit", b"x").unwrap(), two.stable_hash("audit", b"x").unwrap());
    assert_ne!(one.stable_hash("audit", b"x").unwrap(), one.stable_hash("other", b"x").unwrap());
    assert_ne!(one.stable_hash("audit", b"x").unwrap(), one.stable_hash("audit", b"y").unwrap());
    let other = ring(&[OLD]).with_stable_key(&[2; 32]);
    assert_ne!(one.stable_hash("audit", b"x").unwrap(), other.stable_hash("audit", b"x").unwrap());
}
