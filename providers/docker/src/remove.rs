//! Removing a site, and undoing a creation that failed or was canceled.
//!
//! The containers go first, then the volumes, and the network last: it is the anchor that makes a half-removed site visible.
//! Invariant: a removal is over only when a later look finds nothing left, so that what a slow request still made is caught.

use crate::{
    client::Client,
    error,
    handle::{Handle, Undo},
    world::World,
};
use portico_sdk::{Completion, Error, ErrorKind, Progress, error::conflict};

/// Half a minute of trying, since the pause between two tries is half a second.
const MAX_TRIES: u32 = 60;
const PAUSE: u32 = 500;

pub fn delete(client: &Client, handle: Handle) -> Result<Progress, Error> {
    let world = client.world("site", &handle.site)?;
    if world.is_empty() {
        return Ok(Progress::Succeeded(Completion::of(&handle.site)));
    }
    go_on(client, &world, handle.at(50), "removing the site", |left| {
        conflict(format!("the site could not be removed as a whole: {left}"))
    })
}

pub fn undo(client: &Client, operation: &str, handle: Handle, undo: &Undo) -> Result<Progress, Error> {
    let world = client.world("operation", operation)?;
    let reason = |rest: &str| match undo {
        Undo::Canceled => Error::new(ErrorKind::Conflict, format!("the creation was canceled; {rest}")),
        Undo::Failed { kind, message } => Error::new(error::kind_of(kind), format!("{message}; {rest}")),
    };
    if world.is_empty() {
        return Ok(match undo {
            Undo::Canceled => Progress::Canceled,
            Undo::Failed { .. } => Progress::Failed(reason("all that had been made was removed")),
        });
    }
    let site = handle.site.clone();
    go_on(client, &world, handle, "removing what was made", |left| {
        reason(&format!("not everything that had been made could be removed ({left}): delete the site {site} later"))
    })
}

fn go_on(
    client: &Client,
    world: &World,
    mut handle: Handle,
    message: &str,
    give_up: impl FnOnce(&str) -> Error,
) -> Result<Progress, Error> {
    match remove(client, world) {
        Ok(()) => handle.running(message, 100),
        Err(refused) if error::is_transient(&refused) => Err(refused),
        Err(refused) if handle.tries >= MAX_TRIES => {
            Ok(Progress::Failed(give_up(&format!("{} left; {}", world.names(), refused.message))))
        }
        Err(refused) => {
            handle.tries += 1;
            handle.running(format!("{message}; {}", refused.message), PAUSE)
        }
    }
}

fn remove(client: &Client, world: &World) -> Result<(), Error> {
    for container in &world.containers {
        client.remove_container(&container.id)?;
    }
    for volume in &world.volumes {
        client.remove_volume(&volume.name)?;
    }
    for network in &world.networks {
        client.remove_network(&network.id)?;
    }
    Ok(())
}
