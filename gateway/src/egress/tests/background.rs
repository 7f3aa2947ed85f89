//! Background requests: one run for a key, counted, kept, and known to their own connection only.

use super::{server::ok, *};
use http::Method;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

fn pull() -> Request {
    request(Method::POST, &["images", "create"])
}

async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("the condition was never met")
}

fn ended(upstreams: &Upstreams, id: &str) -> Option<Background> {
    Some(upstreams.watch(id).unwrap()).filter(|now| !matches!(now.state, BackgroundState::Running))
}

/// A connection that was accepted, whose answer's head was sent.
async fn streaming(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut buffer = [0; 4096];
    assert!(stream.read(&mut buffer).await.unwrap() > 0);
    stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    stream
}

async fn chunk(stream: &mut TcpStream, data: &str) {
    stream.write_all(format!("{:x}\r\n{data}\r\n", data.len()).as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_background_request_is_run_once_and_watched() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let journal = Journal::new(&Server::http(|_| ok("")).await, false);
    let declaration = upstream(&format!("http://{}", listener.local_addr().unwrap()));
    let declaration = UpstreamDeclaration { auth: Auth::Bearer("key".to_owned()), ..declaration };
    let egress = egress(EgressConfig::default(), &[LOOPBACK]);
    let connection = connection(&[("key", "correct-horse-battery")]);
    let upstreams = egress.bind(&connection, &COMPONENT, std::slice::from_ref(&declaration)).unwrap();

    let id = upstreams.start("pull", pull(), &changing(&journal)).await.unwrap();
    assert_eq!(upstreams.start("pull", pull(), &changing(&journal)).await.unwrap(), id);
    assert_eq!(journal.entries().len(), 1, "the second start sends nothing");
    let mut stream = streaming(&listener).await;
    chunk(&mut stream, "one\nkey correct-ho").await;
    let now = until(|| Some(upstreams.watch(&id).unwrap()).filter(|now| now.received == 18)).await;
    assert!(matches!(now.state, BackgroundState::Running));
    assert_eq!((now.status, &now.tail[..]), (Some(200), &b"one\nkey "[..]), "a secret that is under way isn't shown");
    chunk(&mut stream, "rse-battery\n").await;
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let end = until(|| ended(&upstreams, &id)).await;
    assert!(matches!(end.state, BackgroundState::Finished));
    assert_eq!((end.received, &end.tail[..]), (30, &b"one\nkey [redacted]***********\n"[..]));

    let newer = ConnectionSpec { revision: 2, ..connection.clone() };
    let newer = egress.bind(&newer, &COMPONENT, std::slice::from_ref(&declaration)).unwrap();
    assert!(newer.watch(&id).is_ok(), "a new revision still knows it");
    let stranger = ConnectionSpec { id: ConnectionId(Uuid::new_v4()), ..connection };
    let stranger = egress.bind(&stranger, &COMPONENT, &[declaration]).unwrap();
    for (upstreams, id) in [(&stranger, id.as_str()), (&upstreams, "nonsense"), (&upstreams, &Uuid::nil().to_string())] {
        assert_eq!(upstreams.watch(id).unwrap_err().kind, Kind::NotFound);
    }
    assert_ne!(upstreams.start("pull", pull(), &changing(&journal)).await.unwrap(), id, "an ended one is started anew");
}

#[tokio::test]
async fn the_tail_is_the_end_from_a_line_break() {
    let body: String = (0..5000).map(|line| format!("line {line}\n")).collect();
    let length = body.len() as u64;
    let server = Server::http(move |_| ok(body.clone())).await;
    let upstreams = bound(upstream(&server.url()));
    let id = upstreams.start("k", get(&[]), &reading()).await.unwrap();
    let end = until(|| ended(&upstreams, &id)).await;
    assert_eq!(end.received, length);
    assert!(end.tail.len() <= 16 << 10 && end.tail.len() > 16_000, "{}", end.tail.len());
    assert!(end.tail.starts_with(b"line ") && end.tail.ends_with(b"line 4999\n"));
}

#[tokio::test]
async fn limits_and_failures_end_it() {
    let server = Server::http(|_| ok(vec![b'x'; 2000])).await;
    let journal = Journal::new(&server, false);
    let background = BackgroundConfig { max_bytes: 1000, max_running: 1, ..BackgroundConfig::default() };
    let config = EgressConfig { background, ..EgressConfig::default() };
    let upstreams = bound_with(config.clone(), upstream(&server.url()), &[]);
    let id = upstreams.start("k", pull(), &changing(&journal)).await.unwrap();
    let end = until(|| ended(&upstreams, &id)).await;
    assert!(matches!(end.state, BackgroundState::Failed(error) if error.kind == Kind::Internal));

    for (key, context, kind) in [
        ("k", reading(), Kind::Forbidden),
        ("", changing(&journal), Kind::InvalidInput),
        ("k", changing(&Journal::new(&server, true)), Kind::Gateway),
    ] {
        assert_eq!(upstreams.start(key, pull(), &context).await.unwrap_err().kind, kind);
    }
    assert_eq!(server.seen().len(), 1, "none of these was sent");

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstreams = bound_with(config, upstream(&format!("http://{}", silent.local_addr().unwrap())), &[]);
    let id = upstreams.start("first", pull(), &changing(&journal)).await.unwrap();
    let error = upstreams.start("second", pull(), &changing(&journal)).await.unwrap_err();
    assert_eq!((error.kind, error.retry_after), (Kind::RateLimited, Some(30)));
    drop(streaming(&silent).await);
    let end = until(|| ended(&upstreams, &id)).await;
    assert!(matches!(end.state, BackgroundState::Failed(error) if error.kind == Kind::Unavailable));
    assert!(upstreams.start("second", pull(), &changing(&journal)).await.is_ok());
}

#[tokio::test]
async fn a_deleted_connection_takes_its_background_requests_along() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let journal = Journal::new(&Server::http(|_| ok("")).await, false);
    let egress = egress(EgressConfig::default(), &[LOOPBACK]);
    let declaration = upstream(&format!("http://{}", listener.local_addr().unwrap()));
    let (deleted, other) = (connection(&[]), connection(&[]));
    let upstreams = egress.bind(&deleted, &COMPONENT, std::slice::from_ref(&declaration)).unwrap();
    let id = upstreams.start("k", pull(), &changing(&journal)).await.unwrap();
    let mut stream = streaming(&listener).await;
    egress.forget(other.id);
    assert!(upstreams.watch(&id).is_ok());
    egress.forget(deleted.id);
    assert_eq!(upstreams.watch(&id).unwrap_err().kind, Kind::NotFound);
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0, "the connection was closed");
}
