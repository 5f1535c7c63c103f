//! What would be signed, and what it would do.

use std::fmt::Write as _;

use namechain_core::types::{Action, Name, NameEntry, Network, PublicKey, SignedOperation};
use serde::Serialize;

use crate::{error::CommandError, pow, ui::Ui};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct ShownOperation<'a> {
    dry_run: bool,
    name: &'a Name,
    network: Network,
    action: &'static str,
    sequence: u32,
    signer: PublicKey,
    /// `owner`, `recovery` or `recipient`.
    signed_as: &'static str,
    /// The fields of the action.
    fields: Vec<Field>,
    /// The least work that the block at `height` takes, in expected hashes.
    price: u64,
    /// The work that would be done.
    work: u64,
    /// The height of the next block.
    height: u32,
    /// The height at which the lease is over after it.
    expires: u32,
    /// The message to sign, in hexadecimal.
    message: String,
}

#[derive(Debug, Serialize)]
struct Field {
    field: &'static str,
    value: Option<PublicKey>,
}

/// Shows `named`, of which only signature and stamp are missing: the stamp's work is the price.
pub fn show(
    ui: Ui,
    network: Network,
    named: &SignedOperation,
    before: &NameEntry,
    after: &NameEntry,
    height: u32,
) -> Result<(), CommandError> {
    let shown = ShownOperation {
        dry_run: true,
        name: &named.name,
        network,
        action: named.action.label(),
        sequence: named.sequence,
        signer: named.signer,
        signed_as: role(named, before),
        fields: fields(&named.action),
        price: named.stamp.work,
        work: pow::with_margin(named.stamp.work),
        height,
        expires: after.expires,
        message: hex::encode(named.signing_message(network)),
    };
    Ok(ui.print_result(&describe(&shown), &shown)?)
}

fn role(named: &SignedOperation, before: &NameEntry) -> &'static str {
    match named.action {
        Action::Accept { .. } => "recipient",
        _ if named.signer == before.owner => "owner",
        _ => "recovery",
    }
}

fn fields(action: &Action) -> Vec<Field> {
    let field = |field, value| Field { field, value };
    match action {
        Action::Transfer { to } => vec![field("to", Some(*to))],
        Action::Accept { recovery } => vec![field("recovery", *recovery)],
        Action::Recover { owner, recovery } => {
            vec![field("owner", Some(*owner)), field("recovery", *recovery)]
        }
        Action::Publish { record } => {
            let signed = record.as_deref();
            let link = signed.and_then(|signed| signed.link);
            vec![
                field("identity", signed.map(|signed| signed.record.identity)),
                field("linked by", link.map(|link| link.identity)),
            ]
        }
        _ => Vec::new(),
    }
}

fn describe(shown: &ShownOperation<'_>) -> String {
    let mut rows = vec![
        ("action", shown.action.to_owned()),
        ("name", shown.name.to_string()),
        ("network", shown.network.to_string()),
        ("sequence", shown.sequence.to_string()),
        ("signer", format!("{} ({})", shown.signer, shown.signed_as)),
    ];
    for field in &shown.fields {
        rows.push((field.field, field.value.map_or("none".to_owned(), |key| key.to_string())));
    }
    rows.push(("price", format!("{} expected hashes at height {}", shown.price, shown.height)));
    rows.push(("work", format!("{} expected hashes, a quarter more", shown.work)));
    rows.push(("lease", format!("until height {}", shown.expires)));
    rows.push(("message", shown.message.clone()));
    let mut text = String::new();
    for (label, value) in rows {
        // Writing to a String never fails.
        let _ = writeln!(text, "{label:<9} {value}");
    }
    text + match shown.action {
        "publish" => "\nThe operation is neither signed, worked nor sent.",
        _ => "\nNothing is signed, worked or sent.",
    }
}
