//! Growth with the number of names: the cost of an answer, and the memory per name.

use crate::{
    common::{
        load::{self, Hardness, Run, dnsperf},
        process::Running,
        servers::{self, Ours},
    },
    report::{Measured, table},
    workload::{Choice, chain, chain_names},
};

/// Names on the chain.
const SIZES: [u32; 3] = [10_000, 100_000, 1_000_000];
/// Cached answers, at the least and at the most.
const CACHED: [u32; 2] = [10_000, 1_000_000];
/// Memory for a million answers, with a margin.
const CACHE_BYTES: usize = 1 << 30;
/// Queries in flight while a cache is filled: few enough that none is lost.
const FILLING: Hardness = Hardness { seconds: 240, outstanding: 100, repeat: false };

fn ours(
    dir: &std::path::Path,
    data: std::path::PathBuf,
    upstream: &Running,
) -> Result<Running, String> {
    let config = format!("cache-bytes = {CACHE_BYTES}\n");
    servers::ours(&Ours { config, ..Ours::new(data, vec![upstream.address]) }, dir)
}

/// In an order in which no two neighbours were stored next to each other.
fn scattered(count: u32) -> impl Iterator<Item = u32> {
    // A prime that divides none of the sizes.
    (0..count).map(move |number| ((u64::from(number) * 7_368_787) % u64::from(count)) as u32)
}

/// 10k, 100k and a million names on the chain, queried all over.
pub fn chain_names_measured(choice: &Choice) -> Result<(), String> {
    let mut servers = Vec::new();
    let mut dirs = Vec::new();
    for names in SIZES {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let upstream = servers::upstream(dir.path())?;
        let data = chain(dir.path(), names)?;
        let server = ours(dir.path(), data, &upstream)?;
        let fresh = server.resident_kib();
        let all: Vec<String> = chain_names(names).collect();
        let file = load::questions(
            dir.path(),
            "chain",
            scattered(names).map(|number| all[number as usize].clone()),
        );
        servers.push((names, server, upstream, file, fresh));
        dirs.push(dir);
    }
    let mut measured: Vec<Measured> = SIZES
        .iter()
        .map(|names| Measured { name: format!("ours, {names} names"), runs: Vec::<Run>::new() })
        .collect();
    for (_, server, _, file, _) in &servers {
        dnsperf(server, file, FILLING)?;
    }
    for _ in 0..choice.rounds {
        for ((_, server, _, file, _), measured) in servers.iter().zip(&mut measured) {
            measured.runs.push(dnsperf(server, file, choice.saturating(true))?);
        }
    }
    table("growth: names on the chain", &measured, &[]);
    println!(
        "| names | resident at the start | after all were asked for | to the first | bytes a name more |"
    );
    println!("|---|---|---|---|---|");
    let first = measured.first().map_or(f64::NAN, Measured::figure);
    let base = servers.first().map_or(0, |server| server.1.resident_kib());
    for ((names, server, _, _, fresh), measured) in servers.iter().zip(&measured) {
        let now = server.resident_kib();
        let more = now.saturating_sub(base) * 1_024 / u64::from((*names - SIZES[0]).max(1));
        println!(
            "| {names} | {} MB | {} MB | {:.2} | {} |",
            fresh / 1_024,
            now / 1_024,
            measured.figure() / first,
            if *names == SIZES[0] { String::new() } else { more.to_string() },
        );
    }
    println!();
    Ok(())
}

/// A million cached answers, compared with ten thousand.
pub fn cached_answers(choice: &Choice) -> Result<(), String> {
    let mut all = Vec::new();
    let mut dirs = Vec::new();
    for names in CACHED {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let upstream = servers::upstream(dir.path())?;
        let mut servers = vec![ours(dir.path(), dir.path().join("chain"), &upstream)?];
        if choice.wants("unbound") {
            servers.extend(servers::unbound(upstream.address, CACHE_BYTES / 2, dir.path()));
        }
        let name = |number: u32| format!("host-{number}.example.com");
        let filling = load::questions(dir.path(), "filling", (0..names).map(name));
        let asking = load::questions(dir.path(), "asking", scattered(names).map(name));
        for server in servers {
            let empty = server.resident_kib();
            dnsperf(&server, &filling, FILLING)?;
            all.push((names, server, asking.clone(), empty));
        }
        dirs.push((dir, upstream));
    }
    let mut measured: Vec<Measured> = all
        .iter()
        .map(|(names, server, ..)| Measured {
            name: format!("{}, {names} answers", server.name),
            runs: Vec::new(),
        })
        .collect();
    for _ in 0..choice.rounds {
        for ((_, server, file, _), measured) in all.iter().zip(&mut measured) {
            measured.runs.push(dnsperf(server, file, choice.saturating(true))?);
        }
    }
    table("million: cached answers", &measured, &[]);
    println!("| server | answers | resident when empty | now | bytes an answer |");
    println!("|---|---|---|---|---|");
    for (names, server, _, empty) in &all {
        let now = server.resident_kib();
        let each = now.saturating_sub(*empty) * 1_024 / u64::from(*names);
        println!(
            "| {} | {names} | {} MB | {} MB | {each} |",
            server.name,
            empty / 1_024,
            now / 1_024
        );
    }
    println!();
    Ok(())
}
