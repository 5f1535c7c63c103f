//! `peer listen` and `peer dial`: a pipe between two names.
//!
//! Standard output has what the other side says and nothing else; who it is, and what goes wrong, goes to standard error.

mod address;
mod error;
mod pipe;

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use messaging::{
    PeerError, VerifiedPeer,
    channel::{Carrier, Channel, ChannelError, Limits, Listener, Local, NoPeer, TurnedAway, dial as call},
};
use namechain::types::{Name, PublicKey};
use serde::Serialize;
use tokio::runtime::Runtime;

use self::address::{Place, of_argument, of_locator};
use super::{
    super::{CommandError, KeyPlace, parse_name},
    history::spoke_until,
    verified::{find, verified},
};
use crate::{
    cli::{Carried, PeerDial, PeerListen},
    client::Client,
    keys,
    ui::Ui,
};

pub use error::ChannelFailure;

/// How many addresses of a host are tried.
const ADDRESSES: usize = 4;

/// What `--json` says, a line each.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event {
    Listening {
        name: Name,
        address: SocketAddr,
        carrier: &'static str,
    },
    TurnedAway {
        remote: SocketAddr,
        claimed: Option<Name>,
        why: String,
    },
    Connected {
        name: Name,
        identity: PublicKey,
        sequence: u32,
        height: u32,
        remote: SocketAddr,
        carrier: &'static str,
    },
}

impl Carried {
    fn carrier(self) -> Carrier {
        if self.tcp { Carrier::Tcp } else { Carrier::Quic }
    }

    fn limits(self) -> Limits {
        Limits { handshake: self.handshake, ..Limits::default() }
    }
}

fn shown(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Quic => "quic",
        Carrier::Tcp => "tcp",
    }
}

fn connected(ui: Ui, channel: &Channel, carrier: Carrier) {
    let (peer, remote) = (channel.peer(), channel.remote());
    let (name, identity) = (peer.name().clone(), peer.identity());
    let (sequence, height, carrier) = (peer.sequence(), peer.height(), shown(carrier));
    let text = format!(
        "{name} is there, at {remote} over {carrier}: identity {identity}, record {sequence}, proven at height {height}"
    );
    ui.event(&text, &Event::Connected { name, identity, sequence, height, remote, carrier });
}

/// One of our names with the key that the chain says speaks for it.
fn own(client: &Client, place: &KeyPlace, name: &str) -> Result<Local, CommandError> {
    let peer = verified(client, &parse_name(name)?)?;
    let files = keys::identities(&place.directory)?;
    let file = files.iter().find(|file| file.identity == peer.identity());
    let file =
        file.ok_or_else(|| ChannelFailure::NotOurs { name: peer.name().clone(), identity: peer.identity() })?;
    Ok(Local {
        network: peer.network(),
        name: peer.name().clone(),
        sequence: peer.sequence(),
        identity: file.unlock(&place.passphrases)?,
    })
}

fn runtime() -> Result<Runtime, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    Ok(runtime.map_err(ChannelFailure::Setup)?)
}

/// Runs a channel to its end. What still waits for a terminal or a pipe is not waited for.
fn run(runtime: Runtime, end: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    let end = runtime.block_on(end);
    runtime.shutdown_background();
    end
}

/// `peer listen`: the first caller who is who he says, and nobody after him.
pub fn listen(ui: Ui, client: Client, place: &KeyPlace, args: &PeerListen) -> Result<(), CommandError> {
    let local = own(&client, place, &args.name)?;
    let only = args.only.iter().map(|name| parse_name(name)).collect::<Result<BTreeSet<_>, _>>()?;
    let (name, carrier) = (local.name.clone(), args.carried.carrier());
    let (limits, at) = (args.carried.limits(), SocketAddr::new(args.listen, args.port));
    let client = Arc::new(client);
    let resolve = {
        let client = client.clone();
        move |name: Name| {
            let wanted = only.is_empty() || only.contains(&name);
            let client = client.clone();
            async move { if wanted { look_up(client, name).await } else { Err(NoPeer::Unwanted) } }
        }
    };
    let end = run(runtime()?, async {
        let bound = Listener::bind(carrier, at, local, limits, resolve).await;
        let mut listener = bound.map_err(|error| ChannelFailure::Bind(at.to_string(), error))?;
        let address = listener.address();
        let text = format!("listening as {name} at {address} over {}", shown(carrier));
        ui.event(&text, &Event::Listening { name, address, carrier: shown(carrier) });
        let channel = loop {
            match listener.accept().await {
                Ok(channel) => break channel,
                Err(turned) => turned_away(ui, *turned),
            }
        };
        listener.stop();
        connected(ui, &channel, carrier);
        let piped = pipe::pipe(channel).await;
        listener.close().await;
        Ok(piped?)
    });
    // Its runtime must not end within another.
    drop(client);
    end
}

