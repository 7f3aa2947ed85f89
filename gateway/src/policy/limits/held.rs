//! The place of the request that the present work is done for, which is given to others where it turns out that the work only waits.
//!
//! In go a place and the work under it; out comes nothing. Invariant: nothing is refused or allowed by it (who finds no room aside keeps
//! the place), and whoever answers a request gives its place back, whatever work goes on under it.

use super::Place;
use std::{future::Future, pin::pin, time::Duration};
use tokio::time::sleep;

tokio::task_local! {
    static HELD: Option<Place>;
}

/// Whatever the future does is done under this place.
pub fn holding<F: Future>(place: Place, work: F) -> impl Future<Output = F::Output> {
    HELD.scope(Some(place), work)
}

/// For work that goes on in a task of its own: the place is still that of who started it, and is kept until it ends, too.
pub fn under_the_same_place<F: Future>(work: F) -> impl Future<Output = F::Output> {
    HELD.scope(HELD.try_with(Clone::clone).ok().flatten(), work)
}

/// Others can have the place: what is waited for is done under another one, or not begun.
pub fn step_aside() {
    // Outside of a request there is none.
    let _ = HELD.try_with(|held| held.as_ref().map(Place::step_aside));
}

/// The same once the work has taken so long.
pub async fn aside_after<F: Future>(patience: Duration, work: F) -> F::Output {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        output = &mut work => return output,
        () = sleep(patience) => step_aside(),
    }
    work.await
}

#[cfg(test)]
mod tests {
    use super::{super::room::Room, *};
    use crate::policy::Lane;
    use std::sync::Arc;

    const PATIENCE: Duration = Duration::from_millis(100);

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_long_leaves_the_place_and_who_does_not_keeps_it() {
        let room = Arc::new(Room::new(1, 1, 2));
        let is_free = || room.enter(Lane::Ordinary).is_ok();
        let place = room.enter(Lane::Ordinary).ok().unwrap();
        holding(place, async {
            aside_after(PATIENCE, sleep(PATIENCE / 2)).await;
            assert!(!is_free());
            tokio::spawn(aside_after(PATIENCE, sleep(PATIENCE * 2))).await.unwrap();
            assert!(!is_free(), "that was nobody's");
            tokio::spawn(under_the_same_place(aside_after(PATIENCE, sleep(PATIENCE * 2)))).await.unwrap();
            assert!(is_free());
        })
        .await;
        let place = room.enter(Lane::Ordinary).ok().unwrap();
        step_aside();
        assert!(!is_free());
        holding(place, async { step_aside() }).await;
        assert!(is_free());
    }
}
