//! What a channel costs, on loopback: `cargo bench -p messaging --features channel --bench
//! channel`. From dialling to the first byte of the answer, which is: TLS, both HELLOs, one byte
//! there and one back. And a mebibyte through a channel that stands.

use divan::{Bencher, counter::BytesCount};
use messaging::{
    NameProof, TrustedHeader, VerifiedPeer,
    channel::{Channel, Limits, Listener, LocalIdentity, Transport, dial},
    resolve_peer,
};
use namechain_core::{
    codec::Decode,
    types::{Name, Network, SecretKey},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Runtime,
};

const MEBIBYTE: usize = 1 << 20;

fn own(file: &str) -> Vec<u8> {
    let path = format!("{}/../testdata/messaging/own/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn peer(text: &str) -> VerifiedPeer {
    let trusted = TrustedHeader::from_bytes(Network::Dev, &own("header.bin")).expect("a header");
    let name_proof = NameProof::from_bytes(&own(&format!("{text}.proof"))).expect("a name proof");
    resolve_peer(&trusted, &name(text), &name_proof).expect("a peer")
}

/// Of what `testdata/messaging/own/README.md` says.
fn local(text: &str, number: u8) -> LocalIdentity {
    let mut seed = [2; 32];
    seed[0] = number;
    let identity = SecretKey::from_seed(&seed);
    LocalIdentity { network: Network::Dev, name: name(text), sequence: 1, identity }
}

/// Alice, who says back whatever she is told. The look-up is a check of a name proof in memory.
async fn listen(transport: Transport) -> std::net::SocketAddr {
    let at = "127.0.0.1:0".parse().expect("an address");
    let look_up = |_| async { Ok(peer("bob")) };
    let bound = Listener::bind(transport, at, local("alice", 1), Limits::default(), look_up).await;
    let mut listener = bound.expect("it listens");
    let address = listener.address();
    tokio::spawn(async move {
        loop {
            let Ok(channel) = listener.accept().await else { continue };
            tokio::spawn(async move {
                let (mut from, mut to) = tokio::io::split(channel);
                // Until the other side goes.
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

async fn first_byte(
    transport: Transport,
    address: std::net::SocketAddr,
    bob: &LocalIdentity,
    alice: &VerifiedPeer,
) -> Channel {
    let mut channel =
        dial(transport, address, bob, alice, &Limits::default()).await.expect("a channel");
    channel.write_all(&[1]).await.expect("it stands");
    channel.flush().await.expect("it stands");
    let mut byte = [0];
    channel.read_exact(&mut byte).await.expect("it stands");
    channel
}

#[divan::bench(args = [Transport::Quic, Transport::Tcp])]
fn dial_to_first_byte(bencher: Bencher<'_, '_>, transport: Transport) {
    let runtime = Runtime::new().expect("a runtime");
    let (bob, alice) = (local("bob", 2), peer("alice"));
    let address = runtime.block_on(listen(transport));
    bencher.bench_local(|| runtime.block_on(first_byte(transport, address, &bob, &alice)));
}

#[divan::bench(args = [Transport::Quic, Transport::Tcp])]
fn a_mebibyte_there_and_back(bencher: Bencher<'_, '_>, transport: Transport) {
    let runtime = Runtime::new().expect("a runtime");
    let (bob, alice) = (local("bob", 2), peer("alice"));
    let address = runtime.block_on(listen(transport));
    let (mut from, mut to) =
        tokio::io::split(runtime.block_on(first_byte(transport, address, &bob, &alice)));
    let (said, mut heard) = (vec![7; MEBIBYTE], vec![0; MEBIBYTE]);
    bencher.counter(BytesCount::new(2 * MEBIBYTE)).bench_local(|| {
        let both = async { tokio::try_join!(to.write_all(&said), from.read_exact(&mut heard)) };
        runtime.block_on(both).expect("it stands");
    });
}

fn main() {
    divan::main();
}
