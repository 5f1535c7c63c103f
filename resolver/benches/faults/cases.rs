//! One fault after the other, while sixteen clients over UDP and one over TCP send ordinary
//! queries.

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    Choice,
    common::{
        clock::{now, until},
        load::{self, Hardness, ask_once, dnsperf},
        process::{CLIENT_CORE, Running, free_port, pinned},
        servers::{self, Ours, PROBE, ZONE},
        state,
    },
    others::{Others, rows, warm},
    trouble,
};

/// Names on the chain.
pub const NAMES: u32 = 1_000;
/// The default duration of a fault in seconds.
const SECONDS: u64 = 15;
/// The default number of names in a flood.
const FLOOD: u32 = 1_000_000;
/// The path of the library in Debian's package `libfaketime`.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
const DAY: &str = "+86400s";

/// A resolver with an upstream and a chain of [`NAMES`].
pub struct Stage {
    pub dir: TempDir,
    pub upstream: Running,
    pub ours: Running,
}

/// A server of this program, in the role of an upstream.
fn upstream(role: &str, address: std::net::SocketAddr, dir: &Path) -> Result<Running, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = pinned(CLIENT_CORE, &this);
    command.args([role, &address.to_string()]);
    Running::start(role, command, address, PROBE, dir)
}

/// The chain, filled by another process.
pub fn chain(dir: &Path) -> Result<PathBuf, String> {
    let data = dir.join("chain");
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let status = Command::new(this).arg("fill").arg(&data).arg(NAMES.to_string()).status();
    if status.is_ok_and(|status| status.success()) {
        Ok(data)
    } else {
        Err("the chain could not be filled".into())
    }
}

impl Stage {
    /// With the upstream in this role, and these environment variables of the resolver.
    pub fn set(role: &str, environment: &[(&str, &str)]) -> Result<Stage, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let upstream = upstream(role, free_port(), dir.path())?;
        let mut settings = Ours::new(chain(dir.path())?, vec![upstream.address]);
        settings.environment =
            environment.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let ours = servers::ours(&settings, dir.path())?;
        warm(ours.address);
        Ok(Stage { dir, upstream, ours })
    }
}

fn pass(choice: &Choice) -> Duration {
    Duration::from_secs(choice.seconds.unwrap_or(SECONDS))
}

/// Runs a case and prints its rows.
pub fn run(case: &str, choice: &Choice) -> Result<(), String> {
    match case {
        "tcp" => {
            let stage = Stage::set("respond", &[])?;
            let trouble = trouble::slow_clients(stage.ours.address);
            beside(&stage, choice, || (), "1,024 slow TCP clients");
            note(&format!("{} connections were made", trouble.end()));
        }
        "rst" => {
            let stage = Stage::set("respond", &[])?;
            let trouble = trouble::resets(stage.ours.address);
            beside(&stage, choice, || (), "connections reset");
            note(&format!("{} resets", trouble.end()));
        }
        "noise" => {
            let stage = Stage::set("respond", &[])?;
            let trouble = trouble::noise(stage.ours.address);
            beside(&stage, choice, || (), "noise over UDP");
            note(&format!("{} datagrams", trouble.end()));
        }
        "flood" => flood(choice)?,
        "killed" => killed(choice)?,
        "slow" => {
            beside(&Stage::set("respond-slowly", &[])?, choice, || (), "upstream 300 ms slow")
        }
        "lying" => beside(&Stage::set("lie", &[])?, choice, || (), "upstream that is forged"),
        "ourselves" => ourselves()?,
        "node" => node_killed(choice)?,
        "clock" => clock(choice)?,
        _ => beside(&Stage::set("respond", &[])?, choice, || (), "nothing"),
    }
    Ok(())
}

fn note(text: &str) {
    println!("| | {text} | | | | | | | |");
}

/// Runs `meanwhile` for its duration while the clients send queries. Prints only the rows.
fn beside(stage: &Stage, choice: &Choice, meanwhile: impl FnOnce(), what: &str) {
    let before = stage.ours.resident_kib();
    let others = Others::start(stage.ours.address, NAMES);
    let start = now();
    meanwhile();
    thread::sleep(pass(choice).saturating_sub(start.elapsed()));
    rows(what, &others.end());
    note(&format!(
        "{} MB resident before, {} MB after",
        before / 1_024,
        stage.ours.resident_kib() / 1_024
    ));
}

