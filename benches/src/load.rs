//! `portico-load URL TOKEN CONNECTIONS SECONDS RATE`: requests at a fixed rate, whatever the answers do; `max` as RATE sends the next
//! one when an answer came. `{n}` in URL is another number each time, of [`MANY`]: reads of one thing that come together share a call.
//!
//! In go an address and a rate; out comes one line of `name=value` words: answers and latencies of what was served and of what was
//! refused. Invariant: a latency begins when the request was due, also where no connection was free then, so that a server that
//! stalls doesn't look fast. `answered_p50_ms` and `answered_p99_ms` begin when it was sent: the server's part of it.

use anyhow::{Context, Result, bail, ensure};
use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};

/// So many different things are asked for.
const MANY: u64 = 5000;

struct Load {
    address: String,
    request: String,
    asked: AtomicU64,
    start: Instant,
    length: Duration,
    /// None: as fast as answers come.
    gap: Option<Duration>,
    number: AtomicU64,
}

#[derive(Default)]
struct Seen {
    served: Vec<Duration>,
    answered: Vec<Duration>,
    refused: Vec<Duration>,
    without_retry_after: u64,
    other: u64,
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "the script that starts this reads the line")]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, connections, seconds, rate] = &words[..] else {
        bail!("usage: portico-load URL TOKEN CONNECTIONS SECONDS RATE|max");
    };
    let (address, path) =
        url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).context("URL is http://HOST/PATH")?;
    let head =
        format!("GET /{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncache-control: no-cache\r\n\r\n");
    let gap = if rate == "max" { None } else { Some(Duration::from_secs_f64(1.0 / rate.parse::<f64>().context("RATE")?)) };
    let load = Arc::new(Load {
        address: address.to_owned(),
        request: head,
        asked: AtomicU64::new(0),
        start: Instant::now(),
        length: Duration::from_secs(seconds.parse().context("SECONDS")?),
        gap,
        number: AtomicU64::new(0),
    });
    // Its processor never rests: to wake it is work of who sends to it, the server, and under virtualization more than the answer.
    let awake = tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    let mut connections: JoinSet<Result<Seen>> =
        (0..connections.parse::<usize>().context("CONNECTIONS")?).map(|_| connection(Arc::clone(&load))).collect();
    let mut all = Seen::default();
    while let Some(seen) = connections.join_next().await {
        let seen = seen??;
        all.served.extend(seen.served);
        all.answered.extend(seen.answered);
        all.refused.extend(seen.refused);
        all.without_retry_after += seen.without_retry_after;
        all.other += seen.other;
    }
    awake.abort();
    println!("{}", all.line(load.start.elapsed().max(load.length)));
    Ok(())
}

impl Load {
    fn next(&self) -> Cow<'_, str> {
        if !self.request.contains("{n}") {
            return Cow::Borrowed(&self.request);
        }
        let number = self.asked.fetch_add(1, Ordering::Relaxed) % MANY;
        Cow::Owned(self.request.replacen("{n}", &number.to_string(), 1))
    }
}

async fn connection(load: Arc<Load>) -> Result<Seen> {
    let mut stream = TcpStream::connect(&load.address).await?;
    stream.set_nodelay(true)?;
    let (mut seen, mut buffer) = (Seen::default(), Vec::with_capacity(16 * 1024));
    loop {
        let due = match load.gap {
            Some(gap) => load.start + gap.mul_f64(load.number.fetch_add(1, Ordering::Relaxed) as f64),
            None => Instant::now(),
        };
        if due > load.start + load.length {
            return Ok(seen);
        }
        // A timer rounds up to a millisecond, also what is due already.
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        }
        let sent = Instant::now();
        stream.write_all(load.next().as_bytes()).await?;
        let answer = read(&mut stream, &mut buffer).await?;
        let latency = due.elapsed();
        match answer.status {
            200 => {
                seen.served.push(latency);
                seen.answered.push(sent.elapsed());
            }
            429 | 503 => {
                seen.refused.push(latency);
                seen.without_retry_after += u64::from(!answer.retry_after);
            }
            _ => seen.other += 1,
        }
        // A server that is behind for more than the whole test won't catch up.
        ensure!(
            Instant::now() < load.start + load.length * 2 + Duration::from_secs(5),
            "answers are late by the length of the test"
        );
    }
}

struct Answer {
    status: u16,
    retry_after: bool,
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Answer> {
    buffer.clear();
    loop {
        ensure!(stream.read_buf(buffer).await? > 0, "the server closed the connection");
        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end])?.to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
        let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let length: usize = value("content-length:").context("an answer without a length")?.parse()?;
        let mut missing = (end + 4 + length).saturating_sub(buffer.len());
        while missing > 0 {
            let read = stream.read_buf(buffer).await?;
            ensure!(read > 0, "the server closed the connection in a body");
            missing = missing.saturating_sub(read);
        }
        return Ok(Answer { status, retry_after: value("retry-after:").is_some() });
    }
}

impl Seen {
    fn line(mut self, length: Duration) -> String {
        let each_second = self.served.len() as f64 / length.as_secs_f64();
        let [served_p50, served_p99] = percentiles(&mut self.served);
        let [answered_p50, answered_p99] = percentiles(&mut self.answered);
        let [refused_p50, refused_p99] = percentiles(&mut self.refused);
        format!(
            "served={} served_per_second={each_second:.0} served_p50_ms={served_p50:.2} served_p99_ms={served_p99:.2} \
             answered_p50_ms={answered_p50:.2} answered_p99_ms={answered_p99:.2} refused={} \
             refused_p50_ms={refused_p50:.2} refused_p99_ms={refused_p99:.2} without_retry_after={} other={}",
            self.served.len(),
            self.refused.len(),
            self.without_retry_after,
            self.other,
        )
    }
}

/// The median and the 99th percentile, in milliseconds.
fn percentiles(latencies: &mut [Duration]) -> [f64; 2] {
    latencies.sort_unstable();
    let at = |share: f64| {
        let index = (latencies.len() as f64 * share) as usize;
        latencies.get(index.min(latencies.len().saturating_sub(1))).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
    };
    [at(0.5), at(0.99)]
}
