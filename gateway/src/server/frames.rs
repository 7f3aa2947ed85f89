//! The one answer that h2 gives of its own accord, and what is said in its place.
//!
//! In goes what h2 writes; out comes where in it such an answer is: 431 to a head that is longer than h2 reads, and nothing but the
//! status. Invariant: it is known by its form (RFC 9113, 4.1 and 6.2), a frame that ends its stream and has one field, since each of
//! ours has a date, and none has trailers. What takes its place says no more to HPACK's tables (RFC 7541, 6.2.2), and has no body, of
//! which h2's windows wouldn't know.

use http::HeaderMap;
use std::ops::Range;

const HEAD: usize = 9;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// With all that may come before it, the status is never longer.
const LONGEST: usize = 32;
/// What a client takes in one frame, unless it says that it takes more.
const MAX_FRAME: usize = 16 * 1024;

/// How far a connection's frames have been written.
#[derive(Clone, Copy, Default)]
pub struct Frames {
    /// Of the frame that was begun, how much of its head was written, and that.
    head: [u8; HEAD],
    known: usize,
    /// What is left of its payload.
    left: usize,
}

impl Frames {
    /// As h2 begins: with SETTINGS, whose length is below 64 KiB.
    pub const fn begin_with(bytes: &[u8]) -> bool {
        matches!(bytes, [0, ..])
    }

    /// These bytes were written.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let part = self.left.min(bytes.len());
                self.left -= part;
                bytes = &bytes[part..];
                continue;
            }
            let part = (HEAD - self.known).min(bytes.len());
            self.head[self.known..self.known + part].copy_from_slice(&bytes[..part]);
            self.known += part;
            bytes = &bytes[part..];
            if self.known == HEAD {
                (self.known, self.left) = (0, length(&self.head));
            }
        }
    }

    /// The first answer without a field among these bytes, which come next.
    pub fn bare(mut self, bytes: &[u8]) -> Option<Range<usize>> {
        let mut at = 0;
        while at < bytes.len() {
            if self.left == 0 && self.known == 0 && is_bare(&bytes[at..]) {
                return Some(at..at + HEAD + length(&bytes[at..]));
            }
            // To the end of this frame, or of its head.
            let step = if self.left > 0 { self.left } else { HEAD - self.known }.min(bytes.len() - at);
            self.pass(&bytes[at..at + step]);
            at += step;
        }
        None
    }
}

fn length(head: &[u8]) -> usize {
    usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])
}

fn is_bare(frame: &[u8]) -> bool {
    let [_, _, _, HEADERS, flags, ..] = frame else { return false };
    frame.len() >= HEAD && flags & END_STREAM > 0 && flags & END_HEADERS > 0 && {
        let length = length(frame);
        length <= LONGEST && frame.get(HEAD..HEAD + length).is_some_and(is_one_field)
    }
}

/// One field and nothing after it, as HPACK has it (RFC 7541, 6).
fn is_one_field(mut block: &[u8]) -> bool {
    // The table's size may be said first.
    while let [0x20..=0x3f, ..] = block {
        let Some((_, rest)) = number(block, 5) else { return false };
        block = rest;
    }
    let prefix = match block {
        [0x80..=0xff, ..] => return number(block, 7).is_some_and(|(_, rest)| rest.is_empty()),
        [0x40..=0x7f, ..] => 6,
        _ => 4,
    };
    // A literal, whose name has an index.
    let value = number(block, prefix).filter(|(name, _)| *name > 0).and_then(|(_, rest)| number(rest, 7));
    value.is_some_and(|(length, rest)| rest.len() == length)
}

/// A number that begins in so many bits of the first byte, and what comes after it (RFC 7541, 5.1). None: it isn't whole, or too large.
fn number(block: &[u8], prefix: u32) -> Option<(usize, &[u8])> {
    const MOST: u32 = 21;
    let (first, mut rest) = block.split_first()?;
    let most = (1 << prefix) - 1;
    let mut number = usize::from(*first) & most;
    if number < most {
        return Some((number, rest));
    }
    for shift in (0..=MOST).step_by(7) {
        let (next, after) = rest.split_first()?;
        number += usize::from(next & 0x7f) << shift;
        rest = after;
        if next & 0x80 == 0 {
            return Some((number, rest));
        }
    }
    None
}

/// This frame with these fields. Without a change if they don't fit into one.
pub fn dressed(frame: &[u8], headers: &HeaderMap) -> Vec<u8> {
    let mut block = frame[HEAD..].to_vec();
    for (name, value) in headers {
        // A literal that is not indexed, with a new name.
        block.push(0);
        text(&mut block, name.as_str().as_bytes());
        text(&mut block, value.as_bytes());
    }
    if block.len() > MAX_FRAME {
        return frame.to_vec();
    }
    let length = u32::try_from(block.len()).unwrap_or_default().to_be_bytes();
    [&length[1..], &frame[3..HEAD], &block].concat()
}

