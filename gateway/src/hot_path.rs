//! The short way of a cached read: one site, kept and fresh, for a caller who is known. It goes before the stack, as do the refusals of
//! what can't have its turn at a processor, or a place of its organization.
//!
//! In goes a request as hyper read it; out comes its answer, or nothing, and then the stack answers. Invariant: it decides nothing by
//! itself. Who may ask, how often, and what is answered, the same functions say that the stack calls; where any of them has to wait, to
//! refuse, or to ask somebody, the stack does it. But for limits: they are asked last, and one that is used up refuses here, since
//! the stack would count again what was counted.

use crate::{
    api::{Api, lane},
    clock,
    layers::{self, Gate, HadTurn, Misread, Observer, Served},
    model::Timestamp,
    policy::{self, Authenticator, Busy, ClientAddress, CorsConfig, Place, Principal, Rule, Secure, Waiting, Who},
};
use axum::{Router, body::Body};
use futures_util::future::{BoxFuture, Either};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use prometheus::IntCounter;
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
};
use tokio::time::Instant;
use tower::Service as _;

/// The path of one site, up to its id.
const PREFIX: &str = "/api/v1/sites/";
const ROUTE: &str = "/api/v1/sites/{site}";
const ACTION: &str = "sites.get";

pub struct HotPath {
    api: Arc<Api>,
    authenticator: Arc<Authenticator>,
    gate: Arc<Gate>,
    observer: Arc<Observer>,
    rule: Option<&'static Rule>,
    answers: IntCounter,
}

impl HotPath {
    /// With the parts that the stack has, too.
    pub fn new(
        api: Arc<Api>,
        (authenticator, gate, observer): (Arc<Authenticator>, Arc<Gate>, Arc<Observer>),
        answers: IntCounter,
    ) -> Self {
        Self { api, authenticator, gate, observer, rule: policy::rule(ACTION), answers }
    }

    pub fn answer<B>(&self, request: &Request<B>, client: ClientAddress) -> Option<Response<Body>> {
        let site = site_of(request)?;
        let started = Instant::now();
        let headers = request.headers();
        let principal = self.authenticator.known(layers::credential(headers).ok()?, client.0, started)?;
        self.rule?.admit(&principal).ok()?;
        let (connection, response) = self.api.kept_site(&principal, site, headers, started)?;
        // One look at the clock is enough for all that is told: it doesn't take a millisecond.
        let at = clock::now();
        let id = Observer::name(headers, at);
        let (provider, response) = match self.gate.pass(client.0, &principal, started) {
            Ok(passed) => {
                self.answers.inc();
                (&*connection.record.provider, self.gate.tell(response, passed, at))
            }
            // As in the stack, a refusal is no provider's.
            Err(used_up) => ("", self.gate.used_up(request.uri(), &id, used_up)),
        };
        let served = Served { route: ROUTE, provider, client, who: Some(principal.who), started, at };
        Some(self.observer.observed(request, id, &served, response))
    }
}

/// The site that a plain read asks for; none of what else could be meant.
fn site_of<B>(request: &Request<B>) -> Option<&str> {
    let uri = request.uri();
    let site = uri.path().strip_prefix(PREFIX)?;
    let is_plain = request.method() == Method::GET && uri.query().is_none() && !site.contains(['/', '%']);
    (is_plain && !needs_the_stack(request.headers())).then_some(site)
}

/// What the stack has rules for.
fn needs_the_stack(headers: &HeaderMap) -> bool {
    const NAMES: [HeaderName; 4] = [header::CACHE_CONTROL, header::COOKIE, header::ORIGIN, header::EXPECT];
    // Names are compared faster than they are looked up, and there are few.
    headers.keys().any(|name| NAMES.contains(name))
}

/// Where a request comes from, as the server tells; the stack finds it among the request's extensions.
#[derive(Clone, Copy)]
pub struct Whence {
    pub client: ClientAddress,
    /// Over TLS, here or at a trusted proxy.
    pub secure: bool,
}

