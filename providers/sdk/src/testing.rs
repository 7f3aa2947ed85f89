//! A fake host for native tests of a provider: scripted upstreams, state in memory, a clock that the test sets.
//!
//! [`FakeHost::install`] puts it in place for the current thread until it is dropped. Invariant: a request that no expectation
//! matches is an error that says so, never an empty success.

pub(crate) mod imports;
mod upstream;

pub use crate::host::{Background, BackgroundState, Level, Method, RawRequest, Response};
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};
pub use upstream::{Expectation, json_response, response};

/// Where the clock of a fresh host stands: 2023-11-14T22:13:20Z.
pub const START: u64 = 1_700_000_000_000;

#[derive(Default)]
pub(crate) struct Inner {
    now: u64,
    random: u64,
    revision: u64,
    state: BTreeMap<String, Vec<u8>>,
    logs: Vec<(Level, String)>,
    requests: Vec<RawRequest>,
    expectations: Vec<upstream::Rule>,
    background: BTreeMap<String, Background>,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<RefCell<Inner>>>> = const { RefCell::new(None) };
}

/// The host of this thread, until it is dropped.
pub struct FakeHost {
    inner: Rc<RefCell<Inner>>,
}

impl FakeHost {
    /// Replaces whatever host this thread had.
    #[must_use = "the host is taken away when this is dropped"]
    pub fn install() -> Self {
        let inner = Rc::new(RefCell::new(Inner { now: START, random: 1, ..Inner::default() }));
        CURRENT.set(Some(inner.clone()));
        Self { inner }
    }

    /// Answers requests of this method and path (`/sites/42`; a `*` segment matches any one segment).
    /// Among several that match, the one that was added last answers.
    pub fn on(&self, method: Method, path: &str) -> Expectation<'_> {
        Expectation::new(self, method, path)
    }

    /// Everything that was sent or started, in order.
    pub fn requests(&self) -> Vec<RawRequest> {
        self.inner.borrow().requests.clone()
    }

    /// Milliseconds since the epoch.
    pub fn set_now(&self, millis: u64) {
        self.inner.borrow_mut().now = millis;
    }

    pub fn advance(&self, millis: u64) {
        self.inner.borrow_mut().now += millis;
    }

    /// The same seed gives the same bytes.
    pub fn seed(&self, seed: u64) {
        self.inner.borrow_mut().random = seed.max(1);
    }

    pub fn logs(&self) -> Vec<(Level, String)> {
        self.inner.borrow().logs.clone()
    }

    /// All keys and values of the connection's state, sorted by key.
    pub fn state(&self) -> Vec<(String, Vec<u8>)> {
        self.inner.borrow().state.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Ends or moves on a background request; `key` is what it was started with.
    pub fn set_background(&self, key: &str, background: Background) {
        self.inner.borrow_mut().background.insert(key.to_owned(), background);
    }

    /// As a restart of the gateway does.
    pub fn forget_background(&self) {
        self.inner.borrow_mut().background.clear();
    }
}

impl Drop for FakeHost {
    fn drop(&mut self) {
        let inner = &self.inner;
        CURRENT.with_borrow_mut(|current| {
            if current.as_ref().is_some_and(|current| Rc::ptr_eq(current, inner)) {
                *current = None;
            }
        });
    }
}
