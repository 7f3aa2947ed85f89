//! Room for requests in progress: so many in the process, so many of one organization, and a reserve for who only asks how an
//! operation is.
//!
//! In go requests; out come places, or a refusal at once. Invariant: a place is given back when its request ends, however it
//! ends, and nobody waits for one: a queue in front of a full gateway only makes everybody late.

use super::{Busy, Lane, Verdict};
use crate::model::OrganizationId;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Places that look-ups have more than all others: an eighth, and at least so many.
const RESERVE: usize = 8;

pub struct Room {
    most: usize,
    most_of_organization: usize,
    most_aside: usize,
    taken: AtomicUsize,
    aside: AtomicUsize,
    organizations: Mutex<HashMap<OrganizationId, Count>>,
}

/// Requests of one organization.
#[derive(Default, PartialEq, Eq)]
struct Count {
    /// For their turn: they have no place yet.
    waiting: usize,
    inside: usize,
    aside: usize,
}

/// A request that waits for its turn, without a place.
pub struct Waiting {
    room: Arc<Room>,
    organization: OrganizationId,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.room.remove(self.organization, |count| &mut count.waiting);
    }
}

/// A request's place, which its handler can give up before it waits. Clones are the same place.
#[derive(Clone)]
pub struct Place(Arc<Held>);

struct Held {
    room: Arc<Room>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    standing: Option<Standing>,
    /// Whose it is.
    organization: Option<OrganizationId>,
    /// It is one of those that its organization has inside.
    counted: bool,
    verdict: Option<Verdict>,
}

impl State {
    fn counted_of(&self) -> Option<OrganizationId> {
        self.organization.filter(|_| self.counted)
    }
}

#[derive(PartialEq, Eq)]
enum Standing {
    Inside,
    Aside,
}

impl Room {
    pub fn new(most: usize, most_of_organization: usize, most_aside: usize) -> Self {
        Self {
            most,
            most_of_organization,
            most_aside,
            taken: AtomicUsize::new(0),
            aside: AtomicUsize::new(0),
            organizations: Mutex::default(),
        }
    }

    pub fn enter(self: &Arc<Self>, lane: Lane) -> Result<Place, Busy> {
        let most = match lane {
            Lane::Ordinary | Lane::Upload => self.most,
            Lane::LookUp => self.most + (self.most / 8).max(RESERVE),
        };
        take(&self.taken, most).then_some(()).ok_or(Busy::InFlight)?;
        let state = State { standing: Some(Standing::Inside), ..State::default() };
        Ok(Place(Arc::new(Held { room: Arc::clone(self), state: Mutex::new(state) })))
    }

    /// Leave to wait for a turn, for a request that wants a place of the organization then; none where it would hardly find one. While a
    /// quarter of them is free, requests are over as fast as they come, and any number may wait: a burst. While less is, those that wait
    /// count, or all of them would wait for the last place that is free.
    pub fn wait(self: &Arc<Self>, organization: OrganizationId) -> Option<Waiting> {
        let mut organizations = self.organizations();
        let count = organizations.entry(organization).or_default();
        let most = self.most_of_organization;
        if count.inside >= most - most / 4 && count.inside + count.waiting >= most {
            return None;
        }
        count.waiting += 1;
        Some(Waiting { room: Arc::clone(self), organization })
    }

    fn organizations(&self) -> MutexGuard<'_, HashMap<OrganizationId, Count>> {
        self.organizations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more of the organization's, of those that `which` counts, unless there are `most` already.
    fn add(&self, organization: OrganizationId, most: usize, which: fn(&mut Count) -> &mut usize) -> bool {
        let mut organizations = self.organizations();
        let count = which(organizations.entry(organization).or_default());
        let fits = *count < most;
        *count += usize::from(fits);
        fits
    }

