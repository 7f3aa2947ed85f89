//! A guest that does what no provider may: the id of the site that is asked for says what.
//!
//! Invariant: every behaviour is one arm of `Sites::get`, and `tests/whole/hostile.rs` has a test for each.

use portico_guests::Settings;
use portico_sdk::{
    Configuration, Description, Error, Page, PageRequest, Provider, Site, Sites, Upstream, error, log, state,
    upstream::{Method, Request},
};
use serde_json::{Value, json};
use std::{
    cell::{Cell, RefCell},
    hint::black_box,
};

const API: Upstream = Upstream::named("api");
const MIB: usize = 1 << 20;

thread_local! {
    /// Calls of this instance so far.
    static CALLS: Cell<u32> = const { Cell::new(0) };
    /// What an earlier call left in memory, for whoever comes next.
    static KEPT: RefCell<Option<String>> = const { RefCell::new(None) };
}

struct Hostile {
    settings: Settings,
}

impl Provider for Hostile {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("hostile", "Hostile", "Does what no provider may", "1.0.0", Settings::schema().to_string())
    }

    fn configure(settings: Settings) -> Result<(Self, Configuration), Error> {
        let upstreams = settings.upstream().into_iter().collect();
        Ok((Self { settings }, Configuration { upstreams, ..Configuration::new(["sites.list", "sites.get"]) }))
    }
}

impl Sites for Hostile {
    fn list(&self, _: &PageRequest) -> Result<Page<Site>, Error> {
        Ok(Page::last(vec![Site::new("kind", "Kind")]))
    }

    fn get(&self, id: &str) -> Result<Site, Error> {
        CALLS.set(CALLS.get() + 1);
        match id {
            "kind" => Ok(with_native("kind", &json!({ "calls": CALLS.get() }))),
            "spin" => spin(),
            "grow" => grow(),
            "trap" => trap(),
            "panic" => panicking(),
            "answer" => Ok(Site { native: Some("x".repeat(100 * MIB)), ..Site::new(id, "100 MB") }),
            "alias" => Ok(aliased()),
            "malformed" => Ok(malformed()),
            "recurse" => Ok(Site::new(id, recurse(0).to_string())),
            "flood" => Ok(flood()),
            "calls" => call_often(),
            "ungranted" => Upstream::named("elsewhere").get(["x"]).send().map(|_| Site::new(id, "reached")),
            "smuggle" => Ok(with_native(id, &smuggle())),
            "keep" => self.keep(),
            "read" => read(),
            other => Err(error::not_found(format!("no behaviour is called {other}"))),
        }
    }
}

portico_sdk::provider!(Hostile: sites);

fn with_native(id: &str, native: &Value) -> Site {
    Site { native: Some(native.to_string()), ..Site::new(id, id) }
}

fn spin() -> ! {
    loop {
        black_box(());
    }
}

fn grow() -> ! {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        // Reserved and not written: on a busy machine, writing as much takes longer than the limit on computing allows.
        all.push(black_box(Vec::with_capacity(MIB)));
    }
}

fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    unreachable!("this guest runs as a component only");
}

#[expect(clippy::panic, reason = "it is what this behaviour is for")]
fn panicking() -> ! {
    panic!("the password is hunter2");
}

/// A thousand sites' worth of text in 10 MiB of memory: every string is the same one, and each would be copied by the host.
fn aliased() -> Site {
    const COUNT: usize = 1000;
    let text = "x".repeat(10 * MIB);
    let environments = (0..COUNT).map(|_| {
        let mut environment = portico_sdk::Environment::new("e", "e", portico_sdk::EnvironmentKind::Production);
        #[expect(
            unsafe_code,
            reason = "aliased strings are what this behaviour is for; the instance ends before they are freed"
        )]
        // SAFETY: there is none. The host reads the strings while they live, and refuses the answer.
        let name = unsafe { String::from_raw_parts(text.as_ptr().cast_mut(), text.len(), text.len()) };
        environment.native = Some(name);
        environment
    });
    let site = Site { environments: environments.collect(), ..Site::new("alias", "10 GB") };
    std::mem::forget(text);
    site
}

/// A string that isn't UTF-8: the host can't read the answer, although the call ended well.
fn malformed() -> Site {
    #[expect(unsafe_code, reason = "a malformed string is what this behaviour is for")]
    // SAFETY: there is none. Only the host reads the string, and refuses it.
    let name = unsafe { String::from_utf8_unchecked(vec![0xff, 0xfe, 0xff]) };
    Site::new("malformed", name)
}

/// Nothing of it lies in linear memory, so that it is the engine's stack that ends, and no loop can take its place.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX {
        return 0;
    }
    (recurse(depth + 1) ^ depth.rotate_left(3)).wrapping_add(1)
}

fn flood() -> Site {
    let long = "flood ".repeat(4000);
    for _ in 0..100_000 {
        log::info(black_box(&long));
    }
    Site::new("flood", "flooded")
}

fn call_often() -> Result<Site, Error> {
    for count in 0..10_000_u32 {
        API.get(["often"]).query("count", count).send()?;
    }
    Ok(Site::new("calls", "called"))
}

/// What the host said to each attempt: null where it let it pass.
fn smuggle() -> Value {
    let headers = [
        ("host", "evil.example"),
        ("content-length", "3"),
        ("transfer-encoding", "chunked"),
        ("connection", "upgrade"),
        ("cookie", "a=b"),
        ("authorization", "Bearer stolen"),
        ("proxy-authorization", "Basic stolen"),
        ("forwarded", "for=evil"),
        ("accept", "a\r\nx-injected: yes"),
        ("accept\r\nx-injected", "yes"),
        ("x-undeclared", "yes"),
    ];
    let paths = ["..", ".", "a/../b", "a\\b", "a\r\nx-injected: yes", "\0"];
    let by_header =
        headers.iter().map(|(name, value)| (format!("header {name:?}"), API.get(["smuggled"]).header(name, *value)));
    let by_path = paths.iter().map(|path| (format!("path {path:?}"), API.request(Method::Get, ["smuggled", path])));
    let refused = |request: Request| request.send_any().err().map(|error| error.message);
    Value::Object(by_header.chain(by_path).map(|(attempt, request)| (attempt, json!(refused(request)))).collect())
}

impl Hostile {
    /// Leaves the connection's secret wherever a guest can leave something.
    fn keep(&self) -> Result<Site, Error> {
        let secret = self.settings.secret.clone().unwrap_or_default();
        state::set("secret", secret.as_bytes())?;
        KEPT.set(Some(secret));
        Ok(Site::new("keep", "kept"))
    }
}

/// Everything that this instance can find of an earlier one.
fn read() -> Result<Site, Error> {
    let memory = KEPT.with_borrow(Clone::clone);
    let stored = state::get("secret")?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(with_native("read", &json!({ "memory": memory, "state": stored })))
}
