//! Binding: from what a provider declares to clients that can reach exactly that.
//!
//! In go a connection, its component's hash and the declarations; out come [`Upstream`]s, or an error that names the grant,
//! secret or part of the URL that is wrong. Invariant: whatever could be checked without the network was checked before an
//! upstream exists, and its pools belong to one revision of one connection. It opens no socket.

use super::{
    base::Base,
    budgets::Budgets,
    config::EgressConfig,
    connector::{self, Connector, Place, Target},
    gauges::Gauges,
    grant::{Asked, Grant, Guard},
    headers,
    limits::{Limits, Whose},
    meters::Meters,
    redact::Redactor,
    session::{Door, Session, Way},
    tls,
};
use crate::{
    metrics::Metrics,
    model::{Auth, ConnectionSpec, Endpoint, Error, Kind, TlsTrust, UpstreamDeclaration},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use http_body_util::Full;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use rustls::ClientConfig;
use std::{sync::Arc, time::Duration};
use zeroize::Zeroizing;

/// Shorter than what common servers keep an idle connection open for (nginx: 75 s, Node: 5 s; the latter is retried).
const IDLE: Duration = Duration::from_secs(30);
const MAX_IDLE: usize = 16;
const MAX_UPSTREAMS: usize = 16;

pub(super) type HttpClient = Client<Connector, Full<Bytes>>;

/// What the upstreams of one connection have in common.
pub(super) struct Shared {
    pub config: Arc<EgressConfig>,
    pub redactor: Redactor,
    pub meters: Meters,
}

/// One bound upstream.
pub(super) struct Upstream {
    pub name: String,
    pub url: Base,
    pub target: Arc<Target>,
    pub client: HttpClient,
    /// Never reuses a connection: for the one retry.
    pub fresh: HttpClient,
    pub credential: Option<(HeaderName, HeaderValue)>,
    /// Instead of a credential that never changes.
    pub session: Option<Session>,
    pub request_headers: Vec<HeaderName>,
    pub limits: Arc<Limits>,
    pub guard: Option<Guard>,
    pub shared: Arc<Shared>,
}

impl Upstream {
    pub(super) fn base(&self) -> &str {
        self.url.path()
    }
}

/// What one connection revision can reach.
pub(super) struct Bound {
    pub upstreams: Vec<Arc<Upstream>>,
    /// Blob origins, each an upstream without a credential that is named by its origin. Guests can't name them.
    pub blobs: Vec<Arc<Upstream>>,
}

/// Everything that one connection revision is bound with.
pub(super) struct Binder<'a> {
    pub config: &'a Arc<EgressConfig>,
    pub grants: &'a [Grant],
    pub connection: &'a ConnectionSpec,
    pub component: &'a [u8; 32],
    pub budgets: &'a Budgets,
    pub metrics: &'a Metrics,
}

