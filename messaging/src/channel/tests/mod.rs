//! Channels on loopback: what goes through, and who is refused.

mod hostile;

use std::{net::SocketAddr, sync::Mutex};

use tokio::io::AsyncWriteExt;

use super::*;
use crate::{
    testing::{NETWORK, Person, World, name},
    verify::Absence,
};

pub const CARRIERS: [Transport; 2] = [Transport::Quic, Transport::Tcp];

/// What the listener looks callers up in.
#[derive(Clone)]
pub struct Book(Arc<Mutex<Vec<Result<VerifiedPeer, ResolveError>>>>);

impl Book {
    /// Gives the same answer every time.
    pub fn of(answer: Result<VerifiedPeer, ResolveError>) -> Self {
        Book(Arc::new(Mutex::new(vec![answer])))
    }
}

impl PeerResolver for Book {
    async fn resolve(&self, _: Name) -> Result<VerifiedPeer, ResolveError> {
        self.0.lock().unwrap()[0].clone()
    }
}

/// Alice listens, bob dials.
pub struct Both {
    pub alice: Person,
    pub bob: Person,
    pub alice_peer: VerifiedPeer,
    pub bob_peer: VerifiedPeer,
}

impl Both {
    pub fn new() -> Self {
        let (alice, bob) = (Person::new("alice", 1), Person::new("bob", 2));
        let mut world = World::new();
        world.add(&alice);
        world.add(&bob);
        let (alice_peer, bob_peer) = (world.resolve(&alice.name), world.resolve(&bob.name));
        Both { alice, bob, alice_peer, bob_peer }
    }

    pub async fn listener(&self, transport: Transport, limits: Limits, book: Book) -> Listener {
        let at = "127.0.0.1:0".parse().unwrap();
        Listener::bind(transport, at, local(&self.alice), limits, book).await.unwrap()
    }

    /// What bob gets who dials as `bob` while the chain says `book`, and what alice says of it.
    async fn attempt(
        &self,
        transport: Transport,
        bob: &LocalIdentity,
        book: Result<VerifiedPeer, ResolveError>,
    ) -> (Result<Channel, ChannelError>, Result<Channel, Box<Rejected>>) {
        let limits = hostile::long();
        let mut listener = self.listener(transport, limits, Book::of(book)).await;
        let address = listener.address();
        tokio::join!(dial(transport, address, bob, &self.alice_peer, &limits), listener.accept())
    }

    async fn refused(
        &self,
        transport: Transport,
        bob: &LocalIdentity,
        book: Result<VerifiedPeer, ResolveError>,
    ) -> Refusal {
        match self.attempt(transport, bob, book).await {
            (Err(ChannelError::Refused(told)), Err(turned)) => {
                assert!(
                    matches!(turned.error, ChannelError::Refuse(refusal) if refusal == told),
                    "{turned}"
                );
                told
            }
            other => panic!("{transport:?}: {other:?}"),
        }
    }
}

pub fn local(person: &Person) -> LocalIdentity {
    LocalIdentity {
        network: NETWORK,
        name: person.name.clone(),
        sequence: 1,
        identity: person.identity(0),
    }
}

async fn read_all(channel: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    channel.read_to_end(&mut all).await?;
    Ok(all)
}

