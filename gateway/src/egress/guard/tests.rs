//! The guard by table: what is let through, and what is refused by which rule.

use super::*;
use serde_json::{Value, json};

fn request(method: &str, path: &str, query: &[(&str, &str)], body: Option<String>) -> Request {
    Request {
        upstream: "engine".to_owned(),
        method: method.parse().unwrap(),
        path: path.split('/').map(str::to_owned).collect(),
        query: query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        headers: Vec::new(),
        body: body.map(Into::into),
        timeout: None,
        keyed: false,
    }
}

fn judge(request: &Request, content_type: Option<&'static str>) -> Result<(), String> {
    let content_type = content_type.map(HeaderValue::from_static);
    check(Guard::DockerEngine, request, content_type.as_ref()).map_err(|error| error.message)
}

fn judge_body(path: &str, body: String) -> Result<(), String> {
    judge(&request("POST", path, &[], Some(body)), Some("application/json"))
}

#[test]
fn calls_are_on_the_list_or_refused() {
    for (method, path, good) in [
        ("GET", "_ping", true),
        ("GET", "v1.41/_ping", true),
        ("GET", "v1.41/version", true),
        ("GET", "info", true),
        ("GET", "containers/json", true),
        ("GET", "v1.47/containers/portico-web.1/json", true),
        ("POST", "containers/abc/start", true),
        ("POST", "containers/abc/wait", true),
        ("DELETE", "containers/abc", true),
        ("GET", "containers/abc/archive", true),
        ("GET", "networks", true),
        ("DELETE", "networks/abc", true),
        ("DELETE", "volumes/abc", true),
        ("POST", "images/create", true),
        ("GET", "images/wordpress:6/json", true),
        ("GET", "images/registry.example:5000/team/wordpress@sha256:ab/json", true),
        ("GET", "v1.24/info", false),
        ("GET", "v1.041/info", false),
        ("GET", "v2.0/info", false),
        ("GET", "v1.41/v1.41/info", false),
        ("GET", "swarm", false),
        ("GET", "secrets", false),
        ("POST", "build", false),
        ("POST", "commit", false),
        ("POST", "session", false),
        ("POST", "grpc", false),
        ("POST", "plugins/pull", false),
        ("POST", "containers/abc/attach", false),
        ("POST", "containers/abc/update", false),
        ("POST", "containers/abc/rename", false),
        ("POST", "containers/prune", false),
        ("POST", "containers/a b/start", false),
        ("POST", "containers//start", false),
        ("POST", "networks/abc/connect", false),
        ("POST", "images/abc/push", false),
        ("POST", "images/load", false),
        ("DELETE", "images/abc", false),
        ("GET", "images//json", false),
        ("PATCH", "containers/abc/start", false),
        ("GET", "containers/abc/start", false),
        ("GET", "containers/json/", false),
    ] {
        assert_eq!(judge(&request(method, path, &[], None), None).is_ok(), good, "{method} {path}");
    }
}

#[test]
fn queries_and_bodies_are_limited_too() {
    for (method, path, query, body, content_type, good) in [
        ("POST", "images/create", &[("fromImage", "wordpress"), ("tag", "6")][..], None, None, true),
        ("POST", "images/create", &[("fromSrc", "http://evil.example/x.tar")], None, None, false),
        ("POST", "images/create", &[("fromImage", "a"), ("changes", "USER root")], None, None, false),
        ("POST", "images/create", &[("fromImage", "a")], Some("fromSrc=-"), Some("application/x-www-form-urlencoded"), false),
        ("POST", "containers/a/start", &[], Some("{\"Privileged\":true}"), Some("application/json"), false),
        ("POST", "containers/a/start", &[("detachKeys", "x")], None, None, false),
        ("POST", "containers/create", &[("name", "x")], Some("{\"Image\":\"a\"}"), Some("application/json"), true),
        ("POST", "containers/create", &[("name", "x")], Some("{\"Image\":\"a\"}"), Some("text/plain"), false),
        ("POST", "containers/create", &[], Some("{\"Image\":\"a\"}"), None, false),
        ("POST", "containers/create", &[], None, Some("application/json"), false),
        ("PUT", "containers/a/archive", &[("path", "/")], Some("tar"), Some("application/x-tar"), true),
        ("PUT", "containers/a/archive", &[("path", "/")], Some("tar"), Some("application/json"), false),
    ] {
        let request = request(method, path, query, body.map(str::to_owned));
        assert_eq!(judge(&request, content_type).is_ok(), good, "{method} {path} {query:?} {body:?}");
    }
}

