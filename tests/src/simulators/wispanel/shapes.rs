//! The shapes that WisPanel's answers have: three of errors, four of successes.
//!
//! All seven are in the vendor's pages; which call has which isn't, so a test chooses that of lists. Invariant: an error has its text
//! in exactly the places that its shape has.

use crate::Answer;
use serde_json::{Value, json};

/// How lists come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// `[…]`, as the installations in the document.
    Bare,
    /// `{"accounts": […], "total"}`, by the name of what is listed.
    Named,
    /// `{"success", "data", "meta"}`, so many to a page.
    Paged(usize),
}

pub fn listed(lists: Lists, name: &str, all: Vec<Value>, page: Option<&str>) -> Answer {
    let total = all.len();
    let value = match lists {
        Lists::Bare => json!(all),
        Lists::Named => json!({name: all, "total": total}),
        Lists::Paged(size) => {
            let number: usize = page.and_then(|page| page.parse().ok()).unwrap_or(1);
            let data: Vec<Value> = all.into_iter().skip((number - 1) * size).take(size).collect();
            let last = total.div_ceil(size).max(1);
            let meta = json!({"total": total, "per_page": size, "current_page": number, "last_page": last});
            json!({"success": true, "data": data, "meta": meta})
        }
    };
    Answer::Json(200, value)
}

/// `{"success", "message"}`
pub fn succeeded(message: &str) -> Answer {
    Answer::Json(200, json!({"success": true, "message": message}))
}

pub fn refused(status: u16, code: &str, text: &str) -> Answer {
    Answer::Json(status, json!({"success": false, "code": code, "error": text, "message": text, "status": status}))
}

pub fn refused_briefly(status: u16, code: &str, text: &str) -> Answer {
    Answer::Json(status, json!({"success": false, "error": text, "code": code}))
}

pub fn refused_deeply(status: u16, code: &str, text: &str, fields: &[&str]) -> Answer {
    let details: serde_json::Map<String, Value> = fields.iter().map(|field| ((*field).to_owned(), json!([text]))).collect();
    Answer::Json(status, json!({"error": {"code": code, "message": text, "details": details}}))
}
