//! Bodies: an upstream is judged by whole answers, and a probe is over when it is known what came of it.

use super::*;
use crate::model::{Transfer, TransferPlace};
use http_body_util::BodyExt as _;
use std::sync::atomic::AtomicU8;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const WHOLE: u8 = 0;
/// A head and a part of the body, and then the end of the connection.
const CUT: u8 = 1;
/// A head, and then nothing.
const STALLS: u8 = 2;
/// A part of the body, and then nothing.
const HALF: u8 = 3;
/// Parts of the body, one after the other, and then the end of the connection.
const DRIPS: u8 = 4;

struct Host {
    upstreams: Arc<Upstreams>,
    manner: AtomicU8,
    asked: AtomicUsize,
    /// Answers that were dripped to their end.
    dripped: AtomicUsize,
}

impl Host {
    async fn new(config: EgressConfig, manner: u8) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let upstreams = bound_with(config, upstream(&url), &[]);
        let host = Arc::new(Self {
            upstreams,
            manner: AtomicU8::new(manner),
            asked: AtomicUsize::new(0),
            dripped: AtomicUsize::new(0),
        });
        let own = Arc::clone(&host);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = Arc::clone(&own);
                tokio::spawn(async move { own.serve(stream).await });
            }
        });
        host
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
            self.asked.fetch_add(1, SeqCst);
            let manner = self.manner.load(SeqCst);
            let body = match manner {
                WHOLE => "0123456789",
                STALLS | DRIPS => "",
                _ => "012",
            };
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{body}").as_bytes()).await;
            if manner == DRIPS {
                for digit in 0..5 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let _ = stream.write_all(digit.to_string().as_bytes()).await;
                }
            }
            if matches!(manner, CUT | DRIPS) {
                drop(stream);
                self.dripped.fetch_add(1, SeqCst);
                return;
            }
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

    async fn download(&self) -> Result<Download, Error> {
        let place = TransferPlace::Upstream { name: "api".to_owned(), path: Vec::new(), query: Vec::new() };
        let transfer = Transfer { place, method: "GET".to_owned(), headers: Vec::new(), size: None, file_name: None };
        self.upstreams.download(&transfer).await
    }

    /// The next request is the probe.
    async fn probed_by_the_next(self: &Arc<Self>) -> tokio::task::JoinHandle<Result<Response, Error>> {
        tokio::time::sleep(Duration::from_millis(1300)).await;
        let before = self.asked.load(SeqCst);
        let own = Arc::clone(self);
        let task = tokio::spawn(async move { own.send().await });
        until(|| self.asked.load(SeqCst) > before).await;
        task
    }
}

pub(super) async fn until(is_so: impl Fn() -> bool) {
    let look = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), look).await.expect("the condition was never met");
}

/// The first failure opens the circuit.
pub(super) fn strict() -> EgressConfig {
    EgressConfig { breaker_failures: 1, ..EgressConfig::default() }
}

#[tokio::test]
async fn answers_that_break_off_open_the_circuit_and_a_probe_that_does_leaves_it_open() {
    let host = Host::new(EgressConfig::default(), CUT).await;
    for _ in 0..5 {
        assert_eq!(host.circuit(), BreakerState::Closed);
        assert_eq!(host.send().await.unwrap_err().kind, Kind::Unavailable);
    }
    assert_eq!(host.circuit(), BreakerState::Open, "five in a row");
    assert!(host.probed_by_the_next().await.await.unwrap().is_err());
    assert_eq!((host.circuit(), host.asked.load(SeqCst)), (BreakerState::Open, 6));
    host.set(WHOLE);
    tokio::time::sleep(Duration::from_millis(2550)).await;
    assert_eq!(host.send().await.unwrap().body, "0123456789");
    assert_eq!(host.circuit(), BreakerState::Closed);
}

