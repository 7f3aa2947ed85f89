//! The trait that every provider implements, and the one instance that answers calls.
//!
//! A component instance serves one connection: `configure` is its first call, and what that returns is kept here for the calls
//! that follow. Invariant: no resource call runs before `configure` succeeded.

pub use crate::wit::provider::{
    Auth, BasicAuth, Configuration, Description, Endpoint, HeaderAuth, Rate, Recovery, SecretDescription, SessionAuth,
    UpstreamDeclaration,
};
use crate::{Error, Work, error, host, json, wit};
use serde::de::DeserializeOwned;
use std::{any::Any, cell::Cell};

/// A hosting system, as one connection sees it. `self` may keep caches; whatever must survive a call belongs into the upstream
/// or into [`crate::state`].
pub trait Provider: Sized + 'static {
    /// The connection's settings; their JSON Schema is `settings_schema` of [`Provider::describe`]. A field that this type doesn't know is
    /// refused ([`json::strict`]).
    type Settings: DeserializeOwned;

    /// Static facts. It may call nothing but [`crate::log`].
    fn describe() -> Description;

    /// What a connection with these settings can do and needs, and the provider that answers its calls. The answer must depend
    /// on the settings alone; it may call nothing but [`crate::log`].
    fn configure(settings: Self::Settings) -> Result<(Self, Configuration), Error>;
}

impl Description {
    /// `settings_schema` is the text of a JSON Schema (2020-12) of an object with `additionalProperties: false`; best kept in a
    /// file of its own, for `include_str!`. "Schemas" in this crate's introduction has the bounds of what is taken.
    pub fn new(name: &str, title: &str, summary: &str, version: &str, settings_schema: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            summary: summary.to_owned(),
            version: version.to_owned(),
            documentation_url: None,
            settings_schema: settings_schema.into(),
            site_options_schema: None,
            secrets: Vec::new(),
        }
    }

    #[must_use]
    pub fn with_documentation(mut self, url: &str) -> Self {
        self.documentation_url = Some(url.to_owned());
        self
    }

    #[must_use]
    pub fn with_site_options(mut self, schema: impl Into<String>) -> Self {
        self.site_options_schema = Some(schema.into());
        self
    }

    /// `description` says where in the host's panel a customer finds it.
    #[must_use]
    pub fn with_secret(mut self, name: &str, title: &str, description: &str, required: bool) -> Self {
        self.secrets.push(SecretDescription {
            name: name.to_owned(),
            title: title.to_owned(),
            description: description.to_owned(),
            required,
        });
        self
    }
}

#[expect(clippy::derivable_impls, reason = "the type is generated")]
impl Default for Configuration {
    fn default() -> Self {
        Self { features: Vec::new(), upstreams: Vec::new(), recovery: Vec::new(), cache: Vec::new() }
    }
}

impl Configuration {
    pub fn new<S: Into<String>>(features: impl IntoIterator<Item = S>) -> Self {
        Self { features: features.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    #[must_use]
    pub fn with_upstream(mut self, upstream: UpstreamDeclaration) -> Self {
        self.upstreams.push(upstream);
        self
    }

    /// How these actions are recovered after a crash.
    #[must_use]
    pub fn with_recovery<S: Into<String>>(mut self, actions: impl IntoIterator<Item = S>, recovery: Recovery) -> Self {
        self.recovery.extend(actions.into_iter().map(|action| (action.into(), recovery)));
        self
    }

    /// For how many seconds an answer of this reading action may be served again.
    #[must_use]
    pub fn with_cache(mut self, action: impl Into<String>, seconds: u32) -> Self {
        self.cache.push((action.into(), seconds));
        self
    }
}

impl UpstreamDeclaration {
    pub fn url(name: &str, url: impl Into<String>, auth: Auth) -> Self {
        Self::at(name, Endpoint::Url(url.into()), auth)
    }

    /// A Unix socket that the operator granted under this name.
    pub fn socket(name: &str, socket: impl Into<String>) -> Self {
        Self::at(name, Endpoint::Socket(socket.into()), Auth::None)
    }

    fn at(name: &str, endpoint: Endpoint, auth: Auth) -> Self {
        let name = name.to_owned();
        Self { name, endpoint, auth, request_headers: Vec::new(), rate: None, concurrency: None, blob_origins: Vec::new() }
    }
}

thread_local! {
    static CURRENT: Cell<Option<&'static dyn Any>> = const { Cell::new(None) };
}

/// Runs a resource call on the configured provider.
pub(crate) fn with_current<P: Provider, T>(call: impl FnOnce(&P) -> Result<T, Error>) -> Result<T, Error> {
    call(current())
}

/// The host never calls an instance that it didn't configure.
fn current<P: Provider>() -> &'static P {
    match CURRENT.get().and_then(<dyn Any>::downcast_ref) {
        Some(provider) => provider,
        None => panic!("this instance was called before it was configured"),
    }
}

/// The same for a call that changes something; its result goes its own way.
#[inline(always)]
pub(crate) fn change<P: Provider>(call: impl FnOnce(&P) -> Result<Work, Error>) -> Result<Work, Error> {
    wit::work::put_aside(with_current(call))
}

impl<P: Provider> wit::provider::Guest for P {
    fn describe() -> Description {
        host::report_panics();
        P::describe()
    }

    fn configure(settings: String) -> Result<Configuration, Error> {
        host::report_panics();
        let settings = json::strict(&settings)
            .map_err(|error| error::invalid_input("settings", format!("the settings don't fit: {}", error.message)))?;
        let (provider, configuration) = P::configure(settings)?;
        // An instance is configured once, and its memory goes with it.
        CURRENT.set(Some(Box::leak(Box::new(provider))));
        Ok(configuration)
    }
}
