//! Peers that hold to TLS and to nothing else, or not even to that.

use rustls::pki_types::ServerName;
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use super::{
    super::{
        hello::{Binding, Hello, Role, write, write_refusal},
        tls::{ExpectedKey, client, server},
    },
    *,
};

/// For who will not say what is waited for.
fn short() -> Limits {
    Limits { handshake: Duration::from_secs(1), ..Limits::default() }
}

/// For who will.
pub fn long() -> Limits {
    Limits { handshake: Duration::from_secs(120), ..Limits::default() }
}

async fn tls(both: &Both, address: SocketAddr) -> TlsStream<TcpStream> {
    let config = client(&both.bob.identity(0), ExpectedKey::Any).unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("namechain.invalid").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), rustls::NamedGroup::X25519MLKEM768);
    stream
}

/// Over TLS, what says `bytes` first is told, and what the listener says of it.
async fn says(both: &Both, bytes: &[u8]) -> (Vec<u8>, Box<Rejected>) {
    let book = Book::of(Ok(both.bob_peer.clone()));
    let mut listener = both.listener(Transport::Tcp, long(), book).await;
    let mut stream = tls(both, listener.address()).await;
    let bytes = bytes.to_vec();
    let told = async {
        stream.write_all(&bytes).await.unwrap();
        let mut told = Vec::new();
        let _ = stream.read_to_end(&mut told).await;
        told
    };
    let (told, turned) = tokio::join!(told, listener.accept());
    (told, turned.unwrap_err())
}

fn hello(both: &Both, exporter: [u8; 32], network: Network, key: &SecretKey) -> Vec<u8> {
    let hello = Hello { from: both.bob.name.clone(), to: both.alice.name.clone(), sequence: 1 };
    write(Role::Dialler, &Binding { network, exporter: &exporter, answers: &[] }, &hello, key)
}

#[tokio::test]
async fn what_is_said_first_must_be_a_hello_for_this_connection() {
    let both = Both::new();
    let bob = both.bob.identity(0);
    // Signed by bob for another connection: what he said to somebody who passes it on.
    let elsewhere = hello(&both, [7; 32], NETWORK, &bob);
    let mut version = elsewhere.clone();
    version[2] = 2;
    let mut kind = elsewhere.clone();
    kind[3] = 2;
    let mut more = elsewhere.clone();
    more[1] += 1;
    more.push(0);
    for (bytes, refusal) in [
        (&elsewhere, Refusal::BadSignature),
        (&version, Refusal::Version),
        (&kind, Refusal::Malformed),
        (&more, Refusal::Malformed),
        (&hello(&both, [7; 32], Network::Main, &bob), Refusal::OtherNetwork),
        (&b"GET / HTTP/1.1\r\n\r\n".to_vec(), Refusal::Malformed),
        (&vec![0; 100], Refusal::Malformed),
        (&vec![0xff; 1_000_000], Refusal::Malformed),
        (&write_refusal(Refusal::Busy), Refusal::Malformed),
    ] {
        let (told, turned) = says(&both, bytes).await;
        assert!(
            matches!(turned.error, ChannelError::Refuse(found) if found == refusal),
            "{turned}"
        );
        assert_eq!(told, write_refusal(refusal));
    }
}

#[tokio::test]
async fn a_hello_of_another_key_than_the_connections() {
    let both = Both::new();
    let book = Book::of(Ok(both.bob_peer.clone()));
    let mut listener = both.listener(Transport::Tcp, long(), book).await;
    let mut stream = tls(&both, listener.address()).await;
    let exporter =
        stream.get_ref().1.export_keying_material([0; 32], EXPORTER_LABEL, Some(b"")).unwrap();
    stream.write_all(&hello(&both, exporter, NETWORK, &both.bob.identity(1))).await.unwrap();
    let turned = listener.accept().await.unwrap_err();
    assert!(matches!(turned.error, ChannelError::Refuse(Refusal::BadSignature)), "{turned}");
    // The same with the right key is a channel, and what comes behind it in the same breath is
    // data.
    let mut stream = tls(&both, listener.address()).await;
    let exporter =
        stream.get_ref().1.export_keying_material([0; 32], EXPORTER_LABEL, Some(b"")).unwrap();
    let both_at_once =
        [hello(&both, exporter, NETWORK, &both.bob.identity(0)), b"and on".to_vec()].concat();
    stream.write_all(&both_at_once).await.unwrap();
    let mut channel = listener.accept().await.unwrap();
    let mut data = [0; 6];
    channel.read_exact(&mut data).await.unwrap();
    assert_eq!(&data, b"and on");
}

