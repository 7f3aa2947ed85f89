//! Sockets: a connected stream as hyper's client wants it.
//!
//! In goes a TCP, TLS or Unix stream that is connected; out come its bytes, whether both sides agreed on HTTP/2, and whether
//! it has answered before. Invariant: it opens and resolves nothing; whoever has one got it from the connector.

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite};

pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Whether a connection has answered before: only then can it have been closed while it idled.
#[derive(Clone, Default)]
pub(super) struct Served(Arc<AtomicBool>);

impl Served {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connected TCP, TLS or Unix stream.
pub(super) struct Socket {
    io: TokioIo<Box<dyn Duplex>>,
    h2: bool,
    served: Served,
    broken: Broken,
}

/// What a write becomes when the other side takes no more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    /// An error, as usual.
    Fails,
    /// Nothing yet: who refuses a long body early answers, and then closes. The answer is read first, or the end of reading
    /// says what happened.
    Waits,
    /// It has happened.
    Waiting,
}

impl Socket {
    pub(super) fn new(stream: impl Duplex + 'static, h2: bool) -> Self {
        Self { io: TokioIo::new(Box::new(stream)), h2, served: Served::default(), broken: Broken::Fails }
    }

    /// For a connection of one request, whose end is watched.
    pub(super) fn reading_on(self) -> Self {
        Self { broken: Broken::Waits, ..self }
    }

    fn written(&mut self, polled: Poll<io::Result<usize>>, cx: &Context<'_>) -> Poll<io::Result<usize>> {
        let closed = |error: &io::Error| matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
        match polled {
            Poll::Ready(Err(error)) if self.broken == Broken::Waits && closed(&error) => {
                self.broken = Broken::Waiting;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            polled => polled,
        }
    }
}

impl Connection for Socket {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(self.served.clone());
        if self.h2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.broken == Broken::Waiting {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.written(polled, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.broken == Broken::Waiting {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.written(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
