//! Errors over the boundary, both ways.
//!
//! Invariant: a guest reads no more of a failure than a client may (never `internal`), and what a guest says is a sentence of
//! bounded length without control characters.

use super::sentence;
use crate::model::{Error, Kind};
use portico_bindings::portico::provider::types;

const MAX_MESSAGE: usize = 1000;
const MAX_FIELD: usize = 200;

pub(in crate::host) fn error_from_guest(error: types::Error) -> Error {
    use types::ErrorKind as Guest;
    let kind = match error.kind {
        Guest::InvalidInput => Kind::InvalidInput,
        Guest::NotFound => Kind::NotFound,
        Guest::Conflict => Kind::Conflict,
        Guest::Unauthenticated => Kind::Unauthenticated,
        Guest::Forbidden => Kind::Forbidden,
        Guest::RateLimited => Kind::RateLimited,
        Guest::QuotaExceeded => Kind::QuotaExceeded,
        Guest::Unsupported => Kind::Unsupported,
        Guest::Unavailable => Kind::Unavailable,
        Guest::Timeout => Kind::Timeout,
        Guest::Internal => Kind::Internal,
    };
    let mut converted = Error::new(kind, sentence(error.message, MAX_MESSAGE));
    converted.field = error.field.map(|field| sentence(field, MAX_FIELD));
    converted.upstream_status = error.upstream_status;
    converted.retry_after = error.retry_after;
    converted
}

pub(in crate::host) fn error_to_guest(error: &Error) -> types::Error {
    use types::ErrorKind as Guest;
    let kind = match error.kind {
        Kind::InvalidInput => Guest::InvalidInput,
        Kind::NotFound => Guest::NotFound,
        Kind::Conflict => Guest::Conflict,
        Kind::Unauthenticated => Guest::Unauthenticated,
        Kind::Forbidden => Guest::Forbidden,
        Kind::RateLimited => Guest::RateLimited,
        Kind::QuotaExceeded => Guest::QuotaExceeded,
        Kind::Unsupported => Guest::Unsupported,
        Kind::Unavailable | Kind::Overloaded | Kind::Gateway => Guest::Unavailable,
        Kind::Timeout => Guest::Timeout,
        Kind::Internal | Kind::Trapped => Guest::Internal,
    };
    types::Error {
        kind,
        message: error.message.clone(),
        field: error.field.clone(),
        upstream_status: error.upstream_status,
        retry_after: error.retry_after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_kinds_survive_the_way_to_a_guest_and_back() {
        let kinds = [
            Kind::InvalidInput,
            Kind::NotFound,
            Kind::Conflict,
            Kind::Unauthenticated,
            Kind::Forbidden,
            Kind::RateLimited,
            Kind::QuotaExceeded,
            Kind::Unsupported,
            Kind::Unavailable,
            Kind::Timeout,
            Kind::Internal,
        ];
        for kind in kinds {
            let error = Error::new(kind, "why").with_field("name").with_retry_after(3).with_internal("secret");
            let told = error_from_guest(error_to_guest(&error));
            assert_eq!((told.kind, told.field.as_deref(), told.retry_after), (kind, Some("name"), Some(3)));
            assert_eq!(told.internal, None);
        }
    }
}
