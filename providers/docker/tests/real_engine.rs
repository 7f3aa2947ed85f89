//! The provider's own requests on a real Docker Engine, without a gateway: quick to run while the provider is being changed.
//! The whole way, through the API, is tested in `tests/`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what goes wrong in a helper fails the test")]

#[path = "support/real.rs"]
mod real;

use portico_provider_docker::Docker;
use portico_sdk::{
    Call, Operations, Progress, Provider, SiteKind, SiteStatus, Sites, Work, clock, sites::SiteCreate, testing::FakeHost,
};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

struct Rig {
    host: FakeHost,
    socket: PathBuf,
    docker: Docker,
}

impl Rig {
    fn new(settings: Value) -> Self {
        let socket =
            std::env::var_os("PORTICO_TEST_ENGINE").expect("PORTICO_TEST_ENGINE: the socket that engine.sh start prints");
        let host = FakeHost::install();
        real::install(&host, socket.as_ref());
        let docker = Docker::configure(serde_json::from_value(settings).unwrap()).unwrap().0;
        let rig = Self { host, socket: socket.into(), docker };
        rig.now();
        rig
    }

    #[expect(clippy::disallowed_methods, reason = "the Engine's times are of the real clock")]
    fn now(&self) {
        self.host.set_now(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64);
    }

    #[expect(clippy::disallowed_methods, reason = "poll-after is a real time here, as in the gateway")]
    fn finish(&self, operation: &str, work: Work, image: &str) -> Progress {
        let Work::Pending(mut pending) = work else { panic!("{work:?}") };
        for _ in 0..600 {
            eprintln!("{:?} {}", pending.progress, pending.message.unwrap_or_default());
            std::thread::sleep(Duration::from_millis(u64::from(pending.poll_after.unwrap_or(100))));
            self.now();
            if pending.handle.contains("\"pull\"") {
                real::finish_pull(&self.host, &self.socket, image);
            }
            match self.docker.poll(operation, &pending.handle).unwrap() {
                Progress::Running(next) => pending = next,
                ended => return ended,
            }
        }
        panic!("it never ends");
    }

    /// Operation ids are unique for ever in a gateway; so they are here.
    fn operation(&self) -> String {
        format!("op_{:x}", clock::now())
    }
}

fn input(kind: SiteKind) -> SiteCreate {
    SiteCreate {
        name: "Real".into(),
        kind,
        domain: None,
        environment: None,
        php_version: None,
        wordpress_version: None,
        locale: None,
        title: None,
        admin: None,
        region: None,
        template: None,
        options: "{}".into(),
    }
}

#[expect(clippy::disallowed_methods, reason = "the test is the visitor")]
fn get(url: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: site\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
#[ignore = "needs a Docker Engine: PORTICO_TEST_ENGINE=$(tests/engine/engine.sh start DIR), and engine.sh images DIR"]
fn wordpress_lives() {
    let rig = Rig::new(json!({
        "namespace": "real-wp",
        "images": {"wordpress": "portico-test/wordpress:1", "database": "portico-test/mariadb:1"},
        "pull": "never",
        "environment": {"WORDPRESS_CONFIG_EXTRA": "define('WP_HTTP_BLOCK_EXTERNAL', true); define('DISABLE_WP_CRON', true);"},
        "resources": {"memory": 400_000_000, "cpus": 1.5},
        "health": {"interval": 1},
    }));
    let operation = rig.operation();
    let work = rig.docker.create(&Call::new(&operation, "k"), input(SiteKind::Wordpress)).unwrap();
    let ended = rig.finish(&operation, work, "");
    let Progress::Succeeded(done) = ended else { panic!("{ended:?}") };
    let id = done.target.unwrap();
    let site = rig.docker.get(&id).unwrap();
    assert_eq!(site.status, SiteStatus::Running);
    let url = site.url.unwrap();
    assert!(get(&url, "/wp-admin/install.php").starts_with("HTTP/1.1 200"));
    if let Some(folder) = std::env::var_os("PORTICO_CAPTURE") {
        std::fs::write(PathBuf::from(folder).join("native.json"), site.native.unwrap()).unwrap();
    }
    let call = Call::new(rig.operation(), "k");
    for (up, status) in [(false, SiteStatus::Stopped), (true, SiteStatus::Running)] {
        let work = if up { rig.docker.start(&call, &id) } else { rig.docker.stop(&call, &id) };
        assert!(matches!(rig.finish(&call.operation_id, work.unwrap(), ""), Progress::Succeeded(_)));
        let site = rig.docker.get(&id).unwrap();
        assert_eq!((site.status, site.url.as_deref()), (status, Some(url.as_str())));
    }
    assert!(get(&url, "/wp-admin/install.php").starts_with("HTTP/1.1 200"));
    let work = rig.docker.delete(&call, &id).unwrap();
    assert!(matches!(rig.finish(&call.operation_id, work, ""), Progress::Succeeded(_)));
    assert!(rig.docker.get(&id).is_err());
}

#[test]
#[ignore = "needs a Docker Engine, and PORTICO_TEST_IMAGE=$(tests/engine/engine.sh registry DIR)"]
fn a_missing_image_is_pulled() {
    let image = std::env::var("PORTICO_TEST_IMAGE").expect("PORTICO_TEST_IMAGE: what engine.sh registry prints");
    let rig = Rig::new(json!({"namespace": "real-plain", "images": {"plain": image}}));
    let operation = rig.operation();
    let work = rig.docker.create(&Call::new(&operation, "k"), input(SiteKind::Plain)).unwrap();
    let ended = rig.finish(&operation, work, &image);
    let Progress::Succeeded(done) = ended else { panic!("{ended:?}") };
    let id = done.target.unwrap();
    let site = rig.docker.get(&id).unwrap();
    assert_eq!((site.status, site.kind), (SiteStatus::Running, SiteKind::Plain));
    assert!(get(&site.url.unwrap(), "/").contains("a plain page"));
    let work = rig.docker.delete(&Call::new("op_delete", "k"), &id).unwrap();
    assert!(matches!(rig.finish("op_delete", work, ""), Progress::Succeeded(_)));

    let missing = Rig::new(json!({"namespace": "real-plain", "images": {"plain": format!("{image}0")}}));
    let operation = missing.operation();
    let work = missing.docker.create(&Call::new(&operation, "k"), input(SiteKind::Plain)).unwrap();
    let ended = missing.finish(&operation, work, &format!("{image}0"));
    let Progress::Failed(error) = ended else { panic!("{ended:?}") };
    assert!(error.message.contains("manifest unknown"), "{}", error.message);
    assert!(missing.docker.list(&portico_sdk::PageRequest::first(10)).unwrap().items.is_empty());
}
