//! The gateway as a real process.
//!
//! In goes a [`Setup`]; out comes a [`Gateway`] that listens on ports of its own, with an API client. Invariant: the process
//! ends with the value, the data folder with the last value that uses it, and only processes that were started here are killed.
//! `TESTS_WAY=stack` in the environment takes the short way of cached reads from each: the same tests must pass with and without it.

use crate::{Api, compiled, eventually, wait_until};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    fs::{self, File},
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};
use tempfile::TempDir;

/// What a gateway is started with.
#[derive(Clone, Default)]
pub struct Setup {
    /// More lines of the configuration file. Loopback upstreams over http are granted unless it has `[[grants]]`.
    pub config: String,
    pub environment: Vec<(String, String)>,
    /// Load these of the guests that `make components` built from `tests/guests`.
    pub guests: Vec<&'static str>,
}

pub struct Gateway {
    child: Child,
    setup: Setup,
    folder: TempDir,
    pub api: Api,
    /// The admin listener: health and metrics.
    pub admin: Api,
    pub api_address: SocketAddr,
    pub admin_address: SocketAddr,
}

const LOOPBACK: &str = "[[grants]]\norganization = \"*\"\nprovider = \"*\"\nnetworks = [\"127.0.0.0/8\"]\nhttp = true\n";

impl Gateway {
    /// `portico dev` with nothing but its defaults.
    pub async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    pub async fn start_with(setup: Setup) -> Self {
        let folder = tempfile::Builder::new().prefix("portico-").tempdir().expect("a temporary folder");
        compiled::seed(&folder.path().join("data")).expect("a data folder");
        Self::start_in(folder, setup).await
    }

    /// On a data folder that `prepare` has filled.
    pub async fn start_on(setup: Setup, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::Builder::new().prefix("portico-").tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        fs::DirBuilder::new().mode(0o700).create(&data).expect("a data folder");
        prepare(&data);
        Self::start_in(folder, setup).await
    }

    async fn start_in(folder: TempDir, setup: Setup) -> Self {
        let child = spawn(folder.path(), &setup).expect("the gateway starts");
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let api = Api::new(nowhere, None);
        let mut gateway = Self { child, setup, folder, admin: api.clone(), api, api_address: nowhere, admin_address: nowhere };
        gateway.learn().await;
        gateway
    }

    /// Reads where it listens, as soon as it does.
    async fn learn(&mut self) {
        let (addresses, token) = (self.data().join("addresses.json"), self.data().join("dev-token"));
        let pid = self.child.id();
        // Also while other tests build images and compile components.
        let patience = Duration::from_secs(120);
        let (addresses, token) = wait_until("the gateway to listen", patience, async || {
            if let Some(status) = self.child.try_wait().expect("its state") {
                panic!("the gateway ended at its start, {status}:\n{}", self.log());
            }
            let addresses: Value = serde_json::from_slice(&fs::read(&addresses).ok()?).ok()?;
            let token = fs::read_to_string(&token).ok()?;
            (addresses["pid"] == pid).then_some((addresses, token))
        })
        .await;
        let address = |name: &str| addresses[name].as_str().and_then(|text| text.parse().ok()).expect("an address");
        (self.api_address, self.admin_address) = (address("api"), address("admin"));
        self.api = Api::new(self.api_address, Some(token.trim()));
        self.admin = Api::new(self.admin_address, None);
    }

