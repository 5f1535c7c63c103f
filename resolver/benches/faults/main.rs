//! What ordinary clients see during a fault: counts and latencies.
//!
//! ```text
//! cargo bench -p resolver --bench faults                       # everything but the soak
//! cargo bench -p resolver --bench faults -- tcp flood          # these
//! cargo bench -p resolver --bench faults -- soak --seconds 600
//! cargo bench -p resolver --bench faults -- compare --names 10000
//! ```

mod cases;
#[path = "../common/mod.rs"]
mod common;
mod compare;
mod others;
mod soak;
mod trouble;
mod upstreams;

use std::{env, net::SocketAddr, process::ExitCode};

use common::{process, responder, servers};

/// The faults.
const CASES: [&str; 11] = [
    "nothing",
    "tcp",
    "rst",
    "noise",
    "flood",
    "killed",
    "slow",
    "lying",
    "ourselves",
    "node",
    "clock",
];

/// The command line.
pub struct Choice {
    /// The duration of each fault in seconds; the soak test has its own default.
    pub seconds: Option<u64>,
    /// The number of names in the flood, or in the comparison.
    pub names: Option<u32>,
    cases: Vec<String>,
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let as_words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let [role, address] = as_words[..]
        && let Ok(address) = address.parse::<SocketAddr>()
    {
        let ended = match role {
            "respond" => responder::serve(address),
            "respond-slowly" => upstreams::slow(address),
            "lie" => upstreams::lying(address),
            _ => Ok(()),
        };
        eprintln!("{role} ended: {ended:?}");
        return ExitCode::FAILURE;
    }
    if let ["fill", data, names] = as_words[..] {
        servers::fill_chain(data.as_ref(), names.parse().expect("a number"));
        return ExitCode::SUCCESS;
    }
    if env::var_os("ON_CLIENT_CORE").is_none() {
        return on_client_core(&words);
    }
    let Some(choice) = read(&as_words) else {
        eprintln!("usage: [--seconds N] [--names N] [{}] [soak] [compare]", CASES.join("] ["));
        return ExitCode::from(2);
    };
    match run(&choice) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn read(words: &[&str]) -> Option<Choice> {
    let mut choice = Choice { seconds: None, names: None, cases: Vec::new() };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--seconds" => choice.seconds = Some(words.next()?.parse().ok()?),
            "--names" => choice.names = Some(words.next()?.parse().ok()?),
            word if CASES.contains(&word) || matches!(word, "soak" | "compare") => {
                choice.cases.push(word.into())
            }
            _ => return None,
        }
    }
    if choice.cases.is_empty() {
        choice.cases = CASES.map(str::to_owned).into();
        choice.cases.push("compare".into());
    }
    Some(choice)
}

fn on_client_core(words: &[String]) -> ExitCode {
    let this = env::current_exe().expect("this program");
    let mut command = process::pinned(process::CLIENT_CORE, &this);
    let status = command.args(words).env("ON_CLIENT_CORE", "1").status();
    if status.is_ok_and(|status| status.success()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(choice: &Choice) -> Result<(), String> {
    let mut headed = false;
    for case in &choice.cases {
        match case.as_str() {
            "soak" => soak::run(choice)?,
            "compare" => compare::run(choice)?,
            case => {
                if !headed {
                    others::head();
                    headed = true;
                }
                cases::run(case, choice)?;
            }
        }
    }
    Ok(())
}
