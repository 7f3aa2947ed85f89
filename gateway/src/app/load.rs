//! Loads the providers: those in the binary, and those in `providers.dir`.
//!
//! Invariant: a built-in provider that doesn't load ends the start; one from the folder that doesn't is left out with a log
//! line that says why, and never takes the place of a built-in one.

use super::builtin::BUILTIN;
use crate::{
    config::Config,
    dispatch::Providers,
    host::{Host, Provider},
};
use anyhow::Context as _;
use std::{path::Path, sync::Arc};

pub async fn providers(host: &Arc<Host>, into: &Providers, config: &Config) -> anyhow::Result<()> {
    if BUILTIN.is_empty() {
        tracing::warn!("this binary was built without providers: run `make components` and build again");
    }
    for (name, bytes) in BUILTIN {
        let provider = host.load(name, bytes).await;
        into.insert(provider.with_context(|| format!("the built-in provider {name} doesn't load"))?);
    }
    match &config.providers.dir {
        Some(folder) => load_folder(host, into, folder).await,
        None => Ok(()),
    }
}

async fn load_folder(host: &Arc<Host>, into: &Providers, folder: &Path) -> anyhow::Result<()> {
    for (file, loaded) in host.load_folder(folder).await.context("providers.dir")? {
        let taken = loaded.map_err(anyhow::Error::from).and_then(|provider| take(into, provider));
        match taken {
            Ok(name) => tracing::info!(provider = name, file = %file.display(), "loaded a component"),
            Err(error) => tracing::error!(file = %file.display(), error = format!("{error:#}"), "a component was left out"),
        }
    }
    Ok(())
}

fn take(into: &Providers, provider: Arc<Provider>) -> anyhow::Result<String> {
    let name = provider.description().name.clone();
    anyhow::ensure!(into.get(&name).is_err(), "there is a provider {name} already: components need names of their own");
    into.insert(provider);
    Ok(name)
}
