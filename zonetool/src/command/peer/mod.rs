//! `peer`: the messaging keys of names, letters and channels.

mod bundle;
mod channel;
mod dane;
mod history;
mod lookup;
mod open;
mod publish;
mod resolve;
mod seal;

use std::fmt::Write as _;

use namechain_core::{api_types::Standing, types::Name};
use serde::Serialize;

use crate::{
    cli::{NameArgs, PeerCommand},
    client::Client,
    command::{
        input::Keystore,
        query::{messaging_of, registered},
        show::{ShownMessaging, describe_standing},
    },
    error::CommandError,
    key_text, keys,
    ui::Ui,
};

/// What `peer show --json` prints.
#[derive(Debug, Serialize)]
struct ShownIdentity {
    name: Name,
    standing: Standing,
    height: u32,
    messaging: ShownMessaging,
    /// Which of your identity keys it is, if a file in the directory of keys has it.
    index: Option<u32>,
}

/// Runs the command.
pub fn run(
    ui: Ui,
    client: Client,
    keystore: &Keystore,
    command: &PeerCommand,
) -> Result<(), CommandError> {
    match command {
        PeerCommand::Publish(args) => publish::publish(ui, client, keystore, args),
        PeerCommand::Rotate(args) => publish::rotate(ui, client, keystore, args),
        PeerCommand::Revoke(args) => publish::withdraw(ui, client, keystore, args),
        PeerCommand::Show(args) => show(ui, &client, keystore, args),
        PeerCommand::History(args) => history::run(ui, &client, args),
        PeerCommand::Listen(args) => channel::listen(ui, client, keystore, args),
        PeerCommand::Dial(args) => channel::dial(ui, client, keystore, args),
        PeerCommand::Resolve(args) => resolve::run(ui, &client, args),
        PeerCommand::Seal(args) => seal::run(ui, &client, keystore, args),
        PeerCommand::Open(args) => open::run(ui, &client, keystore, args),
        PeerCommand::Dane(command) => dane::run(ui, &client, command),
        PeerCommand::Bundle(command) => bundle::run(ui, &client, keystore, command),
    }
}

fn show(ui: Ui, client: &Client, keystore: &Keystore, args: &NameArgs) -> Result<(), CommandError> {
    let (info, _) = registered(client, &args.name)?;
    let entry = info.entry.as_ref().map(messaging_of).transpose()?.flatten();
    let Some(entry) = entry else { return Err(CommandError::NoMessaging(info.name)) };
    let files = keys::identities(&keystore.directory)?;
    let index =
        files.iter().find(|file| file.identity == entry.record.identity).map(|file| file.index);
    let messaging = ShownMessaging::from(&entry);
    let shown = ShownIdentity {
        name: info.name,
        standing: info.standing,
        height: info.height,
        messaging,
        index,
    };
    ui.print_result(&describe(&shown), &shown)?;
    Ok(())
}

fn describe(shown: &ShownIdentity) -> String {
    let it = &shown.messaging;
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let linked = if it.linked { "linked to the previous key" } else { "not linked" };
    let alone = if it.x25519_alone { "allowed" } else { "not allowed" };
    let standing = describe_standing(shown.standing);
    let mut rows = vec![
        ("name", shown.name.to_string()),
        ("standing", standing.to_owned()),
        ("identity", key_text::identity(&it.identity)),
        ("record", format!("{} at height {}, {linked}", it.sequence, it.height)),
        ("next", or_none(it.next.map(|next| next.to_string()))),
        ("x25519", it.x25519.clone()),
        ("bundle", or_none(it.bundle.map(|bundle| bundle.to_string()))),
        ("x25519 alone", alone.to_owned()),
    ];
    rows.extend(it.locators.iter().map(|locator| ("locator", locator.clone())));
    let here = shown.index.map(|index| format!("yours, index {index}"));
    rows.push(("key", here.unwrap_or_else(|| "not in your directory of keys".to_owned())));
    let mut text = String::new();
    for (label, value) in rows {
        // Writing to a String never fails.
        let _ = writeln!(text, "{label:<12} {value}");
    }
    text
}
