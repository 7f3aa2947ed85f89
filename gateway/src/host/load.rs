//! Loading: from a component's bytes to a provider that was checked and described.
//!
//! In go bytes; out comes a [`Provider`] or an error that says what is wrong with the component. Invariant: nothing of a
//! component runs before its imports and exports were checked, and `describe` runs in an instance that is thrown away.

use super::{
    artifact::Artifacts,
    check::{self, Exported, Interfaces},
    compile::{self, Compile},
    convert,
    data::{Data, Owner},
    engine::{DESCRIBE_CPU_MS, DESCRIBE_WALL, Layout},
    imports,
    instance::{Allowance, Exports, Instance, Linked},
    limits::{Limits, ticks},
    meter::Meter,
    schema::Schema,
    trap::Reason,
};
use crate::{
    metrics::Metrics,
    model::{Description, Error, Kind, Secrets},
};
use portico_bindings::exports::portico::provider as guest;
use ring::digest::{SHA256, digest};
use std::{fmt, sync::Arc};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use wasmtime::{
    Engine,
    component::{Component, InstancePre, Linker},
};

/// Components that are described at the same time; the pool has as many slots beyond those of connections.
pub(super) const DESCRIBING: u32 = 2;

/// A loaded component that was checked and described.
pub struct Provider {
    pub(super) name: Arc<str>,
    pub(super) linked: Arc<Linked>,
    pub(super) exported: Exported,
    pub(super) meter: Arc<Meter>,
    interfaces: Interfaces,
    description: Description,
    hash: [u8; 32],
    settings: Schema,
    options: Option<Schema>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("name", &self.name).field("version", &self.description.version).finish_non_exhaustive()
    }
}

impl Provider {
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// SHA-256 of the component's bytes.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    pub fn interfaces(&self) -> &Interfaces {
        &self.interfaces
    }

    /// Checks a connection's settings against the provider's schema; the error's field is `settings.…`.
    pub fn check_settings(&self, settings: &serde_json::Value) -> Result<(), Error> {
        self.settings.conforms(settings, "settings")
    }

    /// Checks `options` of sites.create or sites.clone; the error's field is `options.…`.
    pub fn check_site_options(&self, options: &serde_json::Value) -> Result<(), Error> {
        match &self.options {
            Some(schema) => schema.conforms(options, "options"),
            None if options.as_object().is_some_and(serde_json::Map::is_empty) => Ok(()),
            None => {
                let text = format!("the provider {} takes no options; leave them out", self.name);
                Err(Error::new(Kind::InvalidInput, text).with_field("options"))
            }
        }
    }
}

/// Whether somebody vouches for a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// It came with the gateway.
    Ours,
    /// It was put into a folder.
    Nobodys,
}

pub(super) struct Loader {
    pub(super) engine: Engine,
    pub(super) layout: Layout,
    pub(super) limits: Arc<Limits>,
    pub(super) compile: Compile,
    /// None: compiled code isn't kept.
    pub(super) artifacts: Option<Arc<Artifacts>>,
    pub(super) metrics: Arc<Metrics>,
    linker: Linker<Data>,
    describing: Arc<Semaphore>,
}

