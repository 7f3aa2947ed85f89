//! WP Engine in both dialects: the published API (OpenAPI 1.17.0) and that of the older endpoint reference.
//!
//! Invariant: work that the documents call asynchronous isn't done when it is answered; it comes a step further with each look at
//! it. Our assumptions are named in each dialect's file.

pub mod live;
pub mod seed;

pub use live::LiveWpEngine;
pub use seed::SeedWpEngine;

use crate::Answer;
use serde_json::{Value, json};

/// For so many looks work is under way.
const LOOKS: u32 = 2;

/// Something that becomes ready by being looked at.
#[derive(Clone, Copy, Debug)]
struct Work(u32);

impl Work {
    const fn new() -> Self {
        Self(LOOKS)
    }

    /// One look; whether it is over.
    const fn look(&mut self) -> bool {
        let over = self.0 == 0;
        self.0 = self.0.saturating_sub(1);
        over
    }

    const fn is_over(self) -> bool {
        self.0 == 0
    }
}

/// A number as part of a query; the default where there is none or it is no number.
fn number(text: Option<&str>, default: usize) -> usize {
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn ok(value: Value) -> Answer {
    Answer::Json(200, value)
}

fn empty(status: u16) -> Answer {
    Answer::Raw(status, Vec::new(), bytes::Bytes::new())
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// `fields` of `from` that are there, in an object of their own.
fn parts(from: &Value, fields: &[&str]) -> Value {
    let given = fields.iter().filter(|field| !from[**field].is_null());
    given.fold(json!({}), |mut object, field| {
        object[*field] = from[*field].clone();
        object
    })
}
