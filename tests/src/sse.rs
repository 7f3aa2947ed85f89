//! Server-sent events, read as they come.
//!
//! In goes a path, out come events, each within a deadline. Invariant: it follows the standard where a test depends on it: a
//! block of an id alone is no event, but it is remembered, and lines that begin with a colon are comments.

use crate::api::PATIENCE;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;

pub struct Sse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// What a client that comes back sends as `Last-Event-ID`.
    pub last_id: Option<String>,
    /// Comments so far.
    pub comments: usize,
    body: Incoming,
    unread: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct SseEvent {
    pub id: u64,
    pub kind: String,
    /// The whole of `data:`.
    pub json: Value,
}

impl Sse {
    pub(crate) fn new(response: http::Response<Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status, headers: parts.headers, last_id: None, comments: 0, body, unread: Vec::new() }
    }

    /// None: the stream has ended, in order.
    pub async fn next(&mut self) -> Option<SseEvent> {
        tokio::time::timeout(PATIENCE, self.read()).await.expect("the stream was silent")
    }

    /// Every event to the end.
    pub async fn rest(&mut self) -> Vec<SseEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    /// Reads on until something was said: an event, an id or a comment.
    pub async fn any(&mut self) {
        while self.block().is_none() {
            assert!(tokio::time::timeout(PATIENCE, self.more()).await.expect("the stream was silent"), "the stream ended");
        }
    }

    async fn read(&mut self) -> Option<SseEvent> {
        loop {
            while let Some(block) = self.block() {
                if block.is_some() {
                    return block;
                }
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn more(&mut self) -> bool {
        match self.body.frame().await {
            None => false,
            Some(frame) => {
                let frame = frame.expect("the stream broke");
                self.unread.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
                true
            }
        }
    }

    /// The next whole block, and the event in it, if it is one.
    fn block(&mut self) -> Option<Option<SseEvent>> {
        let end = self.unread.windows(2).position(|two| two == b"\n\n")?;
        let block: Vec<u8> = self.unread.drain(..end + 2).collect();
        let (mut kind, mut data) = (String::new(), None);
        for line in String::from_utf8(block).expect("UTF-8").lines() {
            match line.split_once(':').map(|(field, value)| (field, value.strip_prefix(' ').unwrap_or(value))) {
                Some(("id", value)) => self.last_id = Some(value.to_owned()),
                Some(("event", value)) => kind = value.to_owned(),
                Some(("data", value)) => data = Some(value.to_owned()),
                Some(("", _)) => self.comments += 1,
                _ => {}
            }
        }
        let id = || self.last_id.as_ref().and_then(|id| id.parse().ok()).expect("an event has an id");
        Some(data.map(|data| SseEvent { id: id(), kind, json: serde_json::from_str(&data).expect("JSON") }))
    }
}
