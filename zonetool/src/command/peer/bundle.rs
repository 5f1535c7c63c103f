//! `peer bundle`: the keys of a name that are too large or too short-lived for the chain.

use std::{
    io::{self, IsTerminal, Read, Write},
    path::Path,
};

use messaging::{
    Bundle, PinError, Prekey, SignedBundle, VerifiedBundle, VerifiedPeer, XWingSecret,
    bundle::{MAX_BUNDLE_BYTES, MAX_BUNDLE_LIFETIME_SECONDS},
};
use namechain_core::{
    codec::Encode,
    types::{Hash, Name, Network, SecretKey},
};
use serde::Serialize;

use super::lookup::{look_up_peer, own_identity};
use crate::{
    cli::{BundleCommand, BundleFileArgs, NameArgs, Seal},
    client::Client,
    clock,
    command::input::{Keystore, parse_name},
    error::{CommandError, PeerError},
    keys::{self, BundleKeys, IdentityFile, Prekeys},
    pin_store::PinStore,
    ui::{Ui, counted, utc},
};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct ShownBundle {
    name: Name,
    /// The sequence number of its record.
    sequence: u32,
    created: u64,
    expires: u64,
    bytes: usize,
    /// How many one-time prekeys the node gives away.
    one_time_left: u8,
}

/// Runs the command.
pub fn run(
    ui: Ui,
    client: &Client,
    keystore: &Keystore,
    command: &BundleCommand,
) -> Result<(), CommandError> {
    match command {
        BundleCommand::Make(args) => {
            let name = parse_name(&args.name)?;
            let (file, sequence) = own_identity(client, keystore, &name)?;
            let key = file.unlock(&keystore.passphrases)?;
            let network = client.status()?.network;
            make(keystore, network, &name, &file, &key, sequence, true)?;
            put(ui, client, keystore, &name, &file)
        }
        BundleCommand::Put(args) => {
            let name = parse_name(&args.name)?;
            let (file, _) = own_identity(client, keystore, &name)?;
            put(ui, client, keystore, &name, &file)
        }
        BundleCommand::Export(args) => export(ui, client, keystore, args),
        BundleCommand::Import(args) => import(ui, client, args),
    }
}

/// Makes a bundle for the record with this sequence number and returns its hash. With `store`, its
/// secret keys are stored.
pub fn make(
    keystore: &Keystore,
    network: Network,
    name: &Name,
    file: &IdentityFile,
    key: &SecretKey,
    sequence: u32,
    store: bool,
) -> Result<Hash, CommandError> {
    let now = clock::unix();
    let secrets = BundleKeys::random(sequence, now, now + MAX_BUNDLE_LIFETIME_SECONDS)?;
    let public = |seed: &[u8; 32]| XWingSecret::from_seed(seed).public();
    let bundle = Bundle {
        name: name.clone(),
        sequence,
        identity: file.identity,
        created: secrets.created,
        expires: secrets.expires,
        last_resort: public(secrets.last_resort()),
        one_time: secrets.one_time().map(public).collect(),
        devices: Vec::new(),
    };
    let signed = bundle.sign(network, key).map_err(PeerError::Bundle)?;
    if store {
        let directory = &keystore.directory;
        let protection = keys::load(directory)?.protection(&keystore.passphrases)?;
        let _lock = keys::lock_prekeys(directory)?;
        let stored = Prekeys::load(directory, file.index, name, &keystore.passphrases)?;
        let mut prekeys = stored.unwrap_or_else(|| Prekeys::new(file.index, name.clone()));
        prekeys.add(secrets, now);
        // The secret keys first: letters to a bundle whose keys were not stored can't be opened.
        prekeys.store(directory, &protection)?;
        keys::store_bundle(directory, file.index, name, &signed.to_bytes())?;
    }
    Ok(signed.hash(network))
}

/// Uploads our bundle to the node.
pub fn put(
    ui: Ui,
    client: &Client,
    keystore: &Keystore,
    name: &Name,
    file: &IdentityFile,
) -> Result<(), CommandError> {
    let shown = upload(client, keystore, name, file)?;
    ui.print_result(&describe(&shown), &shown)?;
    Ok(())
}

/// Uploads the bundle after its record was published. The result of publishing is printed already,
/// so a failure is only noted.
pub fn upload_after_publish(
    ui: Ui,
    client: &Client,
    keystore: &Keystore,
    name: &Name,
    file: &IdentityFile,
) {
    match upload(client, keystore, name, file) {
        Ok(shown) => ui.print_note(&describe(&shown)),
        Err(error) => {
            ui.print_note(&format!(
                "the bundle was not uploaded: {error}; to try again: zonetool peer bundle put {name}"
            ));
        }
    }
}

