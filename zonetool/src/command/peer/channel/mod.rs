//! `peer listen` and `peer dial`: a pipe between two names.
//!
//! Standard output has what the other side says and nothing else; who it is, and what goes wrong,
//! goes to standard error.

mod address;
mod pipe;

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use messaging::{
    Absence, PinStatus, VerifiedPeer,
    channel::{
        Channel, ChannelError, Limits, Listener, LocalIdentity, Rejected, ResolveError, Transport,
        dial as call,
    },
};
use namechain_core::types::{Name, PublicKey};
use serde::Serialize;
use tokio::runtime::Runtime;

use self::address::{Place, of_argument, of_locator};
use super::{
    super::{Keystore, parse_name},
    history::spoke_until,
    lookup::{look_up_peer, look_up_unpinned},
    seal::own_identity,
};
use crate::{
    cli::{Lookup, PeerDialArgs, PeerListenArgs, TransportArgs},
    client::Client,
    error::{ChannelFailure, CommandError, PeerError},
    ui::Ui,
};

/// How many addresses of a host are tried.
const MAX_ADDRESSES: usize = 4;

/// What `--json` says, a line each.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event {
    Listening {
        name: Name,
        address: SocketAddr,
        transport: &'static str,
    },
    Rejected {
        remote: SocketAddr,
        claimed: Option<Name>,
        why: String,
        detail: Option<String>,
    },
    Connected {
        name: Name,
        identity: PublicKey,
        pin_status: &'static str,
        sequence: u32,
        height: u32,
        remote: SocketAddr,
        transport: &'static str,
    },
}

impl TransportArgs {
    fn transport(self) -> Transport {
        if self.tcp { Transport::Tcp } else { Transport::Quic }
    }

    fn limits(self) -> Limits {
        Limits { handshake: self.handshake, ..Limits::default() }
    }
}

fn shown(transport: Transport) -> &'static str {
    match transport {
        Transport::Quic => "quic",
        Transport::Tcp => "tcp",
    }
}

fn connected(ui: Ui, channel: &Channel, transport: Transport, pin_status: PinStatus) {
    let (peer, remote) = (channel.peer(), channel.remote());
    let (name, identity) = (peer.name().clone(), peer.identity());
    let (sequence, height, transport) = (peer.sequence(), peer.height(), shown(transport));
    let text = format!(
        "{name} is there, at {remote} over {transport}: identity {identity}, record {sequence}, proven at height {height}, {pin_status}"
    );
    ui.print_event(
        &text,
        &Event::Connected {
            name,
            identity,
            pin_status: pin_status.as_str(),
            sequence,
            height,
            remote,
            transport,
        },
    );
}