#[test]
fn what_a_site_needs_is_let_through() {
    let body = json!({
        "Image": "wordpress:6",
        "Env": ["WORDPRESS_DB_HOST=db"],
        "Labels": {"portico.operation": "op_1", "privileged": "x"},
        "ExposedPorts": {"80/tcp": {}},
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000},
        "HostConfig": {
            "Binds": ["site-data:/var/www/html", "cfg:/etc/cfg:ro"],
            "Mounts": [
                {"Type": "volume", "Source": "site-db", "Target": "/var/lib/mysql", "VolumeOptions": {"Labels": {"a": "b"}}},
                {"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": 1024}}
            ],
            "NetworkMode": "portico-net",
            "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]},
            "RestartPolicy": {"Name": "unless-stopped"},
            "SecurityOpt": ["no-new-privileges:true"],
            "CapDrop": ["ALL"],
            "CapAdd": null,
            "Privileged": false,
            "PidMode": "",
            "Memory": 536_870_912,
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}}
        },
        "NetworkingConfig": {"EndpointsConfig": {"portico-net": {"Aliases": ["web"]}}}
    });
    assert_eq!(judge_body("v1.41/containers/create", body.to_string()), Ok(()));
    for (path, body) in [
        ("volumes/create", json!({"Name": "v", "Labels": {"a": "b"}})),
        ("volumes/create", json!({"Name": "v", "Driver": "local", "DriverOpts": {}})),
        ("networks/create", json!({"Name": "n", "Driver": "bridge", "Labels": {}, "CheckDuplicate": true})),
        ("containers/a/exec", json!({"Cmd": ["wp", "--info"], "AttachStdout": true, "User": "www-data"})),
        ("exec/a/start", json!({"Detach": true, "Tty": false})),
    ] {
        assert_eq!(judge_body(path, body.to_string()), Ok(()), "{path} {body}");
    }
}

#[test]
fn a_host_configuration_that_reaches_the_machine_is_refused() {
    let driver = json!([{"Type": "volume", "Source": "v", "Target": "/m", "VolumeOptions":
        {"DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/"}}}}]);
    for (field, value) in [
        ("Privileged", json!(true)),
        ("privileged", json!(true)),
        ("PRIVILEGED", json!(true)),
        ("Privileged", json!("yes")),
        ("NetworkMode", json!("host")),
        ("NetworkMode", json!("container:abc")),
        ("NetworkMode", json!("ns:/proc/1/ns/net")),
        ("PidMode", json!("host")),
        ("PidMode", json!("container:abc")),
        ("IpcMode", json!("host")),
        ("IpcMode", json!("shareable")),
        ("UTSMode", json!("host")),
        ("UsernsMode", json!("host")),
        ("CgroupnsMode", json!("host")),
        ("Binds", json!(["/:/host"])),
        ("Binds", json!(["./x:/host"])),
        ("Binds", json!(["v:/a", "/etc:/b:ro"])),
        ("Binds", json!(["v:/a:rshared"])),
        ("Binds", json!("/:/host")),
        ("Binds", json!(["v"])),
        ("Mounts", json!([{"Type": "bind", "Source": "/", "Target": "/host"}])),
        ("Mounts", json!([{"Type": "npipe", "Source": "x", "Target": "/host"}])),
        ("Mounts", json!([{"type": "bind", "Type": "volume", "Source": "v", "Target": "/host"}])),
        ("Mounts", json!([{"Source": "v", "Target": "/host"}])),
        ("Mounts", json!([{"Type": "volume", "Source": "/etc", "Target": "/host"}])),
        ("Mounts", json!([{"Type": "volume", "Source": "v", "Target": "/m", "BindOptions": {}}])),
        ("Mounts", driver),
        ("Devices", json!([{"PathOnHost": "/dev/sda"}])),
        ("DeviceRequests", json!([{"Count": -1}])),
        ("DeviceCgroupRules", json!(["a *:* rwm"])),
        ("CapAdd", json!(["SYS_ADMIN"])),
        ("SecurityOpt", json!(["seccomp=unconfined"])),
        ("SecurityOpt", json!(["no-new-privileges", "apparmor=unconfined"])),
        ("SecurityOpt", json!(["no-new-privileges:false"])),
        ("VolumesFrom", json!(["other"])),
        ("VolumeDriver", json!("nfs")),
        ("Sysctls", json!({"kernel.msgmax": "1"})),
        ("CgroupParent", json!("/")),
        ("Runtime", json!("runc-unsafe")),
        ("GroupAdd", json!(["docker"])),
        ("OomKillDisable", json!(true)),
        ("MaskedPaths", json!([])),
        ("ReadonlyPaths", json!([])),
        ("LogConfig", json!({"Type": "syslog", "Config": {"syslog-address": "udp://10.0.0.1"}})),
        ("SomethingNew", json!(null)),
    ] {
        let body = json!({"Image": "a", "HostConfig": {field: value}});
        let error = judge_body("containers/create", body.to_string()).expect_err(&body.to_string());
        assert!(
            error.starts_with("the docker-engine guard refused this request: HostConfig ") && error.contains(field),
            "{error}"
        );
    }
}

