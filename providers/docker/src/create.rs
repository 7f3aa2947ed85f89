//! Making a site, one step a poll.
//!
//! `begin` makes the network, whose label holds the whole plan; each poll then looks at what exists and does the next thing.
//! Invariant: every step finds or creates, and nothing but the Engine's labels is remembered between two steps, so a crash at
//! any point leads to the same site, or to none.

use crate::{
    bodies::{self, Credentials},
    client::Client,
    convert::{self, Verdict},
    error,
    handle::{Handle, Pull, Task, Undo},
    image, remove,
    settings::{Pull as PullRule, Settings},
    spec::{Names, Role, Spec},
    types::{Image, Network},
    world::{Condition, Step, World},
};
use portico_sdk::{
    Completion, Error, ErrorKind, Progress, Work, clock,
    error::{conflict, internal, timeout},
    random,
    upstream::{self, BackgroundState},
};
use serde_json::json;

/// Ports that turned out to be taken by something that isn't a container.
const MAX_PORTS: u32 = 20;
/// Pulls of one creation that broke off without an answer.
const MAX_PULLS: u32 = 3;
const SOON: u32 = 100;

/// The network exists when this returns.
pub fn begin(client: &Client, names: &Names, spec: &Spec) -> Result<Work, Error> {
    client.create_network(&bodies::network(names, spec)?)?;
    Handle::new(Task::Create, &names.site).at(5).work("making the site")
}

/// Asks a later poll to give up. A volume is the note, since labels of what exists can't be changed.
pub fn cancel(client: &Client, names: &Names) -> Result<(), Error> {
    client.create_volume(&bodies::volume(names, Role::Canceled))
}

pub fn poll(client: &Client, settings: &Settings, names: &Names, handle: Handle) -> Result<Progress, Error> {
    if let Some(undo) = handle.undo.clone() {
        return remove::undo(client, &names.operation, handle, &undo);
    }
    let world = client.world("operation", &names.operation)?;
    if world.is_canceled(names.namespace()) {
        return give_up(handle, Undo::Canceled);
    }
    let creation = Creation { client, settings, names, world };
    match creation.step(handle.clone()) {
        Err(reason) if !error::is_transient(&reason) => give_up(handle, Undo::because(&reason)),
        other => other,
    }
}

fn give_up(handle: Handle, undo: Undo) -> Result<Progress, Error> {
    let handle = Handle { undo: Some(undo), tries: 0, pull: None, ..handle };
    handle.running("removing what was made", SOON)
}

struct Creation<'a> {
    client: &'a Client,
    settings: &'a Settings,
    names: &'a Names<'a>,
    world: World,
}

/// What a poll does before a step can be taken.
enum Ready {
    Images(Vec<Image>),
    NotYet(Progress),
}

