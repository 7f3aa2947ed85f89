//! Who makes room where nobody rests, or those that rest are hard to find.

use super::super::{Place, Places, Reason, Refused, Sizes};
use crate::server::life::Turn;
use futures_util::FutureExt as _;
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::time::advance;

fn places(connections: usize, per_client: usize) -> Arc<Places> {
    Places::new(Sizes { connections, per_client, handshakes: 1 })
}

fn client(last: u8) -> Option<IpAddr> {
    Some(IpAddr::from([203, 0, 113, last]))
}

/// A request that the gateway works on.
fn enter(places: &Arc<Places>, client: Option<IpAddr>) -> Result<Place, Refused> {
    let place = places.enter(client)?;
    place.life.begin_request(true);
    Ok(place)
}

/// A request whose answer waits for the client.
fn handed(places: &Arc<Places>, client: Option<IpAddr>) -> (Place, Turn) {
    let place = enter(places, client).unwrap();
    let turn = place.life.hand();
    (place, turn)
}

fn gone(place: &Place) -> Option<Reason> {
    place.life.evicted().now_or_never()
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_makes_room_unless_the_gateway_works_for_it() {
    let places = places(3, 3);
    let events = enter(&places, client(1)).unwrap();
    let (silent, _) = handed(&places, client(2));
    let (mixed, _) = handed(&places, client(3));
    // Another request of the same connection.
    mixed.life.begin_request(true);
    assert_eq!(enter(&places, client(9)).err(), Some(Refused::Full), "it may take it yet");
    advance(Duration::from_secs(3)).await;
    // It moves all the same.
    silent.life.touch();
    let newcomer = enter(&places, client(9)).unwrap();
    assert_eq!(gone(&silent), Some(Reason::Full));
    for _ in 0..3 {
        advance(Duration::from_secs(60)).await;
        assert_eq!(enter(&places, client(9)).err(), Some(Refused::Full));
    }
    assert!([&events, &mixed, &newcomer].map(gone).iter().all(Option::is_none), "at work");
    mixed.life.hand();
    advance(Duration::from_secs(3)).await;
    assert!(enter(&places, client(9)).is_ok());
    assert_eq!(gone(&mixed), Some(Reason::Full), "now nothing of it is at work");
}

#[tokio::test(start_paused = true)]
async fn a_slow_download_is_not_sent_away_before_those_that_take_nothing() {
    let places = places(200, 200);
    let mut slow: Vec<_> = (0..100).map(|_| handed(&places, client(1))).collect();
    let dead: Vec<_> = (0..100).map(|_| handed(&places, client(2))).collect();
    let mut newcomers = Vec::new();
    for _ in 0..4 {
        advance(Duration::from_secs(5)).await;
        for (place, turn) in &mut slow {
            place.life.take_back(*turn);
            *turn = place.life.hand();
        }
        // The next piece waits, too, but not for as long.
        advance(Duration::from_secs(3)).await;
        newcomers.extend((0..25).map(|_| enter(&places, client(3)).unwrap()));
    }
    assert!(slow.iter().all(|(place, _)| gone(place).is_none()));
    assert!(dead.iter().all(|(place, _)| gone(place) == Some(Reason::Full)));
    assert!(newcomers.iter().all(|place| gone(place).is_none()));
}

#[tokio::test(start_paused = true)]
async fn who_rests_behind_the_event_streams_of_its_address_makes_room() {
    let places = places(1000, 200);
    let events: Vec<_> = (0..100).map(|_| enter(&places, client(1)).unwrap()).collect();
    let resting: Vec<_> = (0..100).map(|_| enter(&places, client(1)).unwrap()).collect();
    for place in &resting {
        place.life.touch();
        place.life.end_request(true);
    }
    let newcomers: Vec<_> = (0..100).map(|n| enter(&places, client(1)).unwrap_or_else(|_| panic!("newcomer {n}"))).collect();
    assert!(resting.iter().all(|place| gone(place) == Some(Reason::PerClient)));
    assert!(events.iter().chain(&newcomers).all(|place| gone(place).is_none()));
    assert_eq!(enter(&places, client(1)).err(), Some(Refused::PerClient));
    // And then who takes nothing.
    newcomers[7].life.hand();
    advance(Duration::from_secs(3)).await;
    assert!(enter(&places, client(1)).is_ok());
    assert_eq!(gone(&newcomers[7]), Some(Reason::PerClient));
}
