//! `/auth/me` to billing.
//!
//! Pure. Invariant: the package and the limits are told as the panel has them; prices and periods are none, as it has none.

use super::{native_of, text};
use portico_sdk::{
    Error,
    billing::{Subscription, Usage},
    error::internal,
};
use serde_json::Value;

pub fn subscription(me: &Value) -> Result<Subscription, Error> {
    Ok(Subscription {
        plan: text(me, &["package"]).ok_or_else(|| internal("WisPanel told an account without its package"))?,
        status: text(me, &["status"]).unwrap_or_else(|| "unknown".to_owned()),
        price: None,
        interval: None,
        renews_at: None,
        native: native_of(me),
    })
}

pub fn usage(installations: usize, me: &Value) -> Usage {
    Usage {
        sites: u64::try_from(installations).ok(),
        storage: None,
        bandwidth: None,
        visits: None,
        period_start: None,
        period_end: None,
        native: native_of(me),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_documents_account() {
        let me = json!({"username": "admin", "role": "admin", "status": "active", "creator": "", "package": "default",
            "max_domains": -1, "max_databases": -1});
        let told = subscription(&me).unwrap();
        assert_eq!((told.plan.as_str(), told.status.as_str(), told.price), ("default", "active", None));
        assert_eq!(serde_json::from_str::<Value>(&told.native.unwrap()).unwrap(), me);
        assert_eq!((usage(3, &me).sites, usage(3, &me).storage), (Some(3), None));
        assert!(subscription(&json!({"username": "admin"})).is_err());
    }
}
