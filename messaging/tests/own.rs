//! The bytes of this project's own formats, pinned in `testdata/messaging/own`: two names, a
//! bundle, three letters, all from fixed seeds. `MESSAGING_WRITE=1 cargo test -p messaging --test
//! own` writes them anew, after the format has changed.

use std::{fs, path::PathBuf};

use messaging::{
    Bundle, Device, Draft, Inbox, NameProof, PinStatus, Pins, Prekey, Randomness, Recipient,
    ReplayCache, Sender, SignedBundle, TrustedHeader, VerifiedPeer, X25519Secret, XWingSecret,
    pin::OnKeyChange, resolve_peer, seal,
};
use namechain_core::{
    codec::{Decode, Encode},
    consensus::header::genesis,
    tree::Tree,
    types::{
        BlockTime, CommitPosition, Entry, Hash, Header, Locators, MessagingEntry, MessagingPolicy,
        MessagingRecord, Name, NameEntry, Network, RecordSet, Rescued, SecretKey, next_key_hash,
    },
};

const NETWORK: Network = Network::Dev;
/// When everything was made, in seconds of Unix time.
const NOW: u64 = 1_800_000_000;
const DAY: u64 = 24 * 3_600;

/// The secrets of somebody: 32 bytes that are `number`, then `what`.
fn seed(number: u8, what: u8) -> [u8; 32] {
    let mut seed = [what; 32];
    seed[0] = number;
    seed
}

struct Person {
    name: Name,
    identity: SecretKey,
    x25519: X25519Secret,
    last_resort: XWingSecret,
    one_time: XWingSecret,
    device: XWingSecret,
    bundle: SignedBundle,
    entry: NameEntry,
}

fn person(name: &str, number: u8) -> Person {
    let name: Name = name.parse().unwrap();
    let identity = SecretKey::from_seed(&seed(number, 2));
    let x25519 = X25519Secret::from_bytes(&seed(number, 4));
    let [last_resort, one_time, device] =
        [5, 6, 7].map(|what| XWingSecret::from_seed(&seed(number, what)));
    let bundle = Bundle {
        name: name.clone(),
        sequence: 1,
        identity: identity.public(),
        created: NOW,
        expires: NOW + 30 * DAY,
        last_resort: last_resort.public(),
        one_time: vec![one_time.public()],
        devices: vec![Device { number: 1, label: "desk".into(), key: device.public() }],
    };
    let bundle = bundle.sign(NETWORK, &identity).unwrap();
    let record = MessagingRecord {
        sequence: 1,
        previous: Hash::ZERO,
        identity: identity.public(),
        next: next_key_hash(NETWORK, &SecretKey::from_seed(&seed(number, 3)).public()),
        x25519: x25519.public().0,
        bundle: bundle.hash(NETWORK),
        locators: Locators::new(vec![format!("/dns4/{name}.example/udp/7379/quic-v1")]).unwrap(),
        policy: MessagingPolicy { x25519_alone: true },
    };
    let entry = NameEntry {
        name: name.clone(),
        owner: SecretKey::from_seed(&seed(number, 1)).public(),
        recovery: None,
        title: Hash([number; 32]),
        sequence: 2,
        registered: BlockTime { height: 10, time: NOW - DAY },
        commit: CommitPosition { height: 5, index: 0 },
        updated: BlockTime { height: 12, time: NOW },
        expires: NOW + 365 * DAY,
        revoked: false,
        rescued: Rescued::default(),
        transfer: None,
        records: RecordSet::default(),
        messaging: Some(Box::new(MessagingEntry { record, linked: false, height: 12, time: NOW })),
        messaging_sequence: 1,
    };
    Person { name, identity, x25519, last_resort, one_time, device, bundle, entry }
}

