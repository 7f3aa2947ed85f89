//! Several organizations at one runner: nobody's backlog makes another's operations wait.
//!
//! Invariant: every call hangs at the gate until a test opens it, so what has begun by then needed no other's end.

use super::*;

const BACKLOG: usize = 1000;
/// Half of the steps that the runner has.
const HALF: usize = 64;

/// So many calls that wait at a gate before they send anything.
fn gated(calls: usize) -> (Arc<Fake>, Arc<Semaphore>) {
    let (fake, gate) = (Fake::new(Recovery::Neither), Arc::new(Semaphore::new(0)));
    for _ in 0..calls {
        fake.script(Call::Mutate, &[Act::Gate(Arc::clone(&gate)), Act::Send, Act::Done]);
    }
    (fake, gate)
}

/// However long a busy machine takes, no call ends by itself.
fn patient() -> Options {
    Options { call: Duration::from_secs(120), drain: Duration::from_secs(60), ..hurried() }
}

impl Gateway {
    async fn submit_all(&self, count: usize) -> Vec<OperationId> {
        futures_util::future::join_all((0..count).map(|_| self.submit())).await
    }

    async fn submit_of(&self, organization: OrganizationId) -> OperationId {
        self.operations.submit(Submit { organization, ..self.order() }).await.unwrap().operation.id
    }

    async fn status_of(&self, organization: OrganizationId, id: &OperationId) -> OperationStatus {
        self.operations.get(organization, id).await.unwrap().status
    }

    async fn end_all(&self, ids: &[OperationId]) {
        for id in ids {
            assert_eq!(self.end_of(id).await.status, OperationStatus::Succeeded);
        }
        self.until_nothing_is_open().await;
    }
}

#[tokio::test]
async fn an_operation_begins_at_once_whatever_another_organization_has_waiting() {
    let (fake, gate) = gated(BACKLOG + 1);
    let gateway = Gateway::start_with(&fake, patient(), CancellationToken::new()).await;
    let other = suite::organization(&*gateway.store, "other").await;
    let ids = gateway.submit_all(BACKLOG).await;
    fake.until("Mutate", HALF).await;
    let id = gateway.submit_of(other).await;
    fake.until("Mutate", HALF + 1).await;
    assert_eq!(gateway.status_of(other, &id).await, OperationStatus::Running);
    assert_eq!(fake.count("Mutate"), HALF + 1, "one organization took more than half");
    gate.add_permits(BACKLOG + 1);
    gateway.end_all(&ids).await;
    assert_eq!(gateway.status_of(other, &id).await, OperationStatus::Succeeded);
    assert_eq!(fake.count("sent"), BACKLOG + 1);
}

#[tokio::test]
async fn what_an_earlier_process_left_comes_in_turn_as_well() {
    const LEFT: usize = 200;
    let (fake, gate) = gated(LEFT + 1);
    let stopped = CancellationToken::new();
    stopped.cancel();
    let gateway = Gateway::start_with(&fake, patient(), stopped).await;
    gateway.operations.stopped().await;
    let other = suite::organization(&*gateway.store, "other").await;
    let ids = gateway.submit_all(LEFT).await;
    let id = gateway.submit_of(other).await;
    let gateway = gateway.crash().await;
    fake.until("Mutate", HALF + 1).await;
    assert_eq!(gateway.status_of(other, &id).await, OperationStatus::Running);
    gate.add_permits(LEFT + 1);
    gateway.end_all(&ids).await;
    assert_eq!(gateway.status_of(other, &id).await, OperationStatus::Succeeded);
}

#[tokio::test]
async fn a_waiting_backlog_is_canceled_and_ends_with_the_process_as_ever() {
    let (fake, gate) = gated(HALF);
    let gateway = Gateway::start_with(&fake, patient(), CancellationToken::new()).await;
    let ids = gateway.submit_all(2 * HALF).await;
    fake.until("Mutate", HALF).await;
    let mut statuses = Vec::new();
    for id in &ids {
        statuses.push(gateway.get(id).await.status);
    }
    let queued: Vec<_> = ids.iter().zip(statuses).filter(|(_, status)| *status == OperationStatus::Queued).collect();
    assert_eq!(queued.len(), HALF);
    let canceled = gateway.operations.cancel(gateway.organization, queued[0].0).await.unwrap();
    assert_eq!(canceled.status, OperationStatus::Canceled);
    gateway.shutdown.cancel();
    gate.add_permits(HALF);
    gateway.operations.stopped().await;
    assert_eq!((fake.count("Mutate"), fake.count("sent")), (HALF, HALF), "something began after the shutdown");
    let gateway = gateway.crash().await;
    for (id, _) in &queued[1..] {
        assert_eq!(gateway.end_of(id).await.status, OperationStatus::Succeeded);
    }
    assert_eq!(fake.count("sent"), 2 * HALF - 1);
}
