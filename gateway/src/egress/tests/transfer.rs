//! Bulk transfers: blob origins, guarded upstreams, and what never leaves.

use super::{server::ok, *};
use crate::model::{Transfer, TransferPlace};
use http_body_util::{BodyExt as _, Full};

const BLOB: &[u8] = b"the bytes of a blob";

fn expected() -> Expected {
    Expected { size: BLOB.len() as u64, blake3: blake3::hash(BLOB).into(), sha256: None }
}

fn transfer(place: TransferPlace, method: &str) -> Transfer {
    Transfer { place, method: method.to_owned(), headers: Vec::new(), size: None, file_name: None }
}

fn below(path: &[&str]) -> TransferPlace {
    let path = path.iter().map(|segment| (*segment).to_owned()).collect();
    TransferPlace::Upstream { name: "api".to_owned(), path, query: Vec::new() }
}

/// A connection with a secret and a pin for its own upstream, and a blob origin under a private authority.
fn with_origin(origin: &str, ca: String) -> Arc<Upstreams> {
    let tls = TlsTrust { ca: Some(ca), fingerprint: Some("a".repeat(64)) };
    let connection = ConnectionSpec { tls, ..connection(&[("key", "a-long-secret")]) };
    let declaration = UpstreamDeclaration {
        auth: Auth::Bearer("key".to_owned()),
        blob_origins: vec![origin.to_owned()],
        ..upstream("https://api.example")
    };
    let config = EgressConfig { blob_origins: vec![origin.to_owned()], ..EgressConfig::default() };
    egress(config, &[LOOPBACK]).bind(&connection, &COMPONENT, &[declaration]).unwrap()
}

#[tokio::test]
async fn a_blob_origin_gets_no_credential_and_is_no_upstream_of_the_guest() {
    let authority = trust::Authority::new();
    let (tls, _) = authority.server("127.0.0.1", false);
    let server = Server::https(tls, |_| ok(BLOB)).await;
    let origin = format!("https://127.0.0.1:{}", server.port);
    let upstreams = with_origin(&origin, authority.pem());
    let place = |url: String| TransferPlace::Blob(url);
    let url = format!("{origin}/bucket/x%20y?X-Signature=a%2Bb");
    let download = upstreams.download(&transfer(place(url.clone()), "GET")).await.unwrap();
    assert_eq!(download.body.collect().await.unwrap().to_bytes(), BLOB);
    upstreams.upload(&transfer(place(url), "PUT"), expected(), Full::new(Bytes::from(BLOB))).await.unwrap();
    for (parts, _) in server.seen() {
        assert_eq!(parts.uri.path_and_query().unwrap(), "/bucket/x%20y?X-Signature=a%2Bb");
        assert!(!parts.headers.contains_key("authorization"), "{parts:?}");
    }
    assert_eq!(server.seen().len(), 2);
    assert_eq!(server.seen()[1].1, BLOB);
    let named = Request { upstream: origin.clone(), ..get(&["x"]) };
    assert!(upstreams.send(named, &reading()).await.is_err(), "a guest may not name it");
    for url in [
        format!("https://127.0.0.1:{}/x", server.port ^ 1),
        format!("http://127.0.0.1:{}/x", server.port),
        format!("https://user@127.0.0.1:{}/x", server.port),
        "https://127.0.0.1.evil.example/x".to_owned(),
        "file:///etc/passwd".to_owned(),
        "/x".to_owned(),
    ] {
        assert!(upstreams.download(&transfer(place(url.clone()), "GET")).await.is_err(), "{url}");
    }
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn rules_for_guests_hold_for_transfers_too() {
    let server = Server::http(|_| ok("")).await;
    let upstreams = bound(upstream(&format!("{}/v2", server.url())));
    for (place, header) in [
        (below(&["..", "admin"]), None),
        (below(&["a/b"]), None),
        (TransferPlace::Upstream { name: "other".into(), path: Vec::new(), query: Vec::new() }, None),
        (below(&["x"]), Some("authorization")),
        (below(&["x"]), Some("content-length")),
        (below(&["x"]), Some("x-undeclared")),
    ] {
        let mut transfer = transfer(place, "PUT");
        transfer.headers = header.map(|name| (name.to_owned(), "1".to_owned())).into_iter().collect();
        let sent = upstreams.upload(&transfer, expected(), Full::new(Bytes::from(BLOB))).await;
        assert!(matches!(sent, Err(UploadError::Upstream(_))), "{transfer:?}");
    }
    assert_eq!(server.seen().len(), 0);
    upstreams.upload(&transfer(below(&["x"]), "PUT"), expected(), Full::new(Bytes::from(BLOB))).await.unwrap();
    let (parts, body) = server.seen().remove(0);
    assert_eq!((parts.uri.path(), &body[..]), ("/v2/x", BLOB));
}

/// The Engine reads bodies where none is expected, so a streamed one passes only where any bytes do.
#[tokio::test]
async fn a_guarded_upstream_takes_bytes_only_where_it_takes_any() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sock");
    let server = Server::unix(&path, |_| ok(""));
    let grant = format!(
        "organization = \"acme\"\nprovider = \"kinsta\"\nsocket = {path:?}\nsocket_name = \"engine\"\nguard = \"docker-engine\""
    );
    let declaration = UpstreamDeclaration { endpoint: Endpoint::Socket("engine".to_owned()), ..upstream("") };
    let egress = egress(EgressConfig::default(), &[&grant]);
    let upstreams = egress.bind(&connection(&[]), &COMPONENT, &[declaration]).unwrap();
    for (path, method, content_type, fits) in [
        (&["containers", "a", "archive"][..], "PUT", "application/x-tar", true),
        (&["containers", "a", "archive"], "PUT", "text/plain", false),
        (&["containers", "a", "start"], "POST", "application/json", false),
        (&["containers", "create"], "POST", "application/json", false),
        (&["build"], "POST", "application/x-tar", false),
    ] {
        let mut transfer = transfer(below(path), method);
        transfer.headers = vec![("content-type".to_owned(), content_type.to_owned())];
        let sent = upstreams.upload(&transfer, expected(), Full::new(Bytes::from(BLOB))).await;
        assert_eq!(sent.is_ok(), fits, "{path:?} {content_type}: {sent:?}");
    }
    assert_eq!(server.seen().len(), 1);
}
