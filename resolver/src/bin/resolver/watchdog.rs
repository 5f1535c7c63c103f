//! The service manager's watchdog: it is notified as long as queries are answered.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use resolver::os::systemd;
use tokio::{net::UdpSocket, time::timeout};

/// A query for `localhost. A` with id 0x7764, which a resolver answers by itself (RFC 6761 §6.3).
const QUERY: [u8; 27] = *b"wd\x01\0\0\x01\0\0\0\0\0\0\x09localhost\0\0\x01\0\x01";
/// The timeout of a query.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends a query to this resolver at the watchdog's interval, and notifies it of every answer.
/// Returns at once if there is no watchdog.
pub async fn run(dns: Vec<SocketAddr>) {
    let (Some(every), Some(address)) = (systemd::watchdog(), dns.first()) else { return };
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    loop {
        match timeout(QUERY_TIMEOUT, ask(SocketAddr::new(ip, address.port()))).await {
            Ok(Ok(())) => systemd::alive(),
            failed => tracing::warn!("no answer to the watchdog's query: {failed:?}"),
        }
        tokio::time::sleep(every).await;
    }
}

async fn ask(server: SocketAddr) -> io::Result<()> {
    let here: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((here, 0)).await?;
    socket.connect(server).await?;
    socket.send(&QUERY).await?;
    let mut answer = [0; 512];
    socket.recv(&mut answer).await.map(drop)
}
