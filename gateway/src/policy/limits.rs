//! Limits on requests: rates of each address, token, organization and login; room for requests in progress, and for answers that wait
//! for their clients; load.
//!
//! In go addresses, ids and lanes; out come verdicts and places. Invariant: functions that ask nobody and wait for nothing but their
//! turn, memory that doesn't grow with the number of callers, and a refused request takes nothing of the limits behind the one that
//! refused it.
//! Rates are this process's own: several gateways each have theirs.

mod held;
mod meter;
mod queue;
mod rate;
mod room;
mod strangers;
mod unsent;

pub(super) use held::under_the_same_place;
pub use held::{aside_after, holding, step_aside};
pub use rate::{Quota, Rate, Window};
pub use room::{Place, Waiting};
pub use strangers::Visitor;
pub use unsent::{Owed, PIECE, Repeatable, Unsent};

use crate::model::OrganizationId;
use ahash::RandomState;
use meter::Meter;
use queue::Queue;
use room::Room;
use serde::{Deserialize, Serialize};
use std::{
    net::IpAddr,
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};
use strangers::Strangers;
use tokio::time::Instant;
use uuid::Uuid;

/// The `[limits]` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Requests of one client address, before its credential is looked at. An IPv6 client is its /64.
    pub ip: Rate,
    /// Requests with one token, or in one session.
    pub token: Rate,
    /// Requests of one organization, all its tokens and people together.
    pub organization: Rate,
    /// Attempts to log in, or to make an account, from one client address.
    pub login: Rate,
    /// Requests in progress at the same time; more are refused at once. 0: by the number of processors.
    pub in_flight: usize,
    /// Of these, requests of one organization. 0: by the number of processors.
    pub in_flight_per_organization: usize,
    /// Requests that wait for an operation, another's answer or a turn at a host, or upload, at the same time: they take no place among
    /// those in progress. Half of them may be of one organization.
    pub waiting: NonZeroUsize,
    /// Bytes of large answers that their clients haven't taken yet. A read that would make more is refused. A quarter of them may be one
    /// organization's.
    pub unsent_bytes: NonZeroUsize,
    /// How long a request should wait for a processor at most: while they wait longer, some are refused. 0 refuses none.
    pub queue_ms: u64,
    /// From a request's head to its answer's; uploads take as long as they need.
    pub request_seconds: NonZeroU32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        const fn count(count: usize) -> NonZeroUsize {
            match NonZeroUsize::new(count) {
                Some(count) => count,
                None => NonZeroUsize::MIN,
            }
        }
        Self {
            ip: Rate::new(6000, Window::Minute),
            token: Rate::new(600, Window::Minute),
            organization: Rate::new(6000, Window::Minute),
            login: Rate::new(10, Window::Minute),
            in_flight: 0,
            in_flight_per_organization: 0,
            waiting: count(4096),
            unsent_bytes: count(256 * 1024 * 1024),
            queue_ms: 2,
            request_seconds: NonZeroU32::MIN.saturating_add(119),
        }
    }
}

impl LimitsConfig {
    /// For one developer's machine: rates that are told in every answer and that neither a person nor a benchmark meets.
    pub fn unhurried() -> Self {
        let plenty = Rate::new(1_000_000, Window::Second);
        let login = Rate::new(1000, Window::Minute);
        Self { ip: plenty, token: plenty, organization: plenty, login, ..Self::default() }
    }

    /// Places of all, and of one organization, with so many processors. More than keep them busy while hosts are waited for only have
    /// those who were let in wait for each other.
    fn places(&self, processors: usize) -> (usize, usize) {
        let or = |set: usize, derived: usize| if set == 0 { derived } else { set };
        let all = or(self.in_flight, processors.saturating_mul(EACH_PROCESSOR).max(LEAST));
        // Where few are set for all, one organization has a quarter of them.
        let of_one = processors.saturating_mul(EACH_PROCESSOR_FOR_ONE).min(all / 4).max(1);
        (all, or(self.in_flight_per_organization, of_one))
    }
}

/// Places by the number of processors, of all and of one organization; and the least that all have.
const EACH_PROCESSOR: usize = 256;
const EACH_PROCESSOR_FOR_ONE: usize = 64;
const LEAST: usize = 512;

/// What is limited: names of configuration keys, of policies in headers, and of a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Ip,
    Token,
    Organization,
    Login,
}

impl Policy {
    pub const ALL: [Self; 4] = [Self::Ip, Self::Token, Self::Organization, Self::Login];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Token => "token",
            Self::Organization => "organization",
            Self::Login => "login",
        }
    }
}

/// What a rate limit says of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub policy: Policy,
    pub quota: Quota,
    pub passes: bool,
    /// Requests that would pass now, after this one.
    pub remaining: u32,
    /// Until one more would pass: what a refused client waits.
    pub more_in: Duration,
    /// Until the whole quota is there again.
    pub whole_in: Duration,
}