#[tokio::test]
async fn an_answer_that_stalls_counts_when_its_silence_was_long() {
    for (silence, state) in [(10, BreakerState::Open), (3, BreakerState::Closed)] {
        let host = Host::new(strict(), HALF).await;
        let own = Arc::clone(&host);
        let sent = tokio::spawn(async move {
            let context = SendContext { deadline: Instant::now() + Duration::from_secs(silence), ..reading() };
            own.upstreams.send(get(&[]), &context).await
        });
        until(|| host.asked.load(SeqCst) == 1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        tokio::time::pause();
        assert_eq!(sent.await.unwrap().unwrap_err().kind, Kind::Timeout);
        assert_eq!(host.circuit(), state, "{silence} s");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn while_a_probes_body_is_read_nothing_else_leaves_and_a_caller_that_leaves_makes_room_for_another() {
    let host = Host::new(strict(), CUT).await;
    host.send().await.unwrap_err();
    host.set(HALF);
    let probe = host.probed_by_the_next().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(host.circuit(), BreakerState::HalfOpen, "its head says nothing yet");
    assert!(host.send().await.unwrap_err().retry_after.is_some());
    assert_eq!(host.asked.load(SeqCst), 2);
    probe.abort();
    assert!(probe.await.is_err());
    assert_eq!((host.circuit(), host.upstreams.limits()[0].running), (BreakerState::Open, 0));
    host.set(WHOLE);
    host.send().await.expect("another probe");
    assert_eq!(host.circuit(), BreakerState::Closed);
}

#[tokio::test]
async fn a_download_that_breaks_off_counts_and_one_that_is_whole_is_good() {
    for (manner, state) in [(CUT, BreakerState::Open), (WHOLE, BreakerState::Closed)] {
        let host = Host::new(strict(), manner).await;
        let collected = host.download().await.unwrap().body.collect().await;
        assert_eq!(collected.is_ok(), manner == WHOLE);
        assert_eq!(host.circuit(), state);
    }
}

#[tokio::test]
async fn a_host_that_gives_up_on_a_client_who_takes_nothing_does_no_wrong() {
    for (seconds, state) in [(0, BreakerState::Open), (6, BreakerState::Closed)] {
        let host = Host::new(strict(), DRIPS).await;
        let download = host.download().await.unwrap();
        // All is sent, and nothing taken.
        until(|| host.dripped.load(SeqCst) == 1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
        assert!(download.body.collect().await.is_err());
        assert_eq!((host.circuit(), host.asked.load(SeqCst)), (state, 1), "{seconds} s");
    }
}

#[tokio::test]
async fn a_download_that_probes_is_judged_by_its_first_piece() {
    let host = Host::new(strict(), CUT).await;
    host.send().await.unwrap_err();
    host.set(STALLS);
    tokio::time::sleep(Duration::from_millis(1300)).await;
    let silent = host.download().await.unwrap();
    assert_eq!(host.circuit(), BreakerState::HalfOpen);
    drop(silent);
    until(|| host.circuit() == BreakerState::Open).await;
    host.set(HALF);
    let mut half = host.download().await.expect("another probe");
    assert!(half.body.frame().await.unwrap().is_ok());
    assert_eq!(host.circuit(), BreakerState::Closed, "the others needn't wait for its end");
    assert_eq!(host.upstreams.limits()[0].running, 1);
}

#[tokio::test]
async fn downloads_leave_places_to_calls_that_take_a_moment() {
    let config = EgressConfig { concurrency: 2, total_seconds: 1, ..EgressConfig::default() };
    let host = Host::new(config, HALF).await;
    let held = host.download().await.unwrap();
    host.set(WHOLE);
    let error = host.download().await.err().unwrap();
    assert_eq!((error.kind, error.retry_after), (Kind::RateLimited, Some(1)), "{error}");
    assert_eq!(host.asked.load(SeqCst), 1, "it wasn't sent");
    host.send().await.expect("a place is left");
    drop(held);
    let next = host.download().await.expect("the first one's part is free");
    assert!(next.body.collect().await.is_ok());
}
