//! `peer listen` and `peer dial`: a pipe between two names.
//!
//! Standard output has the bytes of the other side and nothing else. Events and errors go to
//! standard error.

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
    history::replaced_at,
    lookup::{look_up_peer, look_up_unpinned, own_identity},
};
use crate::{
    cli::{Lookup, PeerDialArgs, PeerListenArgs, TransportArgs},
    client::Client,
    command::input::{Keystore, parse_name},
    error::{ChannelFailure, CommandError, PeerError},
    key_text,
    ui::Ui,
};

/// How many addresses of a host name are tried.
const MAX_ADDRESSES: usize = 4;

/// The events that `--json` prints, one a line.
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

fn transport_label(transport: Transport) -> &'static str {
    match transport {
        Transport::Quic => "quic",
        Transport::Tcp => "tcp",
    }
}

fn print_connected(ui: Ui, channel: &Channel, transport: Transport, pin_status: PinStatus) {
    let (peer, remote) = (channel.peer(), channel.remote());
    let (name, identity) = (peer.name().clone(), peer.identity());
    let (sequence, height, transport) =
        (peer.sequence(), peer.height(), transport_label(transport));
    let text = format!(
        "connected to {name} at {remote} over {transport}: identity {} ({pin_status}), record {sequence}, proven at height {height}",
        key_text::identity(&identity)
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

/// Runs a channel to its end. A thread that still reads standard input is abandoned.
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

/// `peer listen`: accepts one caller that proves its name.
pub fn listen(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    args: &PeerListenArgs,
) -> Result<(), CommandError> {
    let local = own(&client, keystore, &args.name)?;
    let only = args.only.iter().map(|name| parse_name(name)).collect::<Result<BTreeSet<_>, _>>()?;
    let callers = Arc::new(CallerLookup { client, lookup: lookup_of(args), only });
    let end = run(runtime()?, accept_call(ui, callers.clone(), local, args));
    // The client has a runtime of its own, which must not be dropped inside this one.
    drop(callers);
    end
}

/// Looks callers up at the node.
struct CallerLookup {
    client: Client,
    lookup: Lookup,
    only: BTreeSet<Name>,
}

impl CallerLookup {
    /// Runs a blocking request to the node on a thread for such.
    async fn ask<T: Send + 'static>(
        self: Arc<Self>,
        question: impl FnOnce(&CallerLookup) -> Result<T, CommandError> + Send + 'static,
    ) -> Result<T, CommandError> {
        let asked = tokio::task::spawn_blocking(move || question(&self));
        asked.await.map_err(|error| ChannelFailure::Setup(error.into()))?
    }

    /// Looks the name up anew for every caller. No pin is updated: the caller has only claimed the
    /// name.
    async fn resolve(self: Arc<Self>, name: Name) -> Result<VerifiedPeer, ResolveError> {
        if !self.only.is_empty() && !self.only.contains(&name) {
            return Err(ResolveError::Unwanted("it is not in --only".into()));
        }
        let found = self.ask(move |own| look_up_unpinned(&own.client, &own.lookup, &name)).await;
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

async fn accept_call(
    ui: Ui,
    callers: Arc<CallerLookup>,
    local: LocalIdentity,
    args: &PeerListenArgs,
) -> Result<(), CommandError> {
    let (name, transport) = (local.name.clone(), args.connection.transport());
    let (limits, at) = (args.connection.limits(), SocketAddr::new(args.listen, args.port));
    let resolve = {
        let callers = callers.clone();
        move |name| callers.clone().resolve(name)
    };
    let bound = Listener::bind(transport, at, local, limits, resolve).await;
    let mut listener = bound.map_err(|error| ChannelFailure::Bind(at.to_string(), error))?;
    let address = listener.address();
    let text = format!("listening as {name} at {address} over {}", transport_label(transport));
    ui.print_event(
        &text,
        &Event::Listening { name, address, transport: transport_label(transport) },
    );
    let channel = loop {
        match listener.accept().await {
            Ok(channel) => break channel,
            Err(rejected) => print_rejected(ui, *rejected),
        }
    };
    listener.stop();
    let caller = channel.peer().name().clone();
    // The caller has proven its key: now it is pinned.
    let (_, pin_status) =
        callers.ask(move |own| look_up_peer(&own.client, &own.lookup, &caller)).await?;
    print_connected(ui, &channel, transport, pin_status);
    let piped = pipe::pipe(channel).await;
    listener.close().await;
    Ok(piped?)
}

fn print_rejected(ui: Ui, rejected: Rejected) {
    let text = format!("rejected: {rejected}");
    let why = rejected.error.to_string();
    ui.print_event(
        &text,
        &Event::Rejected {
            remote: rejected.remote,
            claimed: rejected.claimed,
            why,
            detail: rejected.detail,
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
        print_connected(ui, &channel, transport, pin_status);
        Ok(pipe::pipe(channel).await?)
    });
    dialled.map_err(|error| match error {
        CommandError::Channel(ChannelFailure::None {
            name,
            error: ChannelError::OtherKey { found, .. },
            address,
        }) => match replaced_at(&client, &name, &found) {
            Ok(Some(until)) => ChannelFailure::Replaced { name, found, until }.into(),
            _ => {
                let error = ChannelError::OtherKey { name: name.clone(), found };
                ChannelFailure::None { name, address, error }.into()
            }
        },
        other => other,
    })
}

/// The addresses to dial.
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

/// Dials the addresses in order. If somebody else answers at one, the rest are not tried: the user
/// should know.
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
