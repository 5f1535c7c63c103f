//! Channels between names: `zonetool peer listen` and `peer dial`, and who is refused.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use messaging::{
    NameProof, TrustedHeader, VerifiedPeer,
    channel::{ChannelError, Limits, LocalIdentity, Refusal, Transport, client_config, dial},
    resolve_peer,
};
use namechain_core::types::{Name, Network, SecretKey};
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};
use serde_json::Value;
use tests::{
    http,
    peers::Citizen,
    pipe::{End, Pipe},
    users::World,
    wait,
};

const CARRIERS: [(Transport, &[&str]); 2] = [(Transport::Quic, &[]), (Transport::Tcp, &["--tcp"])];

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// What the node's chain proves of a name.
fn proven(world: &World, text: &str) -> VerifiedPeer {
    let said = http::get(world.node.addr("api"), &format!("/v1/names/{text}/proof")).json();
    let bytes =
        |field: &str| hex::decode(said[field].as_str().expect("hexadecimal")).expect("hexadecimal");
    let name_proof =
        NameProof::read(&bytes("header"), &bytes("proof"), Some(&bytes("entry")), None);
    let anchor = TrustedHeader::from_bytes(Network::Dev, &bytes("header")).expect("a header");
    resolve_peer(&anchor, &name(text), &name_proof.expect("a name proof")).expect("a peer")
}

fn local(citizen: &Citizen, index: u32, sequence: u32) -> LocalIdentity {
    let identity = SecretKey::from_seed(&citizen.seed(index));
    LocalIdentity { network: Network::Dev, name: name(&citizen.name), sequence, identity }
}

fn limits() -> Limits {
    Limits { handshake: wait::DEADLINE, ..Limits::default() }
}

/// More than any buffer on the way holds.
fn much(seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..3_000_000).map(|_| next()).collect()
}

fn call(from: &Citizen, to: &str, address: SocketAddr, more: &[&str]) -> Pipe {
    from.dial(to, &[&["--address", &address.to_string()], more].concat())
}

fn failed(end: &End, code: i32, words: &str) {
    assert_eq!(end.code, code, "{end:?}");
    assert!(end.error().contains(words), "'{words}' in {}", end.error());
    assert!(end.output.is_empty(), "not a byte: {end:?}");
}

#[test]
fn a_pipe_between_two_names() {
    let world = World::new();
    let (alice, bob) = (Citizen::of(&world, "alice"), Citizen::of(&world, "bobby"));
    for (from, to) in [(&bob, &alice), (&alice, &bob)] {
        for (transport, flags) in CARRIERS {
            let mut listener = to.listen(flags);
            let mut dialler = call(from, &to.name, listener.address(), flags);
            let (there, back) = (much(1), much(2));
            dialler.say_all(there.clone());
            listener.say_all(back.clone());
            for (pipe, who) in [(&mut dialler, to), (&mut listener, from)] {
                let connected = pipe.event("connected");
                let identity = SecretKey::from_seed(&who.seed(0)).public();
                assert_eq!(connected["name"], who.name.as_str());
                assert_eq!(connected["identity"], identity.to_string());
            }
            let (dialled, listened) = (dialler.end(), listener.end());
            assert_eq!(
                (dialled.code, listened.code),
                (0, 0),
                "{transport:?} {:?} {:?}",
                dialled.said,
                listened.said
            );
            assert!(dialled.output == back && listened.output == there, "{transport:?}");
        }
    }
}

/// A question up to its end, and then the answer: as `ssh` would do it.
#[test]
fn each_way_ends_by_itself() {
    let world = World::new();
    let (alice, bob) = (Citizen::of(&world, "alice"), Citizen::of(&world, "bobby"));
    for (_, flags) in CARRIERS {
        let mut listener = alice.listen(flags);
        let mut dialler = call(&bob, "alice", listener.address(), flags);
        dialler.event("connected");
        dialler.say(b"what is the time?");
        dialler.hang_up();
        listener.event("connected");
        listener.say(b"late");
        listener.say(b"r");
        let (dialled, listened) = {
            let listened = listener.end();
            (dialler.end(), listened)
        };
        assert_eq!((dialled.code, listened.code), (0, 0), "{:?} {:?}", dialled.said, listened.said);
        assert_eq!(
            (dialled.output.as_slice(), listened.output.as_slice()),
            (&b"later"[..], &b"what is the time?"[..])
        );
        // One that breaks is told from one that ends.
        let mut listener = alice.listen(flags);
        let mut dialler = call(&bob, "alice", listener.address(), flags);
        dialler.event("connected");
        listener.event("connected");
        listener.say(b"half a sen");
        listener.interrupt();
        let (dialled, listened) = (dialler.end(), listener.end());
        assert_eq!((dialled.code, listened.code), (5, 1), "{dialled:?} {listened:?}");
    }
}

