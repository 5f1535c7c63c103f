//! Access control: who is answered, who is refused, and who hears nothing, on each transport.

mod common;

use std::{io::Read, net::TcpStream, time::Duration};

use common::{Names, Resolver, Setup, question, send, shown};
use hickory_proto::op::ResponseCode;
use resolver::server::access::{Access, AccessControl};

/// How long a response is waited for where none must come.
const SILENCE: Duration = Duration::from_millis(300);

/// A resolver with these rules; `None` workers is the fast path's default.
fn start(rules: &[(&str, Access)]) -> Resolver {
    let access =
        AccessControl::new(rules.iter().map(|(net, access)| (net.parse().unwrap(), *access)));
    Setup { access, ..Setup::default() }
        .start(Names::default().with("alice", &[("www", 1, vec![192, 0, 2, 2])]))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_specific_network_of_a_client_decides() {
    let query = question("www.alice.", 1, None);
    let around = start(&[("0.0.0.0/0", Access::Deny)]);
    assert_eq!(shown(&around.udp(&query)), ["www.alice. A 192.0.2.2"], "this machine's own stays");
    around.server.stop().await;

    let refused = start(&[("127.0.0.1/32", Access::Refuse), ("127.0.0.0/8", Access::Allow)]);
    for _ in 0..2 {
        // The second would come from the cache.
        assert_eq!(refused.udp(&query).metadata.response_code, ResponseCode::Refused);
        assert_eq!(refused.tcp(&query).metadata.response_code, ResponseCode::Refused);
    }
    refused.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_client_hears_nothing() {
    let denied = start(&[("127.0.0.1/32", Access::Deny)]);
    let query = question("www.alice.", 1, None).to_vec().unwrap();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    socket.send_to(&query, denied.address).unwrap();
    assert!(socket.recv(&mut [0; 512]).is_err(), "a response over UDP");
    let mut stream = TcpStream::connect(denied.address).unwrap();
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    send(&mut stream, &query);
    assert!(!matches!(stream.read(&mut [0; 512]), Ok(1..)), "a response over TCP");
    drop(stream);
    denied.server.stop().await;
}
