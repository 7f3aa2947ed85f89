//! Limits on requests: rates, room, time and the bytes of answers that wait, and the headers that tell them.
//!
//! In go requests; out come 429, 503 or 504, or the answers of the layers below, each with the headers of the tightest rate limit.
//! Invariant: what refuses before authentication does no more than look into tables, and every answer says what is left, refusals
//! and errors included.

mod fields;
mod unsent;

use super::problem;
use crate::{
    api::{
        RequestId, auth,
        extract::{Sending, collect},
        lane,
        problem::Problem,
    },
    clock,
    metrics::Metrics,
    model::{Error, Timestamp},
    policy::{Busy, ClientAddress, Lane, Limits, Place, Principal, Provenance, Unsent, Verdict, Waiting, holding},
};
use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use fields::Fields;
use http::{HeaderValue, StatusCode, Uri};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;
use unsent::Asked;

pub struct Gate {
    limits: Arc<Limits>,
    unsent: Arc<Unsent>,
    fields: Fields,
    metrics: Arc<Metrics>,
}

impl Gate {
    pub fn new(limits: Arc<Limits>, metrics: Arc<Metrics>) -> Self {
        let unsent = Unsent::new(limits.unsent_bytes(), metrics.unsent_bytes.clone());
        Self { fields: Fields::new(&limits), limits, unsent, metrics }
    }
}

/// Request extension: it had its turn at a processor before it came to the stack.
#[derive(Clone, Copy)]
pub struct HadTurn;

/// That a request is within its limits, and what is left of them.
pub struct Passed(Option<Verdict>);

/// That one of a request's limits is used up, and which.
pub struct UsedUp(Verdict);

impl Passed {
    fn unless_used_up(tightest: Option<Verdict>) -> Result<Self, UsedUp> {
        match tightest {
            Some(refused) if !refused.passes => Err(UsedUp(refused)),
            _ => Ok(Self(tightest)),
        }
    }
}

/// Before authentication: the address, room in the process, and time.
pub async fn enter(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>();
    let (lane, login) = lane::of(request.method(), matched.map_or("", MatchedPath::as_str));
    let verdict = gate.address(&request, login);
    let had_turn = request.extensions().get::<HadTurn>().is_some();
    // One that had to wait before the stack comes from nobody who is known.
    let lane = if had_turn && lane == Lane::LookUp { Lane::Ordinary } else { lane };
    let has_turn = had_turn || lane == Lane::LookUp;
    // Load balancers ask from where clients' requests come, too, and would take every gateway away.
    let health = lane::asks_health(request.method(), request.uri().path());
    let entered = match (verdict, request.extensions_mut().remove::<Place>()) {
        (Some(refused), _) if !refused.passes && !health => Err(gate.limited(&refused)),
        (_, Some(place)) => Ok(place),
        (_, None) => gate.admit(has_turn, lane).await.map_err(|busy| gate.busy(busy)),
    };
    let place = match entered {
        Ok(place) => place,
        Err(refusal) => {
            return gate.told(problem::written(refusal.into_response(), request.uri(), request_id(&request)), verdict);
        }
    };
    request.extensions_mut().insert(place.clone());
    request.extensions_mut().insert(lane);
    request.extensions_mut().insert(gate.limits.answer_by());
    let (uri, id) = (request.uri().clone(), request_id(&request));
    let response = match in_time(lane, gate.limits.request_time(), holding(place.clone(), next.run(request))).await {
        Some(response) => {
            place.leave();
            response
        }
        // A change goes on, and keeps the place to its end.
        None => problem::written(too_late(gate.limits.request_time()).into_response(), &uri, id),
    };
    gate.told(response, Verdict::tightest(verdict, place.verdict()))
}

