//! What letters cost: `cargo bench -p messaging --bench letters`. Sizes are printed first.

use divan::{Bencher, black_box};
use messaging::{
    Draft, Inbox, Kem, NameProof, Prekey, Randomness, Recipient, ReplayCache, Sender, SignedBundle,
    TrustedHeader, VerifiedBundle, VerifiedPeer, X25519Secret, XWingSecret,
    envelope::{SizeClass, capacity},
    resolve_peer, seal,
};
use namechain_core::{
    codec::{Decode, Encode},
    types::{Name, Network, SecretKey},
};

const NOW: u64 = 1_800_000_000;

fn own(file: &str) -> Vec<u8> {
    let path = format!("{}/../testdata/messaging/own/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The seed of what `testdata/messaging/own/README.md` says.
fn seed(number: u8, what: u8) -> [u8; 32] {
    let mut seed = [what; 32];
    seed[0] = number;
    seed
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn peer(text: &str) -> VerifiedPeer {
    let trusted = TrustedHeader::from_bytes(Network::Dev, &own("header.bin")).expect("a header");
    let name_proof = NameProof::from_bytes(&own(&format!("{text}.proof"))).expect("a name proof");
    resolve_peer(&trusted, &name(text), &name_proof).expect("a peer")
}

fn bundle(bob: &VerifiedPeer) -> VerifiedBundle {
    SignedBundle::read(&own("bob.bundle"))
        .and_then(|bundle| bundle.verify(bob, NOW))
        .expect("a bundle")
}

fn inbox() -> Inbox {
    let identity = SecretKey::from_seed(&seed(2, 2)).public();
    let mut inbox = Inbox::new(Network::Dev, name("bob"), identity);
    inbox.add_x25519(0, X25519Secret::from_bytes(&seed(2, 4))).expect("room");
    inbox.add_xwing(1, XWingSecret::from_seed(&seed(2, 5))).expect("room");
    inbox
}

fn main() {
    let bob = peer("bob");
    println!("record on the chain: {} bytes", bob.entry().record.to_bytes().len());
    println!("name proof, in a state of two names: {} bytes", own("bob.proof").len());
    println!("bundle with three keys: {} bytes", own("bob.bundle").len());
    for kem in [Kem::X25519, Kem::XWing] {
        for class in SizeClass::ALL {
            let room = capacity(class, kem, &name("alice"), bob.name());
            println!(
                "{kem}: text in {} bytes: {room}, around it {}",
                class.bytes(),
                class.bytes() - room
            );
        }
    }
    divan::main();
}

#[divan::bench(args = [Kem::X25519, Kem::XWing])]
fn sealing(bencher: Bencher<'_, '_>, kem: Kem) {
    let (alice, identity, bob) = (name("alice"), SecretKey::from_seed(&seed(1, 2)), peer("bob"));
    let bundle = bundle(&bob);
    let bundle = (kem == Kem::XWing).then_some(&bundle);
    let to = Recipient::new(&bob, bundle, Prekey::LastResort).expect("a recipient");
    let from = Sender { name: &alice, identity: &identity, sequence: 1 };
    let draft = Draft { body: b"Meet me where the river bends.", created: NOW, expires: NOW + 60 };
    bencher
        .with_inputs(|| Randomness::from_bytes(seed(1, 9)))
        .bench_values(|random| seal(&from, &to, &draft, random));
}

#[divan::bench(args = [Kem::X25519, Kem::XWing])]
fn opening(bencher: Bencher<'_, '_>, kem: Kem) {
    let (mut inbox, alice) = (inbox(), peer("alice"));
    let envelope = own(if kem == Kem::XWing { "x-wing.ncm" } else { "x25519.ncm" });
    bencher.bench_local(|| {
        let opened = inbox.open(black_box(&envelope), NOW).expect("it opens");
        opened
            .verify(Some(&alice), &mut inbox, &mut ReplayCache::new())
            .expect("it is alice's")
            .body()
            .len()
    });
}

#[divan::bench]
fn resolving() -> VerifiedPeer {
    peer(black_box("bob"))
}

#[divan::bench]
fn verifying_a_bundle(bencher: Bencher<'_, '_>) {
    let bob = peer("bob");
    bencher.bench_local(|| bundle(black_box(&bob)));
}
