//! What an operation keeps sealed: its arguments, what the provider said at the end, and secrets that are shown once.
//!
//! In go values, out come sealed bytes, and back. Invariant: they are bound to their operation and organization, so a row that
//! is copied elsewhere doesn't open.

use crate::{
    model::{Completion, Error, Mutation, OperationId, OrganizationId, Secret},
    policy::Trail,
    seal::{Purpose, Sealer},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// What an operation was asked for, and on which request's trail its own requests are.
#[derive(Serialize, Deserialize)]
pub struct Order {
    pub mutation: Mutation,
    pub trail: Option<Trail>,
}

impl Order {
    /// Also one of a version that kept no trail.
    pub fn open(sealer: &Sealer, organization: OrganizationId, id: &OperationId, sealed: &[u8]) -> Result<Self, Error> {
        open(sealer, organization, id, sealed)
            .or_else(|_| open(sealer, organization, id, sealed).map(|mutation| Self { mutation, trail: None }))
    }
}

/// A completion as it is kept while its result is being read.
#[derive(Serialize, Deserialize)]
pub struct KeptCompletion {
    target: Option<String>,
    message: Option<String>,
    details: Option<Box<RawValue>>,
    secrets: Vec<Secret>,
}

impl From<Completion> for KeptCompletion {
    fn from(Completion { target, message, details, secrets }: Completion) -> Self {
        Self { target, message, details, secrets }
    }
}

impl From<KeptCompletion> for Completion {
    fn from(KeptCompletion { target, message, details, secrets }: KeptCompletion) -> Self {
        Self { target, message, details, secrets }
    }
}

fn facts(organization: OrganizationId, id: &OperationId) -> Vec<u8> {
    [organization.0.as_bytes(), id.as_str().as_bytes()].concat()
}

pub fn seal(sealer: &Sealer, organization: OrganizationId, id: &OperationId, value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let plain = serde_json::to_vec(value).map(Zeroizing::new);
    let plain = plain.map_err(|error| Error::gateway(format_args!("could not write what {id} keeps: {error}")))?;
    sealer.seal(Purpose::Operation, &facts(organization, id), &plain)
}

pub fn open<T: DeserializeOwned>(
    sealer: &Sealer,
    organization: OrganizationId,
    id: &OperationId,
    sealed: &[u8],
) -> Result<T, Error> {
    let plain = sealer.open(Purpose::Operation, &facts(organization, id), sealed);
    let plain = plain.ok_or_else(|| {
        Error::gateway(format_args!("what {id} keeps doesn't open: was the key of the data folder replaced? Put it back"))
    })?;
    serde_json::from_slice(&plain).map_err(|error| Error::gateway(format_args!("what {id} keeps is unreadable: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SiteCreate, SiteKind};
    use uuid::Uuid;

    #[test]
    fn arguments_come_back_byte_for_byte_and_for_their_operation_only() {
        let sealer = Sealer::new(&[1; 32]).unwrap();
        let (organization, id) = (OrganizationId(Uuid::new_v4()), OperationId::generate());
        let options = RawValue::from_string("{\"b\": 1,\"a\":[ 2 ]}".to_owned()).unwrap();
        let create = SiteCreate {
            name: "blog".to_owned(),
            kind: SiteKind::Plain,
            domain: None,
            environment: None,
            php_version: None,
            wordpress_version: None,
            locale: None,
            title: None,
            admin: None,
            region: None,
            template: None,
            options,
            labels: [("team".to_owned(), "web".to_owned())].into(),
        };
        let trail = Some(Trail { request_id: "r-1".into(), trace: None, caller: crate::policy::Caller::default() });
        let order = Order { mutation: Mutation::SitesCreate(create), trail };
        let sealed = seal(&sealer, organization, &id, &order).unwrap();
        let back = Order::open(&sealer, organization, &id, &sealed).unwrap();
        assert_eq!(&*back.trail.unwrap().request_id, "r-1");
        match back.mutation {
            Mutation::SitesCreate(back) => {
                assert_eq!((back.options.get(), back.labels["team"].as_str()), ("{\"b\": 1,\"a\":[ 2 ]}", "web"));
            }
            other => panic!("{other:?}"),
        }
        assert!(Order::open(&sealer, organization, &OperationId::generate(), &sealed).is_err());
        assert!(Order::open(&sealer, OrganizationId(Uuid::new_v4()), &id, &sealed).is_err());
        // As they were kept before there were trails.
        let bare = seal(&sealer, organization, &id, &order.mutation).unwrap();
        assert!(Order::open(&sealer, organization, &id, &bare).unwrap().trail.is_none());
    }
}