/// Where requests wait for their turn, or are refused: before the stack, which would take as long as answering.
pub struct Door {
    pub gate: Arc<Gate>,
    pub observer: Arc<Observer>,
    pub authenticator: Arc<Authenticator>,
    pub cors: CorsConfig,
}

impl Door {
    /// Whether the request goes by it: who asks whether we live does, and look-ups of operations by those who were let in before. From
    /// anybody else those could be any number.
    fn lets_by<B>(&self, request: &Request<B>, secure: bool) -> bool {
        let (method, path) = (request.method(), request.uri().path());
        lane::asks_health(method, path)
            || (lane::looks_up(method, path) && layers::is_familiar(&self.authenticator, request.headers(), secure))
    }

    /// Who sends a request that takes a place of their organization, where that is known without asking anybody.
    fn known<B>(&self, request: &Request<B>, client: ClientAddress) -> Option<Arc<Principal>> {
        let credential = layers::credential(request.headers()).ok().filter(|_| takes_a_place(request.uri().path()))?;
        self.authenticator.known(credential, client.0, Instant::now())
    }

    /// Leave to wait for a turn, or what the stack would say where there is no place for one more request of the organization. Found out
    /// behind everything else a refusal costs as much as an answer, and who asks for twice of what there is would have half of it.
    fn wait<B>(&self, request: &Request<B>, client: ClientAddress, principal: &Principal) -> Result<Waiting, Response<Body>> {
        self.gate.wait(principal).map_err(|busy| self.turn_away(busy, request, client, principal))
    }

    /// A place for a request whose turn it is, or the refusal. It is taken here, since requests that came together would all find the
    /// last one free; and not before the turn, since who waits for that isn't in progress, however many have come at once.
    fn place<B>(&self, request: &Request<B>, client: ClientAddress, principal: &Principal) -> Result<Place, Response<Body>> {
        self.gate.place(principal).map_err(|busy| self.turn_away(busy, request, client, principal))
    }

    fn turn_away<B>(&self, busy: Busy, request: &Request<B>, client: ClientAddress, principal: &Principal) -> Response<Body> {
        let (started, at) = (Instant::now(), clock::now());
        let id = Observer::name(request.headers(), at);
        let response = self.gate.no_place(busy, (client.0, principal), request.uri(), &id);
        self.told(request, (id, response), (client, Some(principal.who)), (started, at))
    }

    fn refuse<B>(&self, request: &Request<B>, client: ClientAddress) -> Response<Body> {
        let (started, at) = (Instant::now(), clock::now());
        let id = Observer::name(request.headers(), at);
        let response = self.gate.no_turn(request.uri(), client.0, &id);
        self.told(request, (id, response), (client, None), (started, at))
    }

    /// As the stack tells its refusals.
    fn told<B>(
        &self,
        request: &Request<B>,
        (id, response): (HeaderValue, Response<Body>),
        (client, who): (ClientAddress, Option<Who>),
        (started, at): (Instant, Timestamp),
    ) -> Response<Body> {
        let served = Served { route: "unmatched", provider: "", client, who, started, at };
        let mut response = self.observer.observed(request, id, &served, response);
        layers::tell_origin(&self.cors, request.headers(), response.headers_mut());
        bodied(request.method(), response)
    }
}

/// Whether what stands there takes one of its organization's places: all of the API but what is open to everybody. (The rest of `auth/`
/// takes one, too, but behind the stack.)
fn takes_a_place(path: &str) -> bool {
    const OPEN: [&str; 2] = ["auth/", "invitations/accept"];
    path.strip_prefix("/api/v1/").is_some_and(|rest| OPEN.iter().all(|open| !rest.starts_with(open)))
}

/// The short way, and behind it the whole stack: what the server serves.
#[derive(Clone)]
pub struct Way {
    hot_path: Option<Arc<HotPath>>,
    door: Option<Arc<Door>>,
    misread: Option<Misread>,
    stack: Router,
}

