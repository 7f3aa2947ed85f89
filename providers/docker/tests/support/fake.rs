//! A Docker Engine in memory, as far as this provider uses one, behind the SDK's fake host.
//!
//! It keeps the rules that matter: names are unique, networks and volumes in use can't be removed, started twice is 304.
//! Invariant: it knows nothing of the provider but the API. Faults are injected at the n-th changing request.

use portico_sdk::{
    Error,
    error::unavailable,
    testing::{FakeHost, Method, RawRequest, Response, json_response, response},
};
use serde_json::{Value, json};
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is carried out, and its answer is lost.
    AnswerLost,
    NotSent,
}

#[derive(Default)]
pub struct Engine {
    pub networks: BTreeMap<String, Value>,
    pub containers: BTreeMap<String, Value>,
    pub volumes: BTreeMap<String, Value>,
    /// Names of images that are there, with their HEALTHCHECK.
    pub images: BTreeMap<String, Value>,
    /// Ports that another program listens on.
    pub foreign_ports: Vec<u64>,
    /// What a started web container comes to: `running`, `exited`.
    pub web_becomes: String,
    pub fault: Option<(usize, Fault)>,
    /// Names of containers that are reserved, but not to be seen: so many more requests find the name taken.
    pub reserved: BTreeMap<String, usize>,
    /// So many of the next looks are answered 500.
    pub blind: usize,
    /// Changing requests so far.
    pub changes: usize,
    made: usize,
}

pub type Shared = Rc<RefCell<Engine>>;

const V: &str = "/v1.41";

pub fn install(host: &FakeHost) -> Shared {
    let engine = Rc::new(RefCell::new(Engine { web_becomes: "running".into(), ..Engine::default() }));
    for image in ["wordpress:latest", "mariadb:lts"] {
        engine.borrow_mut().images.insert(image.into(), json!({"Config": {}}));
    }
    host.on(Method::Get, "/version").reply(200, json!({"ApiVersion": "1.41", "MinAPIVersion": "1.12"}));
    for (method, path) in [
        (Method::Get, "networks"),
        (Method::Get, "networks/*"),
        (Method::Post, "networks/create"),
        (Method::Delete, "networks/*"),
        (Method::Get, "volumes"),
        (Method::Post, "volumes/create"),
        (Method::Delete, "volumes/*"),
        (Method::Get, "containers/json"),
        (Method::Get, "containers/*/json"),
        (Method::Post, "containers/create"),
        (Method::Post, "containers/*/start"),
        (Method::Post, "containers/*/stop"),
        (Method::Delete, "containers/*"),
        (Method::Get, "images/*/json"),
    ] {
        let engine = engine.clone();
        host.on(method, &format!("{V}/{path}")).reply_with(move |request| engine.borrow_mut().answer(request));
    }
    engine
}

impl Engine {
    fn answer(&mut self, request: &RawRequest) -> Result<Response, Error> {
        if request.method == Method::Get {
            if self.blind > 0 {
                self.blind -= 1;
                return Ok(message(500, "the daemon is shutting down"));
            }
            return Ok(self.carry_out(request));
        }
        self.changes += 1;
        let fault = self.fault.filter(|(at, _)| *at == self.changes).map(|(_, fault)| fault);
        if fault == Some(Fault::NotSent) {
            return Err(unavailable("not sent"));
        }
        let response = self.carry_out(request);
        if fault.is_some() { Err(unavailable("the answer was lost")) } else { Ok(response) }
    }

    fn carry_out(&mut self, request: &RawRequest) -> Response {
        let path: Vec<&str> = request.path.iter().skip(1).map(String::as_str).collect();
        let body: Value = request.body.as_ref().map_or(Value::Null, |body| serde_json::from_slice(body).unwrap());
        let query = |name: &str| request.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let filter =
            query("filters").map(|text| serde_json::from_str::<Value>(&text).unwrap()["label"][0].as_str().unwrap().to_owned());
        match (request.method, path.as_slice()) {
            (Method::Get, ["networks"]) => json_response(200, &listed(&self.networks, filter.as_deref())),
            (Method::Get, ["networks", name]) => found(self.networks.get(*name)),
            (Method::Post, ["networks", "create"]) => self.create_network(&body),
            (Method::Delete, ["networks", id]) => self.remove_network(id),
            (Method::Get, ["volumes"]) => json_response(200, &json!({"Volumes": listed(&self.volumes, filter.as_deref())})),
            (Method::Post, ["volumes", "create"]) => {
                let name = body["Name"].as_str().unwrap().to_owned();
                json_response(201, self.volumes.entry(name).or_insert(body))
            }
            (Method::Delete, ["volumes", name]) => self.remove_volume(name),
            (Method::Get, ["containers", "json"]) => json_response(200, &listed(&self.containers, filter.as_deref())),
            (Method::Get, ["containers", name, "json"]) => found(self.container(name).map(|container| &*container)),
            (Method::Post, ["containers", "create"]) => self.create_container(&query("name").unwrap(), body),
            (Method::Post, ["containers", name, "start"]) => self.start(name),
            (Method::Post, ["containers", name, "stop"]) => match self.container(name) {
                Some(container) if container["State"] == "running" => {
                    set_state(container, "exited", "Exited (0) 1 second ago");
                    response(204, &[], "")
                }
                Some(_) => response(304, &[], ""),
                None => message(404, "No such container"),
            },
            (Method::Delete, ["containers", name]) => {
                let Some(key) = self.container(name).map(|container| container["Name"].as_str().unwrap().to_owned()) else {
                    return message(404, "No such container");
                };
                self.containers.remove(&key);
                response(204, &[], "")
            }
            (Method::Get, ["images", name, "json"]) => found(self.images.get(*name)),
            other => panic!("the fake Engine doesn't know {other:?}"),
        }
    }

