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

    /// A page out of a list that came as a whole, in the order of ids; the cursor is the last one's id, so that others may come
    /// and go between two pages.
    pub fn by_id(all: Vec<T>, request: &PageRequest, id: impl Fn(&T) -> &str) -> Self {
        let (places, next) = chosen(all.iter().map(|item| id(item).to_owned()).collect(), request);
        let mut all: Vec<Option<T>> = all.into_iter().map(Some).collect();
        let items = places.into_iter().filter_map(|place| all.get_mut(place)?.take()).collect();
        Self { items, next }
    }

    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(convert).collect(), next: self.next }
    }
}

/// Places of the page's items. By ids alone, so that sorting is compiled once and not for every resource.
fn chosen(ids: Vec<String>, request: &PageRequest) -> (Vec<usize>, Option<String>) {
    let after = |id: &String| request.cursor.as_ref().is_none_or(|cursor| id > cursor);
    let mut rest: Vec<(String, usize)> = ids.into_iter().zip(0..).filter(|(id, _)| after(id)).collect();
    rest.sort_unstable();
    let limit = request.limit as usize;
    let next = if rest.len() > limit { rest.get(limit.wrapping_sub(1)).map(|(id, _)| id.clone()) } else { None };
    (rest.into_iter().take(limit).map(|(_, place)| place).collect(), next)
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
    fn pages_by_id_go_on_after_the_last_one() {
        let ids = |items: &[&str]| items.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let cut = |cursor: Option<&str>| {
            let request = PageRequest { cursor: cursor.map(str::to_owned), limit: 2 };
            Page::by_id(ids(&["c", "a", "d", "b"]), &request, |id| id)
        };
        assert_eq!(cut(None), Page { items: ids(&["a", "b"]), next: Some("b".into()) });
        assert_eq!(cut(Some("b")), Page { items: ids(&["c", "d"]), next: None });
        assert_eq!(cut(Some("bb")).items, ["c", "d"], "also when that one is gone");
    }

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
