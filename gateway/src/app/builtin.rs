//! The providers that the binary carries.
//!
//! Invariant: they are the components that `make components` built; a binary made without them says so at every start.

/// (name, component)
#[cfg(all(feature = "embed-providers", portico_components))]
pub const BUILTIN: &[(&str, &[u8])] = &[
    ("sandbox", include_bytes!(concat!(env!("COMPONENTS_OF_PORTICO"), "/sandbox.wasm"))),
    ("docker", include_bytes!(concat!(env!("COMPONENTS_OF_PORTICO"), "/docker.wasm"))),
    ("kinsta", include_bytes!(concat!(env!("COMPONENTS_OF_PORTICO"), "/kinsta.wasm"))),
    ("siteico", include_bytes!(concat!(env!("COMPONENTS_OF_PORTICO"), "/siteico.wasm"))),
    ("sitepod", include_bytes!(concat!(env!("COMPONENTS_OF_PORTICO"), "/sitepod.wasm"))),
    ("wispanel", include_bytes!(concat!(env!("COMPONENTS_OF_PORTICO"), "/wispanel.wasm"))),
    ("wpengine", include_bytes!(concat!(env!("COMPONENTS_OF_PORTICO"), "/wpengine.wasm"))),
];

#[cfg(not(all(feature = "embed-providers", portico_components)))]
pub const BUILTIN: &[(&str, &[u8])] = &[];
