//! An entrance: how many calls may be under way, how many of them at one door, and who goes in next. An organization has one, with a door
//! for each connection; and there is one of the whole process, with two doors for each organization: what is the only call on its
//! connection goes in by one of its own, so that no other connection's host keeps it out.
//!
//! In go doors, flows and deadlines; out come places, or errors. Invariant: a door has at most [`SHARE`] times as many calls under way
//! as are free (dynamic thresholds, Choudhury and Hahne, 1998), and the last sixteenth of the places is for doors that have none. So one
//! whose host hangs leaves a quarter to the others, and it takes several of them until nothing is left. Doors go in in turn, and at each
//! of them flows. A place is given to the next when it is dropped, whoever dropped it. No lock is held across an await.

use crate::{
    egress::{Flow, Lane, Lanes},
    model::{ConnectionId, Error, Kind},
};
use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

const SHARE: usize = 4;
/// The part of the places that is for doors without a call under way.
const RESERVE: usize = 16;

/// What doors are told apart by.
pub(super) trait Behind: Copy + Eq + Hash + Send + Sync + 'static {
    /// The other door of two, whose calls count at this one, too: some, or to tell whether there are any.
    fn beside(self) -> Option<(Self, Counts)> {
        None
    }
}

/// How the calls at the other door count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    /// As those at this one.
    Alike,
    /// Only for whether there are any.
    AsAny,
}

impl Behind for ConnectionId {}

pub(super) struct Entrance<K: Behind = ConnectionId> {
    /// Calls that may wait; of more, one of the flow that has the most waiting is refused.
    most: usize,
    /// How long a call waits while nobody can say when others will end. One that waits for its upstream's limits has until its deadline;
    /// but not one of an operation, which holds a step of the runner and comes again by itself.
    patience: Duration,
    state: Mutex<State<K>>,
}

struct State<K: Behind> {
    free: usize,
    /// Of the free ones, those for doors that have none.
    reserve: usize,
    doors: HashMap<K, Door<K>>,
    /// Those where calls wait, in the order of turns.
    turns: VecDeque<K>,
}

/// The calls of one connection, or of one organization.
struct Door<K: Behind> {
    inside: usize,
    waiting: Lanes<Waiting<K>>,
}

impl<K: Behind> Default for Door<K> {
    fn default() -> Self {
        Self { inside: 0, waiting: Lanes::default() }
    }
}

struct Waiting<K: Behind> {
    flow: Flow,
    deadline: Instant,
    answer: oneshot::Sender<Result<Admitted<K>, Error>>,
}

/// What a call waits for, and until when.
struct Ticket<K: Behind> {
    answer: oneshot::Receiver<Result<Admitted<K>, Error>>,
    until: Instant,
}

/// Whether one of this flow behind so many others has an upstream's limits to wait for, or only others' calls; an error if it can't be
/// served in so much time.
pub(super) trait InTime: Fn(Flow, u32, Instant) -> Result<bool, Error> {}

impl<F: Fn(Flow, u32, Instant) -> Result<bool, Error>> InTime for F {}

/// Who goes in next: where, whether as the first one there, and who.
type Next<K> = (K, bool, Waiting<K>);

enum Joined<K: Behind> {
    Inside { first: bool },
    Waiting(Ticket<K>),
}

/// A place inside.
pub(super) struct Admitted<K: Behind = ConnectionId> {
    entrance: Arc<Entrance<K>>,
    at: K,
    /// Nobody else was inside at its door.
    pub(super) first: bool,
}

/// Calls of a connection at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[schemars(rename = "ConnectionCalls")]
pub struct Calls {
    /// That are under way.
    pub running: usize,
    /// That wait for others to end.
    pub waiting: usize,
}