impl Way {
    pub fn new(hot_path: Option<HotPath>, door: Door, misread: Misread, stack: Router) -> Self {
        Self { hot_path: hot_path.map(Arc::new), door: Some(Arc::new(door)), misread: Some(misread), stack }
    }

    /// Nothing but a router.
    pub const fn plain(stack: Router) -> Self {
        Self { hot_path: None, door: None, misread: None, stack }
    }

    /// The answer to what is no request, unless that of the protocol library will do.
    pub fn misread(&self, status: StatusCode, detail: &str, client: ClientAddress) -> Option<Response<Body>> {
        self.misread.as_ref().map(|misread| misread.answer(status, detail, client))
    }
}

/// As it may be sent: to HEAD without a body, which over HTTP/2 nobody else takes away.
pub fn bodied(method: &Method, mut response: Response<Body>) -> Response<Body> {
    if *method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

/// An answer that is there already, or one that the stack gives. In a box, since a connection that only watches has room for it.
pub type Answer = Either<Ready<Result<Response<Body>, Infallible>>, BoxFuture<'static, Result<Response<Body>, Infallible>>>;

impl Way {
    pub fn call(&self, mut request: Request<Incoming>, whence: Whence) -> Answer {
        if let Some(response) = self.hot_path.as_ref().and_then(|hot_path| hot_path.answer(&request, whence.client)) {
            return Either::Left(ready(Ok(response)));
        }
        let door = self.door.as_ref().filter(|door| !door.lets_by(&request, whence.secure));
        if let Some(door) = door.filter(|door| door.gate.is_full()) {
            return Either::Left(ready(Ok(door.refuse(&request, whence.client))));
        }
        let known = door.and_then(|door| door.known(&request, whence.client));
        let waiting = door.zip(known.as_deref()).map(|(door, who)| door.wait(&request, whence.client, who)).transpose();
        let waiting = match waiting {
            Ok(waiting) => waiting,
            Err(refusal) => return Either::Left(ready(Ok(refusal))),
        };
        let door = door.cloned();
        request.extensions_mut().insert(whence.client);
        if whence.secure {
            request.extensions_mut().insert(Secure);
        }
        let mut stack = self.stack.clone();
        Either::Right(Box::pin(async move {
            if let Some(door) = door {
                if !door.gate.turn().await {
                    return Ok(door.refuse(&request, whence.client));
                }
                request.extensions_mut().insert(HadTurn);
                drop(waiting);
                match known.map(|who| door.place(&request, whence.client, &who)) {
                    Some(Ok(place)) => drop(request.extensions_mut().insert(place)),
                    Some(Err(refusal)) => return Ok(refusal),
                    None => {}
                }
            }
            // A router is always ready.
            stack.call(request.map(Body::new)).await
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        metrics::Metrics,
        policy::{Limits, LimitsConfig, mint_token},
        store::{SqliteStore, TokenStore as _, suite},
    };

    /// A door with so many places for one organization, and a token that it knows.
    async fn door(limits: LimitsConfig, folder: &std::path::Path) -> (Door, String) {
        let store = Arc::new(SqliteStore::open(&folder.join("portico.db")).await.unwrap());
        let (token, record) = mint_token(suite::organization(&*store, "acme").await, "t", None).unwrap();
        store.token_insert(&record).await.unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let door = Door {
            gate: Arc::new(Gate::new(Arc::new(Limits::new(&limits)), Arc::clone(&metrics))),
            observer: Arc::new(Observer::new(metrics)),
            authenticator: Arc::new(Authenticator::new(store)),
            cors: CorsConfig::default(),
        };
        (door, token.to_string())
    }

    #[tokio::test]
    async fn an_organization_has_its_places_and_then_a_refusal_with_all_that_answers_have() {
        let folder = tempfile::tempdir().unwrap();
        let limits = LimitsConfig { in_flight_per_organization: 2, token: "4/h".parse().unwrap(), ..LimitsConfig::default() };
        let (door, token) = door(limits, folder.path()).await;
        let client = ClientAddress([127, 0, 0, 1].into());
        let asks =
            |path: &str| Request::builder().uri(path).header("authorization", format!("Bearer {token}")).body(()).unwrap();
        let request = asks("/api/v1/sites?connection=a");
        assert!(door.known(&request, client).is_none(), "nobody knows it yet");
        let who = door.authenticator.authenticate(Some(format!("Bearer {token}").as_bytes()), None).await.unwrap();
        assert!(door.known(&request, client).is_some() && door.known(&asks("/api/v1/auth/login"), client).is_none());
        let places = [door.place(&request, client, &who).unwrap(), door.place(&request, client, &who).unwrap()];
        let refusals = [door.place(&request, client, &who).err(), door.wait(&request, client, &who).err()];
        for (refusal, remaining) in refusals.into_iter().zip(["3", "2"]) {
            let (refusal, headers) = refusal.map(|refusal| (refusal.status(), refusal.headers().clone())).unwrap();
            assert_eq!((refusal, headers["retry-after"].as_bytes()), (StatusCode::SERVICE_UNAVAILABLE, &b"1"[..]));
            assert_eq!(headers["x-ratelimit-remaining"], remaining, "it counts as any other");
            assert!(headers.contains_key("x-request-id"));
        }
        // Who has used up the rate is told that, since waiting a second wouldn't help.
        let statuses: Vec<_> = (0..4).map(|_| door.place(&request, client, &who).err().unwrap().status().as_u16()).collect();
        assert_eq!(statuses, [503, 503, 429, 429]);
        drop(places);
        assert!(door.wait(&request, client, &who).is_ok() && door.place(&request, client, &who).is_ok());
    }

    #[tokio::test]
    async fn look_ups_go_by_the_queue_for_who_was_let_in_before() {
        let folder = tempfile::tempdir().unwrap();
        let (door, token) = door(LimitsConfig::default(), folder.path()).await;
        let goes_by = |path: &str, name: &str, value: &str| {
            door.lets_by(&Request::builder().uri(path).header(name, value).body(()).unwrap(), false)
        };
        let (operation, bearer) = ("/api/v1/operations/op_1", format!("Bearer {token}"));
        assert!(!goes_by(operation, "authorization", &bearer), "nobody knows it yet");
        let _ = door.authenticator.authenticate(Some(bearer.as_bytes()), None).await.unwrap();
        assert!(goes_by(operation, "authorization", &bearer) && goes_by(operation, "x-api-key", &token));
        door.authenticator.forget();
        assert!(goes_by(operation, "authorization", &bearer), "it is looked up again, and was good");
        assert!(!goes_by("/api/v1/operations", "authorization", &bearer), "no look-up");
        for (name, value) in [("authorization", "Bearer ptk_x"), ("cookie", "portico_session=x"), ("accept", "*/*")] {
            assert!(!goes_by(operation, name, value), "{name}: {value}");
        }
    }

    #[test]
    fn only_plain_reads_of_one_site_are_its_business() {
        let check = |method: &str, uri: &str, name: &str, expected: Option<&str>| {
            let request = Request::builder().method(method).uri(uri).header(name, "x").body(()).unwrap();
            assert_eq!(site_of(&request), expected, "{method} {uri} {name}");
        };
        check("GET", "/api/v1/sites/a~b", "accept", Some("a~b"));
        check("HEAD", "/api/v1/sites/a~b", "accept", None);
        check("GET", "/api/v1/sites/a~b?x=1", "accept", None);
        check("GET", "/api/v1/sites/a~b/backups", "accept", None);
        check("GET", "/api/v1/sites/a%7Eb", "accept", None);
        check("GET", "/api/v1/sites", "accept", None);
        for name in ["cache-control", "cookie", "origin", "expect"] {
            check("GET", "/api/v1/sites/a~b", name, None);
        }
    }
}
