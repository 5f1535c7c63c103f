//! DNS over HTTPS (RFC 8484): one path, GET and POST, over HTTP/2 and HTTP/1.1.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::TcpStream,
    sync::{Notify, watch},
    time::timeout,
};
use tokio_rustls::server::TlsStream;

use crate::{
    dns::{
        message::{HEADER_BYTES, MAX_MESSAGE_BYTES, Packet, Section, rcode, u32_at},
        query::Client,
        rtype,
    },
    resolve::answer::STREAM_IDLE,
    server::{
        handle::ResponderHandle,
        tcp::{ConnectionSlot, GRACE, MAX_PIPELINED, QueryInProgress},
    },
};

/// The only path (RFC 8484 §4.1.1 uses it in its examples, and clients expect it).
const PATH: &str = "/dns-query";
/// The most bytes of a refused body that are read.
const MAX_DRAINED_BYTES: usize = 256 << 10;
/// The media type of both bodies (RFC 8484 §6).
const MESSAGE: &str = "application/dns-message";
/// The most bytes of a request's headers: enough for the longest query that a GET can carry.
const MAX_HEADER_BYTES: u32 = 16 << 10;
/// How many streams a client may open and reset before the connection is closed.
const MAX_RESETS: usize = 64;
/// The HTTP/2 flow-control window, in bytes: for the query of one stream, and for the answers of a
/// connection.
const WINDOW_BYTES: u32 = 64 << 10;

/// The activity of a connection.
#[derive(Default)]
struct StreamCount {
    requests: AtomicUsize,
    changed: Notify,
}

/// A request in progress.
struct StreamGuard(Arc<StreamCount>);

impl StreamGuard {
    fn new(streams: &Arc<StreamCount>) -> Self {
        streams.requests.fetch_add(1, Ordering::AcqRel);
        StreamGuard(streams.clone())
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
        self.0.changed.notify_one();
    }
}

impl StreamCount {
    /// Waits until the connection has been idle for this long.
    async fn idle(&self, idle_timeout: impl Fn() -> Duration) {
        loop {
            let none = || self.requests.load(Ordering::Acquire) == 0;
            match timeout(idle_timeout(), self.changed.notified()).await {
                Err(_) if none() => return,
                _ => {}
            }
        }
    }
}

/// Serves the connection until the client ends it, it is idle for too long, or `stop` changes;
/// requests in progress are still answered.
pub async fn serve_connection(
    stream: TlsStream<TcpStream>,
    client: Client,
    current: ResponderHandle,
    slot: ConnectionSlot,
    mut stop: watch::Receiver<bool>,
) {
    let (slot, streams) = (Arc::new(slot), Arc::new(StreamCount::default()));
    let service = service_fn(|request: Request<Incoming>| {
        let (current, slot, busy) = (current.clone(), slot.clone(), StreamGuard::new(&streams));
        async move {
            let response = respond(request, client, &current, &slot).await;
            drop(busy);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(STREAM_IDLE)
        .max_buf_size(MAX_HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        // The same limit as over TCP.
        .max_concurrent_streams(MAX_PIPELINED as u32)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_send_buf_size(WINDOW_BYTES as usize);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection over HTTPS ended");
            }
            return;
        }
        _ = stop.changed() => {}
        () = streams.idle(|| slot.idle_timeout()) => {}
    }
    connection.as_mut().graceful_shutdown();
    // A request that can't be answered in time is dropped.
    let _ = timeout(GRACE, connection).await;
}

async fn respond(
    request: Request<Incoming>,
    client: Client,
    current: &ResponderHandle,
    slot: &ConnectionSlot,
) -> Response<Full<Bytes>> {
    let (head, mut body) = request.into_parts();
    let question = match read(&head, &mut body).await {
        Ok(question) => question,
        Err(status) => {
            drain(body).await;
            return refuse(status);
        }
    };
    let work = QueryInProgress::new(slot);
    let answer = current.get().respond_to_bytes(&question, client).await;
    drop(work);
    // A body that is not a query gets an HTTP error instead of a DNS response.
    let Some(answer) = answer else { return refuse(StatusCode::BAD_REQUEST) };
    let mut response = Response::new(Full::new(Bytes::from(answer.clone())));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(MESSAGE));
    if let Ok(value) = header::HeaderValue::from_str(&format!("max-age={}", freshness(&answer))) {
        headers.insert(header::CACHE_CONTROL, value);
    }
    response
}