fn upload(
    client: &Client,
    keystore: &Keystore,
    name: &Name,
    file: &IdentityFile,
) -> Result<ShownBundle, CommandError> {
    let bytes = keys::load_bundle(&keystore.directory, file.index, name)?;
    let bytes = bytes.ok_or_else(|| PeerError::NoBundle(name.clone()))?;
    let sequence = SignedBundle::read(&bytes).map_err(PeerError::Bundle)?.bundle().sequence;
    let told = client.put_bundle(name, &bytes, true)?;
    Ok(ShownBundle {
        name: name.clone(),
        sequence,
        created: told.created,
        expires: told.expires,
        bytes: bytes.len(),
        one_time_left: told.one_time_left,
    })
}

fn describe(shown: &ShownBundle) -> String {
    format!(
        "the node has the bundle of {}: {} bytes, valid until {}, {} left",
        shown.name,
        shown.bytes,
        utc(shown.expires),
        counted(shown.one_time_left as u64, "one-time prekey")
    )
}

fn export(
    ui: Ui,
    client: &Client,
    keystore: &Keystore,
    args: &NameArgs,
) -> Result<(), CommandError> {
    let name = parse_name(&args.name)?;
    if !ui.is_json() && io::stdout().is_terminal() {
        return Err(PeerError::Terminal("a bundle").into());
    }
    let own = match own_identity(client, keystore, &name) {
        Ok((file, _)) => keys::load_bundle(&keystore.directory, file.index, &name)?,
        Err(_) => None,
    };
    let bytes = match own {
        Some(bytes) => bytes,
        None => bytes_of(client, &name)?.ok_or_else(|| PeerError::NoBundle(name.clone()))?,
    };
    if ui.is_json() {
        ui.print_result("", &serde_json::json!({ "name": name, "bundle": hex::encode(&bytes) }))?;
        return Ok(());
    }
    let failed = |source| PeerError::File { path: "standard output".into(), source };
    let mut out = io::stdout().lock();
    Ok(out.write_all(&bytes).and_then(|()| out.flush()).map_err(failed)?)
}

fn import(ui: Ui, client: &Client, args: &BundleFileArgs) -> Result<(), CommandError> {
    let name = parse_name(&args.name)?;
    let bytes = read(&args.file)?;
    let (peer, _) = look_up_peer(client, &args.lookup, &name)?;
    let bundle = verify(&bytes, &peer, clock::unix())?;
    let told = client.put_bundle(&name, &bytes, false)?;
    let shown = ShownBundle {
        name,
        sequence: bundle.bundle().sequence,
        created: told.created,
        expires: told.expires,
        bytes: bytes.len(),
        one_time_left: told.one_time_left,
    };
    ui.print_result(&describe(&shown), &shown)?;
    Ok(())
}

/// The recipient's bundle and which of its keys is ours to use: from a file, or from the node; none
/// if there is none.
pub fn of(
    client: &Client,
    args: &Seal,
    peer: &VerifiedPeer,
    now: u64,
) -> Result<Option<(VerifiedBundle, Prekey)>, CommandError> {
    if let Some(path) = &args.bundle {
        return Ok(Some((verify(&read(path)?, peer, now)?, Prekey::LastResort)));
    }
    if args.no_bundle || args.lookup.offline.is_some() {
        return Ok(None);
    }
    let Some(bytes) = bytes_of(client, peer.name())? else { return Ok(None) };
    let bundle = verify(&bytes, peer, now)?;
    let taken = client.take_prekey(peer.name())?;
    let place = taken.one_time.map(usize::from);
    let prekey = match place.filter(|place| *place < bundle.bundle().one_time.len()) {
        Some(place) if taken.created == bundle.bundle().created => Prekey::OneTime(place),
        _ => Prekey::LastResort,
    };
    Ok(Some((bundle, prekey)))
}

/// Checks a bundle against the record, and that it is not older than one that was seen.
fn verify(bytes: &[u8], peer: &VerifiedPeer, now: u64) -> Result<VerifiedBundle, CommandError> {
    let bundle = SignedBundle::read(bytes).map_err(PeerError::Bundle)?;
    let bundle = bundle.verify(peer, now).map_err(PeerError::Bundle)?;
    let mut pins = PinStore::of(peer.network())?.pins().map_err(PeerError::PinStore)?;
    pins.value.record_bundle(&bundle).map_err(|error| match error {
        PinError::Refused { name, pin_status } => PeerError::KeyChanged(name, pin_status),
        other => PeerError::OldBundle(other),
    })?;
    pins.save().map_err(PeerError::PinStore)?;
    Ok(bundle)
}

fn bytes_of(client: &Client, name: &Name) -> Result<Option<Vec<u8>>, CommandError> {
    let Some(info) = client.bundle(name)? else { return Ok(None) };
    let bytes = Some(&info.bundle).filter(|text| text.len() <= 2 * MAX_BUNDLE_BYTES);
    let bytes = bytes.and_then(|text| hex::decode(text).ok());
    Ok(Some(bytes.ok_or_else(|| client.bad_answer("its bundle is not hexadecimal, or too long"))?))
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    let failed = |source| PeerError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_BUNDLE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
