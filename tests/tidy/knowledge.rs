//! What only one room may know: wasmtime, SQL, outbound sockets, status codes.
//!
//! In goes a file that is shipped, out come words that belong to another room. Invariant: the table below is the whole list,
//! each row with its reason. Tests may know everything.

use super::{check, source::File};

struct Secret {
    words: &'static [&'static str],
    /// Beginnings of the paths where they are at home.
    homes: &'static [&'static str],
    reason: &'static str,
}

const SECRETS: [Secret; 6] = [
    Secret { words: &["wasmtime"], homes: &["gateway/src/host", "gateway/bindings/"], reason: "only host knows wasmtime" },
    Secret { words: &["sqlx"], homes: &["gateway/src/store"], reason: "only store knows SQL" },
    Secret {
        words: &["TcpStream::connect", "UnixStream::connect", "UdpSocket", "HttpConnector", "lookup_host"],
        homes: &["gateway/src/egress"],
        reason: "only egress opens outbound sockets and resolves names",
    },
    // What listens is made of one, too.
    Secret {
        words: &["TcpSocket"],
        homes: &["gateway/src/egress", "gateway/src/server/listen"],
        reason: "only egress opens outbound sockets, and only server::listen listens",
    },
    Secret {
        words: &["StatusCode"],
        homes: &["gateway/src/api", "gateway/src/layers", "gateway/src/server", "gateway/src/hot_path", "gateway/src/egress"],
        reason: "only api (and the layers and server around it) knows the status codes of answers",
    },
    Secret {
        words: &["figment", "clap"],
        homes: &["gateway/src/config", "gateway/src/cli", "gateway/src/main"],
        reason: "only config and the commands know where settings come from",
    },
];

pub fn secrets_of_rooms(file: &File) -> Vec<String> {
    let shipped = (file.path.starts_with("gateway/") || file.path.starts_with("providers/")) && file.path.contains("/src/");
    if !file.is_rust() || !shipped {
        return Vec::new();
    }
    let foreign = SECRETS.iter().filter(|secret| !secret.homes.iter().any(|home| file.path.starts_with(home)));
    foreign
        .flat_map(|secret| secret.words.iter().map(move |word| (word, secret.reason)))
        .flat_map(|(word, reason)| whole_words(&file.shipped, word).map(move |offset| (offset, word, reason)))
        .map(|(offset, word, reason)| file.at(&file.shipped, offset, &format!("`{word}` here: {reason}")))
        .collect()
}

fn whole_words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let inside = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    code.match_indices(word).map(|(offset, _)| offset).filter(move |offset| {
        let before = offset.checked_sub(1).and_then(|before| code.as_bytes().get(before));
        !inside(before) && !inside(code.as_bytes().get(offset + word.len()))
    })
}

#[test]
fn foreign_knowledge_is_caught() {
    for (path, text, wanted) in [
        ("gateway/src/host/engine.rs", "use wasmtime::Engine;", None),
        ("gateway/src/api/sites.rs", "use wasmtime::Engine;", Some("only host")),
        ("gateway/src/api/sites.rs", "let wasmtime_like = 1; // wasmtime", None),
        ("gateway/src/operations.rs", "sqlx::query(\"x\")", Some("only store")),
        ("gateway/src/store/sqlite.rs", "sqlx::query(\"x\")", None),
        ("gateway/src/app.rs", "TcpStream::connect(a)", Some("only egress")),
        ("gateway/src/server/listen.rs", "TcpSocket::new_v4()", None),
        ("gateway/src/server.rs", "TcpSocket::new_v4()", Some("server::listen")),
        ("providers/docker/src/client.rs", "UnixStream::connect(a)", Some("only egress")),
        ("gateway/src/dispatch.rs", "StatusCode::NOT_FOUND", Some("only api")),
        ("gateway/src/dispatch.rs", "#[cfg(test)] mod tests { use http::StatusCode; }", None),
        ("gateway/src/host.rs", "use figment::Figment;", Some("only config")),
        ("tests/whole/api.rs", "use wasmtime::Engine;", None),
    ] {
        check(secrets_of_rooms, path, text, wanted);
    }
}
