//! Uploads and the circuit: which failures count, whose they are, and how long one that probes keeps the others waiting.

use super::{
    bodies::{strict, until},
    *,
};
use crate::model::{Transfer, TransferPlace};
use http_body::Frame;
use http_body_util::Full;
use std::{
    convert::Infallible,
    pin::Pin,
    sync::atomic::AtomicU8,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    task::JoinHandle,
};

const BLOB: &str = "the bytes of a blob";

/// Takes everything, and answers.
const WELL: u8 = 0;
/// Closes the connection when the first bytes come.
const SHUTS: u8 = 1;
/// Takes everything, and never answers.
const MUTE: u8 = 2;

struct Host {
    upstreams: Arc<Upstreams>,
    manner: AtomicU8,
    asked: AtomicUsize,
    /// Closes a connection.
    shut: Notify,
}

impl Host {
    async fn new(config: EgressConfig, manner: u8) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let upstreams = bound_with(config, upstream(&url), &[]);
        let (manner, asked) = (AtomicU8::new(manner), AtomicUsize::new(0));
        let host = Arc::new(Self { upstreams, manner, asked, shut: Notify::new() });
        let own = Arc::clone(&host);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = Arc::clone(&own);
                tokio::spawn(async move { own.serve(stream).await });
            }
        });
        host
    }

    /// One request.
    async fn serve(&self, mut stream: TcpStream) {
        let (mut read, manner) = (Vec::new(), self.manner.load(SeqCst));
        let mut is_new = true;
        while self.has_read(&mut stream, &mut read).await {
            self.asked.fetch_add(usize::from(std::mem::take(&mut is_new)), SeqCst);
            if manner == SHUTS {
                return;
            }
            if manner == WELL && is_whole(&read) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
                return;
            }
        }
    }

    async fn has_read(&self, stream: &mut TcpStream, read: &mut Vec<u8>) -> bool {
        tokio::select! {
            count = stream.read_buf(read) => count.is_ok_and(|count| count > 0),
            () = self.shut.notified() => false,
        }
    }

    fn set(&self, manner: u8) {
        self.manner.store(manner, SeqCst);
    }

    fn circuit(&self) -> BreakerState {
        self.upstreams.limits()[0].breaker.state
    }

    async fn send(&self) -> Result<Response, Error> {
        self.upstreams.send(get(&[]), &reading()).await
    }

    async fn upload(&self) -> Result<(), UploadError> {
        put(&self.upstreams, Full::new(Bytes::from_static(BLOB.as_bytes()))).await
    }

    /// Of a client that sends as it is told. The upstream was asked, and all that the client sent until now is on its way.
    async fn trickle(self: &Arc<Self>) -> (mpsc::UnboundedSender<&'static str>, JoinHandle<Result<(), UploadError>>) {
        let (sender, pieces) = mpsc::unbounded_channel();
        let (own, before) = (Arc::clone(self), self.asked.load(SeqCst));
        let task = tokio::spawn(async move { put(&own.upstreams, Trickle(pieces)).await });
        sender.send(&BLOB[..4]).unwrap();
        sender.send(&BLOB[4..8]).unwrap();
        until(|| self.asked.load(SeqCst) > before).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        (sender, task)
    }

    /// The circuit is open, and its pause is over.
    async fn is_probed_by_the_next(&self) {
        self.set(SHUTS);
        self.send().await.unwrap_err();
        assert_eq!(self.circuit(), BreakerState::Open);
        tokio::time::sleep(Duration::from_millis(1300)).await;
    }
}

/// True with the last byte of a request.
fn is_whole(read: &[u8]) -> bool {
    let text = String::from_utf8_lossy(read).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    body.len() >= length.map_or(0, |length| length.trim().parse().unwrap())
}

/// A body whose pieces come as somebody sends them.
struct Trickle(mpsc::UnboundedReceiver<&'static str>);

impl http_body::Body for Trickle {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
    }
}

async fn put<B>(upstreams: &Upstreams, source: B) -> Result<(), UploadError>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
{
    let place = TransferPlace::Upstream { name: "api".to_owned(), path: Vec::new(), query: Vec::new() };
    let transfer = Transfer { place, method: "PUT".to_owned(), headers: Vec::new(), size: None, file_name: None };
    let expected = Expected { size: BLOB.len() as u64, blake3: blake3::hash(BLOB.as_bytes()).into(), sha256: None };
    upstreams.upload(&transfer, expected, source).await
}

fn kind(ended: Result<(), UploadError>) -> Kind {
    match ended {
        Err(UploadError::Upstream(error)) => error.kind,
        other => panic!("{other:?}"),
    }
}

