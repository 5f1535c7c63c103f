//! `peer listen` and `peer dial`: a pipe between two names.
//!
//! Standard output has what the other side says and nothing else; who it is, and what goes wrong,
//! goes to standard error.

mod address;
mod error;
mod pipe;

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use messaging::{
    Absence, Verdict, VerifiedPeer,
    channel::{
        Carrier, Channel, ChannelError, Limits, Listener, Local, NoPeer, TurnedAway, dial as call,
    },
};
use namechain_core::types::{Name, PublicKey};
use serde::Serialize;
use tokio::runtime::Runtime;

use self::address::{Place, of_argument, of_locator};
use super::{
    super::{CommandError, KeyPlace, parse_name},
    error::PeerError,
    history::spoke_until,
    lookup::{look_up_peer, peek},
    seal::ours,
};
use crate::{
    cli::{Carried, Lookup, PeerDial, PeerListen},
    client::Client,
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
        detail: Option<String>,
    },
    Connected {
        name: Name,
        identity: PublicKey,
        verdict: &'static str,
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

fn connected(ui: Ui, channel: &Channel, carrier: Carrier, verdict: Verdict) {
    let (peer, remote) = (channel.peer(), channel.remote());
    let (name, identity) = (peer.name().clone(), peer.identity());
    let (sequence, height, carrier) = (peer.sequence(), peer.height(), shown(carrier));
    let text = format!(
        "{name} is there, at {remote} over {carrier}: identity {identity}, record {sequence}, proven at height {height}, {verdict}"
    );
    ui.event(
        &text,
        &Event::Connected {
            name,
            identity,
            verdict: verdict.as_str(),
            sequence,
            height,
            remote,
            carrier,
        },
    );
}

/// One of our names with the key that speaks for it.
fn own(client: &Client, place: &KeyPlace, name: &str) -> Result<Local, CommandError> {
    let name = parse_name(name)?;
    let (file, sequence) = ours(client, place, &name)?;
    let identity = file.unlock(&place.passphrases)?;
    Ok(Local { network: client.status()?.network, name, sequence, identity })
}

fn runtime() -> Result<Runtime, CommandError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    Ok(runtime.map_err(ChannelFailure::Setup)?)
}

/// Runs a channel to its end. What still waits for a terminal or a pipe is not waited for.
fn run(
    runtime: Runtime,
    end: impl Future<Output = Result<(), CommandError>>,
) -> Result<(), CommandError> {
    let end = runtime.block_on(end);
    runtime.shutdown_background();
    end
}

/// How callers are looked up.
fn lookup_of(args: &PeerListen) -> Lookup {
    Lookup { max_depth: args.max_depth, ..Lookup::default() }
}

/// `peer listen`: the first caller who is who he says, and nobody after him.
pub fn listen(
    ui: Ui,
    client: Client,
    place: &KeyPlace,
    args: &PeerListen,
) -> Result<(), CommandError> {
    let local = own(&client, place, &args.name)?;
    let only = args.only.iter().map(|name| parse_name(name)).collect::<Result<BTreeSet<_>, _>>()?;
    let desk = Arc::new(Desk { client, lookup: lookup_of(args), only });
    let end = run(runtime()?, answer(ui, desk.clone(), local, args));
    // Its runtime must not end within another.
    drop(desk);
    end
}

/// What it takes to look callers up.
struct Desk {
    client: Client,
    lookup: Lookup,
    only: BTreeSet<Name>,
}

impl Desk {
    /// Runs what waits for the node where waiting disturbs nobody.
    async fn ask<T: Send + 'static>(
        self: Arc<Self>,
        question: impl FnOnce(&Desk) -> Result<T, CommandError> + Send + 'static,
    ) -> Result<T, CommandError> {
        let asked = tokio::task::spawn_blocking(move || question(&self));
        asked.await.map_err(|error| ChannelFailure::Setup(error.into()))?
    }

    /// The node is asked anew for every caller: what it says is never older than it is. Nothing is
    /// remembered: the name is only what the caller says.
    async fn resolve(self: Arc<Self>, name: Name) -> Result<VerifiedPeer, NoPeer> {
        if !self.only.is_empty() && !self.only.contains(&name) {
            return Err(NoPeer::Unwanted("it is not among those with --only".into()));
        }
        let found = self.ask(move |desk| peek(&desk.client, &desk.lookup, &name)).await;
        found.map_err(|error| match error {
            CommandError::NotRegistered(_) => Absence::Unregistered.into(),
            CommandError::NoMessaging(_)
            | CommandError::Peer(PeerError::Verdict(_, Verdict::Gone)) => Absence::NoRecord.into(),
            CommandError::Grace(_) => Absence::Grace.into(),
            CommandError::Peer(PeerError::Verdict(_, Verdict::Revoked)) => Absence::Revoked.into(),
            CommandError::Peer(error @ PeerError::Verdict(..)) => {
                NoPeer::Unwanted(error.to_string())
            }
            error => NoPeer::Unresolved(error.to_string()),
        })
    }
}

async fn answer(
    ui: Ui,
    desk: Arc<Desk>,
    local: Local,
    args: &PeerListen,
) -> Result<(), CommandError> {
    let (name, carrier) = (local.name.clone(), args.carried.carrier());
    let (limits, at) = (args.carried.limits(), SocketAddr::new(args.listen, args.port));
    let resolve = {
        let desk = desk.clone();
        move |name| desk.clone().resolve(name)
    };
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
    let caller = channel.peer().name().clone();
    // Now that he has the key, he is remembered.
    let (_, verdict) =
        desk.ask(move |desk| look_up_peer(&desk.client, &desk.lookup, &caller)).await?;
    connected(ui, &channel, carrier, verdict);
    let piped = pipe::pipe(channel).await;
    listener.close().await;
    Ok(piped?)
}

fn turned_away(ui: Ui, turned: TurnedAway) {
    let text = format!("turned away: {turned}");
    let why = turned.error.to_string();
    ui.event(
        &text,
        &Event::TurnedAway {
            remote: turned.remote,
            claimed: turned.claimed,
            why,
            detail: turned.detail,
        },
    );
}

/// `peer dial`.
pub fn dial(ui: Ui, client: Client, place: &KeyPlace, args: &PeerDial) -> Result<(), CommandError> {
    let (peer, verdict) = look_up_peer(&client, &args.lookup, &parse_name(&args.name)?)?;
    let places = places(&peer, args)?;
    let local = own(&client, place, &args.from)?;
    let dialled = run(runtime()?, async {
        let (channel, carrier) = reach(&places, &local, &peer, &args.carried.limits()).await?;
        connected(ui, &channel, carrier, verdict);
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

/// The first place where somebody answers. Who answers and is somebody else ends it: that is worth
/// knowing.
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
                    let failure =
                        ChannelFailure::None { name: name(), address: address.to_string(), error };
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
