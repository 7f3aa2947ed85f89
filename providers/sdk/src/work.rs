//! Small constructors for what calls return: resources, work, completions, pages.
//!
//! Invariant: a constructor fills what it isn't told with nothing, never with a guess.

use crate::{
    Call, Completion, Environment, EnvironmentKind, Error, PageRequest, Pending, Secret, Site, SiteKind, SiteStatus, Work,
    error,
};

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The cursor of the next page, none after the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The last page.
    pub fn last(items: Vec<T>) -> Self {
        Self { items, next: None }
    }

    /// A page out of a list that is in memory as a whole; the cursor is the index to go on at. Lists whose items come and go
    /// want a cursor that names the last item instead.
    pub fn slice(all: Vec<T>, request: &PageRequest) -> Result<Self, Error> {
        let start: usize = match &request.cursor {
            None => 0,
            Some(cursor) => cursor.parse().map_err(|_| error::invalid_input("cursor", "this cursor isn't one of ours"))?,
        };
        let limit = request.limit as usize;
        let next = (all.len() > start.saturating_add(limit)).then(|| start.saturating_add(limit).to_string());
        Ok(Self { items: all.into_iter().skip(start).take(limit).collect(), next })
    }

    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(convert).collect(), next: self.next }
    }
}

impl Call {
    pub fn new(operation_id: impl Into<String>, idempotency_key: impl Into<String>) -> Self {
        Self { operation_id: operation_id.into(), idempotency_key: idempotency_key.into() }
    }
}

impl PageRequest {
    pub fn first(limit: u32) -> Self {
        Self { cursor: None, limit }
    }
}

impl Site {
    /// A WordPress site of which nothing else is known.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            slug: None,
            kind: SiteKind::Wordpress,
            status: SiteStatus::Unknown,
            url: None,
            wordpress_version: None,
            php_version: None,
            environments: Vec::new(),
            usage: None,
            created_at: None,
            updated_at: None,
            native: None,
        }
    }
}

impl Environment {
    /// An environment of which nothing else is known.
    pub fn new(id: impl Into<String>, name: impl Into<String>, kind: EnvironmentKind) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            kind,
            status: SiteStatus::Unknown,
            url: None,
            primary_domain: None,
            php_version: None,
            wordpress_version: None,
            native: None,
        }
    }
}

#[expect(clippy::derivable_impls, reason = "the type is generated")]
impl Default for Completion {
    fn default() -> Self {
        Self { target: None, message: None, details: None, secrets: Vec::new() }
    }
}

impl Completion {
    /// `target`: the native id of what was made or changed.
    pub fn of(target: impl Into<String>) -> Self {
        Self { target: Some(target.into()), ..Self::default() }
    }

    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// A JSON object without secrets.
    #[must_use]
    pub fn with_details(mut self, details: &serde_json::Value) -> Self {
        self.details = Some(details.to_string());
        self
    }

    #[must_use]
    pub fn with_secret(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.secrets.push(Secret { name: name.into(), value: value.into() });
        self
    }
}

impl Pending {
    pub fn new(handle: impl Into<String>) -> Self {
        Self {
            handle: handle.into(),
            target: None,
            progress: None,
            message: None,
            estimated_completion_at: None,
            poll_after: None,
        }
    }

    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// 0 to 100.
    #[must_use]
    pub fn with_progress(mut self, percent: u8) -> Self {
        self.progress = Some(percent.min(100));
        self
    }

    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn with_estimated_completion(mut self, at: u64) -> Self {
        self.estimated_completion_at = Some(at);
        self
    }

    /// Milliseconds from now.
    #[must_use]
    pub fn with_poll_after(mut self, millis: u32) -> Self {
        self.poll_after = Some(millis);
        self
    }
}

impl Work {
    /// Done, and there is no resource to name (a deletion).
    pub fn done() -> Self {
        Self::Done(Completion::default())
    }

    /// Done; `target` is the native id of what was made or changed.
    pub fn done_with(target: impl Into<String>) -> Self {
        Self::Done(Completion::of(target))
    }
}

impl From<Completion> for Work {
    fn from(completion: Completion) -> Self {
        Self::Done(completion)
    }
}

impl From<Pending> for Work {
    fn from(pending: Pending) -> Self {
        Self::Pending(pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_to_the_end() {
        let walk = |limit: u32| {
            let (mut seen, mut cursor) = (Vec::new(), None);
            loop {
                let page = Page::slice((0..7).collect(), &PageRequest { cursor, limit }).unwrap();
                assert!(page.items.len() <= limit as usize);
                seen.extend(page.items);
                cursor = page.next;
                if cursor.is_none() {
                    return seen;
                }
            }
        };
        for limit in [1, 3, 7, 1000] {
            assert_eq!(walk(limit), (0..7).collect::<Vec<_>>(), "limit {limit}");
        }
        let refused = Page::slice(vec![1], &PageRequest { cursor: Some("x".into()), limit: 1 }).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some("cursor"));
    }
}