#[test]
fn other_bodies_are_refused_by_field() {
    for (path, body, named) in [
        ("containers/create", json!({"Image": "a", "hostconfig": {"Privileged": true}}), "hostconfig"),
        ("containers/create", json!({"Image": "a", "HostConfig": []}), "HostConfig"),
        ("containers/create", json!({"Image": "a", "MacAddress": "x"}), "MacAddress"),
        ("containers/create", json!({"NetworkingConfig": {"EndpointsConfig": {"host": {}}}}), "NetworkingConfig"),
        ("containers/create", json!({"NetworkingConfig": {"EndpointsConfig": {"n": {"Links": ["x:y"]}}}}), "Links"),
        ("containers/a/exec", json!({"Cmd": ["id"], "Privileged": true}), "Privileged"),
        ("exec/a/start", json!({"Detach": false}), "Detach"),
        ("exec/a/start", json!({}), "Detach"),
        ("volumes/create", json!({"Name": "v", "Driver": "nfs"}), "Driver"),
        ("volumes/create", json!({"Name": "v", "DriverOpts": {"o": "bind", "device": "/"}}), "DriverOpts"),
        ("volumes/create", json!({"Name": "v", "driveropts": {"o": "bind"}}), "driveropts"),
        ("networks/create", json!({"Name": "n", "Driver": "macvlan"}), "Driver"),
        ("networks/create", json!({"Name": "n", "Options": {"parent": "eth0"}}), "Options"),
    ] {
        let error = judge_body(path, body.to_string()).expect_err(&body.to_string());
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn json_that_two_parsers_could_read_differently_is_refused() {
    for body in [
        r#"{"HostConfig":{"Privileged":false,"Privileged":true}}"#,
        r#"{"HostConfig":{},"HostConfig":{"Privileged":true}}"#,
        "{\"HostConfig\":{\"Privileged\":false,\"Privi\\u006ceged\":false}}",
        r#"{"HostConfig":{}} {"HostConfig":{"Privileged":true}}"#,
        r#"{"HostConfig":{"\u017fecurityOpt":["x"]}}"#,
        r#"{"Labels":{"a":"1","a":"2"}}"#,
        "[]",
        "null",
        "{",
        "{\"Image\":\"\u{1}\"}",
    ] {
        assert!(judge_body("containers/create", body.to_owned()).is_err(), "{body}");
    }
    let deep = format!("{}{}", "{\"HostConfig\":".repeat(2000), "}".repeat(2000));
    assert!(judge_body("containers/create", deep).is_err());
    let same: Value = json!({"Labels": {"a": "1", "A": "2"}});
    assert_eq!(judge_body("containers/create", same.to_string()), Ok(()), "labels are data");
}
