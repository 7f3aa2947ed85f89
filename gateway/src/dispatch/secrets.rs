//! Secrets of connections: sealed in the record, opened for egress only.
//!
//! Invariant: a secret is bound to its organization and connection, to every upstream that uses it (name, address, auth
//! scheme), and to whom TLS trusts there. When one of these changes, by new settings or a component update, it no longer
//! opens and must be given again: it can't follow a changed address.

use crate::{
    clock,
    model::{Auth, Configuration, Endpoint, Error, Kind, Secrets, UpstreamDeclaration},
    seal::{Purpose, Sealer},
    store::{ConnectionRecord, SealedSecret},
};

pub fn seal(
    sealer: &Sealer,
    record: &ConnectionRecord,
    configuration: &Configuration,
    name: &str,
    value: &str,
) -> Result<SealedSecret, Error> {
    let facts = facts(record, configuration, name);
    Ok(SealedSecret { sealed: sealer.seal(Purpose::Secret, &facts, value.as_bytes())?, updated_at: clock::now() })
}

pub fn open(sealer: &Sealer, record: &ConnectionRecord, configuration: &Configuration) -> Result<Secrets, Error> {
    let open_one = |(name, secret): (&String, &SealedSecret)| {
        let plain = sealer.open(Purpose::Secret, &facts(record, configuration, name), &secret.sealed);
        // The bytes become the text without a copy, which nobody would overwrite.
        let text = plain.and_then(|mut bytes| String::from_utf8(std::mem::take(&mut *bytes)).ok());
        Ok((name.clone(), text.ok_or_else(|| must_be_given_again(name))?))
    };
    record.secrets.iter().map(open_one).collect()
}

/// Seals anew what isn't sealed as it would be today. What doesn't open stays as it is, for [`open`] to name.
pub fn renew(sealer: &Sealer, record: &mut ConnectionRecord, configuration: &Configuration) -> Result<(), Error> {
    let stale: Vec<String> =
        record.secrets.iter().filter(|(_, secret)| !sealer.is_current(&secret.sealed)).map(|(name, _)| name.clone()).collect();
    for name in stale {
        let facts = facts(record, configuration, &name);
        let Some(secret) = record.secrets.get_mut(&name) else { continue };
        if let Some(plain) = sealer.open(Purpose::Secret, &facts, &secret.sealed) {
            secret.sealed = sealer.seal(Purpose::Secret, &facts, &plain)?;
        }
    }
    Ok(())
}

fn must_be_given_again(name: &str) -> Error {
    let message = format!(
        "the secret {name} must be given again (PATCH the connection's secrets): it was sealed for another address, auth scheme, \
         TLS trust or key"
    );
    Error::new(Kind::Unauthenticated, message).with_code("secret_unbound").with_field(format!("secrets.{name}"))
}

fn facts(record: &ConnectionRecord, configuration: &Configuration, name: &str) -> Vec<u8> {
    let users: Vec<_> = configuration.upstreams.iter().filter(|one| uses(&one.auth, name)).map(describe).collect();
    let facts = serde_json::json!([record.organization, record.id, record.provider, name, users, record.tls]);
    facts.to_string().into_bytes()
}

fn uses(auth: &Auth, secret: &str) -> bool {
    match auth {
        Auth::None => false,
        Auth::Bearer(name) | Auth::ApiKey(name) | Auth::Header { secret: name, .. } => name == secret,
        Auth::Basic { username, password } => username == secret || password == secret,
        Auth::Session(session) => session.fields.iter().any(|(_, name)| name == secret),
    }
}