#[tokio::test]
async fn silence_ends_in_time() {
    let both = Both::new();
    let mut listener =
        both.listener(Transport::Tcp, short(), Book::of(Ok(both.bob_peer.clone()))).await;
    let _silent = TcpStream::connect(listener.address()).await.unwrap();
    let turned = listener.accept().await.unwrap_err();
    assert!(matches!(turned.error, ChannelError::Timeout(_)), "{turned}");
    let _no_hello = tls(&both, listener.address()).await;
    let turned = listener.accept().await.unwrap_err();
    assert!(matches!(turned.error, ChannelError::Timeout(_)), "{turned}");
}

#[tokio::test]
async fn noise_disturbs_nobody() {
    let both = Both::new();
    for transport in CARRIERS {
        let mut listener =
            both.listener(transport, long(), Book::of(Ok(both.bob_peer.clone()))).await;
        if transport == Transport::Tcp {
            let mut noise = TcpStream::connect(listener.address()).await.unwrap();
            noise.write_all(&[0x55; 4_096]).await.unwrap();
            let turned = listener.accept().await.unwrap_err();
            assert!(matches!(turned.error, ChannelError::Tls(_) | ChannelError::Io(_)), "{turned}");
        } else {
            let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
            for len in [1, 100, 1_200, 1_400] {
                socket.send_to(&vec![0xc3; len], listener.address()).await.unwrap();
            }
        }
        let (limits, address, bob) = (long(), listener.address(), local(&both.bob));
        let (dialled, accepted) = tokio::join!(
            dial(transport, address, &bob, &both.alice_peer, &limits),
            listener.accept()
        );
        assert!(dialled.is_ok() && accepted.is_ok());
    }
}

/// A QUIC dialler that goes through TLS and opens nothing.
#[tokio::test]
async fn a_dialler_that_says_nothing() {
    let both = Both::new();
    let book = Book::of(Ok(both.bob_peer.clone()));
    let mut listener = both.listener(Transport::Quic, short(), book).await;
    let config = client(&both.bob.identity(0), ExpectedKey::Any).unwrap();
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let connection = endpoint
        .connect_with(config, listener.address(), "namechain.invalid")
        .unwrap()
        .await
        .unwrap();
    let turned = listener.accept().await.unwrap_err();
    assert!(matches!(turned.error, ChannelError::Timeout(_)), "{turned}");
    connection.closed().await;
    // And one that opens its stream, and then a second: there is none to be had.
    let config = client(&both.bob.identity(0), ExpectedKey::Any).unwrap();
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let connection = endpoint
        .connect_with(config, listener.address(), "namechain.invalid")
        .unwrap()
        .await
        .unwrap();
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    send.write_all(&[1]).await.unwrap();
    let second = tokio::select! {
        _ = connection.open_bi() => true,
        _ = connection.open_uni() => true,
        _ = listener.accept() => false,
    };
    assert!(!second);
}

