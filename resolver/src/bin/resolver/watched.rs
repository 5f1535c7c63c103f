//! The service manager's watchdog: told that all is well as long as questions are answered, and not
//! only as long as the process is there.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use resolver::os::systemd;
use tokio::{net::UdpSocket, time::timeout};

/// A question for `localhost. A` with id 0x7764, which every resolver answers by itself (RFC 6761
/// §6.3).
const QUESTION: [u8; 27] = *b"wd\x01\0\0\x01\0\0\0\0\0\0\x09localhost\0\0\x01\0\x01";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks ourselves as often as the watchdog wants to hear of us, and tells it of every answer. Ends
/// at once, if there is no watchdog.
pub async fn report(dns: Vec<SocketAddr>) {
    let (Some(every), Some(address)) = (systemd::watchdog(), dns.first()) else { return };
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    loop {
        match timeout(PATIENCE, ask(SocketAddr::new(ip, address.port()))).await {
            Ok(Ok(())) => systemd::alive(),
            failed => tracing::warn!("no answer to a question of our own: {failed:?}"),
        }
        tokio::time::sleep(every).await;
    }
}

async fn ask(server: SocketAddr) -> io::Result<()> {
    let here: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((here, 0)).await?;
    socket.connect(server).await?;
    socket.send(&QUESTION).await?;
    let mut answer = [0; 512];
    socket.recv(&mut answer).await.map(drop)
}
