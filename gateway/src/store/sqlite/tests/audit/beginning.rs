//! What stands before the beginning of the chain: rows of an older version, and rows that somebody put in.
//!
//! Each test writes into the file as SQL can. Invariant: only the rows of an older version are whole there.

use super::*;

/// No time of ours comes after it.
const FAR: i64 = 1 << 60;

fn put_in(id: i64, at: i64) -> String {
    format!("INSERT INTO audit (id, at, principal, action, outcome) VALUES ({id}, {at}, 'token:1', 'sites.stop', 'done')")
}

impl Log {
    async fn prune(&self, before: i64) -> u64 {
        self.store.audit_prune(Timestamp::from_millis(before), 100).await.unwrap()
    }

    async fn bad(&self) -> Vec<Option<i64>> {
        self.check(None).await.findings.iter().map(|finding| finding.row).collect()
    }
}

#[tokio::test]
async fn a_row_that_was_put_in_there_is_found() {
    for id in [0, -5, i64::MIN] {
        let log = log().await;
        log.alter(&[&put_in(id, 1)]).await;
        let report = log.check(None).await;
        assert_eq!((report.rows, report.first, report.unchained), (10, 1, 0), "{id}");
        assert!(report.findings[0].what.starts_with("it stands before the beginning of the chain"), "{report:?}");
        // A row that the gateway adds later makes nothing good again.
        log.store.audit(&entry(log.organization, 20)).await.unwrap();
        assert_eq!(log.bad().await, [Some(id)]);
    }
    for id in [0, 1, 4] {
        let log = log().await;
        assert_eq!(log.prune(5).await, 4);
        log.alter(&[&put_in(id, 1)]).await;
        assert_eq!((log.bad().await, log.check(None).await.unchained), (vec![Some(id)], 0));
    }
}

#[tokio::test]
async fn it_stops_no_pruning_and_does_not_go_by_its_age() {
    let log = log().await;
    log.alter(&[&put_in(0, FAR), &put_in(-5, 0)]).await;
    assert_eq!(log.prune(5).await, 4);
    log.alter(&[&put_in(2, FAR), &put_in(3, 0)]).await;
    assert_eq!((log.prune(8).await, log.prune(8).await), (3, 0));
    let report = log.check(None).await;
    assert_eq!((report.rows, report.first, report.unchained), (3, 8, 0));
    assert_eq!(log.bad().await, [Some(-5), Some(0), Some(2), Some(3)]);
}

#[tokio::test]
async fn rows_of_an_older_version_go_by_their_age_and_the_rest_is_whole() {
    let log = older_than_its_chain().await;
    log.alter(&[&put_in(0, FAR)]).await;
    assert_eq!(log.prune(3).await, 2);
    // Row 4 says that the chain begins there, and row 3 is older than it.
    assert_eq!((log.bad().await, log.check(None).await.unchained), (vec![Some(0), Some(4)], 1));
    log.alter(&["DELETE FROM audit WHERE id = 0"]).await;
    assert_eq!(log.prune(FAR).await, 3);
    let report = log.check(None).await;
    assert_eq!((report.rows, report.first, report.unchained, report.findings), (0, 6, 0, Vec::new()));
    log.alter(&[&put_in(3, 1)]).await;
    assert_eq!(log.bad().await, [Some(3)]);
}

#[tokio::test]
async fn a_chain_that_begins_anew_begins_with_row_1_at_the_least() {
    let log = log().await;
    log.alter(&["DELETE FROM audit", "DELETE FROM audit_head", &put_in(-5, 1)]).await;
    log.store.audit(&entry(log.organization, 20)).await.unwrap();
    assert_eq!(log.bad().await, [Some(-5), Some(1)]);
}
