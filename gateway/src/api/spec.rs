//! What the API is, as data: every endpoint with its handler, its words and its shapes.
//!
//! The router and the OpenAPI document are both made from [`Endpoint`]s, so neither can know something that the other doesn't.
//! Invariant: an endpoint without a name, a summary or an answer doesn't compile.

mod document;
mod examples;
mod links;
mod problems;
mod rights;
mod shapes;
#[cfg(test)]
mod tests;

pub use document::document;

use super::Api;
use axum::{handler::Handler, routing::MethodRouter};
use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::sync::Arc;

/// Puts a type's schema into the document, and refers to it.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

pub struct Endpoint {
    pub method: Method,
    /// Below `/api/v1`.
    pub path: &'static str,
    /// `sites.list`: the operation's id in the document.
    pub name: &'static str,
    pub summary: &'static str,
    /// More to say, in Markdown.
    pub details: &'static str,
    pub handler: MethodRouter<Arc<Api>>,
    pub query: Option<Shape>,
    pub body: Option<Body>,
    pub answer: Answer,
    /// The path below which the thing is that is made or listed here: the endpoint's own, unless it says otherwise.
    pub collection: &'static str,
    /// It needs no principal.
    pub open: bool,
}

pub enum Body {
    Json {
        shape: Shape,
        /// What a new user could send.
        example: &'static str,
        required: bool,
    },
    /// A file's bytes, whose length is announced.
    Bytes,
}

/// How an endpoint answers when all is well.
#[derive(Clone, Copy)]
pub enum Answer {
    /// A resource that is read: 200 with an entity tag, or 304.
    Resource(Shape),
    /// A page of a list: the same, and cursors that may expire.
    List(Shape, Cursors),
    /// A change that a provider carries out: 200, or 201 where it makes something, when it ended in time; 202 when it goes on.
    Operation(Makes),
    /// The same; 200 with the resource instead where Portico itself keeps what is changed.
    OperationOrKept(Shape),
    /// The state of an operation.
    Progress(Shape),
    /// A page of operations: never stored, since they change by themselves.
    ProgressList(Shape),
    /// An operation that was canceled (200), or is asked to end (202).
    Canceled(Shape),
    /// What Portico keeps itself: the resource as it is now, with this status.
    Kept(Shape, u16),
    /// 204.
    Nothing,
    /// Server-sent events.
    Events,
    /// A file, as an attachment.
    File,
}

/// Whether a list's cursors pin a snapshot, which may have to go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cursors {
    None,
    Keys,
    Pinned,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Makes {
    AResource,
    AChange,
}

pub const fn shape<T: JsonSchema>() -> Shape {
    |generator| generator.subschema_for::<T>()
}

/// The words and handler of an endpoint; [`Unanswered`]'s methods say how it answers.
pub struct Unanswered {
    method: Method,
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    details: &'static str,
    handler: MethodRouter<Arc<Api>>,
    query: Option<Shape>,
    body: Option<Body>,
    collection: &'static str,
}

macro_rules! methods {
    ($($function:ident: $method:ident),+) => {
        $(pub fn $function<H: Handler<T, Arc<Api>>, T: 'static>(
            path: &'static str,
            name: &'static str,
            handler: H,
            summary: &'static str,
        ) -> Unanswered {
            let handler = axum::routing::$function(handler);
            Unanswered { method: Method::$method, path, name, summary, details: "", handler, query: None, body: None, collection: path }
        })+
    };
}
methods!(get: GET, post: POST, put: PUT, patch: PATCH, delete: DELETE);

impl Unanswered {
    pub fn details(mut self, details: &'static str) -> Self {
        self.details = details;
        self
    }

    pub fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(shape::<T>());
        self
    }

    pub fn body<T: JsonSchema>(mut self, example: &'static str) -> Self {
        self.body = Some(Body::Json { shape: shape::<T>(), example, required: true });
        self
    }

    /// A body that may be left out.
    pub fn optional_body<T: JsonSchema>(mut self, example: &'static str) -> Self {
        self.body = Some(Body::Json { shape: shape::<T>(), example, required: false });
        self
    }

    pub fn bytes(mut self) -> Self {
        self.body = Some(Body::Bytes);
        self
    }

    /// Where what is made here is found afterwards, when that isn't below this path.
    pub fn makes_one_of(mut self, collection: &'static str) -> Self {
        self.collection = collection;
        self
    }

    pub fn resource<T: JsonSchema>(self) -> Endpoint {
        self.answers(Answer::Resource(shape::<T>()))
    }

    pub fn list<T: JsonSchema>(self, cursors: Cursors) -> Endpoint {
        self.answers(Answer::List(shape::<T>(), cursors))
    }

    pub fn operation(self, makes: Makes) -> Endpoint {
        self.answers(Answer::Operation(makes))
    }

    /// Where what is changed may be Portico's own.
    pub fn operation_or<T: JsonSchema>(self) -> Endpoint {
        self.answers(Answer::OperationOrKept(shape::<T>()))
    }

    pub fn progress<T: JsonSchema>(self) -> Endpoint {
        self.answers(Answer::Progress(shape::<T>()))
    }

    pub fn progress_list<T: JsonSchema>(self) -> Endpoint {
        self.answers(Answer::ProgressList(shape::<T>()))
    }

    pub fn canceled<T: JsonSchema>(self) -> Endpoint {
        self.answers(Answer::Canceled(shape::<T>()))
    }

    pub fn kept<T: JsonSchema>(self, status: u16) -> Endpoint {
        self.answers(Answer::Kept(shape::<T>(), status))
    }

    pub fn nothing(self) -> Endpoint {
        self.answers(Answer::Nothing)
    }

    pub fn file(self) -> Endpoint {
        self.answers(Answer::File)
    }

    pub fn events(self) -> Endpoint {
        self.answers(Answer::Events)
    }

    fn answers(self, answer: Answer) -> Endpoint {
        let Self { method, path, name, summary, details, handler, query, body, collection } = self;
        Endpoint { method, path, name, summary, details, handler, query, body, answer, collection, open: false }
    }
}

impl Endpoint {
    pub fn open(self) -> Self {
        Self { open: true, ..self }
    }

    /// `sites`, the group in the document.
    pub fn group(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    /// The names in braces.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Whether it changes something and answers without an operation: its Idempotency-Key keeps the answer. Streamed bodies have no
    /// key: their hash is known at their end.
    pub fn keeps_answers(&self) -> bool {
        let kept = matches!(self.answer, Answer::Kept(..) | Answer::Nothing | Answer::Canceled(_));
        kept && self.method != Method::GET && !matches!(self.body, Some(Body::Bytes)) && !self.is_of_sessions()
    }

    /// Whether an Idempotency-Key can't be honoured: what lets people in and out, where answers may have secrets that are kept nowhere.
    pub fn refuses_keys(&self) -> bool {
        self.method != Method::GET && self.is_of_sessions()
    }

    fn is_of_sessions(&self) -> bool {
        self.open || self.name.starts_with("auth.") || self.name.starts_with("account.")
    }

    /// Whether what it makes here can be read by itself, which its `Location` says. Plans, blobs and invitations can't.
    pub fn has_place(&self) -> bool {
        let unplaced = ["deployments.plan", "deployments.upload", "invitations.create"];
        matches!(self.answer, Answer::Kept(_, 201)) && !unplaced.contains(&self.name)
    }

    /// Whether a provider may be asked, with all that can go wrong there.
    pub fn asks_provider(&self) -> bool {
        let cancels = self.path.ends_with("/cancel");
        cancels || self.path.starts_with("/sites") || self.path.starts_with("/billing")
    }
}