/// Names that were not queried before, as fast as they are answered.
fn flood(choice: &Choice) -> Result<(), String> {
    let stage = Stage::set("respond", &[])?;
    let names = choice.names.unwrap_or(FLOOD);
    let file = load::questions(
        stage.dir.path(),
        "flood",
        (0..names).map(|n| format!("f{n}.flood.example")),
    );
    let mut came = Err("nothing".to_owned());
    let hard = Hardness { seconds: 300, outstanding: 500, repeat: false };
    beside(&stage, choice, || came = dnsperf(&stage.ours, &file, hard), "a flood of new names");
    let run = came?;
    note(&format!("the flood: {} answered, {} lost, {:.0} s", run.answered, run.lost, run.wall));
    Ok(())
}

/// The upstream is killed after a third of the time and restarted after two thirds.
fn killed(choice: &Choice) -> Result<(), String> {
    let Stage { dir, upstream: first, ours } = Stage::set("respond", &[])?;
    let third = pass(choice) / 3;
    let address = first.address;
    let watch = |what: &str| {
        let others = Others::start(ours.address, NAMES);
        thread::sleep(third);
        rows(what, &others.end());
    };
    watch("upstream there");
    drop(first);
    watch("upstream killed");
    let _back = upstream("respond", address, dir.path())?;
    let start = now();
    let name = |n: u32| format!("back-{n}.example.org");
    let mut number = 0;
    let again = until(Duration::from_secs(60), || {
        number += 1;
        ask_once(ours.address, &name(number), Duration::from_secs(5))
            .filter(|answer| answer[3] & 0x0f == 0)
    });
    note(&format!("back: {} after {:.1} s", again.is_some(), start.elapsed().as_secs_f64()));
    watch("upstream back");
    Ok(())
}

/// The upstream is the resolver itself.
fn ourselves() -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let address = free_port();
    let settings = Ours::new(chain(dir.path())?, vec![address]);
    let ours = servers::start_ours(&settings, address, dir.path())?;
    let start = now();
    let answer = ask_once(address, "www.example.com", Duration::from_secs(15));
    let rcode = answer
        .map_or_else(|| "no answer".to_owned(), |answer| format!("rcode {}", answer[3] & 0x0f));
    note(&format!(
        "upstream is ourselves: a new name has {rcode} after {:.0} ms",
        start.elapsed().as_secs_f64() * 1e3
    ));
    let log = ours.log();
    let lines: Vec<&str> =
        log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
    note(&format!("it says: {}", lines.join(" / ")));
    Ok(())
}

/// A resolver with the node of another one, which is killed after half of the time.
fn node_killed(choice: &Choice) -> Result<(), String> {
    let Stage { dir, upstream, ours: with_node } = Stage::set("respond", &[])?;
    let api = servers::api(&with_node).ok_or("no API")?;
    let mut settings = Ours::new(dir.path().join("none"), vec![upstream.address]);
    settings.node = Some(api);
    let ours = servers::ours(&settings, dir.path())?;
    warm(ours.address);
    let watch = |what: &str| {
        let others = Others::start(ours.address, NAMES);
        thread::sleep(pass(choice) / 2);
        rows(what, &others.end());
    };
    watch("node elsewhere");
    drop(with_node);
    watch("node killed");
    Ok(())
}

/// Unix time jumps by a day, forth and back. What depends on it (the chain's times) follows;
/// answers age by the monotonic clock.
fn clock(choice: &Choice) -> Result<(), String> {
    if !Path::new(FAKETIME).exists() {
        note(&format!(
            "the clock: left out, {FAKETIME} is not there (apt-get install libfaketime)"
        ));
        return Ok(());
    }
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = home.path().join("offset");
    let set = |offset: &str| std::fs::write(&file, offset).map_err(|error| error.to_string());
    set("+0s")?;
    let path = file.to_string_lossy();
    let stage = Stage::set(
        "respond",
        &[
            ("LD_PRELOAD", FAKETIME),
            ("FAKETIME_TIMESTAMP_FILE", &path),
            ("FAKETIME_NO_CACHE", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
        ],
    )?;
    let mut result = Ok(());
    let third = pass(choice) / 3;
    let meanwhile = || {
        for offset in [DAY, "-86400s", "+0s"] {
            thread::sleep(third.mul_f64(0.8));
            result = result.clone().and_then(|()| set(offset));
        }
    };
    beside(&stage, choice, meanwhile, "clock jumps by a day");
    let alive =
        ask_once(stage.ours.address, &format!("{}.{ZONE}", state::name(1)), Duration::from_secs(5));
    note(&format!("afterwards a name of the chain is answered: {}", alive.is_some()));
    result
}