/// The record says where to call.
#[test]
fn a_name_is_called_where_its_record_says() {
    let world = World::new();
    let (alice, bob) = (Citizen::of(&world, "alice"), Citizen::of(&world, "bobby"));
    failed(&bob.dial("alice", &[]).end(), 3, "has no address to call");
    let mut listener = alice.listen(&[]);
    let port = listener.address().port();
    let locator = format!("/ip4/127.0.0.1/udp/{port}/quic-v1");
    alice.publish(&["--locator", "https://alice.example/", "--locator", &locator]);
    failed(&bob.dial("alice", &["--tcp"]).end(), 3, "has no address to call over TCP");
    let mut dialler = bob.dial("alice", &[]);
    dialler.say_all(b"found".to_vec());
    assert_eq!(dialler.event("connected")["sequence"], 2);
    listener.event("connected");
    let (listened, dialled) = (listener.end(), dialler.end());
    assert_eq!((listened.code, dialled.code, listened.output.as_slice()), (0, 0, &b"found"[..]));
}

#[test]
fn who_has_no_key_is_not_called_and_does_not_call() {
    let world = World::new();
    let (alice, bob) = (Citizen::of(&world, "alice"), Citizen::without_key(&world, "bobby"));
    let nowhere = ["--address", "127.0.0.1:9", "--tcp"];
    failed(&alice.dial("nobody", &nowhere).end(), 3, "not registered");
    failed(&alice.dial("bobby", &nowhere).end(), 3, "bobby has no identity key");
    failed(&bob.dial("alice", &nowhere).end(), 3, "bobby has no identity key");
    failed(&bob.listen(&[]).end(), 3, "bobby has no identity key");
    let args = ["--json", "peer", "listen", "alice", "--listen", "127.0.0.1"];
    failed(
        &bob.user.pipe(&args).end(),
        4,
        "the identity key of alice is not in your directory of keys",
    );
    failed(&alice.dial("alice", &nowhere).end(), 5, "no channel to alice at 127.0.0.1:9");
    failed(&alice.dial("alice", &["--address", "nowhere"]).end(), 2, "'nowhere' is not an address");
    let silent = ["--address", "127.0.0.1:9", "--handshake-timeout", "1"];
    failed(&alice.dial("alice", &silent).end(), 5, "no channel to alice at 127.0.0.1:9");
}

#[test]
fn who_answers_with_another_key_is_not_spoken_with() {
    let world = World::new();
    let (alice, bob, mallory) = (
        Citizen::of(&world, "alice"),
        Citizen::of(&world, "bobby"),
        Citizen::of(&world, "mallory"),
    );
    for (_, flags) in CARRIERS {
        let mut listener = mallory.listen(flags);
        let mut dialler = call(&bob, "alice", listener.address(), flags);
        dialler.say(b"for alice alone");
        failed(&dialler.end(), 9, "who answers is not alice");
        let turned = listener.event("rejected");
        assert_eq!(turned["claimed"], Value::Null, "nobody said who called: {turned}");
        // The next may come.
        let mut dialler = call(&bob, "mallory", listener.address(), flags);
        dialler.event("connected");
        dialler.hang_up();
        let listened = listener.end();
        assert!(
            listened.code == 0 && listened.output.is_empty() && dialler.end().code == 0,
            "{listened:?}"
        );
    }
    // Alice waits with a key that is replaced meanwhile, then withdrawn.
    let mut listeners = CARRIERS.map(|(_, flags)| alice.listen(flags));
    let addresses = listeners.each_mut().map(|listener| listener.address());
    alice.rotate();
    for ((_, flags), address) in CARRIERS.iter().zip(addresses) {
        failed(&call(&bob, "alice", address, flags).end(), 9, "which alice replaced at height");
    }
    alice.withdraw();
    for ((_, flags), address) in CARRIERS.iter().zip(addresses) {
        failed(&call(&bob, "alice", address, flags).end(), 9, "alice has no identity key any more");
        failed(&call(&mallory, "alice", address, flags).end(), 3, "alice has no identity key");
    }
}

/// Callers that the command line would not let call.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_with_another_key_is_turned_away() {
    let world = World::new();
    let (alice, bob) = (Citizen::of(&world, "alice"), Citizen::of(&world, "bobby"));
    let peer = proven(&world, "alice");
    let mut listeners = CARRIERS.map(|(transport, flags)| {
        let mut listener = alice.listen(flags);
        (transport, listener.address(), listener)
    });
    let mut refused = async |caller: LocalIdentity, expected: Refusal| {
        for (transport, address, listener) in &mut listeners {
            let dialled = dial(*transport, *address, &caller, &peer, &limits()).await;
            match dialled.expect_err("refused") {
                ChannelError::Refused(refusal) => assert_eq!(refusal, expected, "{transport:?}"),
                other => panic!("{transport:?}: {other}"),
            }
            let turned = listener.event("rejected");
            listener.said.clear();
            assert!(turned["why"].to_string().contains(&expected.to_string()), "{turned}");
        }
    };
    let made_up = LocalIdentity { identity: SecretKey::from_seed(&[3; 32]), ..local(&bob, 0, 1) };
    refused(made_up.clone(), Refusal::WrongKey).await;
    let nobody = LocalIdentity { name: name("nobody"), ..made_up };
    refused(nobody, Refusal::Absent(messaging::Absence::Unregistered)).await;
    bob.rotate();
    refused(local(&bob, 0, 1), Refusal::ReplacedKey).await;
    bob.withdraw();
    refused(local(&bob, 1, 2), Refusal::Absent(messaging::Absence::NoRecord)).await;
    bob.publish(&[]);
    bob.user.zonetool(&["revoke", "bobby", "--yes", "--wait"]).ok();
    refused(local(&bob, 1, 3), Refusal::Absent(messaging::Absence::Revoked)).await;
}