fn refuse(status: StatusCode) -> Response<Full<Bytes>> {
    let why = match status {
        StatusCode::NOT_FOUND => "DNS over HTTPS is at /dns-query\n",
        StatusCode::METHOD_NOT_ALLOWED => "GET and POST are what RFC 8484 has\n",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "the body has to be application/dns-message\n",
        StatusCode::PAYLOAD_TOO_LARGE => "a DNS message has at most 65535 bytes\n",
        _ => "that is no question of DNS (RFC 8484)\n",
    };
    let mut response = Response::new(Full::new(Bytes::from_static(why.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, header::HeaderValue::from_static("GET, POST"));
    }
    response
}

/// The query in a request, or the status that refuses it.
async fn read(head: &Parts, body: &mut Incoming) -> Result<Vec<u8>, StatusCode> {
    if head.uri.path() != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    let question = match head.method {
        Method::GET => from_query(head.uri.query().unwrap_or_default())?,
        Method::POST => {
            let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
            if !kind.trim().eq_ignore_ascii_case(MESSAGE) {
                return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            }
            let body = Limited::new(body, MAX_MESSAGE_BYTES).collect();
            match timeout(STREAM_IDLE, body).await {
                Ok(Ok(body)) => body.to_bytes().to_vec(),
                Ok(Err(error)) if error.is::<LengthLimitError>() => {
                    return Err(StatusCode::PAYLOAD_TOO_LARGE);
                }
                Ok(Err(_)) => return Err(StatusCode::BAD_REQUEST),
                Err(_) => return Err(StatusCode::REQUEST_TIMEOUT),
            }
        }
        _ => return Err(StatusCode::METHOD_NOT_ALLOWED),
    };
    if question.len() < HEADER_BYTES { Err(StatusCode::BAD_REQUEST) } else { Ok(question) }
}

/// Reads the rest of a body, so that a client that is still sending receives the refusal.
async fn drain(body: Incoming) {
    // The refusal is sent however this ends.
    let _ = timeout(STREAM_IDLE, Limited::new(body, MAX_DRAINED_BYTES).collect()).await;
}

/// The parameter `dns`: base64url without padding (RFC 8484 §4.1).
fn from_query(query: &str) -> Result<Vec<u8>, StatusCode> {
    let given = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("dns="))
        .ok_or(StatusCode::BAD_REQUEST)?;
    data_encoding::BASE64URL_NOPAD.decode(given.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)
}

/// The freshness lifetime of a response in seconds: the smallest TTL of its answers, or the
/// negative TTL (RFC 8484 §5.1); 0 for a failure.
fn freshness(answer: &[u8]) -> u32 {
    let Ok(packet) = Packet::parse(answer) else { return 0 };
    if !matches!(packet.rcode(), rcode::NOERROR | rcode::NXDOMAIN) {
        return 0;
    }
    let answers = packet.section(Section::Answer).map(|record| record.ttl).min();
    let soa = packet.section(Section::Authority).find(|record| record.rtype == rtype::SOA);
    let negative = soa.map(|soa| {
        let minimum = soa.end.checked_sub(4).and_then(|at| u32_at(packet.bytes(), at).ok());
        soa.ttl.min(minimum.unwrap_or_default())
    });
    answers.into_iter().chain(negative).min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::{Build, question};

    #[test]
    fn how_long_an_answer_is_fresh() {
        let build = || Build::answer(&question("www.example.com", 1));
        assert_eq!(
            freshness(&build().a(300, [192, 0, 2, 1]).a(60, [192, 0, 2, 2]).opt().done()),
            60
        );
        assert_eq!(freshness(&build().soa("example.com", 300, 40).done()), 40);
        assert_eq!(
            freshness(&build().rcode(rcode::NXDOMAIN).soa("example.com", 20, 40).done()),
            20
        );
        assert_eq!(freshness(&build().rcode(rcode::SERVFAIL).done()), 0);
        assert_eq!(freshness(&build().done()), 0, "nothing says for how long");
        assert_eq!(freshness(b""), 0);
    }

    #[test]
    fn the_parameter_of_a_get() {
        assert_eq!(from_query("dns=AAAA_-8"), Ok(vec![0, 0, 0, 255, 239]));
        assert_eq!(from_query("x=1&dns=AAAA"), Ok(vec![0, 0, 0]));
        for wrong in ["", "dns", "xdns=AAAA", "dns=AAAA%20", "dns=AA==", "dns=AA+/"] {
            assert_eq!(from_query(wrong), Err(StatusCode::BAD_REQUEST), "{wrong}");
        }
    }
}