impl Creation<'_> {
    fn step(&self, handle: Handle) -> Result<Progress, Error> {
        let namespace = self.names.namespace();
        let Some((network, spec)) = self.world.networks.first().zip(self.world.spec(namespace)) else {
            return Err(conflict("the site was removed while it was being made"));
        };
        match self.world.next_step(namespace, &spec) {
            Step::MakeDatabase => self.make_database(handle, &spec, network),
            Step::StartDatabase => {
                self.client.start(&self.id(Role::Database)?)?;
                handle.at(65).running("starting the web server", SOON)
            }
            Step::MakeWeb => self.make_web(handle, &spec, network),
            Step::StartWeb => self.start_web(handle),
            Step::Wait => self.wait(handle, &spec),
        }
    }

    fn id(&self, role: Role) -> Result<String, Error> {
        let container = self.world.container(self.names.namespace(), role);
        container.map(|container| container.id.clone()).ok_or_else(|| internal("a container that was there is missing"))
    }

    fn make_database(&self, handle: Handle, spec: &Spec, network: &Network) -> Result<Progress, Error> {
        let images: Vec<&str> = spec.database.iter().map(String::as_str).chain([spec.image.as_str()]).collect();
        if let Ready::NotYet(progress) = self.images(&handle, &images)? {
            return Ok(progress);
        }
        self.client.create_volume(&bodies::volume(self.names, Role::DatabaseFiles))?;
        let body = bodies::database(self.names, spec, &network.id, &Credentials::random());
        self.client.create_container(&self.names.part(Role::Database), &body)?;
        handle.at(55).running("starting the database", SOON)
    }

    fn make_web(&self, handle: Handle, spec: &Spec, network: &Network) -> Result<Progress, Error> {
        let images = match self.images(&handle, &[&spec.image])? {
            Ready::NotYet(progress) => return Ok(progress),
            Ready::Images(images) => images,
        };
        let image = images.first().ok_or_else(|| internal("no image was looked up"))?;
        let credentials = match spec.database {
            Some(_) => Some(Credentials::read_back(&self.client.inspect(&self.id(Role::Database)?)?.config)?),
            None => None,
        };
        if spec.keeps_files() {
            self.client.create_volume(&bodies::volume(self.names, Role::WebFiles))?;
        }
        let port = self.free_port(spec)?;
        let body = bodies::web(self.names, spec, &network.id, port, credentials.as_ref(), image);
        self.client.create_container(&self.names.part(Role::Web), &body)?;
        handle.at(75).running("starting the web server", SOON)
    }

    fn free_port(&self, spec: &Spec) -> Result<u16, Error> {
        let taken = convert::taken_ports(self.names.namespace(), &self.client.containers(None)?);
        let random = random::bytes(4).into_iter().fold(0, |sum, byte| sum << 8 | u32::from(byte));
        convert::free_port(spec.ports, &taken, random).ok_or_else(|| {
            let (first, last) = spec.ports;
            Error::new(ErrorKind::QuotaExceeded, format!("every port from {first} to {last} is taken: widen the range"))
        })
    }

    /// A port that something else has can't be swapped for another: the container is made again.
    fn start_web(&self, mut handle: Handle) -> Result<Progress, Error> {
        let web = self.id(Role::Web)?;
        match self.client.start(&web) {
            Ok(()) => handle.at(80).running("waiting for the site to answer", SOON),
            Err(taken) if error::is_port_taken(&taken) && handle.tries < MAX_PORTS => {
                handle.tries += 1;
                self.client.remove_container(&web)?;
                handle.running("the port was taken: trying another", SOON)
            }
            Err(other) => Err(other),
        }
    }

    fn wait(&self, handle: Handle, spec: &Spec) -> Result<Progress, Error> {
        let namespace = self.names.namespace();
        let database = self.world.container(namespace, Role::Database).map(|database| database.condition());
        if spec.database.is_some() && matches!(database, Some(Condition::Failed | Condition::Stopped)) {
            return Err(internal("the database ended while the site was starting"));
        }
        match convert::verdict(&self.client.inspect(&self.id(Role::Web)?)?, spec.health_timeout, clock::now()) {
            Verdict::Ready => Ok(Progress::Succeeded(self.completion(spec))),
            Verdict::Waiting(seconds) => {
                let share = 15 * seconds / u64::from(spec.health_timeout.max(1));
                handle.at(80 + u8::try_from(share).unwrap_or(15).min(15)).running("waiting for the site to answer", 500)
            }
            Verdict::Ended(why) => Err(internal(why)),
            Verdict::TooLate(why) => give_up(handle, Undo::because(&timeout(why))),
        }
    }

    fn completion(&self, spec: &Spec) -> Completion {
        let port = self.world.container(self.names.namespace(), Role::Web).and_then(|web| web.port(self.names.namespace()));
        let completion = Completion::of(&self.names.site);
        match port.and_then(|port| spec.url(port)) {
            Some(url) => completion.with_message(format!("the site is at {url}")).with_details(&json!({"url": url})),
            None => completion,
        }
    }

    fn images(&self, handle: &Handle, images: &[&str]) -> Result<Ready, Error> {
        let mut found = Vec::new();
        for image in images {
            match self.client.image(image)? {
                Some(image) => found.push(image),
                None if self.settings.pull == PullRule::Never => {
                    return Err(conflict(format!(
                        "the Engine lacks the image {image}, and this connection may not pull: \
                         load it there, or set `pull` to `missing`"
                    )));
                }
                None => return self.pull(handle.clone(), image).map(Ready::NotYet),
            }
        }
        Ok(Ready::Images(found))
    }

    /// Starts or watches the pull of an image that isn't there yet.
    fn pull(&self, mut handle: Handle, image: &str) -> Result<Progress, Error> {
        let running = match handle.pull.as_ref().filter(|pull| pull.image == image) {
            None => None,
            Some(pull) => match upstream::watch(&pull.id) {
                // The gateway was restarted; pulling again goes on with the layers that are there.
                Err(forgotten) if forgotten.is(ErrorKind::NotFound) => None,
                other => Some(other?),
            },
        };
        let Some(background) = running else {
            let id = self.client.pull(image)?;
            handle.pull = Some(Pull { image: image.to_owned(), id });
            return handle.at(6).running(format!("pulling {image}"), 250);
        };
        let seen = image::pull_progress(&background.tail);
        match background.state {
            BackgroundState::Failed(_) if handle.tries < MAX_PULLS => {
                handle.tries += 1;
                handle.pull = None;
                handle.running(format!("pulling {image} broke off: trying again"), 2000)
            }
            BackgroundState::Failed(reason) => give_up(handle, Undo::because(&reason)),
            BackgroundState::Finished => {
                let said = seen
                    .error
                    .or_else(|| background.status.filter(|status| *status >= 400).map(|status| format!("HTTP {status}")));
                let why = said.unwrap_or_else(|| "the Engine doesn't have it afterwards".to_owned());
                Err(Error::new(ErrorKind::Conflict, format!("pulling {image} failed: {}", error::one_line(&why))))
            }
            BackgroundState::Running => match seen.bytes {
                Some((current, total)) => {
                    let share = u8::try_from(40 * current / total.max(1)).unwrap_or(40).min(40);
                    let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
                    let message = format!("pulling {image}: {} of {} MB", megabytes(current), megabytes(total));
                    handle.at(6 + share).running(message, 500)
                }
                None => handle.at(6).running(format!("pulling {image}"), 500),
            },
        }
    }
}
