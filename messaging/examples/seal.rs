//! A letter from alice to bob, on standard output: `cargo run -p messaging --example seal >
//! letter.ncm`

use std::io::Write;

use messaging::{
    Draft, NameProof, Prekey, Randomness, Recipient, Sender, SignedBundle, TrustedHeader,
    resolve_peer, seal,
};
use namechain_core::{
    codec::Decode,
    types::{Network, SecretKey},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let own = |file| {
        std::fs::read(format!("{}/../testdata/messaging/own/{file}", env!("CARGO_MANIFEST_DIR")))
    };
    let (now, alice, mut seed) = (1_800_000_000, "alice".parse()?, [2; 32]);
    seed[0] = 1;
    let identity = SecretKey::from_seed(&seed);

    let trusted = TrustedHeader::from_bytes(Network::Dev, &own("header.bin")?)?;
    let bob = resolve_peer(&trusted, &"bob".parse()?, &NameProof::from_bytes(&own("bob.proof")?)?)?;
    let bundle = SignedBundle::read(&own("bob.bundle")?)?.verify(&bob, now)?;
    let from = Sender { name: &alice, identity: &identity, sequence: 1 };
    let to = Recipient::new(&bob, Some(&bundle), Prekey::LastResort)?;
    let draft = Draft {
        body: b"Meet me where the river bends.",
        created: now,
        expires: now + 7 * 24 * 3_600,
    };
    Ok(std::io::stdout().write_all(&seal(&from, &to, &draft, Randomness::fresh()?)?)?)
}
