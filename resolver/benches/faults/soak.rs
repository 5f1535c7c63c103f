//! Ten minutes of everything at once: no query lost, memory and descriptors constant.

use std::{thread, time::Duration};

use crate::{
    Choice,
    cases::{NAMES, Stage},
    common::{
        clock::now,
        load::{self, Hardness, dnsperf},
    },
    others::{Others, head, rows},
    trouble,
};

/// The default duration in seconds.
const SECONDS: u64 = 600;
/// How many samples are taken.
const LOOKS: u64 = 20;
/// New names per round: enough to fill the cache after a few rounds.
const NEW: u32 = 20_000;

/// Runs it and prints the samples.
pub fn run(choice: &Choice) -> Result<(), String> {
    let stage = Stage::set("respond", &[])?;
    let seconds = choice.seconds.unwrap_or(SECONDS);
    let others = Others::start(stage.ours.address, NAMES);
    let (slow, noise) =
        (trouble::slow_clients(stage.ours.address), trouble::noise(stage.ours.address));
    let start = now();
    let mut looks = Vec::new();
    let (mut asked, mut lost) = (0, 0);
    for look in 0..=LOOKS {
        let file = load::questions(
            stage.dir.path(),
            "soak",
            (0..NEW).map(|n| format!("s{look}-{n}.soak.example")),
        );
        let hard = Hardness { seconds: 30, outstanding: 50, repeat: false };
        let run = dnsperf(&stage.ours, &file, hard)?;
        asked += run.answered + run.lost;
        lost += run.lost;
        looks.push((
            start.elapsed().as_secs(),
            stage.ours.resident_kib() / 1_024,
            stage.ours.descriptors(),
        ));
        let until = Duration::from_secs(seconds * look / LOOKS);
        thread::sleep(until.saturating_sub(start.elapsed()));
    }
    let seen = others.end();
    let (connections, datagrams) = (slow.end(), noise.end());
    println!("\n### soak: {} s\n", start.elapsed().as_secs());
    head();
    rows("everything at once", &seen);
    println!(
        "\n{lost} of {asked} new names asked for in bulk were lost; {connections} slow connections, {datagrams} datagrams of noise\n"
    );
    println!("| second | resident MB | descriptors |");
    println!("|---|---|---|");
    for (second, resident, descriptors) in looks {
        println!("| {second} | {resident} | {descriptors} |");
    }
    println!();
    Ok(())
}
