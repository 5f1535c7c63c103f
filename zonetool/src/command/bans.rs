//! `bans`: whom the node refuses as a peer.

use std::fmt::Write as _;

use namechain_core::api_types::{BanInfo, LiftBans, NewBan};

use crate::{
    cli::{BansArgs, BansCommand},
    client::Client,
    clock,
    dates::describe_time,
    error::CommandError,
    ui::{Ui, escape_line},
};

/// Runs the command. `--json` prints what the node's `/v1/bans` and `/v1/bans/lift` say.
pub fn run(ui: Ui, client: &Client, args: &BansArgs) -> Result<(), CommandError> {
    match &args.command {
        None => list(ui, client),
        Some(BansCommand::Add(args)) => {
            let ban = NewBan { target: args.target.clone(), seconds: args.span };
            let ban = client.ban(&ban)?;
            let text = format!("{}, kept over a restart of the node", describe(&ban));
            Ok(ui.print_result(&text, &ban)?)
        }
        Some(BansCommand::Lift(args)) => {
            let what = LiftBans { target: args.target.clone(), all: args.all };
            let lifted = client.lift_bans(&what)?;
            if let (0, Some(target)) = (lifted.lifted, &args.target) {
                return Err(CommandError::NoBan(target.clone()));
            }
            let bans = if lifted.lifted == 1 { "ban" } else { "bans" };
            Ok(ui.print_result(&format!("{} {bans} lifted", lifted.lifted), &lifted)?)
        }
    }
}

fn list(ui: Ui, client: &Client) -> Result<(), CommandError> {
    let bans = client.bans()?;
    let mut text = String::new();
    if bans.bans.is_empty() {
        text.push_str("no bans");
    }
    for ban in &bans.bans {
        let by = match ban.reason.as_str() {
            "operator" => "by you".to_owned(),
            "misbehavior" => "it misbehaved".to_owned(),
            other => escape_line(other),
        };
        // Writing to a String never fails.
        let _ = writeln!(text, "{} ({by})", describe(ban));
    }
    Ok(ui.print_result(&text, &bans)?)
}

fn describe(ban: &BanInfo) -> String {
    let until = ban.until.map_or_else(
        || "for good".to_owned(),
        |until| format!("until {}", describe_time(until, clock::unix())),
    );
    format!("{} is banned {until}", escape_line(&ban.target))
}
