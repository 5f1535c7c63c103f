//! The workloads: the queries, the servers, and the number of runs.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{
    common::{
        clock::median,
        load::{self, Hardness, dnsperf},
        process::{Rival, Running},
        servers::{self, Missing, Ours},
        state,
    },
    report::{Measured, table},
};

/// The default workloads.
pub const WORKLOADS: [&str; 6] = ["cached", "chain", "nxdomain", "hits", "misses", "one"];
const SERVERS: [&str; 7] = ["bound", "ours", "unbound", "dnsdist", "kresd", "nsd", "knot"];
/// Names that are queried repeatedly, and names on the chain.
const NAMES: u32 = 10_000;
/// Queries in flight in a saturated run: more than a server receives in one batch, less than its
/// buffer holds.
const OUTSTANDING: u32 = 500;
/// More queries than any server answers in a second of a run.
const MOST_A_SECOND: u64 = 350_000;
/// Large enough to cache all names, in bytes.
const CACHE_BYTES: usize = 256 << 20;
/// Queries one after the other.
const ONE_BY_ONE: usize = 20_000;

/// The command line.
#[derive(Debug)]
pub struct Choice {
    /// Rounds.
    pub rounds: usize,
    /// Seconds of a run.
    pub seconds: u64,
    /// Workloads by name.
    pub workloads: Vec<String>,
    /// Servers by name; empty: all.
    pub servers: Vec<String>,
    /// The names of legacy DNS are below this one.
    pub under: String,
}

