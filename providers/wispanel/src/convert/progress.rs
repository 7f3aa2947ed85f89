//! How far work at the panel is: `GET /wordpress/install/:id/progress`, whose body nobody documented.
//!
//! Pure. Percent and status are read in the usual spellings. Invariant: a word that isn't known is `Unknown`, never "going on", so
//! that nobody waits for ever for it to change.

use super::read::{as_flag, as_text, find, object};
use crate::error;
use serde_json::Value;

#[derive(Debug, PartialEq)]
pub enum State {
    /// With its percent, where that is told.
    Running(Option<u8>),
    Done,
    /// With the panel's own words.
    Failed(Option<String>),
    Unknown,
}

pub fn state(answer: &Value) -> State {
    let inside = object(answer.clone(), &["progress", "install", "installation", "job", "task"]);
    let says = |name| find(&inside, &[name], as_flag);
    let is = |names: &[&'static str]| names.iter().any(|name| says(name) == Some(true));
    let word = word(&inside).unwrap_or_default();
    let percent = percent(&inside);
    let refused = says("success") == Some(false) || answer.get("success") == Some(&Value::Bool(false));
    match word.as_str() {
        "failed" | "failure" | "error" | "errored" | "aborted" | "canceled" | "cancelled" | "timeout" => failed(&inside),
        _ if is(&["failed", "has_error"]) || refused => failed(&inside),
        "completed" | "complete" | "done" | "success" | "succeeded" | "successful" | "finished" | "installed" | "ready"
        | "ok" => State::Done,
        _ if is(&["completed", "complete", "done", "finished"]) => State::Done,
        "pending" | "queued" | "waiting" | "running" | "in_progress" | "in-progress" | "inprogress" | "in progress"
        | "installing" | "processing" | "started" | "starting" | "creating" | "downloading" | "extracting" | "configuring"
        | "cloning" | "copying" | "importing" | "working" | "restoring" => State::Running(percent),
        "" if percent.is_some_and(|percent| percent >= 100) => State::Done,
        "" if percent.is_some() => State::Running(percent),
        _ => State::Unknown,
    }
}

/// A number isn't a word: some of the panel's answers have their HTTP status there.
fn word(value: &Value) -> Option<String> {
    let word = find(value, &["status", "state", "stage", "phase"], |value| value.as_str().map(str::to_owned))?;
    Some(word.trim().to_ascii_lowercase())
}

/// 45, 45.5, "45" or "45 %".
fn percent(value: &Value) -> Option<u8> {
    let number = find(value, &["percent", "percentage", "progress_percent", "progress", "pct"], |value| match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().trim_end_matches('%').trim_end().parse().ok(),
        _ => None,
    })?;
    // A cast of a float keeps to the type's limits.
    number.is_finite().then_some(number.clamp(0.0, 100.0) as u8)
}

fn failed(value: &Value) -> State {
    let text = |name| value.get(name).and_then(as_text).and_then(|text| error::one_line(&text));
    State::Failed(["error", "error_message", "reason", "message"].into_iter().find_map(text))
}

/// What to ask for the progress of work that a call began, where its answer tells.
pub fn job(answer: &Value) -> Option<String> {
    let inside = object(answer.clone(), &["installation", "install", "job", "task", "backup"]);
    let names = ["install_id", "progress_id", "job_id", "task_id", "installation_id", "id"];
    let is_plain = |id: &String| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        id.len() <= 128 && id.bytes().all(fits) && !id.starts_with('.')
    };
    [answer, &inside].into_iter().find_map(|value| find(value, &names, as_text)).filter(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_usual_spellings() {
        let failed = |text: &str| State::Failed(Some(text.to_owned()));
        for (answer, expected) in [
            (json!({"status": "running", "percent": 40}), State::Running(Some(40))),
            (json!({"state": "In_Progress", "progress": 40.9}), State::Running(Some(40))),
            (json!({"success": true, "data": {"status": "installing", "percentage": "75 %"}}), State::Running(Some(75))),
            (json!({"progress": {"status": "queued"}}), State::Running(None)),
            (json!({"progress": 12}), State::Running(Some(12))),
            (json!({"progress": -3}), State::Running(Some(0))),
            (json!({"percent": 100}), State::Done),
            (json!({"status": "Completed", "percent": 90}), State::Done),
            (json!({"done": true}), State::Done),
            (json!({"done": false, "percent": 5}), State::Running(Some(5))),
            (json!({"status": "failed", "error": "disk full.", "percent": 100}), failed("disk full")),
            (json!({"success": false, "error": "no database"}), failed("no database")),
            (json!({"success": false, "data": {"message": "no database"}}), failed("no database")),
            (json!({"failed": true}), State::Failed(None)),
            (json!({"status": "failed", "error": "<b>no</b>"}), State::Failed(None)),
        ] {
            assert_eq!(state(&answer), expected, "{answer}");
        }
    }

    #[test]
    fn nobody_waits_for_a_word_that_is_unknown() {
        for answer in [
            json!({"status": "pondering", "percent": 40}),
            json!({"status": "pondering", "percent": 100}),
            json!({"success": true, "message": "fine"}),
            json!({"status": 200}),
            json!({"percent": "many"}),
            json!({"status": null}),
            json!(null),
            json!([1]),
            json!("running"),
        ] {
            assert_eq!(state(&answer), State::Unknown, "{answer}");
        }
    }

    #[test]
    fn what_to_ask_for() {
        for (answer, expected) in [
            (json!({"success": true, "install_id": "i-1", "id": "wp_1"}), Some("i-1")),
            (json!({"id": "wp_1"}), Some("wp_1")),
            (json!({"data": {"task_id": 7}}), Some("7")),
            (json!({"success": true, "installation": {"id": "wp_1"}}), Some("wp_1")),
            (json!({"success": true, "message": "done"}), None),
            (json!({"id": "../auth/me"}), None),
            (json!({"id": ".."}), None),
            (json!(null), None),
        ] {
            assert_eq!(job(&answer).as_deref(), expected, "{answer}");
        }
    }
}