    fn remove(&self, organization: OrganizationId, which: fn(&mut Count) -> &mut usize) {
        let mut organizations = self.organizations();
        if let Some(count) = organizations.get_mut(&organization) {
            *which(count) -= 1;
            if *count == Count::default() {
                organizations.remove(&organization);
            }
        }
    }

    /// Whoever waits makes others poll where there is no place to wait: nobody takes more than half.
    fn most_aside_of_organization(&self) -> usize {
        (self.most_aside / 2).max(1)
    }
}

fn take(count: &AtomicUsize, most: usize) -> bool {
    count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < most).then_some(count + 1)).is_ok()
}

impl Place {
    /// Counts the request as one of its organization's, once. Look-ups aren't: they must go on when all else is stuck.
    pub fn of(&self, organization: OrganizationId, lane: Lane) -> Result<(), Busy> {
        let room = &self.0.room;
        if let Some(counted) = self.state().counted_of() {
            debug_assert_eq!(counted, organization, "a request is one organization's");
            return Ok(());
        }
        let counts = lane != Lane::LookUp;
        if counts && !room.add(organization, room.most_of_organization, |count| &mut count.inside) {
            return Err(Busy::Organization);
        }
        let mut state = self.state();
        (state.organization, state.counted) = (Some(organization), counts);
        Ok(())
    }

    /// Gives the place to others while this request waits or streams. False: too many stand aside already, of all or of its
    /// organization.
    pub fn step_aside(&self) -> bool {
        let mut state = self.state();
        if state.standing != Some(Standing::Inside) {
            return true;
        }
        let room = &self.0.room;
        if !take(&room.aside, room.most_aside) {
            return false;
        }
        let may_wait = |of| room.add(of, room.most_aside_of_organization(), |count| &mut count.aside);
        if !state.organization.is_none_or(may_wait) {
            room.aside.fetch_sub(1, Ordering::AcqRel);
            return false;
        }
        room.leave_inside(&mut state);
        state.standing = Some(Standing::Aside);
        true
    }

    /// The request has ended: clones that live on hold nothing.
    pub fn leave(&self) {
        self.0.room.give_up(&mut self.state());
    }

    /// Remembers what a limit said, for the answer's headers.
    pub fn note(&self, verdict: Option<Verdict>) {
        let mut state = self.state();
        state.verdict = Verdict::tightest(state.verdict, verdict);
    }

