//! As much HTTP/1.1 as it takes to ask the node: one request a connection.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use serde_json::Value;

/// No answer of the node is longer.
const MAX_RESPONSE: u64 = 16 << 20;
const TIMEOUT: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header lines, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Response {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// `GET path`.
///
/// # Panics
/// If the node does not answer.
pub fn get(node: SocketAddr, path: &str) -> Response {
    send(node, "GET", path, "", "")
}

/// `GET path` on an admin socket.
///
/// # Panics
/// If the node does not answer.
pub fn get_admin(socket: &Path, path: &str) -> Response {
    let answer =
        UnixStream::connect(socket).map_err(|error| error.to_string()).and_then(|stream| {
            stream.set_read_timeout(Some(TIMEOUT)).map_err(|error| error.to_string())?;
            exchange_on(stream, "localhost", "GET", path, "", "")
        });
    answer.unwrap_or_else(|error| panic!("{}: GET {path}: {error}", socket.display()))
}

/// `POST path` with a JSON body.
///
/// # Panics
/// If the node does not answer.
pub fn post(node: SocketAddr, path: &str, body: &str) -> Response {
    send(node, "POST", path, "Content-Type: application/json\r\n", body)
}

/// The JSON at `path`; `None` if the node does not answer, or not with that.
pub fn look(node: SocketAddr, path: &str) -> Option<Value> {
    let answer = exchange(node, "GET", path, "", "").ok().filter(|answer| answer.status == 200)?;
    serde_json::from_str(&answer.body).ok()
}

/// Any request, with more header lines (each ends with CR LF).
///
/// # Panics
/// If the node does not answer.
pub fn send(node: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Response {
    exchange(node, method, path, headers, body)
        .unwrap_or_else(|error| panic!("{node}: {method} {path}: {error}"))
}

fn exchange(
    node: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Result<Response, String> {
    let stream = TcpStream::connect(node).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(|error| error.to_string())?;
    exchange_on(stream, &node.to_string(), method, path, headers, body)
}

fn exchange_on(
    mut stream: impl Read + Write,
    node: &str,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Result<Response, String> {
    // A header line of the caller comes first, so that it can say another Host.
    let host =
        if headers.starts_with("Host:") { String::new() } else { format!("Host: {node}\r\n") };
    let head = format!(
        "{method} {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).map_err(|error| error.to_string())?;
    // A node that refuses a long body may close before it has read it.
    let _ = stream.write_all(body.as_bytes());
    let mut answer = Vec::new();
    // What came before a reset is the answer.
    let _ = stream.take(MAX_RESPONSE).read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("no answer: {text}"))?;
    let status =
        head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no status line")?;
    let head = head.to_ascii_lowercase();
    let body =
        if head.contains("transfer-encoding: chunked") { unchunk(body) } else { body.to_owned() };
    Ok(Response { status, head, body })
}

fn unchunk(mut rest: &str) -> String {
    let mut whole = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk's size");
        if size == 0 {
            break;
        }
        whole.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    whole
}