    fn container(&mut self, name: &str) -> Option<&mut Value> {
        self.containers.values_mut().find(|container| container["Id"] == name || container["Name"] == name)
    }

    fn id(&mut self) -> String {
        self.made += 1;
        format!("{:064x}", self.made)
    }

    fn create_network(&mut self, body: &Value) -> Response {
        let name = body["Name"].as_str().unwrap().to_owned();
        if self.networks.contains_key(&name) {
            return message(409, "network with this name already exists");
        }
        let id = self.id();
        self.networks.insert(name.clone(), json!({"Id": id, "Name": name, "Labels": body["Labels"]}));
        json_response(201, &json!({"Id": id}))
    }

    fn remove_network(&mut self, id: &str) -> Response {
        if self.containers.values().any(|container| container["HostConfig"]["NetworkMode"] == id) {
            return message(403, "error while removing network: it has active endpoints");
        }
        let before = self.networks.len();
        self.networks.retain(|_, network| network["Id"] != id);
        if self.networks.len() < before { response(204, &[], "") } else { message(404, "No such network") }
    }

    fn remove_volume(&mut self, name: &str) -> Response {
        let used = |container: &Value| container["HostConfig"]["Mounts"][0]["Source"] == name;
        if self.containers.values().any(used) {
            return message(409, "remove volume: volume is in use");
        }
        if self.volumes.remove(name).is_some() { response(204, &[], "") } else { message(404, "no such volume") }
    }

    fn create_container(&mut self, name: &str, mut body: Value) -> Response {
        let reserved = self.reserved.get_mut(name).filter(|left| **left > 0);
        if reserved.map(|left| *left -= 1).is_some() || self.containers.contains_key(name) {
            return message(409, "Conflict. The container name is already in use");
        }
        if !self.images.contains_key(body["Image"].as_str().unwrap()) {
            return message(404, "No such image");
        }
        let id = self.id();
        body["Id"] = json!(id);
        body["Name"] = json!(name);
        body["Config"] = json!({"Env": body["Env"], "Labels": body["Labels"]});
        set_state(&mut body, "created", "Created");
        self.containers.insert(name.to_owned(), body);
        json_response(201, &json!({"Id": id, "Warnings": []}))
    }

    fn start(&mut self, name: &str) -> Response {
        let (taken, becomes) = (self.foreign_ports.clone(), self.web_becomes.clone());
        let Some(container) = self.container(name) else { return message(404, "No such container") };
        if container["State"] == "running" {
            return response(304, &[], "");
        }
        let port = container.pointer("/HostConfig/PortBindings/80~1tcp/0/HostPort").and_then(Value::as_str);
        if port.is_some_and(|port| taken.contains(&port.parse().unwrap())) {
            return message(500, "driver failed: listen tcp4 127.0.0.1:1: bind: address already in use");
        }
        match (port, becomes.as_str()) {
            (Some(_), "exited") => set_state(container, "exited", "Exited (1) 1 second ago"),
            _ => set_state(container, "running", "Up 1 second"),
        }
        response(204, &[], "")
    }
}

/// In a list `State` is a word; the same object serves an inspect, whose `State` is an object (see [`found`]).
fn set_state(container: &mut Value, state: &str, status: &str) {
    container["State"] = json!(state);
    container["Status"] = json!(status);
}

fn found(object: Option<&Value>) -> Response {
    let Some(object) = object else { return message(404, "No such object") };
    let mut object = object.clone();
    if let Some(state) = object["State"].as_str().map(str::to_owned) {
        let code = if object["Status"] == "Exited (1) 1 second ago" { 1 } else { 0 };
        object["State"] = json!({"Running": state == "running", "ExitCode": code, "StartedAt": "2020-01-01T00:00:00Z"});
    }
    json_response(200, &object)
}

fn listed(objects: &BTreeMap<String, Value>, filter: Option<&str>) -> Value {
    let matches = |object: &&Value| match filter.map(|filter| filter.split_once('=').unwrap_or((filter, ""))) {
        None => true,
        Some((name, "")) => object["Labels"].get(name).is_some(),
        Some((name, value)) => object["Labels"][name] == value,
    };
    objects.values().filter(matches).cloned().collect()
}

fn message(status: u16, text: &str) -> Response {
    json_response(status, &json!({"message": text}))
}