impl<K: Behind> Entrance<K> {
    pub(super) fn new(places: usize, most: usize, patience: Duration) -> Arc<Self> {
        let (doors, turns) = (HashMap::new(), VecDeque::new());
        let state = Mutex::new(State { free: places, reserve: places / RESERVE, doors, turns });
        Arc::new(Self { most, patience, state })
    }

    /// Waits for a place. Who can't be in time is told at once, also later, when others go before it.
    pub(super) async fn enter(
        self: &Arc<Self>,
        at: K,
        flow: Flow,
        deadline: Instant,
        in_time: impl InTime,
    ) -> Result<Admitted<K>, Error> {
        let Ticket { mut answer, until } = match self.join(at, flow, deadline, &in_time)? {
            Joined::Inside { first } => return Ok(Admitted { entrance: Arc::clone(self), at, first }),
            Joined::Waiting(ticket) => ticket,
        };
        let mut ended = timeout_at(until, &mut answer).await;
        // Those inside may have come to the upstream's limits meanwhile.
        if ended.is_err() && flow.lane == Lane::Reads && until < deadline && in_time(flow, 0, deadline)? {
            ended = timeout_at(deadline, answer).await;
        }
        match ended {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    fn join(&self, at: K, flow: Flow, deadline: Instant, in_time: impl InTime) -> Result<Joined<K>, Error> {
        let mut state = self.lock();
        if let Some(first) = state.lets_in(at) {
            return Ok(Joined::Inside { first });
        }
        let (sender, answer) = oneshot::channel();
        let waiting = Waiting { flow, deadline, answer: sender };
        let lined_up = state.line_up(at, waiting, self.most, in_time);
        state.tidy(at);
        let has_patience = lined_up? && flow.lane == Lane::Reads;
        let until = if has_patience { deadline } else { deadline.min(Instant::now() + self.patience) };
        Ok(Joined::Waiting(Ticket { answer, until }))
    }

    pub(super) fn calls(&self, at: K) -> Calls {
        let mut state = self.lock();
        state.doors.get_mut(&at).map(Door::calls).unwrap_or_default()
    }

    fn leave(self: &Arc<Self>, at: K) {
        let next = self.lock().leave(at);
        for (at, first, waiting) in next {
            // Who goes away at this moment drops it, and so hands it on.
            let _ = waiting.answer.send(Ok(Admitted { entrance: Arc::clone(self), at, first }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Behind> State<K> {
    /// Without waiting, where nobody waits; and whether it is the first one inside there.
    fn lets_in(&mut self, at: K) -> Option<bool> {
        let has_room = self.has_room(at);
        let door = self.doors.entry(at).or_default();
        let enters = door.waiting.is_empty() && has_room;
        if enters {
            door.inside += 1;
            self.free -= 1;
        }
        enters.then_some(door.inside == 1)
    }

    fn has_room(&self, at: K) -> bool {
        let inside = |at| self.doors.get(&at).map_or(0, |door| door.inside);
        let own = inside(at);
        let (beside, counts) = at.beside().map_or((0, Counts::AsAny), |(other, counts)| (inside(other), counts));
        if own + beside == 0 {
            return self.free > 0;
        }
        let counted = if counts == Counts::Alike { own + beside } else { own };
        counted < SHARE * self.free.saturating_sub(self.reserve)
    }

    /// Puts it into its line, and tells whether that is one for the upstream's limits.
    fn line_up(&mut self, at: K, waiting: Waiting<K>, most: usize, in_time: impl InTime) -> Result<bool, Error> {
        let door = self.doors.entry(at).or_default();
        let for_limits = in_time(waiting.flow, count(door.waiting.ahead(waiting.flow)), waiting.deadline)?;
        self.make_room(at, waiting.flow, most)?;
        self.doors.entry(at).or_default().line_up(waiting, in_time);
        Ok(for_limits)
    }

    fn waiting(&self) -> usize {
        self.doors.values().map(|door| door.waiting.len()).sum()
    }

    /// Where too many wait, those who went away are forgotten, or else one of the longest line goes, unless the newcomer's is as long.
    fn make_room(&mut self, at: K, flow: Flow, most: usize) -> Result<(), Error> {
        if self.waiting() < most {
            return Ok(());
        }
        self.doors.values_mut().for_each(Door::forget_gone);
        if self.waiting() < most {
            return Ok(());
        }
        let own = self.doors.get(&at).map_or(0, |door| door.waiting.of(flow));
        let longest = self.doors.values_mut().max_by_key(|door| door.waiting.longest());
        let longest = longest.filter(|door| door.waiting.longest() > own + 1);
        longest.and_then(|door| door.waiting.pop_longest()).ok_or_else(busy)?.refuse(busy());
        Ok(())
    }

    /// Those who go in now.
    fn leave(&mut self, at: K) -> Vec<Next<K>> {
        self.free += 1;
        if let Some(door) = self.doors.get_mut(&at) {
            door.inside -= 1;
        }
        let mut all = Vec::new();
        loop {
            let next = self.round();
            if next.is_empty() {
                break;
            }
            all.extend(next);
        }
        self.tidy(at);
        all
    }

    /// One of each door that has room.
    fn round(&mut self) -> Vec<Next<K>> {
        let mut next = Vec::new();
        for _ in 0..self.turns.len() {
            let Some(at) = self.turns.pop_front() else { break };
            let has_room = self.has_room(at);
            let Some(door) = self.doors.get_mut(&at) else { continue };
            if has_room && let Some(waiting) = door.first() {
                door.inside += 1;
                self.free -= 1;
                next.push((at, door.inside == 1, waiting));
            }
            self.tidy(at);
        }
        next
    }

    /// A door has a turn as long as somebody waits there, and is remembered as long as there is somebody at all.
    fn tidy(&mut self, at: K) {
        let Some(door) = self.doors.get(&at) else { return };
        let (waits, has_turn) = (!door.waiting.is_empty(), self.turns.contains(&at));
        if waits && !has_turn {
            self.turns.push_back(at);
        } else if !waits && door.inside == 0 {
            self.doors.remove(&at);
        }
    }
}

impl<K: Behind> Door<K> {
    /// Those who went away while they waited take nobody's turn.
    fn first(&mut self) -> Option<Waiting<K>> {
        while self.waiting.front()?.answer.is_closed() {
            drop(self.waiting.discard_front());
        }
        self.waiting.pop()
    }

    fn calls(&mut self) -> Calls {
        self.forget_gone();
        Calls { running: self.inside, waiting: self.waiting.len() }
    }

    fn forget_gone(&mut self) {
        drop(self.waiting.take(|_, waiting| waiting.answer.is_closed().then_some(())));
    }

    /// Those whom it overtakes, and who will be late now, are told so.
    fn line_up(&mut self, waiting: Waiting<K>, in_time: impl InTime) {
        let overtakes = self.waiting.ahead(waiting.flow) < self.waiting.len();
        self.waiting.push(waiting.flow, waiting);
        if overtakes {
            let late = self.waiting.take(|before, waiting| in_time(waiting.flow, count(before), waiting.deadline).err());
            late.into_iter().for_each(|(waiting, error)| waiting.refuse(error));
        }
    }
}

impl<K: Behind> Waiting<K> {
    fn refuse(self, error: Error) {
        // Who went away needs no answer.
        let _ = self.answer.send(Err(error));
    }
}

impl<K: Behind> Drop for Admitted<K> {
    fn drop(&mut self) {
        self.entrance.leave(self.at);
    }
}

fn count(ahead: usize) -> u32 {
    u32::try_from(ahead).unwrap_or(u32::MAX)
}

pub(super) fn busy() -> Error {
    Error::new(Kind::Overloaded, "the gateway is busy; try again in a moment").with_retry_after(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{egress::Lane, policy::Caller};
    use tokio::task::JoinHandle;
    use uuid::Uuid;

    type Order = Arc<Mutex<Vec<u128>>>;

    const ONE: ConnectionId = ConnectionId(Uuid::from_u128(1));
    const OTHER: ConnectionId = ConnectionId(Uuid::from_u128(2));

    fn entrance(places: usize, most: usize) -> Arc<Entrance> {
        Entrance::new(places, most, Duration::from_secs(1))
    }

    fn flow(caller: u128) -> Flow {
        Flow { lane: Lane::Reads, caller: Caller::new(Uuid::from_u128(caller)) }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    async fn inside(entrance: &Arc<Entrance>, connection: ConnectionId) -> Admitted {
        entrance.enter(connection, flow(0), soon(), |_, _, _| Ok(true)).await.unwrap()
    }

    /// A call that notes when it was let in; each takes a second. Some: it was refused.
    fn call(entrance: &Arc<Entrance>, caller: u128, order: &Order, most: u32) -> JoinHandle<Option<Error>> {
        let (entrance, order) = (Arc::clone(entrance), Arc::clone(order));
        tokio::spawn(async move {
            let late = Error::new(Kind::RateLimited, "late");
            let in_time = |_, ahead, _| if ahead < most { Ok(true) } else { Err(late.clone()) };
            let place = match entrance.enter(ONE, flow(caller), soon(), in_time).await {
                Ok(place) => place,
                Err(error) => return Some(error),
            };
            order.lock().unwrap().push(caller);
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(place);
            None
        })
    }

    async fn settle() {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_goes_in_in_turn_and_a_place_is_never_lost() {
        let (entrance, order) = (entrance(1, 100), Order::default());
        let first = inside(&entrance, ONE).await;
        let greedy: Vec<_> = (0..5).map(|_| call(&entrance, 1, &order, 100)).collect();
        settle().await;
        let modest: Vec<_> = (0..2).map(|_| call(&entrance, 2, &order, 100)).collect();
        settle().await;
        assert_eq!(entrance.calls(ONE), Calls { running: 1, waiting: 7 });
        greedy[1].abort();
        drop(first);
        for (number, one) in greedy.into_iter().chain(modest).enumerate() {
            let ended = one.await;
            assert!(if number == 1 { ended.is_err() } else { ended.is_ok_and(|refused| refused.is_none()) }, "{number}");
        }
        assert_eq!(*order.lock().unwrap(), [1, 2, 1, 2, 1, 1]);
        assert_eq!(entrance.calls(ONE), Calls::default());
        assert!(entrance.lock().doors.is_empty() && entrance.lock().turns.is_empty());
    }

    /// As many on one connection as go in at once.
    async fn hangs(entrance: &Arc<Entrance>, connection: ConnectionId) -> Vec<Admitted> {
        let mut inside = Vec::new();
        loop {
            let soon = Instant::now() + Duration::from_millis(1);
            match entrance.enter(connection, flow(0), soon, |_, _, _| Ok(true)).await {
                Ok(place) => inside.push(place),
                Err(_) => return inside,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_takes_several_connections_to_take_all_places() {
        let (entrance, mut all) = (entrance(64, 100), Vec::new());
        let mut shares = Vec::new();
        for number in 10..20 {
            let own = hangs(&entrance, ConnectionId(Uuid::from_u128(number))).await;
            shares.push(own.len());
            all.extend(own);
        }
        assert_eq!(shares, [48, 10, 2, 1, 1, 1, 1, 0, 0, 0]);
        all.clear();
        assert!(entrance.lock().doors.is_empty() && entrance.lock().turns.is_empty());
        assert_eq!(entrance.lock().free, 64);
    }

    #[tokio::test(start_paused = true)]
    async fn no_place_is_left_unused_that_may_be_taken() {
        let entrance = entrance(10, 100);
        let mut hanging = hangs(&entrance, ONE).await;
        assert_eq!(hanging.len(), 8);
        let (order, mut others) = (Order::default(), Vec::new());
        let waits = call(&entrance, 1, &order, 100);
        settle().await;
        others.extend([inside(&entrance, OTHER).await, inside(&entrance, OTHER).await]);
        drop(hanging.pop());
        settle().await;
        assert_eq!(entrance.calls(ONE), Calls { running: 7, waiting: 1 }, "one is left for whoever comes next");
        drop(others.pop());
        settle().await;
        assert_eq!(entrance.calls(ONE), Calls { running: 8, waiting: 0 });
        assert!(waits.await.unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_given_to_who_just_left_goes_to_the_next() {
        let (entrance, order) = (entrance(1, 100), Order::default());
        let first = inside(&entrance, ONE).await;
        let gone = call(&entrance, 1, &order, 100);
        settle().await;
        let next = call(&entrance, 2, &order, 100);
        settle().await;
        // Both before the first task runs again.
        drop(first);
        gone.abort();
        assert!(next.await.unwrap().is_none());
        assert_eq!(*order.lock().unwrap(), [2]);
        assert_eq!(entrance.calls(ONE).running, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_line_refuses_those_who_have_the_most_waiting() {
        let (entrance, order) = (entrance(1, 3), Order::default());
        let _inside = inside(&entrance, ONE).await;
        let greedy: Vec<_> = (0..4).map(|_| call(&entrance, 1, &order, 100)).collect();
        settle().await;
        assert!(greedy[3].is_finished() && entrance.calls(ONE).waiting == 3);
        let modest = call(&entrance, 2, &order, 100);
        settle().await;
        assert!(greedy[2].is_finished() && !modest.is_finished() && entrance.calls(ONE).waiting == 3);
        for one in greedy.into_iter().skip(2) {
            assert_eq!(one.await.unwrap().map(|error| (error.kind, error.retry_after)), Some((Kind::Overloaded, Some(1))));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_will_be_late_is_told_at_once_also_when_overtaken() {
        let (entrance, order) = (entrance(1, 100), Order::default());
        let _inside = inside(&entrance, ONE).await;
        let all: Vec<_> = (0..4).map(|_| call(&entrance, 1, &order, 3)).collect();
        settle().await;
        assert!(all[3].is_finished() && !all[2].is_finished());
        let other = call(&entrance, 2, &order, 3);
        settle().await;
        assert!(all[2].is_finished() && !other.is_finished());
        for one in all.into_iter().skip(2) {
            assert_eq!(one.await.unwrap().map(|error| error.kind), Some(Kind::RateLimited));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_limits_has_until_the_deadline_and_others_a_moment() {
        let entrance = entrance(1, 100);
        let held = inside(&entrance, ONE).await;
        let change = Flow { lane: Lane::Changes, ..flow(1) };
        for (flow, for_limits, most) in [(flow(1), true, 20), (flow(1), false, 1), (change, true, 1)] {
            let started = Instant::now();
            let deadline = started + Duration::from_secs(20);
            let in_time = |_, _, until| if until == deadline { Ok(for_limits) } else { Err(busy()) };
            let refused = entrance.enter(ONE, flow, deadline, in_time).await.err();
            assert_eq!(refused.map(|error| error.kind), Some(Kind::Overloaded));
            assert_eq!(started.elapsed(), Duration::from_secs(most));
        }
        // Whether there are limits to wait for may be known only after a while.
        let started = Instant::now();
        let later = |_, _, _| Ok(started.elapsed() > Duration::from_millis(500));
        let refused = entrance.enter(ONE, flow(1), started + Duration::from_secs(20), later).await.err();
        assert_eq!((refused.map(|error| error.kind), started.elapsed()), (Some(Kind::Overloaded), Duration::from_secs(20)));
        drop(held);
        assert_eq!(entrance.calls(ONE).running, 0);
        drop(inside(&entrance, OTHER).await);
    }
}
