//! What hyper reads and writes of a connection, and what its life hears of it.
//!
//! In go hyper's reads and writes; out they go to the stream. Invariant: bytes leave as they came and in their order, but for one thing:
//! what may be hyper's own refusal of a head is held back until it's known whether it is one, since hyper would say nothing but a
//! status. That is known at hyper's next move: if it reads or writes on, it was an answer's end, and leaves; if the connection ends, it
//! is left to who ends it.

use super::{life::Life, stream::Stream, unread};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a connection leaves behind that ended with something held back.
pub struct Rest {
    pub stream: Stream,
    pub held: Vec<u8>,
}

/// Where that is found after its end.
pub type Leftover = Arc<OnceLock<Box<Rest>>>;

pub struct Wire {
    stream: Stream,
    life: Arc<Life>,
    held: Vec<u8>,
    leftover: Leftover,
}

impl Wire {
    pub const fn new(stream: Stream, life: Arc<Life>, leftover: Leftover) -> Self {
        Self { stream, life, held: Vec::new(), leftover }
    }

    /// Lets go of what is held back.
    fn release(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.held))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// How many of these bytes to send now, if not all; none: they are held back. While a request is in flight nothing is a refusal.
    fn part(&self, bytes: &[u8]) -> Option<usize> {
        let start = unread::refusal_in(bytes)?;
        (!self.life.is_asked()).then_some(start)
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.held.is_empty() {
            ready!(this.release(context))?;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            this.life.hear();
        }
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.held.is_empty() {
            ready!(this.release(context))?;
        }
        match this.part(bytes) {
            None => Pin::new(&mut this.stream).poll_write(context, bytes),
            Some(0) => {
                this.held.extend_from_slice(bytes);
                // If hyper doesn't end the connection now, it shall move once more.
                context.waker().wake_by_ref();
                Poll::Ready(Ok(bytes.len()))
            }
            Some(before) => Pin::new(&mut this.stream).poll_write(context, &bytes[..before]),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let may_hold = !self.held.is_empty() || pieces.last().is_some_and(|last| self.part(last).is_some());
        if !may_hold {
            return Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        }
        // One after the other; the caller comes again with the rest.
        let first = pieces.iter().find(|piece| !piece.is_empty()).map_or(&[][..], |piece| piece);
        self.poll_write(context, first)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held.is_empty() { Pin::new(&mut self.stream).poll_shutdown(context) } else { Poll::Ready(Ok(())) }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if !self.held.is_empty() {
            let rest = Rest { stream: std::mem::take(&mut self.stream), held: std::mem::take(&mut self.held) };
            // It is empty: a connection has one wire.
            let _ = self.leftover.set(Box::new(rest));
        }
    }
}