/// One of our names with the key that speaks for it.
fn own(client: &Client, keystore: &Keystore, name: &str) -> Result<LocalIdentity, CommandError> {
    let name = parse_name(name)?;
    let (file, sequence) = own_identity(client, keystore, &name)?;
    let identity = file.unlock(&keystore.passphrases)?;
    Ok(LocalIdentity { network: client.status()?.network, name, sequence, identity })
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
fn lookup_of(args: &PeerListenArgs) -> Lookup {
    Lookup { max_depth: args.max_depth, ..Lookup::default() }
}

/// `peer listen`: the first caller who is who he says, and nobody after him.
pub fn listen(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &PeerListenArgs,
) -> Result<(), CommandError> {
    let local = own(&client, keystore, &args.name)?;
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
    async fn resolve(self: Arc<Self>, name: Name) -> Result<VerifiedPeer, ResolveError> {
        if !self.only.is_empty() && !self.only.contains(&name) {
            return Err(ResolveError::Unwanted("it is not among those with --only".into()));
        }
        let found = self.ask(move |desk| look_up_unpinned(&desk.client, &desk.lookup, &name)).await;
        found.map_err(|error| match error {
            CommandError::NotRegistered(_) => Absence::Unregistered.into(),
            CommandError::NoMessaging(_)
            | CommandError::Peer(PeerError::KeyChanged(_, PinStatus::Gone)) => {
                Absence::NoRecord.into()
            }
            CommandError::Grace(_) => Absence::Grace.into(),
            CommandError::Peer(PeerError::KeyChanged(_, PinStatus::Revoked)) => {
                Absence::Revoked.into()
            }
            CommandError::Peer(error @ PeerError::KeyChanged(..)) => {
                ResolveError::Unwanted(error.to_string())
            }
            error => ResolveError::Unresolved(error.to_string()),
        })
    }
}

async fn answer(
    ui: Ui,
    desk: Arc<Desk>,
    local: LocalIdentity,
    args: &PeerListenArgs,
) -> Result<(), CommandError> {
    let (name, transport) = (local.name.clone(), args.connection.transport());
    let (limits, at) = (args.connection.limits(), SocketAddr::new(args.listen, args.port));
    let resolve = {
        let desk = desk.clone();
        move |name| desk.clone().resolve(name)
    };
    let bound = Listener::bind(transport, at, local, limits, resolve).await;
    let mut listener = bound.map_err(|error| ChannelFailure::Bind(at.to_string(), error))?;
    let address = listener.address();
    let text = format!("listening as {name} at {address} over {}", shown(transport));
    ui.print_event(&text, &Event::Listening { name, address, transport: shown(transport) });
    let channel = loop {
        match listener.accept().await {
            Ok(channel) => break channel,
            Err(turned) => rejected(ui, *turned),
        }
    };
    listener.stop();
    let caller = channel.peer().name().clone();
    // Now that he has the key, he is remembered.
    let (_, pin_status) =
        desk.ask(move |desk| look_up_peer(&desk.client, &desk.lookup, &caller)).await?;
    connected(ui, &channel, transport, pin_status);
    let piped = pipe::pipe(channel).await;
    listener.close().await;
    Ok(piped?)
}

fn rejected(ui: Ui, turned: Rejected) {
    let text = format!("turned away: {turned}");
    let why = turned.error.to_string();
    ui.print_event(
        &text,
        &Event::Rejected {
            remote: turned.remote,
            claimed: turned.claimed,
            why,
            detail: turned.detail,
        },
    );
}

/// `peer dial`.
pub fn dial(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &PeerDialArgs,
) -> Result<(), CommandError> {
    let (peer, pin_status) = look_up_peer(&client, &args.lookup, &parse_name(&args.name)?)?;
    let places = places(&peer, args)?;
    let local = own(&client, keystore, &args.from)?;
    let dialled = run(runtime()?, async {
        let (channel, transport) = reach(&places, &local, &peer, &args.connection.limits()).await?;
        connected(ui, &channel, transport, pin_status);
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
fn places(peer: &VerifiedPeer, args: &PeerDialArgs) -> Result<Vec<Place>, ChannelFailure> {
    if let Some(text) = &args.address {
        let place = of_argument(text, args.connection.transport());
        return place
            .map(|place| vec![place])
            .map_err(|why| ChannelFailure::Address(text.clone(), why.into()));
    }
    let places = peer.locators().iter().filter_map(|locator| of_locator(locator));
    let places: Vec<Place> =
        places.filter(|place| !args.connection.tcp || place.transport == Transport::Tcp).collect();
    match places.is_empty() {
        true => {
            let over = if args.connection.tcp { " over TCP" } else { "" };
            Err(ChannelFailure::NoAddress(peer.name().clone(), over))
        }
        false => Ok(places),
    }
}

/// The first place where somebody answers. Who answers and is somebody else ends it: that is worth
/// knowing.
async fn reach(
    places: &[Place],
    local: &LocalIdentity,
    peer: &VerifiedPeer,
    limits: &Limits,
) -> Result<(Channel, Transport), ChannelFailure> {
    let name = || peer.name().clone();
    let mut first = None;
    for place in places {
        let host = format!("{}:{}", place.host, place.port);
        let found = match tokio::net::lookup_host((place.host.as_str(), place.port)).await {
            Ok(found) => found.take(MAX_ADDRESSES).collect(),
            Err(error) => {
                let error = ChannelError::Io(error);
                first.get_or_insert(ChannelFailure::None { name: name(), address: host, error });
                Vec::new()
            }
        };
        for address in found {
            match call(place.transport, address, local, peer, limits).await {
                Ok(channel) => return Ok((channel, place.transport)),
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