impl Binder<'_> {
    pub(super) fn bind(&self, meters: Meters, declarations: &[UpstreamDeclaration]) -> Result<Bound, Error> {
        self.check_names(declarations)?;
        let mut derived = Vec::new();
        let credentials: Vec<_> =
            declarations.iter().map(|declaration| self.credential(declaration, &mut derived)).collect::<Result<_, _>>()?;
        let redactor = Redactor::new(&self.connection.secrets, derived);
        let shared = Arc::new(Shared { config: Arc::clone(self.config), redactor, meters });
        let pairs = declarations.iter().zip(credentials);
        let upstreams = pairs.map(|(declaration, credential)| self.upstream(declaration, credential, &shared).map(Arc::new));
        Ok(Bound { upstreams: upstreams.collect::<Result<_, _>>()?, blobs: self.blobs(declarations, &shared)? })
    }

    fn blobs(&self, declarations: &[UpstreamDeclaration], shared: &Arc<Shared>) -> Result<Vec<Arc<Upstream>>, Error> {
        let mut blobs: Vec<Arc<Upstream>> = Vec::new();
        for declaration in declarations {
            for origin in &declaration.blob_origins {
                if !blobs.iter().any(|blob| blob.name == *origin) {
                    blobs.push(Arc::new(self.blob(declaration, origin, shared)?));
                }
            }
        }
        Ok(blobs)
    }

    /// Where it may be is decided by the grants of the upstream that it belongs to.
    fn blob(&self, declaration: &UpstreamDeclaration, origin: &str, shared: &Arc<Shared>) -> Result<Upstream, Error> {
        let asked = Asked { connection: self.connection, component: self.component, upstream: &declaration.name };
        let url = Base::parse(origin)?;
        let place = place(&url, asked.allowance(self.grants), false)?;
        let tls = tls::blob_config(&self.connection.tls)?;
        let target = Arc::new(Target::new(place, Some(tls), self.config.connect_timeout()));
        let gauges = Gauges::new(self.metrics, &self.connection.provider);
        Ok(Upstream {
            name: origin.to_owned(),
            url,
            client: client(&target, self.config, MAX_IDLE),
            fresh: client(&target, self.config, 0),
            target,
            credential: None,
            session: None,
            request_headers: headers::declared(&declaration.request_headers, None)?,
            limits: Limits::of_blobs(Whose::of(self.connection, origin), self.config, gauges),
            guard: None,
            shared: Arc::clone(shared),
        })
    }

    fn check_names(&self, declarations: &[UpstreamDeclaration]) -> Result<(), Error> {
        if declarations.len() > MAX_UPSTREAMS {
            let message = format!("the provider declares {} upstreams; {MAX_UPSTREAMS} are allowed", declarations.len());
            return Err(Error::new(Kind::Internal, message));
        }
        for (index, declaration) in declarations.iter().enumerate() {
            let name = &declaration.name;
            if crate::model::Slug::parse(name).is_err() || declarations[..index].iter().any(|other| other.name == *name) {
                let message = format!("the provider declares an upstream {name:?}; names are a-z, 0-9 and -, each used once");
                return Err(Error::new(Kind::Internal, message));
            }
            self.check_blob_origins(declaration)?;
        }
        Ok(())
    }

    fn check_blob_origins(&self, declaration: &UpstreamDeclaration) -> Result<(), Error> {
        let missing = declaration.blob_origins.iter().find(|origin| !self.config.blob_origins.contains(origin));
        let Some(origin) = missing else { return Ok(()) };
        let message = format!(
            "bulk bytes of the upstream {:?} are at {origin}, which isn't granted; to allow it, the operator adds to the \
             configuration:\n[egress]\nblob_origins = [\"{origin}\"]",
            declaration.name
        );
        Err(Error::new(Kind::Forbidden, message).with_code("grant_missing"))
    }

    fn upstream(
        &self,
        declaration: &UpstreamDeclaration,
        credential: Option<(HeaderName, HeaderValue)>,
        shared: &Arc<Shared>,
    ) -> Result<Upstream, Error> {
        let (url, target, guard) = self.target(declaration)?;
        if guard.is_some() && url.path() != "/" {
            let message = format!("the upstream {:?} is guarded, so its URL must not have a path", declaration.name);
            return Err(Error::new(Kind::InvalidInput, message));
        }
        let request_headers = headers::declared(&declaration.request_headers, credential.as_ref().map(|(name, _)| name))?;
        let target = Arc::new(target);
        let limits = self.budgets.of(self.connection, declaration, self.config, self.metrics);
        let (client, fresh) = (client(&target, self.config, MAX_IDLE), client(&target, self.config, 0));
        let way = || Way {
            client: client.clone(),
            fresh: fresh.clone(),
            target: Arc::clone(&target),
            limits: Arc::clone(&limits),
            shared: Arc::clone(shared),
        };
        Ok(Upstream {
            name: declaration.name.clone(),
            session: self.session(&declaration.auth, &url, way)?,
            url,
            client,
            fresh,
            target,
            credential,
            request_headers,
            limits,
            guard,
            shared: Arc::clone(shared),
        })
    }

    fn target(&self, declaration: &UpstreamDeclaration) -> Result<(Base, Target, Option<Guard>), Error> {
        let asked = Asked { connection: self.connection, component: self.component, upstream: &declaration.name };
        let connect_timeout = self.config.connect_timeout();
        match &declaration.endpoint {
            Endpoint::Socket(name) => {
                let (path, guard) = asked.socket(self.grants, name)?;
                let place = Place::Socket { name: name.clone(), path };
                Ok((Base::parse("http://localhost")?, Target::new(place, None, connect_timeout), guard))
            }
            Endpoint::Url(text) => {
                let named =
                    |error: Error| Error { message: format!("upstream {:?}: {}", declaration.name, error.message), ..error };
                let url = Base::parse(text).map_err(named)?;
                let allowance = asked.allowance(self.grants);
                let guard = allowance.guard;
                let tls = (url.scheme() == "https").then(|| self.tls()).transpose()?;
                let place = place(&url, allowance, tls.is_none()).map_err(named)?;
                Ok((url, Target::new(place, tls, connect_timeout), guard))
            }
        }
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, Error> {
        let trust: &TlsTrust = &self.connection.tls;
        tls::client_config(trust)
    }

    /// `derived`: what else to keep out of answers.
    fn credential(
        &self,
        declaration: &UpstreamDeclaration,
        derived: &mut Vec<String>,
    ) -> Result<Option<(HeaderName, HeaderValue)>, Error> {
        let (name, value, secret) = match &declaration.auth {
            // A session's proof comes and goes.
            Auth::None | Auth::Session(_) => return Ok(None),
            Auth::Bearer(secret) => (header::AUTHORIZATION, Zeroizing::new(format!("Bearer {}", self.secret(secret)?)), secret),
            Auth::ApiKey(secret) => (header::AUTHORIZATION, Zeroizing::new(format!("ApiKey {}", self.secret(secret)?)), secret),
            Auth::Header { name, secret } => {
                (headers::credential_name(name)?, Zeroizing::new(self.secret(secret)?.to_owned()), secret)
            }
            Auth::Basic { username, password } => {
                let (user, secret) = (self.secret(username)?, self.secret(password)?);
                if user.contains(':') {
                    return Err(Error::new(Kind::InvalidInput, format!("the secret {username} must not hold a colon")));
                }
                let pair = STANDARD.encode(Zeroizing::new(format!("{user}:{secret}")).as_bytes());
                derived.push(pair.clone());
                (header::AUTHORIZATION, Zeroizing::new(format!("Basic {pair}")), password)
            }
        };
        let mut value = HeaderValue::from_str(&value).map_err(|_| {
            Error::new(Kind::InvalidInput, format!("the secret {secret} has characters that can't stand in a header"))
        })?;
        value.set_sensitive(true);
        Ok(Some((name, value)))
    }

    fn session(&self, auth: &Auth, url: &Base, way: impl FnOnce() -> Way) -> Result<Option<Session>, Error> {
        let Auth::Session(auth) = auth else { return Ok(None) };
        let secret = |name: &str| self.secret(name).map(|secret| Zeroizing::new(secret.to_owned()));
        Ok(Some(Session::new(Door::new(auth, url, way(), secret)?)))
    }

    fn secret(&self, name: &str) -> Result<&str, Error> {
        let secret = self.connection.secrets.get(name).filter(|secret| !secret.is_empty());
        let missing = || {
            let message = format!("the connection's secret {name} is missing; set it in the connection's secrets");
            Error::new(Kind::Unauthenticated, message).with_field(format!("secrets.{name}"))
        };
        secret.map(|secret| secret.as_str()).ok_or_else(missing)
    }
}

fn place(url: &Base, allowance: super::grant::Allowance, plain: bool) -> Result<Place, Error> {
    let (Some(host), Some(port)) = (url.host(), url.port()) else {
        return Err(Error::new(Kind::InvalidInput, "the upstream's URL has no host"));
    };
    connector::check_literal(&host, &allowance, plain)?;
    Ok(Place::Host { host, port, allowance })
}

fn client(target: &Arc<Target>, config: &EgressConfig, idle: usize) -> HttpClient {
    let header_bytes = u32::try_from(config.response_header_bytes).unwrap_or(u32::MAX);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(idle)
        .http1_max_headers(config.response_headers)
        .http1_max_buf_size(config.response_header_bytes)
        .http2_max_header_list_size(header_bytes)
        .build(Connector(Arc::clone(target)))
}
