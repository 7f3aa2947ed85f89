//! A rate as it stands in the configuration: `600/min`, or `off`.
//!
//! In goes a text, out comes a quota and its window. Invariant: what is written is what was read, and a text that isn't a rate
//! is refused with the grammar.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, num::NonZeroU32, str::FromStr};

const GRAMMAR: &str = "a rate as N/s, N/min or N/h (such as 600/min, N from 1 to 1000000000), or off";
/// One request each nanosecond: the resolution of the clock.
const MOST: u32 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    Off,
    Of(Quota),
}

/// So many requests in this window; all of them may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub requests: NonZeroU32,
    pub window: Window,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    Second,
    Minute,
    Hour,
}

impl Window {
    pub const fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
        }
    }
}

impl Rate {
    /// For defaults; 0 is off.
    pub const fn new(requests: u32, window: Window) -> Self {
        match NonZeroU32::new(requests) {
            Some(requests) => Self::Of(Quota { requests, window }),
            None => Self::Off,
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let parse = || {
            let (requests, unit) = text.split_once('/')?;
            // `parse` would take a sign.
            let digits = requests.bytes().all(|byte| byte.is_ascii_digit());
            let requests = requests.parse().ok().filter(|requests| digits && (1..=MOST).contains(requests))?;
            let window = [Window::Second, Window::Minute, Window::Hour].into_iter().find(|window| window.unit() == unit)?;
            Some(Self::new(requests, window))
        };
        parse().ok_or_else(|| format!("{text:?} is not {GRAMMAR}"))
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.requests, self.window.unit())
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::Of(quota) => serializer.collect_str(quota),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Rate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(GRAMMAR)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rates_and_writes_them_again() {
        for text in ["600/min", "1/s", "1000000000/h", "off"] {
            let rate: Rate = serde_json::from_value(text.into()).unwrap();
            assert_eq!(serde_json::to_value(rate).unwrap(), text);
        }
        assert_eq!("10/min".parse(), Ok(Rate::new(10, Window::Minute)));
    }

    #[test]
    fn a_bad_rate_is_refused_with_the_grammar() {
        for bad in
            ["", "600", "0/s", "600/m", "+6/s", "-1/s", "600/min ", "Off", "1.5/s", "1000000001/s", "99999999999/s", "/s"]
        {
            let text = serde_json::from_value::<Rate>(bad.into()).unwrap_err().to_string();
            assert!(text.contains("600/min") && text.contains("off"), "{bad:?}: {text}");
        }
        let text = serde_json::from_value::<Rate>(5.into()).unwrap_err().to_string();
        assert!(text.contains("600/min"), "{text}");
    }
}