impl Loader {
    pub(super) fn new(
        engine: Engine,
        layout: Layout,
        limits: Arc<Limits>,
        compile: Compile,
        artifacts: Option<Arc<Artifacts>>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Error> {
        let mut linker = Linker::new(&engine);
        imports::link(&mut linker)
            .map_err(|error| Error::gateway(format_args!("the imports could not be linked: {error:#}")))?;
        let describing = Arc::new(Semaphore::new(DESCRIBING as usize));
        Ok(Self { engine, layout, limits, compile, artifacts, metrics, linker, describing })
    }

    pub(super) async fn load(&self, name: &str, bytes: &[u8], trust: Trust) -> Result<Arc<Provider>, Error> {
        let named = |mut error: Error| {
            error.message = format!("{name}: {}", error.message);
            error
        };
        self.load_nameless(bytes, trust).await.map(Arc::new).map_err(named)
    }

    async fn load_nameless(&self, bytes: &[u8], trust: Trust) -> Result<Provider, Error> {
        let (component, hash) = self.component(bytes, trust).await?;
        let interfaces = check::interfaces(&self.engine, &component.component_type());
        let exported = check::check(&interfaces)?;
        let pre =
            self.linker.instantiate_pre(&component).map_err(|error| unusable(format!("an import doesn't fit: {error:#}")))?;
        let exports = exports(&pre, exported)?;
        let linked = Arc::new(Linked { pre, exports });
        let description = self.describe(&linked).await?;
        let settings = schema("settings-schema", &description.settings_schema)?;
        let options = description.site_options_schema.as_ref().map(|text| schema("site-options-schema", text)).transpose()?;
        let meter = Arc::new(Meter::new(self.metrics.clone(), &description.name));
        let name = description.name.as_str().into();
        Ok(Provider { name, linked, exported, meter, interfaces, description, hash, settings, options })
    }

    /// From the cache, or compiled.
    async fn component(&self, bytes: &[u8], trust: Trust) -> Result<(Component, [u8; 32]), Error> {
        if bytes.len() as u64 > self.limits.component_bytes {
            let most = self.limits.component_bytes;
            return Err(unusable(format!("it has {} bytes, and limits.component_bytes is {most}", bytes.len())));
        }
        if bytes.get(4..8) == Some(&[1, 0, 0, 0]) && bytes.starts_with(b"\0asm") {
            return Err(unusable("it is a core module, not a component; make one of it with: portico provider build".into()));
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
        if let Some(component) = self.cached(hash).await? {
            return Ok((component, hash));
        }
        let code = match (&self.compile, trust) {
            (Compile::Child(binary), Trust::Nobodys) => compile::in_child(binary, self.layout, &self.limits, bytes).await?,
            _ => {
                let (engine, bytes) = (self.engine.clone(), bytes.to_vec());
                blocking(move || compile::in_process(&engine, &bytes)).await??
            }
        };
        let (engine, artifacts) = (self.engine.clone(), self.artifacts.clone());
        let component = blocking(move || {
            if let Some(artifacts) = artifacts {
                artifacts.write(&hash, &code);
            }
            compiled(&engine, &code)
        });
        let component = component.await?.map_err(|error| unusable(format!("its code could not be loaded: {error:#}")))?;
        Ok((component, hash))
    }

    async fn cached(&self, hash: [u8; 32]) -> Result<Option<Component>, Error> {
        let Some(artifacts) = self.artifacts.clone() else { return Ok(None) };
        let engine = self.engine.clone();
        blocking(move || {
            let code = artifacts.read(&hash)?;
            let loaded = compiled(&engine, &code);
            loaded
                .inspect_err(|error| tracing::warn!("a compiled component doesn't fit, and is compiled again: {error:#}"))
                .ok()
        })
        .await
    }

    /// Runs `describe`, and looks every exported function up, so that an ill-typed one is found now.
    async fn describe(&self, linked: &Arc<Linked>) -> Result<Description, Error> {
        let slot = self.describing.clone().acquire_owned().await.map_err(|_| Error::gateway("the host is closed"))?;
        let owner = Owner { provider: "-".into(), connection: None, secrets: Secrets::default(), meter: None };
        let cpu_ticks = ticks(DESCRIBE_CPU_MS);
        let allowance = Allowance { limits: self.limits.clone(), cpu_ticks, computing: Arc::new(Semaphore::new(1)), slot };
        let work = async {
            let mut instance = Instance::new(linked.clone(), owner, allowance)
                .await
                .map_err(|error| unusable(format!("it could not be started: {error:#}")))?;
            instance.check_types()?;
            let guest = instance.provider()?;
            let description = guest.call_describe(&mut instance.store).await;
            description.map_err(|error| {
                let data = instance.store.data();
                let reason = Reason::of(&error, data.memory.denied).as_str();
                let words = data.last_words.as_deref().map_or_else(String::new, |words| format!("; it said: {words}"));
                unusable(format!("describe failed ({reason}): {}{words}", error.root_cause()))
            })
        };
        let described = timeout(DESCRIBE_WALL, work).await;
        let seconds = DESCRIBE_WALL.as_secs();
        convert::description(described.map_err(|_| unusable(format!("describe took more than {seconds} seconds")))??)
    }
}

/// Loads code that this process compiled, had compiled, or sealed.
fn compiled(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    #[expect(unsafe_code, reason = "deserialize trusts its bytes")]
    // SAFETY: the bytes came from our own compiler (in this process, or our own binary as a child) in this very call, or from
    // an entry whose HMAC proves that a gateway with our key wrote it. They are in our memory: no file changes under us.
    unsafe {
        Component::deserialize(engine, code)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::gateway(format_args!("loading ended early: {error}")))
}

fn exports(pre: &InstancePre<Data>, exported: Exported) -> Result<Exports, Error> {
    fn found<T>(exported: bool, find: impl FnOnce() -> wasmtime::Result<T>) -> Result<Option<T>, Error> {
        let found = exported.then(find).transpose();
        found.map_err(|error| unusable(format!("an export doesn't fit: {error:#}")))
    }
    let provider = guest::provider::GuestIndices::new(pre);
    Ok(Exports {
        provider: provider.map_err(|error| unusable(format!("an export doesn't fit: {error:#}")))?,
        operations: found(exported.operations, || guest::operations::GuestIndices::new(pre))?,
        sites: found(exported.sites, || guest::sites::GuestIndices::new(pre))?,
        backups: found(exported.backups, || guest::backups::GuestIndices::new(pre))?,
        domains: found(exported.domains, || guest::domains::GuestIndices::new(pre))?,
        environments: found(exported.environments, || guest::environments::GuestIndices::new(pre))?,
        deployments: found(exported.deployments, || guest::deployments::GuestIndices::new(pre))?,
        wordpress: found(exported.wordpress, || guest::wordpress::GuestIndices::new(pre))?,
        billing: found(exported.billing, || guest::billing::GuestIndices::new(pre))?,
    })
}

fn schema(what: &str, text: &serde_json::Value) -> Result<Schema, Error> {
    Schema::new(text).map_err(|why| unusable(format!("its {what} {why}")))
}

fn unusable(why: String) -> Error {
    Error::new(Kind::InvalidInput, format!("the component can't be used: {why}"))
}

/// When a call that began now must have ended.
pub(super) fn latest(limits: &Limits, deadline: Instant) -> Instant {
    deadline.min(Instant::now() + limits.wall())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Each of twenty refers to the next one twice, so that a value would be looked at a million times.
    #[test]
    fn a_component_whose_schema_explodes_can_not_be_used() {
        let link = |n: usize| {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            (format!("d{n}"), json!({"allOf": [next, next]}))
        };
        let mut defs: serde_json::Map<String, serde_json::Value> = (0..20).map(link).collect();
        defs.insert("d20".to_owned(), json!({"type": "object"}));
        let error = schema("settings-schema", &json!({"$defs": defs, "$ref": "#/$defs/d0"})).err().unwrap();
        assert_eq!(error.kind, Kind::InvalidInput);
        assert!(error.message.starts_with("the component can't be used: its settings-schema takes more than"), "{error}");
        schema("settings-schema", &json!({"type": "object"})).unwrap().conforms(&json!({}), "settings").unwrap();
    }
}
