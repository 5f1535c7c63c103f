//! `zonetool`: keys, operations on names, zone files, proofs, against a node's HTTP API.
//!
//! `cli -> command -> pin_store, keys, zone, proof, client, pow -> ui`: the command line is taken
//! apart, one command runs, and all that is printed goes through [`ui`].

mod admin;
mod cli;
mod client;
mod clock;
mod command;
mod dane;
mod dates;
mod error;
mod idn;
mod interrupt;
mod json;
mod key_text;
mod keys;
mod mine;
mod pin_store;
mod pow;
mod proof;
mod rfc3339;
mod ui;
mod zone;

use std::process::ExitCode;

use crate::{cli::Cli, ui::Ui};

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => {
            // The command line is not known: the flag alone says what a script reads.
            let json = std::env::args_os().any(|argument| argument == "--json");
            return ExitCode::from(Ui::new(json).print_usage(&error));
        }
    };
    let ui = match cli.command.is_pipe() {
        true => Ui::new(cli.global.json).with_piped_stdout(),
        false => Ui::new(cli.global.json),
    };
    match command::run(cli, ui) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let report = error.report();
            let code = report.exit;
            ui.print_error(report);
            ExitCode::from(code)
        }
    }
}