impl Choice {
    /// Parses the command line; the error is the word that is not understood.
    pub fn read(words: &[&str]) -> Result<Choice, String> {
        let mut choice = Choice {
            rounds: 5,
            seconds: 3,
            workloads: Vec::new(),
            servers: Vec::new(),
            under: "example.com".into(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut number =
                || words.next().and_then(|word| word.parse::<u64>().ok()).filter(|n| *n > 0);
            match *word {
                "--rounds" => choice.rounds = number().ok_or(*word)? as usize,
                "--under" => choice.under = words.next().ok_or(*word)?.to_string(),
                "--seconds" => choice.seconds = number().ok_or(*word)?,
                word if WORKLOADS.contains(&word) || matches!(word, "growth" | "million") => {
                    choice.workloads.push(word.into());
                }
                word if SERVERS.contains(&word) => choice.servers.push(word.into()),
                word => return Err(word.into()),
            }
        }
        if choice.workloads.is_empty() {
            choice.workloads = WORKLOADS.map(str::to_owned).into();
        }
        Ok(choice)
    }

    /// Whether the server takes part.
    pub fn wants(&self, server: &str) -> bool {
        self.servers.is_empty() || self.servers.iter().any(|name| name == server)
    }

    /// A run at full load.
    pub fn saturating(&self, repeat: bool) -> Hardness {
        Hardness { seconds: self.seconds, outstanding: OUTSTANDING, repeat }
    }
}

/// Starts the servers in `names` that are selected and installed; reports those that are not.
fn start(
    names: &[&str],
    choice: &Choice,
    mut one: impl FnMut(&str) -> Result<Running, Missing>,
) -> Result<Vec<Running>, String> {
    let mut running = Vec::new();
    for name in names.iter().filter(|name| choice.wants(name)) {
        match one(name) {
            Ok(server) => running.push(server),
            Err(why) if why.ends_with("is not installed") => println!("(without {name}: {why})\n"),
            Err(why) => return Err(why),
        }
    }
    Ok(running)
}

/// Our server's chain: filled by another process, whose memory is not measured.
pub fn chain(dir: &Path, names: u32) -> Result<PathBuf, String> {
    let data = dir.join(format!("chain-{names}"));
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let status =
        std::process::Command::new(this).arg("fill").arg(&data).arg(names.to_string()).status();
    match status {
        Ok(status) if status.success() => Ok(data),
        other => Err(format!("the chain could not be filled: {other:?}")),
    }
}

/// Names on the chain at their mount.
pub fn chain_names(names: u32) -> impl Iterator<Item = String> {
    (0..names).map(|number| format!("{}.{}", state::name(number), servers::ZONE))
}

fn legacy_names(names: u32, choice: &Choice) -> impl Iterator<Item = String> {
    (0..names).map(|number| format!("host-{number}.{}", choice.under))
}

/// The queries of a round. Names that have to be new are new in every round.
fn questions(workload: &str, dir: &Path, round: usize, choice: &Choice) -> PathBuf {
    let many = MOST_A_SECOND * choice.seconds;
    let under = &choice.under;
    let fresh = |number: u64| format!("new-{round}-{number}.{under}");
    match workload {
        "chain" => load::questions(dir, "chain", chain_names(NAMES)),
        "nxdomain" => {
            let names = (0..NAMES).map(|number| format!("not-there-{number}.{}", servers::ZONE));
            load::questions(dir, "nxdomain", names)
        }
        "hits" => {
            let names = (0..many).map(|number| match number % 10 {
                0 => fresh(number),
                _ => format!("host-{}.{under}", number * 7 % u64::from(NAMES)),
            });
            load::questions(dir, "hits", names)
        }
        "misses" => load::questions(dir, "misses", (0..many / 2).map(fresh)),
        _ => load::questions(dir, "cached", legacy_names(NAMES, choice)),
    }
}

/// The servers of a workload. All their files are in `dir`.
fn contenders(
    workload: &str,
    choice: &Choice,
    upstream: &Running,
    dir: &TempDir,
) -> Result<Vec<Running>, String> {
    let (asked, path) = (upstream.address, dir.path());
    let local = matches!(workload, "chain" | "nxdomain");
    let ours = |data: PathBuf| {
        let config = format!("cache-bytes = {CACHE_BYTES}\n");
        servers::ours(&Ours { config, ..Ours::new(data, vec![asked]) }, path)
    };
    if local {
        let (data, zone) = (chain(path, NAMES)?, servers::zone_file(path, NAMES));
        return start(&["bound", "ours", "nsd", "knot"], choice, |name| match name {
            "bound" => servers::bound(path),
            "ours" => ours(data.clone()),
            "nsd" => servers::nsd(&zone, path),
            _ => servers::knot(&zone, path),
        });
    }
    start(&["bound", "ours", "unbound", "dnsdist", "kresd"], choice, |name| match name {
        "bound" => servers::bound(path),
        "ours" => ours(path.join("chain")),
        "unbound" => servers::unbound(asked, CACHE_BYTES, path),
        "dnsdist" => servers::dnsdist(asked, path),
        _ => servers::kresd(asked, path),
    })
}

/// A workload at full load.
pub fn saturated(workload: &str, choice: &Choice) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let upstream = servers::upstream(dir.path())?;
    let servers = contenders(workload, choice, &upstream, &dir)?;
    let repeat = !matches!(workload, "hits" | "misses");
    // Names that have to be cached are queried once.
    let known = load::questions(dir.path(), "known", legacy_names(NAMES, choice));
    let known = if repeat { questions(workload, dir.path(), 0, choice) } else { known };
    for server in &servers {
        dnsperf(server, &known, Hardness { seconds: 30, outstanding: 50, repeat: false })?;
    }
    let _rival = Rival::of_the_servers().map_err(|error| error.to_string())?;
    let mut measured: Vec<Measured> = servers
        .iter()
        .map(|server| Measured { name: server.name.clone(), runs: Vec::new() })
        .collect();
    for round in 0..choice.rounds {
        let file = questions(workload, dir.path(), round, choice);
        for (server, measured) in servers.iter().zip(&mut measured) {
            // The bound caches nothing: every query is the same to it.
            measured.runs.push(dnsperf(server, &file, choice.saturating(repeat))?);
        }
    }
    let (title, others): (&str, &[&str]) = match workload {
        "chain" => ("chain: names held locally", &["bound", "nsd", "knot"]),
        "nxdomain" => ("nxdomain: names that are not there, known locally", &["nsd", "knot"]),
        "hits" => ("hits: nine in ten known, one new", &["unbound", "dnsdist", "kresd"]),
        "misses" => ("misses: every name new, forwarded", &["unbound", "dnsdist", "kresd"]),
        _ => ("cached: known legacy answers", &["bound", "unbound", "dnsdist", "kresd"]),
    };
    table(title, &measured, others);
    Ok(())
}

/// One query after the other: the latency for a single client.
pub fn one_in_flight(choice: &Choice) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let upstream = servers::upstream(dir.path())?;
    let servers = contenders("cached", choice, &upstream, &dir)?;
    let names: Vec<String> = legacy_names(NAMES, choice).take(100).collect();
    let mut all: Vec<(Vec<f64>, Vec<f64>)> = vec![Default::default(); servers.len()];
    for _ in 0..choice.rounds {
        for (server, figures) in servers.iter().zip(&mut all) {
            let ask = || load::one_in_flight(server.address, &names, ONE_BY_ONE);
            let (median, most) = ask().ok_or_else(|| format!("{} lost a question", server.name))?;
            figures.0.push(median);
            figures.1.push(most);
        }
    }
    println!("### one: one question in flight, a known answer, microseconds\n");
    println!("| server | p50 | p99 | p50 to the bound's |");
    println!("|---|---|---|---|");
    let bound = servers.iter().position(|server| server.name == "bound");
    for (server, (medians, most)) in servers.iter().zip(&all) {
        let figure = median(medians);
        let ratio =
            bound.map_or_else(String::new, |at| format!("{:.2}", figure / median(&all[at].0)));
        println!("| {} | {figure:.1} | {:.1} | {ratio} |", server.name, median(most));
    }
    println!();
    Ok(())
}
