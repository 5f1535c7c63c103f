//! Simulations that decide the chain's parameters. Each prints its tables, with the seed, as
//! docs/simulations.md has them: `cargo run --release -p sim -- NAME`.

mod converge;
mod mining;
mod prices;
mod rng;
mod rules;
mod selfish;
mod table;
mod target;

use std::process::ExitCode;

/// What can be run, by name.
const SIMULATIONS: &[(&str, fn())] = &[
    ("target", target::run),
    ("selfish", selfish::run),
    ("forkchoice", converge::run),
    ("prices", prices::run),
];

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    match SIMULATIONS.iter().find(|(name, _)| *name == wanted) {
        Some((_, run)) => {
            run();
            ExitCode::SUCCESS
        }
        None => {
            let names: Vec<&str> = SIMULATIONS.iter().map(|(name, _)| *name).collect();
            eprintln!("usage: sim {}", names.join("|"));
            ExitCode::from(2)
        }
    }
}
