//! Bob calls alice, both in one program: `cargo run -p messaging --features channel --example
//! channel`

use messaging::{
    NameProof, TrustedHeader,
    channel::{Limits, Listener, LocalIdentity, ResolveError, Transport, dial},
    resolve_peer,
};
use namechain_core::{
    codec::Decode,
    types::{Name, Network, SecretKey},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What the chain proves of a name: here from a file, elsewhere from a node.
fn look_up(name: &Name) -> Result<messaging::VerifiedPeer, Box<dyn std::error::Error>> {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/messaging/own");
    let trusted =
        TrustedHeader::from_bytes(Network::Dev, &std::fs::read(format!("{own}/header.bin"))?)?;
    let name_proof = std::fs::read(format!("{own}/{name}.proof"))?;
    Ok(resolve_peer(&trusted, name, &NameProof::from_bytes(&name_proof)?)?)
}

fn local(name: &str, number: u8) -> Result<LocalIdentity, Box<dyn std::error::Error>> {
    let mut seed = [2; 32];
    seed[0] = number;
    let identity = SecretKey::from_seed(&seed);
    Ok(LocalIdentity { network: Network::Dev, name: name.parse()?, sequence: 1, identity })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (alice, bob, limits) = (local("alice", 1)?, local("bob", 2)?, Limits::default());

    let callers = |name: Name| async move {
        look_up(&name).map_err(|why| ResolveError::Unresolved(why.to_string()))
    };
    let mut listener =
        Listener::bind(Transport::Quic, "127.0.0.1:0".parse()?, alice, limits, callers).await?;
    let address = listener.address();

    let at_alice = tokio::spawn(async move {
        let mut channel = listener.accept().await?;
        let mut said = String::new();
        channel.read_to_string(&mut said).await?;
        println!("{} said: {said}", channel.peer().name());
        channel.write_all(b"Come in.").await?;
        channel.close().await?;
        listener.close().await;
        Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    });

    let mut channel =
        dial(Transport::Quic, address, &bob, &look_up(&"alice".parse()?)?, &limits).await?;
    channel.write_all(b"It is me.").await?;
    channel.shutdown().await?;
    let mut said = String::new();
    channel.read_to_string(&mut said).await?;
    println!("{} said: {said}", channel.peer().name());
    channel.close().await?;
    Ok(at_alice.await?.map_err(|error| error.to_string())?)
}
