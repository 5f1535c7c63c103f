//! Bob reads a letter from standard input: `cargo run -p messaging --example seal | cargo run -p
//! messaging --example open`

use std::io::Read;

use messaging::{Inbox, NameProof, ReplayCache, TrustedHeader, XWingSecret, resolve_peer};
use namechain_core::{
    codec::Decode,
    types::{Network, SecretKey},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let own = |file: &str| {
        std::fs::read(format!("{}/../testdata/messaging/own/{file}", env!("CARGO_MANIFEST_DIR")))
    };
    let (now, mut seeds) = (1_800_000_000, [[2; 32], [5; 32]]);
    seeds.iter_mut().for_each(|seed| seed[0] = 2);
    let mut inbox =
        Inbox::new(Network::Dev, "bob".parse()?, SecretKey::from_seed(&seeds[0]).public());
    inbox.add_xwing(0, XWingSecret::from_seed(&seeds[1]))?;

    let mut envelope = Vec::new();
    std::io::stdin().take(65_537).read_to_end(&mut envelope)?;
    let opened = inbox.open(&envelope, now)?;
    let trusted = TrustedHeader::from_bytes(Network::Dev, &own("header.bin")?)?;
    let name_proof = NameProof::from_bytes(&own(&format!("{}.proof", opened.claimed_sender()))?)?;
    let sender = resolve_peer(&trusted, opened.claimed_sender(), &name_proof).ok();
    let letter = opened.verify(sender.as_ref(), &mut inbox, &mut ReplayCache::new())?;
    println!("{}: {}", letter.sender, String::from_utf8_lossy(letter.body()));
    Ok(())
}
