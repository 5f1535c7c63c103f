//! `renew`: one name, or all that can be renewed now.

use namechain_core::api_types::Standing;

use super::{input::Keystore, list::own_names, ops, scan::FoundName};
use crate::{
    cli::Renew,
    client::{Client, ClientError},
    clock,
    dates::describe_time,
    error::CommandError,
    ui::Ui,
};

/// A name can be renewed in the last one of so many parts of its lease (rule `renew-early`).
const PARTS: u64 = 4;

/// Runs the command.
pub fn run(
    ui: Ui,
    client: impl Fn() -> Result<Client, ClientError>,
    keystore: &Keystore,
    args: &Renew,
) -> Result<(), CommandError> {
    match &args.name {
        Some(name) => ops::renew(ui, client()?, keystore, &args.of(name)),
        None => renew_all(ui, client, keystore, args),
    }
}

/// Renews what can be renewed. What fails does not keep the others from it; the first error is the
/// command's.
fn renew_all(
    ui: Ui,
    client: impl Fn() -> Result<Client, ClientError>,
    keystore: &Keystore,
    args: &Renew,
) -> Result<(), CommandError> {
    let own = own_names(ui, &client()?, keystore)?;
    let (now, window) = (clock::unix(), own.network.params().lease / PARTS);
    let (due, later) = split_by_due(&own.names, window, now);
    if due.is_empty() {
        let next = later.iter().min_by_key(|found| found.expires).map(|found| {
            let from = describe_time(found.expires.saturating_sub(window), now);
            format!("; {} can be renewed from {from}", found.name)
        });
        ui.print_note(&format!(
            "no name of your key can be renewed now{}",
            next.unwrap_or_default()
        ));
        return Ok(());
    }
    let mut first = None;
    for found in due {
        let name = found.name.as_str();
        let ui = ui.with_several_results();
        if let Err(error) = ops::renew(ui, client()?, keystore, &args.of(name)) {
            ui.print_note(&format!("{name} is not renewed: {error}"));
            first = first.or(Some(error));
        }
    }
    first.map_or(Ok(()), Err)
}

/// The names of the owner key that can be renewed at `now`, and those that can be later; `window`
/// is how long before the end of a lease that is so, in seconds.
fn split_by_due(names: &[FoundName], window: u64, now: u64) -> (Vec<&FoundName>, Vec<&FoundName>) {
    let can_be =
        |found: &&FoundName| found.key_is == "owner" && found.standing != Standing::Revoked;
    names.iter().filter(can_be).partition(|found| found.expires.saturating_sub(window) <= now)
}

#[cfg(test)]
mod tests {
    use namechain_core::types::{Name, SecretKey};

    use super::*;

    #[test]
    fn names_in_the_last_quarter_of_their_lease_are_due() {
        let owner = SecretKey::from_seed(&[1; 32]).public();
        let found = |name: &str, key_is, standing, expires| {
            FoundName::new(Name::parse(name).unwrap(), key_is, standing, owner, expires)
        };
        let names = [
            found("due", "owner", Standing::Active, 1_100),
            found("in-grace", "owner", Standing::Grace, 900),
            found("later", "owner", Standing::Active, 1_101),
            found("revoked", "owner", Standing::Revoked, 1_000),
            found("offered", "recipient", Standing::Active, 1_000),
            found("recoverable", "recovery", Standing::Active, 1_000),
        ];
        let (due, later) = split_by_due(&names, 100, 1_000);
        let text = |found: Vec<&FoundName>| {
            found.iter().map(|found| found.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            (text(due), text(later)),
            (vec!["due".into(), "in-grace".into()], vec!["later".into()])
        );
    }
}
