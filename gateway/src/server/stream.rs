//! The bytes of a connection: plain, or inside TLS.
//!
//! Invariant: HTTP is served by the same code over both. Only how few bytes reach the socket differs: TLS makes records of its own. The
//! TLS state lies in a box, so that a plain connection doesn't pay for its size.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;
use zeroize::Zeroize as _;

/// Up to so many bytes in several pieces are copied into one: that costs less than the system's way of taking several.
const GATHERED: usize = 4096;

#[derive(Default)]
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// It was taken elsewhere.
    #[default]
    Gone,
}

fn gone<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

/// Few bytes in several pieces, as one. Where not all of them are taken, the caller comes again with the rest.
fn write_gathered(stream: &mut TcpStream, context: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
    thread_local! {
        static WHOLE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    if let [one] = pieces {
        return Pin::new(stream).poll_write(context, one);
    }
    WHOLE.with_borrow_mut(|whole| {
        whole.clear();
        pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        let written = Pin::new(stream).poll_write(context, whole);
        // An answer may hold a secret, and the next one may be long in coming. As a slice: a vector is zeroed byte by byte.
        whole.as_mut_slice().zeroize();
        written
    })
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Gone => gone(),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Gone => gone(),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) if pieces.iter().map(|piece| piece.len()).sum::<usize>() <= GATHERED => {
                write_gathered(stream, context, pieces)
            }
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Self::Gone => gone(),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Gone => false,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Gone => gone(),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Gone => gone(),
        }
    }
}
