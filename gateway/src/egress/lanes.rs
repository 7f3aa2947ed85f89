//! Lanes: those who wait, by kind of call and by caller.
//!
//! In go items, each in its flow; out they come, lanes in turn, and in each lane callers in turn. Invariant: neither reads, nor changes,
//! nor looks at running operations can starve the others, nor one caller's calls another's of the same lane. It knows no clock.

use super::Flow;
use crate::policy::{Caller, Fair, Walk};

const LANES: usize = 3;

pub struct Lanes<T> {
    lanes: [Fair<Caller, T>; LANES],
    /// The lane whose turn it is.
    next: usize,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { lanes: std::array::from_fn(|_| Fair::default()), next: 0 }
    }
}

impl<T> Lanes<T> {
    pub fn len(&self) -> usize {
        self.lanes.iter().map(Fair::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(Fair::is_empty)
    }

    pub fn push(&mut self, flow: Flow, item: T) {
        self.lanes[flow.lane as usize].push(flow.caller, item);
    }

    pub fn front(&self) -> Option<&T> {
        self.in_turn().find_map(|lane| self.lanes[lane].front())
    }

    pub fn pop(&mut self) -> Option<T> {
        let lane = self.in_turn().find(|lane| !self.lanes[*lane].is_empty())?;
        self.next = (lane + 1) % LANES;
        self.lanes[lane].pop()
    }

    /// Takes out the front, and leaves the turn to whoever is next of its lane and caller.
    pub fn discard_front(&mut self) -> Option<T> {
        let lane = self.in_turn().find(|lane| !self.lanes[*lane].is_empty())?;
        self.lanes[lane].discard_front()
    }

    /// How many go before the next one that joins this flow, if nobody leaves and nobody joins.
    pub fn ahead(&self, flow: Flow) -> usize {
        let own = self.lanes[flow.lane as usize].ahead(flow.caller);
        let turn = |lane: usize| (lane + LANES - self.next) % LANES;
        let others = (0..LANES).filter(|lane| *lane != flow.lane as usize);
        let before = |lane: usize| own + usize::from(turn(lane) < turn(flow.lane as usize));
        own + others.map(|lane| self.lanes[lane].len().min(before(lane))).sum::<usize>()
    }

    /// Takes out those for which `leaves` gives a reason. It is asked in the order in which they would be served, with the number of
    /// those that stay before.
    pub fn take<R>(&mut self, mut leaves: impl FnMut(usize, &T) -> Option<R>) -> Vec<(T, R)> {
        let mut staying = 0;
        let mut walks = self.lanes.each_ref().map(Fair::walk);
        let mut ask = |item: &T| {
            let reason = leaves(staying, item);
            staying += usize::from(reason.is_none());
            reason
        };
        while self.in_turn().filter(|lane| walks[*lane].step(&mut ask)).count() > 0 {}
        let verdicts = walks.map(Walk::end);
        self.lanes.iter_mut().zip(verdicts).flat_map(|(lane, verdicts)| lane.part(verdicts)).collect()
    }

    /// How many of this flow wait.
    pub fn of(&self, flow: Flow) -> usize {
        self.lanes[flow.lane as usize].of(flow.caller)
    }

    /// How many of the flow that has the most wait.
    pub fn longest(&self) -> usize {
        self.lanes.iter().map(Fair::longest).max().unwrap_or(0)
    }

    /// Takes out the last of the flow that has the most.
    pub fn pop_longest(&mut self) -> Option<T> {
        self.lanes.iter_mut().max_by_key(|lane| lane.longest())?.pop_longest()
    }

    fn in_turn(&self) -> impl Iterator<Item = usize> + use<T> {
        let next = self.next;
        (0..LANES).map(move |step| (next + step) % LANES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::Lane;
    use uuid::Uuid;

    fn flow(lane: Lane, caller: u128) -> Flow {
        Flow { lane, caller: Caller::new(Uuid::from_u128(caller)) }
    }

    fn filled() -> Lanes<&'static str> {
        let mut lanes = Lanes::default();
        for (lane, caller, name) in [
            (Lane::Reads, 1, "a0"),
            (Lane::Reads, 1, "a1"),
            (Lane::Reads, 2, "b0"),
            (Lane::Polls, 1, "p0"),
            (Lane::Polls, 1, "p1"),
            (Lane::Changes, 2, "c0"),
        ] {
            lanes.push(flow(lane, caller), name);
        }
        lanes
    }

    fn served(lanes: &mut Lanes<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| lanes.pop()).collect()
    }

    #[test]
    fn lanes_are_served_in_turn_and_callers_in_each() {
        let mut lanes = filled();
        assert_eq!((lanes.len(), lanes.front()), (6, Some(&"a0")));
        assert_eq!(served(&mut lanes), ["a0", "c0", "p0", "b0", "p1", "a1"]);
        assert!(lanes.is_empty());
    }

    #[test]
    fn what_is_ahead_is_what_is_served_before() {
        for taken in 0..7 {
            for (lane, caller) in [(Lane::Reads, 1), (Lane::Reads, 2), (Lane::Reads, 3), (Lane::Changes, 1), (Lane::Polls, 9)] {
                let mut lanes = filled();
                for _ in 0..taken {
                    let _ = lanes.pop();
                }
                let ahead = lanes.ahead(flow(lane, caller));
                lanes.push(flow(lane, caller), "new");
                let place = served(&mut lanes).iter().position(|item| *item == "new");
                assert_eq!(place, Some(ahead), "{lane:?} {caller} after {taken}");
            }
        }
    }

    #[test]
    fn who_stays_is_asked_in_the_order_of_service_whoever_leaves() {
        for leaves in [&[][..], &["a0"], &["a0", "a1"], &["b0", "p0"], &["c0"], &["a0", "a1", "b0", "p1"]] {
            for taken in 0..3 {
                let mut lanes = filled();
                for _ in 0..taken {
                    let _ = lanes.pop();
                }
                let mut stay = Vec::new();
                let left = lanes.take(|before, item| {
                    assert_eq!(before, stay.len());
                    let leaves = leaves.contains(item).then_some(());
                    stay.extend(leaves.is_none().then_some(*item));
                    leaves
                });
                assert!(left.iter().all(|(item, ())| leaves.contains(item)));
                assert_eq!(stay, served(&mut lanes), "{leaves:?} after {taken}");
            }
        }
    }

    #[test]
    fn the_flow_that_has_the_most_gives_up_its_last() {
        let mut lanes = filled();
        assert_eq!((lanes.longest(), lanes.of(flow(Lane::Polls, 1)), lanes.of(flow(Lane::Polls, 2))), (2, 2, 0));
        let first = lanes.pop_longest();
        assert!(first == Some("a1") || first == Some("p1"), "{first:?}");
        let _ = lanes.pop_longest();
        assert_eq!((lanes.longest(), lanes.len()), (1, 4));
    }
}
