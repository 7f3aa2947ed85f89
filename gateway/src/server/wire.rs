//! What hyper reads and writes of a connection, and what its life hears of it.
//!
//! In go hyper's reads and writes; out they go to the stream. Invariant: bytes leave as they came and in their order, but for one thing:
//! refusals of a head by hyper's own will, which would say nothing but a status. Over HTTP/2 one leaves with the fields that answers
//! have. Over HTTP/1 what may be one is held back until that's known, at hyper's next move: if it reads or writes on, it was an answer's
//! end, and leaves; if the connection ends, it is left to who ends it.

use super::{
    frames::{self, Frames},
    life::Life,
    stream::Stream,
    unread,
};
use http::HeaderMap;
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

/// The fields of a refusal of a head.
pub type Refusal = Box<dyn Fn() -> HeaderMap + Send>;

pub struct Wire {
    stream: Stream,
    life: Arc<Life>,
    held: Vec<u8>,
    leftover: Leftover,
    speech: Speech,
    refusal: Refusal,
}

/// What is spoken, as the first bytes of an answer tell.
enum Speech {
    Unheard,
    One,
    Two(Frames),
}

impl Wire {
    pub const fn new(stream: Stream, life: Arc<Life>, leftover: Leftover, refusal: Refusal) -> Self {
        Self { stream, life, held: Vec::new(), leftover, speech: Speech::Unheard, refusal }
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

    /// Of HTTP/2, where these bytes come next.
    fn frames(&mut self, bytes: &[u8]) -> Option<Frames> {
        match self.speech {
            Speech::Two(frames) => Some(frames),
            Speech::One => None,
            Speech::Unheard if bytes.is_empty() => None,
            Speech::Unheard => {
                let frames = Frames::begin_with(bytes).then(Frames::default);
                self.speech = frames.map_or(Speech::One, Speech::Two);
                frames
            }
        }
    }

    /// What comes before an answer without a field, or that answer in its new dress.
    fn write_frames(&mut self, context: &mut Context<'_>, mut frames: Frames, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let bare = frames.bare(bytes);
        if let Some(frame) = bare.clone().filter(|frame| frame.start == 0) {
            self.held = frames::dressed(&bytes[frame.clone()], &(self.refusal)());
            return Poll::Ready(Ok(frame.end));
        }
        let before = &bytes[..bare.map_or(bytes.len(), |frame| frame.start)];
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, before))?;
        frames.pass(&bytes[..written]);
        self.speech = Speech::Two(frames);
        Poll::Ready(Ok(written))
    }

    /// Several pieces at once, if no answer without a field is among them.
    fn write_many_frames(
        &mut self,
        context: &mut Context<'_>,
        mut frames: Frames,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut ahead = frames;
        for piece in pieces {
            if ahead.bare(piece).is_some() {
                return self.write_frames(context, frames, first(pieces));
            }
            ahead.pass(piece);
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, pieces))?;
        let mut left = written;
        for piece in pieces {
            let part = left.min(piece.len());
            frames.pass(&piece[..part]);
            left -= part;
        }
        self.speech = Speech::Two(frames);
        Poll::Ready(Ok(written))
    }

    /// How many of these bytes to send now, if not all; none: they are held back. While a request is in flight nothing is a refusal.
    fn part(&self, bytes: &[u8]) -> Option<usize> {
        let start = unread::refusal_in(bytes)?;
        (!self.life.is_asked()).then_some(start)
    }
}

fn first<'a>(pieces: &'a [IoSlice<'_>]) -> &'a [u8] {
    pieces.iter().find(|piece| !piece.is_empty()).map_or(&[], |piece| piece)
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.held.is_empty() {
            ready!(this.release(context))?;
        }
        this.life.want();
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
        if let Some(frames) = this.frames(bytes) {
            return this.write_frames(context, frames, bytes);
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
        if self.held.is_empty()
            && let Some(frames) = self.frames(first(pieces))
        {
            return self.write_many_frames(context, frames, pieces);
        }
        let may_hold = !self.held.is_empty() || pieces.last().is_some_and(|last| self.part(last).is_some());
        if !may_hold {
            return Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        }
        // One after the other; the caller comes again with the rest.
        self.poll_write(context, first(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.speech, Speech::Two(_)) {
            ready!(self.release(context))?;
        }
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
