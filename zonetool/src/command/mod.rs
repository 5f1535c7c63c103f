//! One file a command, and what they share.

mod available;
mod bans;
mod cache;
mod check;
mod draft;
mod dry_run;
mod history;
mod input;
mod journal;
mod key;
mod list;
mod mine;
mod mnemonic;
mod ops;
mod peer;
mod peers;
mod preflight;
mod price;
mod prove;
mod query;
mod recorded;
mod register;
mod renew;
mod scan;
mod show;
mod status;
mod submit;
mod trace;
mod trust_anchor;
mod update;
mod verify;
mod wait;
mod whoami;
mod worked;
mod zone;

use self::input::Keystore;
use crate::{
    admin,
    cli::{AdminArgs, CacheCommand, Cli, Command},
    client::{Client, ClientError},
    error::CommandError,
    keys::{self, KeyError, Passphrases},
    ui::Ui,
};

/// Runs the command.
pub fn run(cli: Cli, ui: Ui) -> Result<(), CommandError> {
    let global = cli.global;
    let guarded = |client: Client| {
        if let Some(wanted) = global.network {
            let found = client.status()?.network;
            if found != wanted {
                return Err(ClientError::OtherNetwork { found, wanted });
            }
        }
        Ok(client)
    };
    let client = || guarded(Client::new(&global.node)?);
    let admin = |args: &AdminArgs| guarded(admin::connect(&global, args)?);
    let keys = || {
        let directory = match &global.keys {
            Some(directory) => directory.clone(),
            None => keys::default_directory()?,
        };
        let passphrases = Passphrases::new(global.passphrase_file.clone(), ui);
        Ok::<_, KeyError>(Keystore { directory, passphrases })
    };
    match cli.command {
        Command::Whoami => whoami::run(ui, &keys()?),
        Command::List(args) => list::run(ui, &client()?, &keys()?, &args),
        Command::Available(args) => available::run(ui, &client()?, &args),
        Command::Key(command) => key::run(ui, client, &keys()?, &command),
        Command::Register(args) => register::run(ui, client()?, &keys()?, &args),
        Command::Price(args) => price::run(ui, &client()?, &args),
        Command::Check(args) => check::run(ui, &args),
        Command::Update(args) => update::run(ui, client()?, &keys()?, &args),
        Command::Renew(args) => renew::run(ui, client, &keys()?, &args),
        Command::Transfer(args) => ops::transfer(ui, client()?, &keys()?, &args),
        Command::Accept(args) => ops::accept(ui, client()?, &keys()?, &args),
        Command::Cancel(args) => ops::cancel(ui, client()?, &keys()?, &args),
        Command::Recover(args) => ops::recover(ui, client()?, &keys()?, &args),
        Command::Revoke(args) => ops::revoke(ui, client()?, &keys()?, &args),
        Command::Peer(command) => peer::run(ui, client()?, &keys()?, &command),
        Command::History(args) => history::run(ui, &client()?, &args),
        Command::Prove(args) => prove::run(ui, &client()?, &args),
        Command::Verify(args) => {
            let node = if global.node_given { Some(client()?) } else { None };
            verify::run(ui, node.as_ref(), global.network, &args)
        }
        Command::Show(args) => show::run(ui, &client()?, &args),
        Command::Zone(args) => zone::run(ui, &client()?, &args),
        Command::Status(args) => status::run(ui, &client()?, &args),
        Command::Mine(args) => mine::run(ui, &client()?, &args),
        Command::Peers(args) => peers::run(ui, &admin(&args)?),
        Command::Bans(args) => bans::run(ui, &admin(&args.admin)?, &args),
        Command::Trace(args) => trace::run(ui, &admin(&args.admin)?, &args),
        Command::Cache(command) => {
            let CacheCommand::Flush(args) = &command;
            cache::run(ui, &admin(&args.admin)?, &command)
        }
        Command::TrustAnchor(args) => trust_anchor::run(ui, || admin(&args.admin), &args),
    }
}