/// The node is asked anew for every caller: what it says is never older than it is.
async fn look_up(client: Arc<Client>, name: Name) -> Result<VerifiedPeer, NoPeer> {
    let unresolved = |why: String| NoPeer::Unresolved(why);
    let found = tokio::task::spawn_blocking(move || {
        let found = find(&client, &name);
        drop(client);
        found
    });
    match found.await.map_err(|error| unresolved(error.to_string()))? {
        Ok(Ok(peer)) => Ok(peer),
        Ok(Err(PeerError::Absent(why))) => Err(NoPeer::Absent(why)),
        Ok(Err(PeerError::Proof(why))) => Err(unresolved(why.to_string())),
        Err(error) => Err(unresolved(error.to_string())),
    }
}

fn turned_away(ui: Ui, turned: TurnedAway) {
    let text = format!("turned away: {turned}");
    let mut why = turned.error.to_string();
    if let Some(unresolved) = &turned.unresolved {
        why = format!("{why}: {unresolved}");
    }
    ui.event(&text, &Event::TurnedAway { remote: turned.remote, claimed: turned.claimed, why });
}

/// `peer dial`.
pub fn dial(ui: Ui, client: Client, place: &KeyPlace, args: &PeerDial) -> Result<(), CommandError> {
    let peer = verified(&client, &parse_name(&args.name)?)?;
    let places = places(&peer, args)?;
    let local = own(&client, place, &args.from)?;
    let dialled = run(runtime()?, async {
        let (channel, carrier) = reach(&places, &local, &peer, &args.carried.limits()).await?;
        connected(ui, &channel, carrier);
        Ok(pipe::pipe(channel).await?)
    });
    dialled.map_err(|error| match error {
        CommandError::Channel(ChannelFailure::None {
            name,
            error: ChannelError::OtherKey { found, .. },
            address,
        }) => match spoke_until(&client, &name, &found) {
            Ok(Some(until)) => ChannelFailure::Replaced { name, found, until }.into(),
            _ => {
                let error = ChannelError::OtherKey { name: name.clone(), found };
                ChannelFailure::None { name, address, error }.into()
            }
        },
        other => other,
    })
}

/// Where to call.
fn places(peer: &VerifiedPeer, args: &PeerDial) -> Result<Vec<Place>, ChannelFailure> {
    if let Some(text) = &args.address {
        let place = of_argument(text, args.carried.carrier());
        return place
            .map(|place| vec![place])
            .map_err(|why| ChannelFailure::Address(text.clone(), why.into()));
    }
    let places = peer.locators().iter().filter_map(|locator| of_locator(locator));
    let places: Vec<Place> =
        places.filter(|place| !args.carried.tcp || place.carrier == Carrier::Tcp).collect();
    match places.is_empty() {
        true => {
            let over = if args.carried.tcp { " over TCP" } else { "" };
            Err(ChannelFailure::NoAddress(peer.name().clone(), over))
        }
        false => Ok(places),
    }
}

/// The first place where somebody answers. Who answers and is somebody else ends it: that is worth knowing.
async fn reach(
    places: &[Place],
    local: &Local,
    peer: &VerifiedPeer,
    limits: &Limits,
) -> Result<(Channel, Carrier), ChannelFailure> {
    let name = || peer.name().clone();
    let mut first = None;
    for place in places {
        let host = format!("{}:{}", place.host, place.port);
        let found = match tokio::net::lookup_host((place.host.as_str(), place.port)).await {
            Ok(found) => found.take(ADDRESSES).collect(),
            Err(error) => {
                let error = ChannelError::Io(error);
                first.get_or_insert(ChannelFailure::None { name: name(), address: host, error });
                Vec::new()
            }
        };
        for address in found {
            match call(place.carrier, address, local, peer, limits).await {
                Ok(channel) => return Ok((channel, place.carrier)),
                Err(error) => {
                    let goes_on = matches!(error, ChannelError::Io(_) | ChannelError::Timeout(_));
                    let failure = ChannelFailure::None { name: name(), address: address.to_string(), error };
                    if !goes_on {
                        return Err(failure);
                    }
                    first.get_or_insert(failure);
                }
            }
        }
    }
    Err(first.unwrap_or_else(|| ChannelFailure::NoAddress(name(), "")))
}
