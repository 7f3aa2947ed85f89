//! Lines for the operator's log: at most 4 KiB each and 100 a call; Portico cuts and counts what is more.
//!
//! Invariant: nothing is added to a line; never log what may be secret.

use crate::host;
pub use crate::host::Level;

pub fn debug(message: &str) {
    host::write_log(Level::Debug, message);
}

pub fn info(message: &str) {
    host::write_log(Level::Info, message);
}

pub fn warn(message: &str) {
    host::write_log(Level::Warn, message);
}

pub fn error(message: &str) {
    host::write_log(Level::Error, message);
}