fn describe(upstream: &UpstreamDeclaration) -> [String; 3] {
    let endpoint = match &upstream.endpoint {
        Endpoint::Url(url) => format!("url {url}"),
        Endpoint::Socket(name) => format!("socket {name}"),
    };
    [upstream.name.clone(), endpoint, format!("{:?}", upstream.auth)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConnectionId, Features, OrganizationId, Slug, TlsTrust};

    fn record() -> ConnectionRecord {
        ConnectionRecord {
            id: ConnectionId(uuid::Uuid::from_u128(1)),
            organization: OrganizationId(uuid::Uuid::from_u128(2)),
            slug: Slug::parse("a").unwrap(),
            provider: "kinsta".to_owned(),
            name: "A".to_owned(),
            settings: serde_json::json!({}),
            tls: TlsTrust::default(),
            secrets: Default::default(),
            revision: 1,
            created_at: clock::now(),
            updated_at: clock::now(),
        }
    }

    fn configuration(url: &str, auth: Auth) -> Configuration {
        let upstream = UpstreamDeclaration {
            name: "api".to_owned(),
            endpoint: Endpoint::Url(url.to_owned()),
            auth,
            request_headers: Vec::new(),
            rate: None,
            concurrency: None,
            blob_origins: Vec::new(),
        };
        Configuration {
            features: Features::default(),
            upstreams: vec![upstream],
            recovery: Default::default(),
            cache: Default::default(),
        }
    }

    #[test]
    fn a_secret_does_not_follow_a_changed_address_scheme_or_trust() {
        let sealer = Sealer::new(&[1; 32]).unwrap();
        let bearer = || Auth::Bearer("key".to_owned());
        let sealed_for = configuration("https://api.example.com", bearer());
        let mut record = record();
        let secret = seal(&sealer, &record, &sealed_for, "key", "s3cret").unwrap();
        record.secrets.insert("key".to_owned(), secret);
        let opened = open(&sealer, &record, &sealed_for).unwrap();
        assert_eq!(opened.get("key").map(|value| value.as_str()), Some("s3cret"));

        let refused = |record: &ConnectionRecord, configuration: &Configuration| {
            let error = open(&sealer, record, configuration).unwrap_err();
            assert_eq!((error.code(), error.message.contains("s3cret")), ("secret_unbound", false));
        };
        refused(&record, &configuration("https://evil.example.com", bearer()));
        refused(&record, &configuration("https://api.example.com", Auth::ApiKey("key".to_owned())));
        record.tls.fingerprint = Some("00".repeat(32));
        refused(&record, &sealed_for);
    }

    type Change = fn(&mut ConnectionRecord, &mut Configuration);

    /// Each changes one fact and nothing else.
    const BOUND: [(&str, Change); 11] = [
        ("organization", |record, _| record.organization = OrganizationId(uuid::Uuid::from_u128(3))),
        ("connection", |record, _| record.id = ConnectionId(uuid::Uuid::from_u128(3))),
        ("provider", |record, _| record.provider = "other".to_owned()),
        ("authority", |record, _| record.tls.ca = Some("PEM".to_owned())),
        ("pin", |record, _| record.tls.fingerprint = Some("00".repeat(32))),
        ("upstream's name", |_, configuration| configuration.upstreams[0].name = "other".to_owned()),
        ("URL", |_, configuration| {
            configuration.upstreams[0].endpoint = Endpoint::Url("https://api.example.com/v2".to_owned());
        }),
        ("kind of address", |_, configuration| {
            configuration.upstreams[0].endpoint = Endpoint::Socket("https://api.example.com".to_owned());
        }),
        ("auth scheme", |_, configuration| {
            configuration.upstreams[0].auth = Auth::Header { name: "x-key".to_owned(), secret: "key".to_owned() };
        }),
        ("upstream beside it that uses the secret", |_, more| {
            more.upstreams.extend(configuration("https://cdn.example.com", Auth::Bearer("key".to_owned())).upstreams);
        }),
        // The scheme uses both names, so nothing else differs.
        ("secret's name", |record, _| {
            let secret = record.secrets.remove("key").unwrap();
            record.secrets.insert("user".to_owned(), secret);
        }),
    ];

    /// Each changes what is no fact.
    const FREE: [(&str, Change); 6] = [
        ("nothing", |_, _| {}),
        ("the connection's name", |record, _| record.name = "B".to_owned()),
        ("its slug", |record, _| record.slug = Slug::parse("b").unwrap()),
        ("settings", |record, _| record.settings = serde_json::json!({"plan": "large"})),
        ("the revision", |record, _| record.revision = 2),
        ("an upstream without the secret", |_, more| {
            more.upstreams.extend(configuration("https://cdn.example.com", Auth::None).upstreams);
        }),
    ];

    #[test]
    fn a_secret_is_bound_to_each_fact_alone_and_to_nothing_else() {
        let sealer = Sealer::new(&[1; 32]).unwrap();
        let auth = Auth::Basic { username: "user".to_owned(), password: "key".to_owned() };
        let sealed_for = configuration("https://api.example.com", auth);
        let mut sealed_in = record();
        let secret = seal(&sealer, &sealed_in, &sealed_for, "key", "s3cret").unwrap();
        sealed_in.secrets.insert("key".to_owned(), secret);
        let opens_after = |change: Change| {
            let (mut record, mut configuration) = (sealed_in.clone(), sealed_for.clone());
            change(&mut record, &mut configuration);
            open(&sealer, &record, &configuration).map_err(|error| error.code().to_owned())
        };
        for (what, change) in BOUND {
            assert_eq!(opens_after(change).unwrap_err(), "secret_unbound", "with another {what}");
        }
        for (what, change) in FREE {
            let opened = opens_after(change).unwrap();
            assert_eq!(opened.get("key").map(|value| value.as_str()), Some("s3cret"), "after a change of {what}");
        }
    }

    #[test]
    fn a_secret_moves_to_the_new_key_and_stays_bound() {
        let keys = [2, 1].map(|byte| crate::seal::MasterKey::from_bytes(&[byte; 32]));
        let (old, both, new) =
            (Sealer::new(&[1; 32]).unwrap(), Sealer::with_ring(&keys).unwrap(), Sealer::new(&[2; 32]).unwrap());
        let here = configuration("https://api.example.com", Auth::Bearer("key".to_owned()));
        let there = configuration("https://evil.example.com", Auth::Bearer("key".to_owned()));
        let mut record = record();
        record.secrets.insert("key".to_owned(), seal(&old, &record, &here, "key", "s3cret").unwrap());
        renew(&both, &mut record, &there).unwrap();
        assert!(!both.is_current(&record.secrets["key"].sealed), "sealed anew for another address");
        renew(&both, &mut record, &here).unwrap();
        assert_eq!(open(&new, &record, &here).unwrap().get("key").map(|value| value.as_str()), Some("s3cret"));
        assert_eq!(open(&new, &record, &there).unwrap_err().code(), "secret_unbound");
    }
}
