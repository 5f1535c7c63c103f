//! Bob calls alice, both in one program: `cargo run -p messaging --features channel --example
//! channel`

use messaging::{
    Anchor, Evidence,
    channel::{Carrier, Limits, Listener, Local, NoPeer, dial},
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
    let anchor = Anchor::from_bytes(Network::Dev, &std::fs::read(format!("{own}/header.bin"))?)?;
    let evidence = std::fs::read(format!("{own}/{name}.evidence"))?;
    Ok(resolve_peer(&anchor, name, &Evidence::from_bytes(&evidence)?)?)
}

fn local(name: &str, number: u8) -> Result<Local, Box<dyn std::error::Error>> {
    let mut seed = [2; 32];
    seed[0] = number;
    let identity = SecretKey::from_seed(&seed);
    Ok(Local { network: Network::Dev, name: name.parse()?, sequence: 1, identity })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (alice, bob, limits) = (local("alice", 1)?, local("bob", 2)?, Limits::default());

    let callers = |name: Name| async move {
        look_up(&name).map_err(|why| NoPeer::Unresolved(why.to_string()))
    };
    let mut listener =
        Listener::bind(Carrier::Quic, "127.0.0.1:0".parse()?, alice, limits, callers).await?;
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
        dial(Carrier::Quic, address, &bob, &look_up(&"alice".parse()?)?, &limits).await?;
    channel.write_all(b"It is me.").await?;
    channel.shutdown().await?;
    let mut said = String::new();
    channel.read_to_string(&mut said).await?;
    println!("{} said: {said}", channel.peer().name());
    channel.close().await?;
    Ok(at_alice.await?.map_err(|error| error.to_string())?)
}
