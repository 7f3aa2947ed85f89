//! Which web pages of other origins may call the API (CORS).
//!
//! In goes the `[cors]` section; out comes whether an origin is on its list. Invariant: off by default; an origin is compared
//! whole and as browsers write it, and there is no wildcard, since pages of listed ones act with their visitor's session.

use serde::{Deserialize, Deserializer, Serialize, de};
use url::Url;

/// The `[cors]` section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorsConfig {
    /// `https://app.example.com`, with the port where it isn't the scheme's own.
    pub origins: Vec<Origin>,
}

/// Scheme, host and port, as browsers write them: without a path, and without the port that is the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Origin(String);

impl CorsConfig {
    pub const fn is_off(&self) -> bool {
        self.origins.is_empty()
    }

    /// `origin`: the value of a request's `Origin`.
    pub fn allows(&self, origin: &[u8]) -> bool {
        self.origins.iter().any(|listed| listed.0.as_bytes() == origin)
    }
}

impl Origin {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not an origin; write it as https://app.example.com");
        let url = Url::parse(text).map_err(|_| wrong())?;
        let origin = url.origin();
        // The parser takes a star for a name like any other.
        if !matches!(url.scheme(), "http" | "https") || !origin.is_tuple() || text.contains('*') {
            return Err(wrong());
        }
        let written = origin.ascii_serialization();
        if written != text {
            return Err(format!("{text:?} is not how browsers write an origin; write {written:?}"));
        }
        Ok(Self(written))
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_taken_as_browsers_write_them() {
        for good in ["https://app.example.com", "http://localhost:3000", "https://app.example.com:8443", "http://[::1]:3000"] {
            let cors = CorsConfig { origins: vec![Origin::parse(good).unwrap()] };
            assert!(cors.allows(good.as_bytes()), "{good}");
            for other in ["null", "*", "", &format!("{good}.evil.example"), &format!("{good}/"), &good.to_uppercase()] {
                assert!(!cors.allows(other.as_bytes()), "{other}");
            }
        }
        for bad in [
            "*",
            "null",
            "",
            "app.example.com",
            "https://*.example.com",
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://App.example.com",
            "https://app.example.com:443",
            "https://user@app.example.com",
            "ftp://app.example.com",
            "file:///x",
        ] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
        assert!(!CorsConfig::default().allows(b"null"));
    }
}