/// As RFC 7541 has it (5.2), without Huffman's code.
fn text(block: &mut Vec<u8>, text: &[u8]) {
    const PREFIX: usize = 0x7f;
    match text.len() {
        short if short < PREFIX => block.push(u8::try_from(short).unwrap_or_default()),
        long => {
            block.push(0x7f);
            let mut rest = long - PREFIX;
            while rest >= 0x80 {
                block.push(u8::try_from(rest % 0x80).unwrap_or_default() | 0x80);
                rest /= 0x80;
            }
            block.push(u8::try_from(rest).unwrap_or_default());
        }
    }
    block.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, header};

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        [&[0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0, stream], payload].concat()
    }

    /// SETTINGS, an answer of one field and its body, and h2's own.
    fn written() -> (Vec<u8>, Range<usize>) {
        let answer =
            [frame(HEADERS, END_HEADERS, 1, &[0x88, 0x40, 1, b'a', 1, b'b']), frame(0, END_STREAM, 1, &[1; 200])].concat();
        let before = [frame(4, 0, 0, &[0; 12]), answer].concat();
        let bare = frame(HEADERS, END_STREAM | END_HEADERS, 3, &[0x48, 0x82, 0x64, 0x0e]);
        let at = before.len()..before.len() + bare.len();
        ([before, bare, frame(3, 0, 3, &[0, 0, 0, 1])].concat(), at)
    }

    #[test]
    fn a_bare_answer_is_found_however_much_was_written_before() {
        let (bytes, at) = written();
        for first in 0..=at.start {
            for second in first..=at.start {
                let mut frames = Frames::default();
                frames.pass(&bytes[..first]);
                frames.pass(&bytes[first..second]);
                assert_eq!(frames.bare(&bytes[second..]), Some(at.start - second..at.end - second), "{first} {second}");
            }
        }
        let mut frames = Frames::default();
        frames.pass(&bytes[..at.end]);
        assert_eq!(frames.bare(&bytes[at.end..]), None);
    }

    #[test]
    fn nothing_else_is_one() {
        let (bytes, at) = written();
        for (place, value) in [(3, 0), (4, END_STREAM), (4, END_HEADERS), (2, 9)] {
            let mut other = bytes[at.clone()].to_vec();
            other[place] = value;
            other.resize(40, 0);
            assert_eq!(Frames::default().bare(&other), None, "{place}");
        }
        assert_eq!(Frames::default().bare(&bytes[at.start..at.end - 1]), None);
    }

    #[test]
    fn one_field_is_told_from_more() {
        let long: Vec<u8> = [&[0x48, 0x03][..], b"431"].concat();
        for (block, expected) in [
            (&[0xbe][..], true),
            (&[0xff, 0x80, 0x01], true),
            (&[0x48, 0x82, 0x64, 0x0e], true),
            (&[0x48, 0x83, 0x64, 0x0e, 0x0f], true),
            (&long, true),
            (&[0x08, 0x83, 0x64, 0x0e, 0x0f], true),
            (&[0x20, 0x3f, 0xe1, 0x1f, 0xbe], true),
            (&[0xbe, 0xbf], false),
            (&[0x88, 0x0f, 0x0d, 1, b'0'], false),
            (&[0x48, 0x82, 0x64, 0x0e, 0xbe], false),
            (&[0x48, 0x82, 0x64], false),
            (&[0x40, 1, b'a', 1, b'b'], false),
            (&[0xff, 0x80], false),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff], false),
            (&[0x20], false),
            (&[], false),
        ] {
            assert_eq!(is_one_field(block), expected, "{block:x?}");
        }
    }

    #[test]
    fn it_is_dressed_in_literals_of_any_length() {
        let (bytes, at) = written();
        let mut headers = HeaderMap::new();
        headers.insert(header::AGE, HeaderValue::from_static("1"));
        headers.insert(header::VIA, HeaderValue::from_str(&"x".repeat(400)).unwrap());
        let frame = dressed(&bytes[at.clone()], &headers);
        let block =
            [&[0x48, 0x82, 0x64, 0x0e, 0, 3][..], b"age", &[1, b'1', 0, 3], b"via", &[0x7f, 0x91, 2], &[b'x'; 400]].concat();
        assert_eq!(frame[..HEAD], [0, 1, u8::try_from(block.len() - 256).unwrap(), HEADERS, 5, 0, 0, 0, 3]);
        assert_eq!(frame[HEAD..], block);
        headers.insert(header::VIA, HeaderValue::from_str(&"x".repeat(MAX_FRAME)).unwrap());
        assert_eq!(dressed(&bytes[at.clone()], &headers), bytes[at]);
    }
}
