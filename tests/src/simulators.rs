//! Stateful stand-ins for hosting systems, one for each vendor, on loopback.
//!
//! In go requests as the vendor's documents have them, out come the documented answers and, where a test injects them, faults.
//! Invariant: what a simulator does that no document of its vendor says is marked there as our assumption; whether a request
//! is right is decided by the vendor's own specification (`whole/prism.rs`), never by these.

pub mod kinsta;
mod server;
mod siteico;
mod sitepod;
pub mod wispanel;
pub mod wpengine;

pub use kinsta::Kinsta;
pub use server::{Fault, Request, Simulator, World};
pub use siteico::SiteIco;
pub use sitepod::{Dialect, SitePod};
pub use wispanel::WisPanel;
pub use wpengine::{LiveWpEngine, SeedWpEngine};
