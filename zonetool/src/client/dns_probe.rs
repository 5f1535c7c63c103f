//! Whether a DNS server answers at an address: its port given as that of the HTTP API would leave a
//! request without an answer until a time limit, as a request's first two bytes are a length there
//! (RFC 1035 §4.2.2).

use std::time::Duration;

use reqwest::Url;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long a request is without an answer before it is checked.
pub const SILENCE: Duration = Duration::from_secs(1);
/// How long the check takes at most.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// The query: a length, an id, one question for the NS records of the root.
const QUERY: [u8; 19] = [0, 17, 0x73, 0x80, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
/// The bit that makes a message a response.
const QR: u8 = 0x80;

/// Whether a DNS server answers at the address of `base`.
pub async fn is_dns_server(base: &Url) -> bool {
    timeout(PROBE_TIMEOUT, probe(base)).await.ok().flatten().unwrap_or(false)
}

async fn probe(base: &Url) -> Option<bool> {
    let host = base.host_str()?.trim_matches(['[', ']']);
    let mut stream = TcpStream::connect((host, base.port_or_known_default()?)).await.ok()?;
    stream.write_all(&QUERY).await.ok()?;
    let mut head = [0; 5];
    stream.read_exact(&mut head).await.ok()?;
    let [_, _, id_high, id_low, flags] = head;
    Some([id_high, id_low] == QUERY[2..4] && flags & QR != 0)
}
