//! A real browser, driven by the WebDriver protocol (<https://www.w3.org/TR/webdriver2/>): headless Chromium from Debian.
//!
//! In go addresses and scripts; out come their values and every address that the page asked for. Invariant: the browser has a
//! profile of its own, reaches for nothing by itself, and is gone when the value is.

use crate::{Api, wait_until};
use http::Method;
use serde_json::{Value, json};
use std::{
    fs::File,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

pub struct Browser {
    driver: Child,
    api: Api,
    session: String,
    _profile: tempfile::TempDir,
}

/// Without them Chromium looks for updates and accounts as soon as it starts.
const QUIET: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

impl Browser {
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().expect("a profile");
        let (driver, port) = start_driver(&profile.path().join("driver.log")).await;
        let api = Api::new(SocketAddr::from(([127, 0, 0, 1], port)), None);
        let mut browser = Self { driver, api, session: String::new(), _profile: profile };
        browser.open_session().await;
        browser
    }

    async fn open_session(&mut self) {
        let folder = format!("--user-data-dir={}", self._profile.path().join("profile").display());
        let arguments: Vec<&str> = QUIET.into_iter().chain([folder.as_str()]).collect();
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"performance": "ALL"},
        }}});
        let answer = self.ask("/session", &wanted).await;
        self.session = answer["sessionId"].as_str().expect("a session").to_owned();
    }

    pub async fn open(&self, address: &str) {
        self.ask(&format!("/session/{}/url", self.session), &json!({ "url": address })).await;
    }

    /// The value of a JavaScript function's body.
    pub async fn run(&self, script: &str, arguments: &[Value]) -> Value {
        let body = json!({ "script": script, "args": arguments });
        self.ask(&format!("/session/{}/execute/sync", self.session), &body).await
    }

    /// Every address that was asked for since the last look.
    pub async fn asked_for(&self) -> Vec<String> {
        let entries = self.ask(&format!("/session/{}/se/log", self.session), &json!({ "type": "performance" })).await;
        let address = |entry: &Value| {
            let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let sent = message["message"]["method"] == "Network.requestWillBeSent";
            sent.then(|| message["message"]["params"]["request"]["url"].as_str().map(str::to_owned)).flatten()
        };
        entries.as_array().expect("log entries").iter().filter_map(address).collect()
    }

    /// A picture of the page, as PNG in base64.
    pub async fn screenshot(&self) -> String {
        let path = format!("/session/{}/screenshot", self.session);
        let answer = self.api.send(Method::GET, &path, &[], bytes::Bytes::new()).await.is(200).json();
        answer["value"].as_str().expect("a picture").to_owned()
    }

    async fn ask(&self, path: &str, body: &Value) -> Value {
        self.api.json(Method::POST, path, &[], body).await.is(200).json()["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.driver.kill());
        drop(self.driver.wait());
        // Chromium doesn't end with its driver. Its processes are known by their profile.
        let profile = self._profile.path().display().to_string();
        for pid in with_argument(&profile) {
            drop(Command::new("kill").args(["-KILL", &pid]).stderr(Stdio::null()).status());
        }
    }
}

/// The driver chooses a port and ends if somebody else has that by then, on IPv4 or on IPv6: then it chooses again.
async fn start_driver(log: &Path) -> (Child, u16) {
    const TRIES: usize = 5;
    for _ in 0..TRIES {
        let output = File::create(log).expect("its log");
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdin(Stdio::null()).stderr(output.try_clone().expect("its log, again")).stdout(output);
        let mut driver = command.spawn().expect("chromedriver isn't installed: run `scripts/bootstrap test`");
        if let Some(port) = port_of(&mut driver, log).await {
            return (driver, port);
        }
    }
    panic!("chromedriver ended {TRIES} times, last with:\n{}", said(log));
}

/// Where it listens; nothing if it ended.
async fn port_of(driver: &mut Child, log: &Path) -> Option<u16> {
    // A large program that may have to come from the disk first, beside many other tests.
    wait_until("chromedriver to listen", Duration::from_secs(60), async || {
        let ended = driver.try_wait().expect("its state").is_some();
        let text = said(log);
        let port = text.split("successfully on port ").nth(1).and_then(|rest| rest.split('.').next()?.parse().ok());
        (ended || port.is_some()).then_some(port.filter(|_| !ended))
    })
    .await
}

fn said(log: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned()
}

/// The processes that have this in their command line.
fn with_argument(text: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let has = |entry: &std::fs::DirEntry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    };
    entries.filter(has).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