/// After authentication: the token, the organization, its share of the room, and of what may wait for clients.
pub async fn principal(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Result<Response, Problem> {
    let extensions = request.extensions();
    let (Some(principal), Some(place), Some(lane)) =
        (extensions.get::<Arc<Principal>>(), extensions.get::<Place>(), extensions.get::<Lane>())
    else {
        return Err(Error::gateway("a request without a principal or a place came to its limits").into());
    };
    let verdict = gate.limits.principal(principal.credential_id(), principal.organization, Instant::now());
    place.note(verdict);
    if let Some(refused) = verdict.filter(|verdict| !verdict.passes) {
        return Err(gate.limited(&refused));
    }
    place.of(principal.organization, *lane).map_err(|busy| gate.busy(busy))?;
    let asked = Asked::new(&request, principal.organization);
    asked.may_begin(&gate.unsent).map_err(|busy| gate.busy(busy))?;
    let response = next.run(request).await;
    asked.counted(&gate.unsent, response).map_err(|busy| gate.busy(busy))
}

/// Where nobody authenticates: a share of the room, and of that a share for each address. Documents are given at once, and need none.
/// What is said is taken in here: who takes their time over that makes room for others, who has said it doesn't.
pub async fn stranger(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Result<Response, Problem> {
    if request.method().is_safe() {
        return Ok(next.run(request).await);
    }
    let visitor = gate.limits.visit(client(&request)).map_err(|busy| gate.busy(busy))?;
    let (parts, body) = request.into_parts();
    let body = tokio::select! {
        biased;
        read = collect(body, auth::MOST, Sending::of(&parts)) => read?,
        () = visitor.sent_away() => return Err(gate.busy(Busy::Strangers)),
    };
    if !visitor.has_spoken() {
        return Err(gate.busy(Busy::Strangers));
    }
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

/// Where no listener told an address, all requests count as one client's.
fn client(request: &Request) -> IpAddr {
    request.extensions().get::<ClientAddress>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |client| client.0)
}

async fn in_time(lane: Lane, most: Duration, answer: impl Future<Output = Response>) -> Option<Response> {
    match lane {
        // Its bytes have a limit of their own: none may come for long.
        Lane::Upload => Some(answer.await),
        Lane::Ordinary | Lane::LookUp => tokio::time::timeout(most, answer).await.ok(),
    }
}

fn request_id(request: &Request) -> Option<RequestId> {
    request.extensions().get::<RequestId>().cloned()
}

fn too_late(most: Duration) -> Problem {
    let detail =
        format!("the answer took longer than {} s; a change that was accepted goes on as its operation", most.as_secs());
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "request_timeout", detail)
}

impl Gate {
    /// The same limits for a request that is answered at once, without waiting: it takes no place, since it leaves none. It has been
    /// counted then, also where it is refused: whoever asks must answer it, since the stack would count it again.
    pub fn pass(&self, client: IpAddr, principal: &Principal, now: Instant) -> Result<Passed, UsedUp> {
        let address = self.limits.ip(client, now);
        let tightest = match address {
            Some(refused) if !refused.passes => address,
            _ => Verdict::tightest(address, self.limits.principal(principal.credential_id(), principal.organization, now)),
        };
        Passed::unless_used_up(tightest)
    }

    /// A place, after the request's turn, where it didn't have that before the stack.
    async fn admit(&self, has_turn: bool, lane: Lane) -> Result<Place, Busy> {
        if !has_turn && !self.limits.turn().await {
            return Err(Busy::Queue);
        }
        self.limits.enter(lane)
    }

    /// Whether a request would be refused at once.
    pub fn is_full(&self) -> bool {
        self.limits.is_full()
    }

    /// The turn of a request before the stack, which takes longer than a refusal may.
    pub async fn turn(&self) -> bool {
        self.limits.turn().await
    }

    /// What a request gets that has no turn.
    pub fn no_turn(&self, uri: &Uri, client: IpAddr, id: &HeaderValue) -> Response {
        self.refused(self.busy(Busy::Queue), uri, client, id)
    }

    /// Leave to wait for a turn, unless the principal's organization would have no place then.
    pub fn wait(&self, principal: &Principal) -> Result<Waiting, Busy> {
        self.limits.wait(principal.organization).ok_or(Busy::Organization)
    }

    /// A place of the principal's organization, for a request that isn't a look-up. The stack takes it out of the extensions.
    pub fn place(&self, principal: &Principal) -> Result<Place, Busy> {
        let place = self.limits.enter(Lane::Ordinary)?;
        place.of(principal.organization, Lane::Ordinary).map(|()| place)
    }

    /// What a request gets that found no place, in words and counts as in the stack: unless it is beyond its limits, which comes first.
    pub fn no_place(&self, busy: Busy, who: (IpAddr, &Principal), uri: &Uri, id: &HeaderValue) -> Response {
        let ((client, principal), now) = (who, Instant::now());
        let within = match busy {
            // That is said before anybody asks who it is.
            Busy::InFlight => Passed::unless_used_up(self.limits.ip(client, now)),
            _ => self.pass(client, principal, now),
        };
        match within {
            Ok(Passed(verdict)) => self.refusal(self.busy(busy), uri, id, verdict),
            Err(used_up) => self.used_up(uri, id, used_up),
        }
    }

    /// A refusal that comes before anything else was asked; it counts for the address.
    pub fn refused(&self, problem: Problem, uri: &Uri, client: IpAddr, id: &HeaderValue) -> Response {
        let verdict = self.limits.ip(client, Instant::now());
        self.refusal(problem, uri, id, verdict)
    }

    /// What a request gets that didn't pass.
    pub fn used_up(&self, uri: &Uri, id: &HeaderValue, UsedUp(verdict): UsedUp) -> Response {
        self.refusal(self.limited(&verdict), uri, id, Some(verdict))
    }

    /// A whole refusal before the stack.
    fn refusal(&self, problem: Problem, uri: &Uri, id: &HeaderValue, verdict: Option<Verdict>) -> Response {
        self.told(problem::whole(problem, uri, id.to_str().unwrap_or_default()), verdict)
    }

    /// Tells in an answer what is left.
    pub fn tell(&self, mut response: Response, passed: Passed, now: Timestamp) -> Response {
        if let Some(verdict) = passed.0 {
            self.fields.write(response.headers_mut(), &verdict, now);
        }
        response
    }

    /// An attempt to log in counts for the address and, unless that refuses, as an attempt; but not one that another site's page sent, which
    /// is refused anyway: any page could use up the attempts of its visitor's office.
    fn address(&self, request: &Request, login: bool) -> Option<Verdict> {
        let (client, now) = (client(request), Instant::now());
        let address = self.limits.ip(client, now);
        let foreign = || auth::provenance_of(request.extensions(), request.headers(), request.uri()) == Provenance::Other;
        if !login || address.is_some_and(|verdict| !verdict.passes) || foreign() {
            return address;
        }
        Verdict::tightest(address, self.limits.login(client, now))
    }

    fn limited(&self, refused: &Verdict) -> Problem {
        self.metrics.requests_refused.with_label_values(&[refused.policy.as_str()]).inc();
        let (name, wait) = (refused.policy.as_str(), fields::seconds(refused.more_in));
        let detail = format!("the limit `{name}` of {} requests is used up; come back in {wait} s", refused.quota);
        Problem { retry_after: Some(wait), ..Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail) }
    }

    fn busy(&self, busy: Busy) -> Problem {
        self.metrics.requests_refused.with_label_values(&[busy.as_str()]).inc();
        let detail = match busy {
            Busy::InFlight => "as many requests are in progress as the gateway has room for",
            Busy::Organization => "as many requests of the organization are in progress as it may have",
            Busy::Strangers => "as many requests without a credential are in progress as may be, of all or from your address",
            Busy::Queue => "more requests come than the gateway can answer in time",
            Busy::Unsent => "as many bytes of answers wait for their clients as the gateway has room for",
            Busy::UnsentOfOrganization => "as many bytes of answers wait for clients of the organization as it may have",
        };
        Problem::overloaded(detail)
    }

    fn told(&self, response: Response, verdict: Option<Verdict>) -> Response {
        self.tell(response, Passed(verdict), clock::now())
    }
}
