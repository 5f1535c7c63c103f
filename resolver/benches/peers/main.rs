//! Our server and its peers: answers per second of processor time, on one core, in interleaved
//! rounds.
//!
//! ```text
//! cargo bench -p resolver --bench peers                        # everything but growth
//! cargo bench -p resolver --bench peers -- cached misses       # these workloads
//! cargo bench -p resolver --bench peers -- cached ours bound   # with these servers only
//! cargo bench -p resolver --bench peers -- growth million      # 10k, 100k, 1M chain names; 1M cached answers
//! cargo bench -p resolver --bench peers -- --rounds 3 --seconds 2
//! cargo bench -p resolver --bench peers -- cached misses --under mycompany  # a label on no list
//! ```
//!
//! See `README.md` for requirements and how to read the results.

#[path = "../common/mod.rs"]
mod common;
mod growth;
mod report;
mod workload;

use std::{env, process::ExitCode};

use common::{process, responder, servers};
use workload::{Choice, WORKLOADS};

fn main() -> ExitCode {
    // `cargo bench` adds a flag of its own, which is ignored.
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let as_words: Vec<&str> = words.iter().map(String::as_str).collect();
    match as_words[..] {
        ["respond", address] => {
            let address = address.parse().expect("an address");
            let error = responder::serve(address).expect_err("it never ends well");
            eprintln!("the responder ended: {error}");
            return ExitCode::FAILURE;
        }
        ["fill", data, names] => {
            servers::fill_chain(data.as_ref(), names.parse().expect("a number"));
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    if env::var_os("ON_CLIENT_CORE").is_none() {
        return on_client_core(&words);
    }
    match Choice::read(&as_words) {
        Ok(choice) => run(&choice),
        Err(word) => {
            eprintln!(
                "'{word}' is none of --rounds N, --seconds N, --under NAME, {}, growth, million, or a server's name",
                WORKLOADS.join(", ")
            );
            ExitCode::from(2)
        }
    }
}

/// Runs this program again on the clients' core: it is a client itself.
fn on_client_core(words: &[String]) -> ExitCode {
    let this = env::current_exe().expect("this program");
    let mut command = process::pinned(process::CLIENT_CORE, &this);
    match command.args(words).env("ON_CLIENT_CORE", "1").status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(choice: &Choice) -> ExitCode {
    println!(
        "{} rounds of {} s, one core each for the server and for the clients\n",
        choice.rounds, choice.seconds
    );
    for workload in &choice.workloads {
        let done = match workload.as_str() {
            "growth" => growth::chain_names_measured(choice),
            "million" => growth::cached_answers(choice),
            "one" => workload::one_in_flight(choice),
            workload => workload::saturated(workload, choice),
        };
        if let Err(error) = done {
            eprintln!("{workload}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
