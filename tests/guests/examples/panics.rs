//! A guest that panics when it is asked who it is, with words that no client may read.

use portico_guests::Settings;
use portico_sdk::{Configuration, Description, Error, Provider};

struct Panics;

impl Provider for Panics {
    type Settings = Settings;

    #[expect(clippy::panic, reason = "it is what this guest is for")]
    fn describe() -> Description {
        panic!("describe panicked: hunter2");
    }

    fn configure(_: Settings) -> Result<(Self, Configuration), Error> {
        Ok((Self, Configuration::default()))
    }
}

portico_sdk::provider!(Panics);