#[tokio::test]
async fn a_listener_that_is_none() {
    let both = Both::new();
    let bob = local(&both.bob);
    let alice = both.alice.identity(0);
    let answers = |said: Option<Vec<u8>>, limits: Limits| {
        let (both, bob, alice) = (&both, &bob, &alice);
        async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let config = server(alice, ExpectedKey::Any).unwrap();
            let serve = async {
                let (stream, _) = listener.accept().await.unwrap();
                let Some(said) = said else { return std::future::pending().await };
                let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
                stream.write_all(&said).await.unwrap();
                stream.flush().await.unwrap();
                // Until the dialler has gone.
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                std::future::pending().await
            };
            tokio::select! {
                dialled = dial(Transport::Tcp, address, bob, &both.alice_peer, &limits) => dialled.unwrap_err(),
                never = serve => never,
            }
        }
    };
    assert!(matches!(answers(None, short()).await, ChannelError::Timeout(_)));
    assert!(matches!(answers(Some(Vec::new()), short()).await, ChannelError::Timeout(_)));
    assert!(matches!(
        answers(Some(vec![0xff; 5_000]), long()).await,
        ChannelError::Refuse(Refusal::Malformed)
    ));
    // Its own words back.
    let echo = hello(&both, [7; 32], NETWORK, &alice);
    assert!(matches!(answers(Some(echo), long()).await, ChannelError::Refuse(Refusal::Malformed)));
    // A listener's HELLO that answers nothing.
    let hello = Hello { from: both.alice.name.clone(), to: both.bob.name.clone(), sequence: 1 };
    let binding = Binding { network: NETWORK, exporter: &[7; 32], answers: &[] };
    let early = write(Role::Listener, &binding, &hello, &alice);
    assert!(matches!(
        answers(Some(early), long()).await,
        ChannelError::Refuse(Refusal::BadSignature)
    ));
    // Nobody there at all.
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    for (transport, silent) in [(Transport::Tcp, false), (Transport::Quic, true)] {
        let error = dial(transport, closed, &bob, &both.alice_peer, &short()).await.unwrap_err();
        assert_eq!(matches!(error, ChannelError::Timeout(_)), silent, "{error}");
        assert_eq!(matches!(error, ChannelError::Io(_)), !silent, "{error}");
    }
}

#[tokio::test]
async fn no_more_channels_than_there_may_be() {
    let both = Both::new();
    let limits = Limits { channels: 2, per_address: 2, ..long() };
    let bob = local(&both.bob);
    for transport in CARRIERS {
        let mut listener =
            both.listener(transport, limits, Book::of(Ok(both.bob_peer.clone()))).await;
        let address = listener.address();
        let mut kept = Vec::new();
        for _ in 0..2 {
            let (dialled, accepted) = tokio::join!(
                dial(transport, address, &bob, &both.alice_peer, &limits),
                listener.accept()
            );
            kept.push((dialled.unwrap(), accepted.unwrap()));
        }
        let (dialled, turned) = tokio::join!(
            dial(transport, address, &bob, &both.alice_peer, &limits),
            listener.accept()
        );
        assert!(matches!(dialled.unwrap_err(), ChannelError::Io(_)));
        assert!(matches!(turned.unwrap_err().error, ChannelError::Refuse(Refusal::Busy)));
        // One goes, another comes.
        kept.truncate(1);
        let (dialled, accepted) = tokio::join!(
            dial(transport, address, &bob, &both.alice_peer, &limits),
            listener.accept()
        );
        assert!(dialled.is_ok() && accepted.is_ok());
    }
}

/// What others say of themselves is read without a panic, and not taken for more than it is.
#[test]
fn mutated_frames() {
    use super::super::hello::{Said, length, read};
    use crate::testing::mutation::{Mutator, count};

    let both = Both::new();
    let key = both.bob.identity(0);
    let whole = hello(&both, [7; 32], NETWORK, &key);
    let binding = Binding { network: NETWORK, exporter: &[7; 32], answers: &[] };
    let accepted = |frame: &[u8]| {
        let Some((first, body)) = frame.split_first_chunk::<2>() else { return false };
        if length(*first) != Ok(body.len()) {
            return false;
        }
        match read(Role::Dialler, NETWORK, body) {
            Ok(Said::Hello(signed)) => {
                signed.verify(&both.alice.name, &key.public(), &binding).is_ok()
            }
            _ => false,
        }
    };
    assert!(accepted(&whole));
    let (mut mutator, other) = (Mutator::new(11), hello(&both, [8; 32], NETWORK, &key));
    for _ in 0..count() {
        let changed = mutator.change(&whole, &other);
        assert!(changed == whole || !accepted(&changed), "{changed:?}");
    }
}