    /// A client with connections of its own, for a test that runs on another runtime.
    pub fn fresh_api(&self) -> Api {
        self.api.fresh()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its memory that is in RAM.
    pub fn resident_kib(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// How many bytes its memory in RAM grew at most while this ran.
    pub async fn growth<T>(&self, work: impl Future<Output = T>) -> (T, u64) {
        let before = self.resident_kib();
        // The peak is forgotten.
        fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").expect("the gateway runs");
        let done = work.await;
        (done, self.status("VmHWM:").saturating_sub(before) << 10)
    }

    fn status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the gateway runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("its memory");
        line.trim_end_matches("kB").trim().parse().expect("a number")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// All that it printed, over all restarts.
    pub fn log(&self) -> String {
        let text = fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Waits until the log has a line with all of these words, and gives it.
    pub async fn logged(&self, words: &[&str]) -> String {
        let find = |log: &str| log.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned);
        eventually(&format!("a log line with {words:?}"), async || find(&self.log())).await
    }

    /// Ends it as a power cut would.
    pub fn kill9(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it is gone");
    }

    /// Asks it to drain; how it ended is the answer.
    pub async fn sigterm(&mut self) -> std::process::ExitStatus {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(status.success(), "the gateway was gone already:\n{}", self.log());
        let child = &mut self.child;
        wait_until("the gateway to drain", Duration::from_secs(40), async || child.try_wait().expect("its state")).await
    }

    /// Starts it again on the same data, after it ended.
    pub async fn restart(&mut self) {
        self.child = spawn(self.folder.path(), &self.setup).expect("the gateway starts again");
        self.learn().await;
    }

    /// Makes a connection and gives its id.
    pub async fn connect(&self, id: &str, provider: &str, settings: Value) -> String {
        let body = serde_json::json!({"id": id, "provider": provider, "name": id, "settings": settings});
        let _ = self.api.post("/connections", &body).await.is(201);
        id.to_owned()
    }

    /// A token of this organization, which is made if it doesn't exist.
    pub fn new_token(&self, organization: &str) -> String {
        self.new_token_with(organization, &[])
    }

    /// The same, with more options of `portico token create`.
    pub fn new_token_with(&self, organization: &str, options: &[&str]) -> String {
        let mut command = Command::new(binary());
        command.args(["token", "create", "--organization", organization]).args(options).env("PORTICO_DATA_DIR", self.data());
        let output = command.output().expect("portico token create runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let token = text.split_whitespace().find(|word| word.starts_with("ptk_"));
        token.unwrap_or_else(|| panic!("no token in {text:?}")).to_owned()
    }

    /// A command of the gateway's program on this data folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PORTICO_")) {
            command.env_remove(name);
        }
        command.args(arguments).env("PORTICO_DATA_DIR", self.data()).stdin(Stdio::null());
        command.envs(self.setup.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// What such a command printed, after it succeeded.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("the command runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// What it said on standard error as it failed.
    #[track_caller]
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("the command runs");
        assert!(!output.status.success(), "{arguments:?} succeeded: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Starts it again with other lines of configuration or another environment, after it ended.
    pub async fn restart_with(&mut self, change: impl FnOnce(&mut Setup)) {
        change(&mut self.setup);
        self.restart().await;
    }

    /// The sum of a counter or gauge over its series with these labels (`name="value"`).
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.admin.fresh().get("/metrics").await.is(200);
        let text = String::from_utf8_lossy(&text.body).into_owned();
        let of_name = text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let matching = of_name.filter(|line| labels.iter().all(|label| line.contains(label)));
        matching.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.kill9();
        }
        if !std::thread::panicking() {
            crate::routes::check();
        } else {
            let log = self.log();
            let from = log.len().saturating_sub(6000);
            let from = (from..log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(0);
            eprintln!("the end of the gateway's log:\n{}", &log[from..]);
        }
    }
}

fn spawn(folder: &Path, setup: &Setup) -> Result<Child> {
    let grants = if setup.config.contains("[[grants]]") { "" } else { LOOPBACK };
    let guests = if setup.guests.is_empty() { String::new() } else { guests(folder, &setup.guests)? };
    let config = folder.join("portico.toml");
    // Tables end the part where plain keys may stand, so the test's own lines come first.
    fs::write(&config, format!("{}\n{guests}\n{grants}", setup.config))?;
    let log = File::options().create(true).append(true).open(folder.join("log"))?;
    let mut command = Command::new(binary());
    command.args(["dev", "--config"]).arg(&config).current_dir(folder);
    // What a developer set for a gateway of their own is none of ours.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PORTICO_")) {
        command.env_remove(name);
    }
    command.env("PORTICO_LISTEN", "127.0.0.1:0").env("PORTICO_ADMIN_LISTEN", "127.0.0.1:0");
    command.env("PORTICO_DATA_DIR", folder.join("data")).env("NO_COLOR", "1");
    // Many tests share this machine, and what they do to each other is no overload of the gateway's.
    if !setup.config.contains("queue_ms") {
        command.env("PORTICO_LIMITS__QUEUE_MS", "0");
    }
    if stack_alone() && !setup.config.contains("[cors]") {
        command.env("PORTICO_CORS__ORIGINS", "[\"https://nobody.example\"]");
    }
    command.envs(setup.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().context("can't start the gateway")
}

/// Whether every read goes through the whole stack: with origins that may call, a gateway has no short way.
pub fn stack_alone() -> bool {
    static ALONE: OnceLock<bool> = OnceLock::new();
    *ALONE.get_or_init(|| match std::env::var("TESTS_WAY").as_deref() {
        Ok("stack") => true,
        Ok(other) => panic!("TESTS_WAY={other}: `stack`, or not set"),
        Err(_) => false,
    })
}

/// The checkout's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the checkout")
}

/// A folder with these components, and the configuration that names it.
fn guests(folder: &Path, names: &[&str]) -> Result<String> {
    let guests = folder.join("guests");
    fs::create_dir_all(&guests)?;
    for name in names {
        let file = format!("{name}.wasm");
        let built = root().join("target/components").join(&file);
        fs::copy(&built, guests.join(&file))
            .with_context(|| format!("{} isn't there: run `make components`", built.display()))?;
    }
    Ok(format!("[providers]\ndir = {guests:?}\n"))
}

/// The gateway's program, built as `make test` builds it: cargo test alone may leave an older one there. The same selection as there,
/// tests included: without them tokio has fewer features, and all that stands on it would be compiled a second time.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| build().expect("the gateway builds"))
}

fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--locked", "--workspace", "--tests", "--bin", "portico"]).current_dir(root());
    // What cargo told this test program about itself must not look like a change to the build.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" || name == "CARGO_MANIFEST_PATH" {
            command.env_remove(name);
        }
    }
    ensure!(command.status()?.success(), "cargo build --workspace --tests --bin portico failed");
    let test = std::env::current_exe()?;
    let profile = test.parent().and_then(Path::parent).context("the test program lies in target/PROFILE/deps")?;
    Ok(profile.join("portico"))
}