/// Writes `bytes` and its end, and reads up to the other side's end.
async fn exchange(mut channel: Channel, bytes: Vec<u8>) -> Vec<u8> {
    let (mut read, mut write) = tokio::io::split(&mut channel);
    let (wrote, got) = tokio::join!(
        async {
            write.write_all(&bytes).await?;
            write.shutdown().await
        },
        read_all(&mut read)
    );
    wrote.unwrap();
    channel.close().await.unwrap();
    got.unwrap()
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_way_ends_by_itself() {
    let both = Both::new();
    for transport in CARRIERS {
        let (dialled, accepted) =
            both.attempt(transport, &local(&both.bob), Ok(both.bob_peer.clone())).await;
        let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
        assert_eq!(dialled.peer(), &both.alice_peer);
        assert_eq!(accepted.peer(), &both.bob_peer);
        let there: Vec<u8> = (0..3_000_000_u32).flat_map(|n| n.to_le_bytes()).collect();
        let back: Vec<u8> = there.iter().rev().copied().collect();
        let (at_bob, at_alice) =
            tokio::join!(exchange(dialled, there.clone()), exchange(accepted, back.clone()));
        assert!(at_bob == back && at_alice == there, "{transport:?}");
    }
}

/// The answer comes after the question's end, and the listener closes first.
#[tokio::test]
async fn one_side_can_end_long_before_the_other() {
    let both = Both::new();
    for transport in CARRIERS {
        let (dialled, accepted) =
            both.attempt(transport, &local(&both.bob), Ok(both.bob_peer.clone())).await;
        let (mut dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
        dialled.shutdown().await.unwrap();
        dialled.shutdown().await.unwrap();
        assert_eq!(read_all(&mut accepted).await.unwrap(), b"");
        accepted.write_all(&[7; 500_000]).await.unwrap();
        let closed = tokio::spawn(accepted.close());
        assert_eq!(read_all(&mut dialled).await.unwrap().len(), 500_000);
        dialled.close().await.unwrap();
        closed.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_breaks_does_not_look_like_an_end() {
    let both = Both::new();
    for transport in CARRIERS {
        let (dialled, accepted) =
            both.attempt(transport, &local(&both.bob), Ok(both.bob_peer.clone())).await;
        let (mut dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
        accepted.write_all(b"half a sen").await.unwrap();
        accepted.flush().await.unwrap();
        let mut half = [0; 10];
        dialled.read_exact(&mut half).await.unwrap();
        drop(accepted);
        assert!(read_all(&mut dialled).await.is_err(), "{transport:?}");
    }
}

#[tokio::test]
async fn a_caller_who_is_not_who_he_says() {
    let both = Both::new();
    let bob = local(&both.bob);
    let mallory = LocalIdentity { identity: both.bob.identity(5), ..bob.clone() };
    let known = || Ok(both.bob_peer.clone());
    // Bob's record, replaced once: 2 stands.
    let mut world = World::new();
    world.add(&both.bob);
    world.publish(&both.bob.name, both.bob.record(1, 2, both.bob_peer.record_hash()), true);
    let rotated = world.resolve(&both.bob.name);
    let stranger = {
        let mut world = World::new();
        let other = Person::new("carol", 3);
        world.add(&other);
        world.resolve(&other.name)
    };
    for transport in CARRIERS {
        assert_eq!(both.refused(transport, &mallory, known()).await, Refusal::WrongKey);
        assert_eq!(both.refused(transport, &bob, Ok(rotated.clone())).await, Refusal::ReplacedKey);
        let newer = LocalIdentity { sequence: 2, identity: both.bob.identity(1), ..bob.clone() };
        assert_eq!(both.refused(transport, &newer, known()).await, Refusal::NewerKey);
        for why in [
            Absence::Unregistered,
            Absence::NoRecord,
            Absence::Grace,
            Absence::Revoked,
            Absence::Released,
        ] {
            let refusal = both.refused(transport, &bob, Err(ResolveError::Absent(why))).await;
            assert_eq!(refusal, Refusal::Absent(why));
        }
        assert_eq!(
            both.refused(transport, &bob, Err(ResolveError::Unwanted("not on the list".into())))
                .await,
            Refusal::Unwanted
        );
        let unresolved = ResolveError::Unresolved("no node".into());
        assert_eq!(both.refused(transport, &bob, Err(unresolved)).await, Refusal::Unresolved);
        let mixed_up = both.refused(transport, &bob, Ok(stranger.clone())).await;
        assert_eq!(mixed_up, Refusal::Unresolved, "a look-up that gives somebody else");
        // The same key and a record that others have not seen: it is bob.
        let ahead = LocalIdentity { sequence: 9, ..bob.clone() };
        let (dialled, accepted) = both.attempt(transport, &ahead, known()).await;
        assert!(dialled.is_ok() && accepted.is_ok());
    }
}

#[tokio::test]
async fn who_answers_and_is_not_who_was_called() {
    let both = Both::new();
    let (limits, bob) = (hostile::long(), local(&both.bob));
    for transport in CARRIERS {
        for (generation, next) in [(5, false), (1, true)] {
            let at: SocketAddr = "127.0.0.1:0".parse().unwrap();
            let other =
                LocalIdentity { identity: both.alice.identity(generation), ..local(&both.alice) };
            let book = Book::of(Ok(both.bob_peer.clone()));
            let mut listener = Listener::bind(transport, at, other, limits, book).await.unwrap();
            let address = listener.address();
            let (dialled, turned) = tokio::join!(
                dial(transport, address, &bob, &both.alice_peer, &limits),
                listener.accept()
            );
            let key = both.alice.identity(generation).public();
            match dialled.unwrap_err() {
                ChannelError::OtherKey { found, .. } => assert!(found == key && !next),
                ChannelError::NextKey { found, .. } => assert!(found == key && next),
                other => panic!("{other}"),
            }
            assert_eq!(turned.unwrap_err().claimed, None, "bob has not said who he is");
        }
        // The key is alice's, the listener thinks that it is somebody else.
        let at: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let carol = LocalIdentity { name: name("carol"), ..local(&both.alice) };
        let book = Book::of(Ok(both.bob_peer.clone()));
        let mut listener = Listener::bind(transport, at, carol, limits, book).await.unwrap();
        let address = listener.address();
        let (dialled, _) = tokio::join!(
            dial(transport, address, &bob, &both.alice_peer, &limits),
            listener.accept()
        );
        assert!(matches!(dialled.unwrap_err(), ChannelError::Refused(Refusal::OtherName)));
    }
    let elsewhere = LocalIdentity { network: Network::Main, ..bob };
    let dialled =
        dial(Transport::Tcp, "127.0.0.1:9".parse().unwrap(), &elsewhere, &both.alice_peer, &limits)
            .await;
    assert!(matches!(dialled.unwrap_err(), ChannelError::Network));
}
