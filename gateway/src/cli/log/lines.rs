//! The bounded way of log lines out of the process.
//!
//! In go whole lines from any thread; out they go by a thread of their own, many with one write. Invariant: nobody waits for
//! the output: when it doesn't keep up, lines are dropped and counted, and the process ends without them. Whoever logs
//! pays for a copy of the line, and only the first line after a pause wakes the thread: a wake-up for each would cost more than
//! the line.

use std::{
    io::{self, Write},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait, in bytes.
const MOST: usize = 4 << 20;
/// For how long lines are gathered: nobody who follows a log sees it, and it makes hundreds of lines one write.
const GATHER: Duration = Duration::from_millis(10);
/// For the last lines, at the end of the process: longer than any output takes that somebody reads.
const LAST: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    closed: bool,
    /// The thread has written all of it.
    ended: bool,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    ended: Condvar,
    dropped: AtomicU64,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        if waiting.bytes.len() + line.len() > MOST || waiting.closed {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let is_first = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if is_first {
            self.arrived.notify_one();
        }
    }

    /// Swaps what waits with `spare`, which is empty. False at the end.
    fn take(&self, spare: &mut Vec<u8>) -> bool {
        let mut waiting = self.waiting();
        while waiting.bytes.is_empty() && !waiting.closed {
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut waiting.bytes, spare);
        !spare.is_empty()
    }

    fn close(&self) {
        self.waiting().closed = true;
        self.arrived.notify_one();
    }

    fn end(&self) {
        self.waiting().ended = true;
        self.ended.notify_all();
    }

    fn await_end(&self, patience: Duration) {
        // Whether it came or not, there is nothing more to wait for.
        drop(self.ended.wait_timeout_while(self.waiting(), patience, |waiting| !waiting.ended));
    }

    fn is_closed(&self) -> bool {
        self.waiting().closed
    }
}

/// Where lines are put.
#[derive(Clone)]
pub struct Lines(Arc<Shared>);

/// Writes what still waits when it is dropped, and waits for that, but not for an output that takes nothing.
pub struct Output(Arc<Shared>);

pub fn to(output: impl Write + Send + 'static) -> io::Result<(Lines, Output)> {
    let shared = Arc::new(Shared::default());
    let writing = Arc::clone(&shared);
    let write = move || {
        write(&writing, output);
        writing.end();
    };
    std::thread::Builder::new().name("portico-log".into()).spawn(write)?;
    Ok((Lines(Arc::clone(&shared)), Output(shared)))
}

fn write(shared: &Shared, mut output: impl Write) {
    let mut lines = Vec::new();
    while shared.take(&mut lines) {
        // Where the log itself can't be written there is nobody left to tell; the counter does.
        if output.write_all(&lines).and_then(|()| output.flush()).is_err() {
            let lost = memchr::memchr_iter(b'\n', &lines).count() as u64;
            shared.dropped.fetch_add(lost, Ordering::Relaxed);
        }
        lines.clear();
        if !shared.is_closed() {
            #[expect(clippy::disallowed_methods, reason = "a thread of its own, not a worker")]
            std::thread::sleep(GATHER);
        }
    }
}

impl Lines {
    pub fn push(&self, line: &[u8]) {
        self.0.push(line);
    }

    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.0.close();
        self.0.await_end(LAST);
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    /// Says what was written, and takes its time.
    struct Slow(Sender<Vec<u8>>, Arc<Mutex<()>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _turn = self.1.lock().unwrap();
            self.0.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_out_whole_in_order_and_to_the_last() {
        let (sender, receiver) = channel();
        let (lines, output) = to(Slow(sender, Arc::default())).unwrap();
        let wanted: String = (0..1000).map(|number| format!("line {number}\n")).collect();
        wanted.split_inclusive('\n').for_each(|line| (&lines).write_all(line.as_bytes()).unwrap());
        drop(output);
        let written: Vec<u8> = receiver.iter().flatten().collect();
        assert_eq!((String::from_utf8(written).unwrap(), lines.dropped()), (wanted, 0));
    }

    #[test]
    fn a_stuck_output_costs_lines_and_not_time() {
        let (sender, receiver) = channel();
        let stuck = Arc::new(Mutex::new(()));
        let turn = stuck.lock().unwrap();
        let (lines, output) = to(Slow(sender, Arc::clone(&stuck))).unwrap();
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        (0..10_000).for_each(|_| (&lines).write_all(&line).unwrap());
        assert!(lines.dropped() > 0);
        drop(turn);
        drop(output);
        let written = receiver.iter().flatten().count() as u64;
        assert_eq!(written / 1024 + lines.dropped(), 10_000);
    }

    #[test]
    fn an_output_that_takes_nothing_holds_no_end_up() {
        let (sender, receiver) = channel();
        let stuck = Arc::new(Mutex::new(()));
        let turn = stuck.lock().unwrap();
        let (lines, output) = to(Slow(sender, Arc::clone(&stuck))).unwrap();
        lines.push(b"one\n");
        drop(output);
        drop(turn);
        assert_eq!(receiver.iter().flatten().collect::<Vec<u8>>(), b"one\n");
    }
}