    pub fn verdict(&self) -> Option<Verdict> {
        self.state().verdict
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn give_up(&self, state: &mut State) {
        match state.standing.take() {
            Some(Standing::Inside) => self.leave_inside(state),
            Some(Standing::Aside) => {
                self.aside.fetch_sub(1, Ordering::AcqRel);
                if let Some(organization) = state.organization {
                    self.remove(organization, |count| &mut count.aside);
                }
            }
            None => {}
        }
    }

    fn leave_inside(&self, state: &mut State) {
        self.taken.fetch_sub(1, Ordering::AcqRel);
        if let Some(organization) = state.organization.filter(|_| std::mem::take(&mut state.counted)) {
            self.remove(organization, |count| &mut count.inside);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.room.give_up(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn room(most: usize, most_of_organization: usize, most_aside: usize) -> Arc<Room> {
        Arc::new(Room::new(most, most_of_organization, most_aside))
    }

    const ONE: OrganizationId = OrganizationId(Uuid::from_u128(1));
    const OTHER: OrganizationId = OrganizationId(Uuid::from_u128(2));

    #[test]
    fn a_full_room_refuses_and_keeps_a_reserve_for_look_ups() {
        let room = room(16, 16, 1);
        let mut places: Vec<Place> = (0..16).map(|_| room.enter(Lane::Ordinary).ok().unwrap()).collect();
        assert_eq!(room.enter(Lane::Ordinary).err(), Some(Busy::InFlight));
        let look_ups: Vec<Place> = (0..8).map(|_| room.enter(Lane::LookUp).ok().unwrap()).collect();
        assert_eq!(room.enter(Lane::LookUp).err(), Some(Busy::InFlight));
        // Look-ups took from the same room: one that ended makes room for look-ups alone.
        places.pop();
        assert_eq!(room.enter(Lane::Ordinary).err(), Some(Busy::InFlight));
        drop(look_ups);
        assert!(room.enter(Lane::Ordinary).is_ok());
    }

    #[test]
    fn an_organization_has_its_share() {
        let room = room(16, 2, 1);
        let enter = |organization| {
            let place = room.enter(Lane::Ordinary).ok().unwrap();
            place.of(organization, Lane::Ordinary).map(|()| place)
        };
        let (first, _second) = (enter(ONE).ok().unwrap(), enter(ONE).ok().unwrap());
        assert!(first.of(ONE, Lane::Ordinary).is_ok(), "it is counted already");
        assert_eq!(enter(ONE).err(), Some(Busy::Organization));
        assert!(room.enter(Lane::LookUp).ok().unwrap().of(ONE, Lane::LookUp).is_ok());
        let other = enter(OTHER).ok().unwrap();
        first.leave();
        let third = enter(ONE).ok().unwrap();
        drop((first, other, third, _second));
        assert!(room.organizations().is_empty() && room.taken.load(Ordering::Acquire) == 0);
    }

    #[test]
    fn while_most_places_are_taken_no_more_wait_than_would_find_one() {
        let room = room(16, 4, 1);
        let enter = || {
            let place = room.enter(Lane::Ordinary).ok().unwrap();
            place.of(ONE, Lane::Ordinary).ok().unwrap();
            place
        };
        let burst: Vec<_> = (0..100).map(|_| room.wait(ONE).unwrap()).collect();
        drop(burst);
        let mut places = vec![enter()];
        assert!((0..100).all(|_| room.wait(ONE).is_some()), "they have left the queue each time");
        places.extend([enter(), enter()]);
        let waiting = room.wait(ONE).unwrap();
        assert!(room.wait(ONE).is_none() && room.wait(OTHER).is_some());
        places.pop();
        let more = room.wait(ONE);
        drop((places, waiting, more));
        assert!(room.organizations().is_empty());
    }

    #[test]
    fn one_organization_leaves_others_a_place_to_wait() {
        let room = room(8, 8, 4);
        let enter = |organization, lane| {
            let place = room.enter(lane).ok().unwrap();
            place.of(organization, lane).ok().unwrap();
            place
        };
        // Look-ups aren't counted among those inside, and are here.
        let waiting = [enter(ONE, Lane::LookUp), enter(ONE, Lane::Upload)];
        assert!(waiting.iter().all(Place::step_aside));
        assert!(!enter(ONE, Lane::LookUp).step_aside() && !enter(ONE, Lane::Ordinary).step_aside());
        assert!(enter(OTHER, Lane::LookUp).step_aside());
        waiting[0].leave();
        assert!(enter(ONE, Lane::Ordinary).step_aside());
        drop(waiting);
        assert!(room.organizations().is_empty() && room.aside.load(Ordering::Acquire) == 0);
    }

    #[test]
    fn who_waits_stands_aside_and_not_too_many_do() {
        let room = room(1, 1, 1);
        let waiting = room.enter(Lane::Ordinary).ok().unwrap();
        waiting.of(ONE, Lane::Ordinary).ok().unwrap();
        let kept = waiting.clone();
        assert!(waiting.step_aside() && waiting.step_aside());
        let next = room.enter(Lane::Ordinary).ok().unwrap();
        next.of(ONE, Lane::Ordinary).ok().unwrap();
        assert!(!next.step_aside(), "two stand aside where one may");
        assert_eq!(room.enter(Lane::Ordinary).err(), Some(Busy::InFlight));
        waiting.leave();
        assert!(next.step_aside());
        drop((waiting, kept, next));
        assert_eq!((room.taken.load(Ordering::Acquire), room.aside.load(Ordering::Acquire)), (0, 0));
    }
}