impl Verdict {
    /// The one that refuses, or else leaves the least; of equals, the token's, which is the caller's own.
    pub fn tightest(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        [one, other]
            .into_iter()
            .flatten()
            .min_by_key(|verdict| (verdict.passes, verdict.remaining, verdict.policy != Policy::Token))
    }
}

/// How a request takes part in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Ordinary,
    /// Asks how an operation is: cheap, and what clients do most while the gateway is busy.
    LookUp,
    /// Sends a file, as long as it takes.
    Upload,
}

/// Why there is no room now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// Too many requests are in progress.
    InFlight,
    /// Too many of this organization are.
    Organization,
    /// Too many without a credential are, of all or from one address.
    Strangers,
    /// Requests wait too long for a processor.
    Queue,
    /// Too many bytes of answers wait for their clients.
    Unsent,
    /// Too many of this organization's do.
    UnsentOfOrganization,
}

impl Busy {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InFlight => "in_flight",
            Self::Organization => "in_flight_per_organization",
            Self::Strangers => "in_flight_without_credential",
            Self::Queue => "queue",
            Self::Unsent => "unsent_bytes",
            Self::UnsentOfOrganization => "unsent_bytes_per_organization",
        }
    }
}

/// When a request that waits for something has to be answered with what is there: before its time is over.
#[derive(Clone, Copy)]
pub struct AnswerBy(pub Instant);

/// For giving the answer.
const LAST_MOMENT: Duration = Duration::from_millis(500);

pub struct Limits {
    meters: [Option<Meter>; Policy::ALL.len()],
    room: Arc<Room>,
    strangers: Arc<Strangers>,
    queue: Queue,
    /// Keyed anew at each start, so that nobody can choose addresses that share a bucket.
    hasher: RandomState,
    epoch: Instant,
    request_time: Duration,
    unsent_bytes: usize,
}

impl Limits {
    pub fn new(config: &LimitsConfig) -> Self {
        let meter = |policy| {
            let rate = match policy {
                Policy::Ip => config.ip,
                Policy::Token => config.token,
                Policy::Organization => config.organization,
                Policy::Login => config.login,
            };
            match rate {
                Rate::Off => None,
                Rate::Of(quota) => Some(Meter::new(quota)),
            }
        };
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let (places, of_one) = config.places(processors);
        let room = Room::new(places, of_one, config.waiting.get());
        Self {
            meters: Policy::ALL.map(meter),
            room: Arc::new(room),
            strangers: Strangers::new(places),
            queue: Queue::new(Duration::from_millis(config.queue_ms)),
            hasher: RandomState::new(),
            epoch: Instant::now(),
            request_time: Duration::from_secs(config.request_seconds.get().into()),
            unsent_bytes: config.unsent_bytes.get(),
        }
    }

    /// Before anything is known of the caller but the address. None: this limit is off.
    pub fn ip(&self, client: IpAddr, now: Instant) -> Option<Verdict> {
        self.take(Policy::Ip, &network(client), now)
    }

    /// Attempts to log in, beside the limit of the address.
    pub fn login(&self, client: IpAddr, now: Instant) -> Option<Verdict> {
        self.take(Policy::Login, &network(client), now)
    }

    /// The token's or session's limit, then the organization's; the tightest of both.
    pub fn principal(&self, credential: Uuid, organization: OrganizationId, now: Instant) -> Option<Verdict> {
        let token = self.take(Policy::Token, &credential.as_u128(), now);
        if token.is_some_and(|verdict| !verdict.passes) {
            return token;
        }
        Verdict::tightest(token, self.take(Policy::Organization, &organization.0.as_u128(), now))
    }

    /// Whether too many wait for their turn, so that one more would be refused at once.
    pub fn is_full(&self) -> bool {
        self.queue.is_full()
    }

    /// Leave to wait for a turn and then a place of the organization, unless there is none for one more request of it.
    pub fn wait(&self, organization: OrganizationId) -> Option<Waiting> {
        self.room.wait(organization)
    }

    /// The request's turn at a processor; false where too many wait for theirs. Before anything else is done for it: waits only
    /// where requests queue already. What is answered from memory at once needs no turn: that costs no more than a refusal.
    pub async fn turn(&self) -> bool {
        self.queue.pass().await
    }

    /// A place among the requests in progress, unless there is none. Before authentication: it costs next to nothing.
    pub fn enter(&self, lane: Lane) -> Result<Place, Busy> {
        self.room.enter(lane)
    }

    /// A place among those who have no credential, beside the one among all.
    pub fn visit(&self, client: IpAddr) -> Result<Visitor, Busy> {
        self.strangers.enter(network(client))
    }

    /// For a request that comes now.
    pub fn answer_by(&self) -> AnswerBy {
        AnswerBy(Instant::now() + self.request_time.saturating_sub(LAST_MOMENT))
    }