/// A header whose state has alice and bob, and what it proves of each and of nobody.
fn state(people: [&Person; 2]) -> (Header, [NameProof; 3]) {
    let mut tree = Tree::new(NETWORK);
    let bytes = people.map(|person| Entry::Name(person.entry.clone()).to_bytes());
    for (person, bytes) in people.iter().zip(&bytes) {
        tree.insert(person.name.key(NETWORK), Entry::value_hash(NETWORK, bytes));
    }
    let header =
        Header { height: 20, time: NOW, state_root: tree.root(), ..genesis(NETWORK).header };
    let name_proof = |name: &Name, entry: Option<&[u8]>| {
        let proof = tree.prove(&name.key(NETWORK)).to_bytes();
        NameProof::read(&header.to_bytes(), &proof, entry, None).unwrap()
    };
    let nobody: Name = "nobody".parse().unwrap();
    let evidences = [
        name_proof(&people[0].name, Some(&bytes[0])),
        name_proof(&people[1].name, Some(&bytes[1])),
        name_proof(&nobody, None),
    ];
    (header, evidences)
}

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testdata/messaging/own").join(file)
}

/// What the file must hold, byte for byte.
fn pinned(file: &str, bytes: &[u8]) {
    if std::env::var_os("MESSAGING_WRITE").is_some() {
        fs::write(path(file), bytes).unwrap();
    }
    let found = fs::read(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert!(found == bytes, "{file} has other bytes: the format has changed");
}

fn letter(alice: &Person, to: &Recipient<'_>, number: u8, text: &[u8]) -> Vec<u8> {
    let from = Sender { name: &alice.name, identity: &alice.identity, sequence: 1 };
    let draft = Draft { body: text, created: NOW, expires: NOW + 7 * DAY };
    seal(&from, to, &draft, Randomness::from_bytes(seed(number, 9))).unwrap()
}

fn read(bob: &Person, alice: &VerifiedPeer, envelope: &[u8]) -> Vec<u8> {
    let mut inbox = Inbox::new(NETWORK, bob.name.clone(), bob.identity.public());
    inbox.add_x25519(0, bob.x25519.clone()).unwrap();
    inbox.add_xwing(1, bob.last_resort.clone()).unwrap();
    inbox.add_xwing(2, bob.device.clone()).unwrap();
    inbox.add_one_time(3, bob.one_time.clone()).unwrap();
    let opened = inbox.open(envelope, NOW + DAY).unwrap();
    opened.verify(Some(alice), &mut inbox, &mut ReplayCache::new()).unwrap().body().to_vec()
}

#[test]
fn the_formats_are_pinned() {
    let (alice, bob) = (person("alice", 1), person("bob", 2));
    let (header, [of_alice, of_bob, of_nobody]) = state([&alice, &bob]);
    pinned("header.bin", &header.to_bytes());
    pinned("alice.proof", &of_alice.to_bytes());
    pinned("bob.proof", &of_bob.to_bytes());
    pinned("nobody.proof", &of_nobody.to_bytes());
    pinned("bob.bundle", &bob.bundle.to_bytes());
    let trusted = TrustedHeader::from_bytes(NETWORK, &header.to_bytes()).unwrap();
    let peer =
        |name: &Name, name_proof: &NameProof| resolve_peer(&trusted, name, name_proof).unwrap();
    let (alice_peer, bob_peer) = (peer(&alice.name, &of_alice), peer(&bob.name, &of_bob));
    let bundle =
        SignedBundle::from_bytes(&bob.bundle.to_bytes()).unwrap().verify(&bob_peer, NOW).unwrap();
    assert!(bundle.is_recorded());
    let to = |bundle, prekey| Recipient::new(&bob_peer, bundle, prekey).unwrap();
    let long = vec![b'x'; 3_000];
    for (number, (file, to, text)) in [
        ("x25519.ncm", to(None, Prekey::LastResort), b"Sealed to X25519 alone.".as_slice()),
        ("x-wing.ncm", to(Some(&bundle), Prekey::LastResort), b"Sealed to X-Wing."),
        ("one-time.ncm", to(Some(&bundle), Prekey::OneTime(0)), &long),
    ]
    .into_iter()
    .enumerate()
    {
        let envelope = letter(&alice, &to, number as u8, text);
        pinned(file, &envelope);
        assert_eq!(read(&bob, &alice_peer, &envelope), text, "{file}");
    }
    let mut pins = Pins::new(NETWORK);
    assert_eq!(pins.record(&alice_peer, &[], OnKeyChange::Refuse), Ok(PinStatus::First));
    assert_eq!(pins.record(&bob_peer, &[], OnKeyChange::Refuse), Ok(PinStatus::First));
    pins.record_bundle(&bundle).unwrap();
    pinned("pins.bin", &pins.to_bytes());
}