/// Lets so much time pass for those who wait.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn what_broke_or_was_never_answered_counts() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let upstreams = bound_with(strict(), upstream(&format!("http://{closed}")), &[]);
    assert_eq!(kind(put(&upstreams, Full::new(Bytes::from_static(BLOB.as_bytes()))).await), Kind::Unavailable);
    assert_eq!(upstreams.limits()[0].breaker.state, BreakerState::Open, "nobody listens");
    let host = Host::new(strict(), SHUTS).await;
    assert_eq!(kind(host.upload().await), Kind::Unavailable);
    assert_eq!(host.circuit(), BreakerState::Open, "it broke off");
    let host = Host::new(strict(), MUTE).await;
    let own = Arc::clone(&host);
    let sent = tokio::spawn(async move { own.upload().await });
    until(|| host.asked.load(SeqCst) == 1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    tokio::time::pause();
    assert_eq!(kind(sent.await.unwrap()), Kind::Timeout);
    assert_eq!(host.circuit(), BreakerState::Open, "it didn't answer");
}

#[tokio::test]
async fn what_a_client_did_wrong_does_not() {
    let host = Host::new(strict(), WELL).await;
    let ended = put(&host.upstreams, Full::new(Bytes::from_static(b"other bytes altogether"))).await;
    assert!(matches!(ended, Err(UploadError::Source(SourceFault::Blake3))), "{ended:?}");
    let (sender, upload) = host.trickle().await;
    drop(sender);
    let ended = upload.await.unwrap();
    assert!(matches!(ended, Err(UploadError::Source(SourceFault::Incomplete { received: 8 }))), "{ended:?}");
    let (_sender, upload) = host.trickle().await;
    tokio::time::pause();
    let ended = upload.await.unwrap();
    assert!(matches!(ended, Err(UploadError::Source(SourceFault::Idle))), "{ended:?}");
    assert_eq!(host.circuit(), BreakerState::Closed);
}

#[tokio::test]
async fn a_host_that_gives_up_on_a_client_whose_bytes_do_not_come_does_no_wrong() {
    for (seconds, state) in [(0, BreakerState::Open), (6, BreakerState::Closed)] {
        let host = Host::new(strict(), WELL).await;
        let (_sender, upload) = host.trickle().await;
        pass(Duration::from_secs(seconds)).await;
        host.shut.notify_one();
        assert_eq!(kind(upload.await.unwrap()), Kind::Unavailable);
        assert_eq!(host.circuit(), state, "{seconds} s");
    }
}

#[tokio::test]
async fn an_upload_that_probes_in_vain_makes_the_pause_longer() {
    let host = Host::new(strict(), SHUTS).await;
    host.is_probed_by_the_next().await;
    let asked = host.asked.load(SeqCst);
    assert_eq!(kind(host.upload().await), Kind::Unavailable);
    host.set(WELL);
    let error = host.send().await.unwrap_err();
    assert_eq!((error.kind, error.retry_after.is_some()), (Kind::Unavailable, true), "{error}");
    assert_eq!((host.circuit(), host.asked.load(SeqCst)), (BreakerState::Open, asked + 1));
    tokio::time::sleep(Duration::from_millis(2550)).await;
    host.upload().await.expect("the next probe");
    assert_eq!(host.circuit(), BreakerState::Closed);
}

#[tokio::test]
async fn an_upload_that_probes_keeps_the_others_waiting_for_a_moment_alone() {
    let host = Host::new(strict(), SHUTS).await;
    host.is_probed_by_the_next().await;
    host.set(WELL);
    let (sender, upload) = host.trickle().await;
    assert_eq!(host.circuit(), BreakerState::HalfOpen);
    assert!(host.send().await.unwrap_err().retry_after.is_some());
    pass(Duration::from_secs(6)).await;
    until(|| host.circuit() == BreakerState::Open).await;
    host.send().await.expect("another finds out");
    assert_eq!((host.circuit(), host.upstreams.limits()[0].running), (BreakerState::Closed, 1));
    sender.send(&BLOB[8..]).unwrap();
    upload.await.unwrap().expect("it went on");
    assert_eq!((host.circuit(), host.upstreams.limits()[0].running), (BreakerState::Closed, 0));
}

#[tokio::test]
async fn uploads_leave_places_to_calls_that_take_a_moment() {
    let config = EgressConfig { concurrency: 2, total_seconds: 1, ..EgressConfig::default() };
    let host = Host::new(config, WELL).await;
    let (sender, held) = host.trickle().await;
    assert_eq!(kind(host.upload().await), Kind::RateLimited);
    assert_eq!(host.asked.load(SeqCst), 1, "it wasn't sent");
    host.send().await.expect("a place is left");
    sender.send(&BLOB[8..]).unwrap();
    held.await.unwrap().expect("it went on");
    host.upload().await.expect("the first one's part is free");
}
