//! What mutating calls come to: completions, pending work, progress and findings.
//!
//! Invariant: a handle is 1 to 4096 bytes and is passed on unaltered; what a guest says about time to wait is kept in bounds.

use super::{check_id, error_from_guest, raw, sentence, time};
use crate::{
    host::trap::broken,
    model::{Completion, Error, Finding, Pending, Progress, Secret, Work},
};
use portico_bindings::{exports::portico::provider::operations, portico::provider::types};

const MAX_HANDLE: usize = 4096;
const MAX_MESSAGE: usize = 1000;
const MAX_SECRETS: usize = 16;
/// Milliseconds.
const POLL_DEFAULT: u32 = 1_000;
const POLL_LEAST: u32 = 100;
const POLL_MOST: u32 = 60_000;

pub(in crate::host) fn work(work: types::Work) -> Result<Work, Error> {
    match work {
        types::Work::Done(done) => completion(done).map(Work::Done),
        types::Work::Pending(waiting) => pending(waiting).map(Work::Pending),
    }
}

pub(in crate::host) fn progress(progress: operations::Progress) -> Result<Progress, Error> {
    Ok(match progress {
        operations::Progress::Running(waiting) => Progress::Running(pending(waiting)?),
        operations::Progress::Succeeded(done) => Progress::Succeeded(completion(done)?),
        operations::Progress::Failed(error) => Progress::Failed(error_from_guest(error)),
        operations::Progress::Canceled => Progress::Canceled,
    })
}

pub(in crate::host) fn finding(finding: operations::Finding) -> Result<Finding, Error> {
    Ok(match finding {
        operations::Finding::Found(found) => Finding::Found(work(found)?),
        operations::Finding::Absent => Finding::Absent,
        operations::Finding::Unknown => Finding::Unknown,
    })
}

fn completion(done: types::Completion) -> Result<Completion, Error> {
    if let Some(target) = &done.target {
        check_id("completed target", target)?;
    }
    if done.secrets.len() > MAX_SECRETS {
        return Err(broken(format_args!("a completion holds {MAX_SECRETS} secrets at most")));
    }
    let secret = |secret: types::Secret| Secret { name: secret.name, value: secret.value };
    Ok(Completion {
        target: done.target,
        message: done.message.map(|message| sentence(message, MAX_MESSAGE)),
        details: done.details.map(details).transpose()?,
        secrets: done.secrets.into_iter().map(secret).collect(),
    })
}

fn details(json: String) -> Result<Box<serde_json::value::RawValue>, Error> {
    let details = raw("details", json)?;
    if details.get().starts_with('{') { Ok(details) } else { Err(broken("details is not a JSON object")) }
}

fn pending(waiting: types::Pending) -> Result<Pending, Error> {
    if !(1..=MAX_HANDLE).contains(&waiting.handle.len()) {
        return Err(broken(format_args!("a handle has 1 to {MAX_HANDLE} bytes, not {}", waiting.handle.len())));
    }
    if let Some(target) = &waiting.target {
        check_id("pending target", target)?;
    }
    Ok(Pending {
        handle: waiting.handle,
        target: waiting.target,
        progress: waiting.progress.map(|percent| percent.min(100)),
        message: waiting.message.map(|message| sentence(message, MAX_MESSAGE)),
        estimated_completion_at: time(waiting.estimated_completion_at)?,
        poll_after: waiting.poll_after.unwrap_or(POLL_DEFAULT).clamp(POLL_LEAST, POLL_MOST),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(handle: &str, poll_after: Option<u32>) -> types::Pending {
        types::Pending {
            handle: handle.into(),
            target: None,
            progress: Some(250),
            message: None,
            estimated_completion_at: None,
            poll_after,
        }
    }

    #[test]
    fn polling_and_progress_are_kept_in_bounds() {
        for (given, kept) in [(None, 1_000), (Some(0), 100), (Some(500), 500), (Some(u32::MAX), 60_000)] {
            let pending = pending(guest("h", given)).unwrap();
            assert_eq!((pending.poll_after, pending.progress), (kept, Some(100)));
        }
    }

    #[test]
    fn handles_are_bounded_and_details_are_objects() {
        assert!(pending(guest("", None)).is_err());
        assert!(pending(guest(&"h".repeat(4097), None)).is_err());
        assert!(details("[1]".into()).is_err());
        assert_eq!(details(" {\"n\": 1}".into()).unwrap().get(), "{\"n\": 1}");
    }
}
