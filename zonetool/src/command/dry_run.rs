//! `--dry-run`: what would be signed, and what it would do.

use std::fmt::Write as _;

use namechain_core::types::{Action, Name, NameEntry, Network, PublicKey, SignedOperation};
use serde::Serialize;

use super::{preflight::Checked, submit::Submitter};
use crate::{
    clock,
    dates::describe_time,
    error::CommandError,
    key_text::{self, KeyKind},
    pow,
};

/// What `--json` prints. Times are in seconds of Unix time.
#[derive(Debug, Serialize)]
struct ShownOperation<'a> {
    dry_run: bool,
    name: &'a Name,
    network: Network,
    action: &'static str,
    /// The sequence number, if the action carries one.
    sequence: Option<u32>,
    /// The last time at which a block may record it.
    valid_until: u64,
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
    /// The end of the lease after it.
    expires: u64,
    /// The message to sign, in hexadecimal.
    message: String,
}

#[derive(Debug, Serialize)]
struct Field {
    field: &'static str,
    value: Option<PublicKey>,
    #[serde(skip)]
    kind: KeyKind,
}

/// Shows a checked operation, of which only signature and nonce are missing.
pub fn show(
    submitter: &Submitter,
    checked: &Checked,
    before: &NameEntry,
) -> Result<(), CommandError> {
    let (named, context) = (&checked.named, checked.context);
    let shown = ShownOperation {
        dry_run: true,
        name: &named.name,
        network: submitter.network,
        action: named.action.label(),
        sequence: named.action.sequence(),
        valid_until: named.valid_until,
        signer: named.signer,
        signed_as: role(named, before),
        fields: fields(&named.action),
        price: named.stamp.work,
        work: pow::with_margin(named.stamp.work),
        height: context.now.height,
        expires: checked.after.expires,
        message: hex::encode(named.signing_message(&submitter.signing_context(context))),
    };
    let rate = pow::measure_rate(submitter.network);
    Ok(submitter.ui.print_result(&describe(&shown, rate, clock::unix()), &shown)?)
}

fn role(named: &SignedOperation, before: &NameEntry) -> &'static str {
    match named.action {
        Action::Accept { .. } => "recipient",
        _ if named.signer == before.owner => "owner",
        _ => "recovery",
    }
}

fn fields(action: &Action) -> Vec<Field> {
    let field = |field, kind, value| Field { field, value, kind };
    let (owner, recovers, messaging) = (KeyKind::Owner, KeyKind::Recovery, KeyKind::Identity);
    match action {
        Action::Transfer { to, .. } => vec![field("to", owner, Some(*to))],
        Action::Accept { recovery, .. } => vec![field("recovery", recovers, *recovery)],
        Action::Recover { owner: new, recovery } => {
            vec![field("owner", owner, Some(*new)), field("recovery", recovers, *recovery)]
        }
        Action::Publish { record, .. } => {
            let signed = record.as_deref();
            let link = signed.and_then(|signed| signed.link);
            vec![
                field("identity", messaging, signed.map(|signed| signed.record.identity)),
                field("linked by", messaging, link.map(|link| link.identity)),
            ]
        }
        _ => Vec::new(),
    }
}

fn describe(shown: &ShownOperation<'_>, rate: f64, now: u64) -> String {
    let signer = match shown.signed_as {
        "recovery" => key_text::recovery(Some(&shown.signer)),
        _ => key_text::owner(&shown.signer),
    };
    let mut rows = vec![
        ("action", shown.action.to_owned()),
        ("name", shown.name.to_string()),
        ("network", shown.network.to_string()),
        ("signer", format!("{signer} ({})", shown.signed_as)),
    ];
    rows.extend(shown.sequence.map(|sequence| ("sequence", sequence.to_string())));
    for field in &shown.fields {
        rows.push((
            field.field,
            field.value.map_or("none".to_owned(), |key| key_text::encode(field.kind, &key)),
        ));
    }
    let estimate = pow::describe_estimate(shown.work, rate);
    rows.extend([
        ("valid", format!("until {}", describe_time(shown.valid_until, now))),
        ("price", format!("{} expected hashes at height {}", shown.price, shown.height)),
        ("work", format!("{} expected hashes, a quarter more: {estimate}", shown.work)),
        ("lease", format!("until {}", describe_time(shown.expires, now))),
        ("message", shown.message.clone()),
    ]);
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
