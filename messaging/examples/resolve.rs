//! From a name to its keys, or to nothing: `cargo run -p messaging --example resolve -- bob`

use messaging::{NameProof, TrustedHeader, resolve_peer};
use namechain_core::{codec::Decode, types::Network};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or("bob".into()).parse()?;
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/messaging/own");
    // A header that is trusted: of one's own node, or held from elsewhere.
    let trusted =
        TrustedHeader::from_bytes(Network::Dev, &std::fs::read(format!("{own}/header.bin"))?)?;
    // What anybody says of the name, over any way.
    let name_proof = NameProof::from_bytes(&std::fs::read(format!("{own}/{name}.proof"))?)?;
    let peer = resolve_peer(&trusted, &name, &name_proof)?;
    println!(
        "{}: identity {}, record {}, at height {}",
        peer.name(),
        peer.identity(),
        peer.sequence(),
        peer.height()
    );
    Ok(())
}