    /// From a request's head to its answer's.
    pub const fn request_time(&self) -> Duration {
        self.request_time
    }

    /// Of large answers that may wait for their clients.
    pub const fn unsent_bytes(&self) -> usize {
        self.unsent_bytes
    }

    /// The quota of a policy that isn't off.
    pub fn quota(&self, policy: Policy) -> Option<Quota> {
        self.meters[policy as usize].as_ref().map(Meter::quota)
    }

    fn take(&self, policy: Policy, caller: &u128, now: Instant) -> Option<Verdict> {
        let meter = self.meters[policy as usize].as_ref()?;
        let now = u64::try_from(now.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX / 2);
        let reading = meter.take(self.hasher.hash_one(caller), now);
        Some(Verdict {
            policy,
            quota: meter.quota(),
            passes: reading.passes,
            remaining: reading.remaining,
            more_in: reading.more_in,
            whole_in: reading.whole_in,
        })
    }
}

/// Who has one IPv6 address has 2^64 of them: the /64 is the client. IPv4 keeps its mapped form, whose upper half is zero.
fn network(client: IpAddr) -> u128 {
    match client.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() & (u128::MAX << 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(ip: &str, token: &str, organization: &str) -> Limits {
        let rate = |text: &str| text.parse().unwrap();
        let (ip, token, organization) = (rate(ip), rate(token), rate(organization));
        Limits::new(&LimitsConfig { ip, token, organization, ..LimitsConfig::default() })
    }

    const fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    const ORGANIZATION: OrganizationId = OrganizationId(id(100));

    #[tokio::test(start_paused = true)]
    async fn a_refused_client_is_served_when_it_was_told_to_come_back() {
        let limits = limits("off", "2/min", "off");
        assert!((0..2).all(|_| limits.principal(id(1), ORGANIZATION, Instant::now()).unwrap().passes));
        let refused = limits.principal(id(1), ORGANIZATION, Instant::now()).unwrap();
        assert_eq!((refused.passes, refused.remaining, refused.more_in), (false, 0, Duration::from_secs(30)));
        assert!(limits.principal(id(2), ORGANIZATION, Instant::now()).unwrap().passes, "another token has a limit of its own");
        tokio::time::advance(refused.more_in).await;
        let served = limits.principal(id(1), ORGANIZATION, Instant::now()).unwrap();
        assert_eq!((served.passes, served.remaining, served.whole_in), (true, 0, Duration::from_secs(60)));
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_share_their_organization_and_a_refused_one_takes_nothing_of_it() {
        let limits = limits("off", "2/min", "5/min");
        let passes = |token| limits.principal(id(token), ORGANIZATION, Instant::now()).unwrap();
        // Ten attempts of one token pass twice and take two of five.
        assert_eq!((0..10).filter(|_| passes(1).passes).count(), 2);
        let tightest = passes(2);
        assert_eq!((tightest.policy, tightest.remaining), (Policy::Token, 1));
        assert_eq!((passes(2).policy, passes(3).policy), (Policy::Token, Policy::Organization));
        let refused = passes(3);
        assert_eq!((refused.passes, refused.policy), (false, Policy::Organization));
        assert!(limits.principal(id(4), OrganizationId(id(101)), Instant::now()).unwrap().passes);
    }

    #[tokio::test(start_paused = true)]
    async fn an_ipv6_client_is_its_network_and_an_ipv4_client_its_address() {
        let limits = limits("1/min", "off", "off");
        let passes = |address: &str| limits.ip(address.parse().unwrap(), Instant::now()).unwrap().passes;
        for (address, expected) in [
            ("192.0.2.1", true),
            ("192.0.2.2", true),
            ("192.0.2.1", false),
            ("::ffff:192.0.2.2", false),
            ("2001:db8::1", true),
            ("2001:db8::2", false),
            ("2001:db8::ffff:ffff:ffff:ffff", false),
            ("2001:db8:0:1::1", true),
        ] {
            assert_eq!(passes(address), expected, "{address}");
        }
    }

    #[test]
    fn places_follow_processors_unless_they_are_set() {
        let default = LimitsConfig::default();
        for (processors, expected) in [(1, (512, 64)), (2, (512, 128)), (16, (4096, 1024))] {
            assert_eq!(default.places(processors), expected, "{processors}");
        }
        let few = LimitsConfig { in_flight: 64, ..default };
        assert_eq!(few.places(16), (64, 16));
        let set = LimitsConfig { in_flight: 4, in_flight_per_organization: 2, ..default };
        assert_eq!(set.places(16), (4, 2));
    }

    #[test]
    fn what_is_off_says_nothing() {
        let limits = limits("off", "off", "off");
        assert_eq!(limits.ip(IpAddr::from([127, 0, 0, 1]), Instant::now()), None);
        assert_eq!(limits.principal(id(1), ORGANIZATION, Instant::now()), None);
    }
}