/// TLS with bobby's key to a listener, by hand.
fn tls(
    world: &World,
    bob: &Citizen,
    address: SocketAddr,
) -> StreamOwned<ClientConnection, TcpStream> {
    let identity = SecretKey::from_seed(&bob.seed(0));
    let config =
        client_config(&identity, proven(world, "alice").identity()).expect("a configuration");
    let name = ServerName::try_from("namechain.invalid").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    StreamOwned::new(connection, TcpStream::connect(address).expect("it listens"))
}

/// Whatever is said instead of a HELLO, or before it, reaches nobody; and the listener goes on.
#[test]
fn noise_silence_and_words_out_of_turn() {
    let world = World::new();
    let (alice, bob) = (Citizen::of(&world, "alice"), Citizen::of(&world, "bobby"));
    let mut listener = alice.listen(&["--tcp", "--handshake-timeout", "2"]);
    let address = listener.address();
    let turned = |listener: &mut Pipe, words: &str| {
        let turned = listener.event("rejected");
        listener.said.clear();
        assert!(turned["why"].to_string().contains(words), "'{words}' in {turned}");
    };
    let mut noise = TcpStream::connect(address).expect("it listens");
    noise.write_all(&[0x16; 10_000]).expect("it takes some");
    turned(&mut listener, "");
    let silent = TcpStream::connect(address).expect("it listens");
    turned(&mut listener, "nothing came of it within 2 s");
    drop(silent);
    // Through TLS, with a key that the chain knows, and then out of turn.
    for said in [&b"let me in\n"[..], &[0, 255, 1, 1], &[0, 0], &vec![0xff; 200_000]] {
        let mut stream = tls(&world, &bob, address);
        // It may hang up while there is still something to say.
        let _ = stream.write_all(said);
        let mut told = Vec::new();
        let _ = stream.read_to_end(&mut told);
        assert!(told.len() <= 5, "a refusal and nothing else: {told:?}");
        let words = if said.len() == 4 { "nothing came of it" } else { "no HELLO" };
        turned(&mut listener, words);
    }
    let mut silent = tls(&world, &bob, address);
    silent.flush().expect("a handshake");
    turned(&mut listener, "nothing came of it within 2 s");
    // More at a time than there may be, from one address: each is cut off in its time.
    let crowd: Vec<TcpStream> = (0..40).filter_map(|_| TcpStream::connect(address).ok()).collect();
    turned(&mut listener, "as many channels as there may be");
    drop(crowd);
    let dialled = wait::until("a place for bobby", || {
        let mut dialler = call(&bob, "alice", address, &["--tcp"]);
        dialler.say_all(b"it is me".to_vec());
        let connected = wait::until("a connection or an end", || dialler.came_to("connected"));
        connected.then_some(dialler)
    });
    listener.event("connected");
    let (listened, dialled) = (listener.end(), dialled.end());
    assert_eq!((listened.code, dialled.code), (0, 0), "{listened:?} {dialled:?}");
    assert_eq!(listened.output, b"it is me", "nothing of what the others said");
}

#[test]
fn only_those_who_are_wanted() {
    let world = World::new();
    let (alice, bob, carol) =
        (Citizen::of(&world, "alice"), Citizen::of(&world, "bobby"), Citizen::of(&world, "carol"));
    let mut listener = alice.listen(&["--only", "carol"]);
    let address = listener.address();
    failed(
        &call(&bob, "alice", address, &[]).end(),
        7,
        "the other side refuses: the name is not wanted here",
    );
    assert_eq!(listener.event("rejected")["claimed"], "bobby");
    let mut dialler = call(&carol, "alice", address, &[]);
    dialler.event("connected");
    assert_eq!(listener.event("connected")["name"], "carol");
    dialler.hang_up();
    let listened = listener.end();
    assert_eq!((listened.code, dialler.end().code), (0, 0));
}

/// X25519MLKEM768 against the one of aws-lc, both ways round.
#[test]
fn the_key_exchange_is_that_of_others() {
    let [one, other] = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]));
    let config = client_config(&one, other.public()).expect("a configuration");
    let ours = config.crypto_provider().kx_groups[0];
    let theirs = rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768;
    assert_eq!(ours.name(), theirs.name());
    for (dialler, listener) in [(ours, theirs), (theirs, ours)] {
        let started = dialler.start().expect("a share");
        let answer = listener.start_and_complete(started.pub_key()).expect("an answer");
        let secret = started.complete(&answer.pub_key).expect("a secret");
        assert_eq!(secret.secret_bytes(), answer.secret.secret_bytes());
    }
}
