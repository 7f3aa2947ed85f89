//! Tests of the queue alone, with paused time: when operations come, in whose turn, and how many of whom at once.

use super::*;
use std::{pin::pin, time::Duration};
use tokio::time::timeout;
use uuid::Uuid;

const STEPS: usize = 128;

fn ids(count: usize) -> Vec<OperationId> {
    (0..count).map(|_| OperationId::generate()).collect()
}

fn organization(number: u128) -> OrganizationId {
    OrganizationId(Uuid::from_u128(number))
}

/// So many that are due at once, for each of these.
fn backlog(queue: &Queue, of: &[(u128, usize)]) {
    for (number, count) in of {
        ids(*count).iter().for_each(|id| queue.enter(id, organization(*number)));
    }
}

/// Those that may begin now, until one has to wait.
async fn begun(queue: &Queue) -> Vec<Task> {
    let mut begun = Vec::new();
    while let Ok(task) = timeout(Duration::ZERO, queue.next()).await {
        begun.push(task);
    }
    begun
}

fn owners(tasks: &[Task]) -> Vec<u128> {
    tasks.iter().map(|task| task.organization.0.as_u128()).collect()
}

fn count_of(tasks: &[Task], number: u128) -> usize {
    owners(tasks).into_iter().filter(|owner| *owner == number).count()
}

#[tokio::test(start_paused = true)]
async fn sleepers_come_when_they_are_due_and_once() {
    let (queue, ids) = (Queue::new(STEPS), ids(3));
    let start = Instant::now();
    for id in &ids {
        queue.enter(id, organization(1));
        queue.enter(id, organization(1));
    }
    for (index, id) in ids.iter().enumerate() {
        let task = queue.next().await;
        assert_eq!(&task.id, id);
        queue.enter(id, organization(1));
        queue.again(Task { tries: task.tries.failed_again(), ..task }, start + Duration::from_secs(30 - index as u64));
    }
    for (id, after) in [(&ids[2], 28), (&ids[1], 29), (&ids[0], 30)] {
        let task = queue.next().await;
        assert_eq!((&task.id, task.tries.failed, start.elapsed().as_secs()), (id, 1, after));
    }
    assert!(timeout(Duration::from_secs(60), queue.next()).await.is_err(), "something came twice");
}

#[tokio::test(start_paused = true)]
async fn hurrying_wakes_sleepers_and_outlasts_a_step() {
    let (queue, ids) = (Queue::new(STEPS), ids(1));
    let (start, later) = (Instant::now(), Instant::now() + Duration::from_secs(50));
    queue.enter(&ids[0], organization(1));
    // One that is due already comes once.
    queue.hasten(&ids[0]);
    let task = queue.next().await;
    queue.again(task, later);
    queue.hasten(&ids[0]);
    let task = queue.next().await;
    queue.hasten(&ids[0]);
    queue.again(task, later);
    let task = queue.next().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    queue.again(task, later);
    let task = queue.next().await;
    assert_eq!(start.elapsed().as_secs(), 50, "a hurry that was served must not be served again");
    queue.forget(&task);
    queue.hasten(&ids[0]);
    assert!(timeout(Duration::from_secs(60), queue.next()).await.is_err(), "something came twice");
}

#[tokio::test(start_paused = true)]
async fn organizations_come_in_turn_and_each_ones_own_as_they_are_due() {
    let (queue, ids) = (Queue::new(STEPS), ids(3));
    for id in &ids {
        queue.enter(id, organization(1));
    }
    let start = Instant::now();
    for (task, pause) in begun(&queue).await.into_iter().zip([2, 1, 3]) {
        queue.again(task, start + Duration::from_secs(pause));
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    backlog(&queue, &[(1, 2), (2, 2), (3, 1)]);
    tokio::time::advance(Duration::from_secs(1)).await;
    let begun = begun(&queue).await;
    assert_eq!(owners(&begun), [1, 2, 3, 1, 2, 1, 1, 1]);
    let place = |id: &OperationId| begun.iter().position(|task| task.id == *id);
    assert_eq!([&ids[1], &ids[0], &ids[2]].map(place), [Some(0), Some(3), Some(7)], "not as they were due");
}

#[tokio::test(start_paused = true)]
async fn a_backlog_takes_half_and_whoever_comes_begins_at_once() {
    let queue = Queue::new(STEPS);
    backlog(&queue, &[(1, 1000)]);
    let mut hanging = begun(&queue).await;
    assert_eq!(hanging.len(), STEPS / 2);
    let mut shares = Vec::new();
    for number in 2..=9 {
        backlog(&queue, &[(number, 1000)]);
        let own = begun(&queue).await;
        assert_eq!(count_of(&own, number), own.len());
        shares.push(own.len());
        hanging.extend(own);
    }
    assert_eq!(shares, [32, 16, 8, 4, 2, 1, 1, 0]);
    // The next place that is free is for who has none, whosever it was.
    queue.forget(&hanging[0]);
    assert_eq!(owners(&begun(&queue).await), [9]);
}

#[tokio::test(start_paused = true)]
async fn who_are_as_busy_come_to_equal_shares_and_one_more_is_free() {
    let queue = Queue::new(30);
    backlog(&queue, &[(1, 1000)]);
    let mut busy = begun(&queue).await;
    backlog(&queue, &[(2, 1000)]);
    for _ in 0..100 {
        busy.extend(begun(&queue).await);
        queue.forget(&busy.remove(0));
    }
    busy.extend(begun(&queue).await);
    assert_eq!((count_of(&busy, 1), count_of(&busy, 2)), (10, 10));
    backlog(&queue, &[(3, 1000)]);
    assert_eq!(begun(&queue).await.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_step_begins_as_soon_as_one_ends() {
    for ends in [true, false] {
        let queue = Queue::new(2);
        backlog(&queue, &[(1, 2)]);
        let task = queue.next().await;
        let mut next = pin!(queue.next());
        assert!(timeout(Duration::from_secs(1), &mut next).await.is_err(), "more than half at once");
        if ends {
            queue.forget(&task);
        } else {
            queue.again(task.clone(), Instant::now() + Duration::from_secs(1));
        }
        let other = timeout(Duration::ZERO, next).await.expect("a step that ended was missed");
        assert_ne!(other.id, task.id);
        queue.forget(&other);
        assert_eq!(timeout(Duration::from_secs(2), queue.next()).await.ok().map(|again| again.id), (!ends).then_some(task.id));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_who_is_done() {
    let queue = Queue::new(STEPS);
    backlog(&queue, &[(1, 100), (2, 1), (3, 20)]);
    loop {
        let some = begun(&queue).await;
        if some.is_empty() {
            break;
        }
        some.iter().for_each(|task| queue.forget(task));
    }
    let state = queue.state();
    assert!(state.known.is_empty() && state.lines.is_empty() && state.turns.is_empty() && state.sleeping.is_empty());
    assert_eq!(state.free, STEPS);
}
