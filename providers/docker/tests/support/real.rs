//! A real Docker Engine behind the SDK's fake host: requests go to its socket, pulls in the background finish at once.
//!
//! Invariant: what the provider sends is sent as it is; only the transport differs from a gateway's.

use portico_sdk::{
    Error,
    error::unavailable,
    testing::{Background, BackgroundState, FakeHost, Method, RawRequest, Response},
};
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

/// As many segments as the longest path has (an image in a registry).
const LONGEST: usize = 8;

pub fn install(host: &FakeHost, socket: &Path) {
    for method in [Method::Get, Method::Post, Method::Delete] {
        for segments in 1..=LONGEST {
            let socket = socket.to_owned();
            host.on(method, &vec!["*"; segments].join("/")).reply_with(move |request| send(&socket, request));
        }
    }
}

/// Carries out the last pull that was started, and says how it ended.
pub fn finish_pull(host: &FakeHost, socket: &Path, image: &str) {
    let is_pull = |request: &RawRequest| request.path.ends_with(&["images".into(), "create".into()]);
    let pull = host.requests().into_iter().rfind(is_pull).expect("a pull was started");
    let response = send(socket, &pull).expect("the Engine answers");
    let background = Background {
        state: BackgroundState::Finished,
        status: Some(response.status),
        received: response.body.len() as u64,
        tail: response.body,
    };
    host.set_background(&format!("pull:{image}"), background);
}

/// HTTP/1.0, so that the answer simply ends with the connection.
fn send(socket: &Path, request: &RawRequest) -> Result<Response, Error> {
    let broken = |error: std::io::Error| unavailable(format!("the socket says {error}"));
    let mut stream = UnixStream::connect(socket).map_err(broken)?;
    let path: String = request.path.iter().map(|segment| format!("/{}", escaped(segment))).collect();
    let query: Vec<String> = request.query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    let method = format!("{:?}", request.method).to_uppercase().replace("METHOD::", "");
    let body = request.body.clone().unwrap_or_default();
    let head = format!(
        "{method} {path}?{} HTTP/1.0\r\nHost: engine\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        query.join("&"),
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).map_err(broken)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(broken)?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(|| unavailable("no answer"))?;
    let status = String::from_utf8_lossy(&answer[..end]).split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Response {
        status: status.ok_or_else(|| unavailable("no status"))?,
        headers: Vec::new(),
        body: answer[end + 4..].to_vec(),
    })
}

fn escaped(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"._-~".contains(&byte);
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
