//! Starting and stopping a site that exists.
//!
//! Invariant: what already is as wanted is a success, so both may be repeated at any point.

use crate::{
    client::Client,
    convert::{self, Verdict},
    error,
    handle::Handle,
    spec::{Role, Spec},
    types::Container,
    world::{Condition, World},
};
use portico_sdk::{
    Completion, Error, Progress, clock,
    error::{conflict, internal},
};

/// How often a web container that ended at once is started again.
const MAX_STARTS: u32 = 2;

/// The parts that a whole site has, the database first; an error for a half-made one.
pub fn parts<'a>(namespace: &str, world: &'a World, spec: &Spec) -> Result<Vec<&'a Container>, Error> {
    let wanted = if spec.database.is_some() { vec![Role::Database, Role::Web] } else { vec![Role::Web] };
    let half = || conflict("the site isn't complete: wait until it is made, or delete it");
    wanted.into_iter().map(|role| world.container(namespace, role).ok_or_else(half)).collect()
}

/// Whether it runs as far as containers are concerned; how well is another question.
pub fn is_up(container: &Container) -> bool {
    matches!(container.condition(), Condition::Running | Condition::Starting | Condition::Unhealthy | Condition::Paused)
}

pub fn start(client: &Client, namespace: &str, handle: Handle) -> Result<Progress, Error> {
    settle(try_start(client, namespace, handle))
}

pub fn stop(client: &Client, namespace: &str, handle: Handle) -> Result<Progress, Error> {
    settle(try_stop(client, namespace, handle))
}

/// A refusal ends the work as failed; what couldn't be looked at is asked for again.
fn settle(result: Result<Progress, Error>) -> Result<Progress, Error> {
    match result {
        Err(refused) if !error::is_transient(&refused) => Ok(Progress::Failed(refused)),
        other => other,
    }
}

fn look(client: &Client, namespace: &str, handle: &Handle) -> Result<(World, Spec), Error> {
    let world = client.world("site", &handle.site)?;
    let spec = world.spec(namespace).ok_or_else(|| conflict("the site was deleted meanwhile"))?;
    Ok((world, spec))
}

fn try_start(client: &Client, namespace: &str, mut handle: Handle) -> Result<Progress, Error> {
    let (world, spec) = look(client, namespace, &handle)?;
    let parts = parts(namespace, &world, &spec)?;
    if let Some(down) = parts.iter().find(|part| !is_up(part)) {
        if handle.tries > MAX_STARTS {
            return Err(internal(format!("the site ends again whenever it is started: {}", down.status)));
        }
        handle.tries += u32::from(parts.last().is_some_and(|web| web.id == down.id));
        return match client.start(&down.id) {
            Ok(()) => handle.at(30).running("starting", 100),
            Err(taken) if error::is_port_taken(&taken) => {
                Err(conflict("the site's port is taken by something else on the Engine's host: free it, then start again"))
            }
            Err(other) => Err(other),
        };
    }
    let Some(web) = parts.last() else { return Err(internal("a site without a web container")) };
    match convert::verdict(&client.inspect(&web.id)?, spec.health_timeout, clock::now()) {
        Verdict::Ready => Ok(Progress::Succeeded(Completion::of(&handle.site))),
        Verdict::Waiting(_) => handle.at(60).running("waiting for the site to answer", 500),
        Verdict::Ended(why) | Verdict::TooLate(why) => Err(internal(why)),
    }
}

/// The web server first: it may still need the database to finish what it is doing.
fn try_stop(client: &Client, namespace: &str, handle: Handle) -> Result<Progress, Error> {
    let (world, spec) = look(client, namespace, &handle)?;
    let up = parts(namespace, &world, &spec)?.into_iter().rev().find(|part| is_up(part));
    match up {
        None => Ok(Progress::Succeeded(Completion::of(&handle.site))),
        Some(part) => {
            client.stop(&part.id, spec.stop_timeout)?;
            handle.at(50).running("stopping", 100)
        }
    }
}
