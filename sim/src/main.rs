//! Simulations that decide the chain's parameters. Each prints its tables, with the seed, as
//! docs/simulations.md has them: `cargo run --release -p sim -- NAME`.

mod censor;
mod converge;
mod dates;
mod depth;
mod holding;
mod mining;
mod prices;
mod proof;
mod rng;
mod rules;
mod selfish;
mod table;
mod target;
mod weight;

use std::process::ExitCode;

/// What can be run, by name.
const SIMULATIONS: &[(&str, fn())] = &[
    ("target", target::run),
    ("selfish", selfish::run),
    ("forkchoice", converge::run),
    ("depth", depth::run),
    ("prices", prices::run),
    ("dates", dates::run),
    ("holding", holding::run),
    ("weight", weight::run),
    ("censorship", censor::run),
    ("proofsize", proof::run),
];

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let chosen: Vec<_> =
        SIMULATIONS.iter().filter(|(name, _)| *name == wanted || wanted == "all").collect();
    for (name, run) in &chosen {
        println!("## {name}\n");
        run();
    }
    if chosen.is_empty() {
        let names: Vec<&str> = SIMULATIONS.iter().map(|(name, _)| *name).collect();
        eprintln!("usage: sim {}|all", names.join("|"));
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}
