//! Tables in Markdown.

use crate::common::{clock::median, load::Run};

/// The runs of a server, one per round.
pub struct Measured {
    /// The server.
    pub name: String,
    /// Its runs.
    pub runs: Vec<Run>,
}

impl Measured {
    /// Thousand answers per second of processor time, median of the rounds.
    pub fn figure(&self) -> f64 {
        median(&self.runs.iter().map(Run::per_cpu_second).collect::<Vec<_>>()) / 1_000.0
    }

    fn spread(&self) -> (f64, f64) {
        let all = self.runs.iter().map(|run| run.per_cpu_second() / 1_000.0);
        all.fold((f64::INFINITY, 0.0), |(least, most), one| (least.min(one), f64::max(most, one)))
    }
}

/// Prints the table of a workload. `others`: the servers that ours is compared with.
pub fn table(title: &str, all: &[Measured], others: &[&str]) {
    println!("### {title}\n");
    println!(
        "| server | thousand answers a CPU second | least to most | thousand a second | core used | lost | ours is |"
    );
    println!("|---|---|---|---|---|---|---|");
    let ours = all.iter().find(|one| one.name == "ours").map(Measured::figure);
    for one in all {
        let (least, most) = one.spread();
        let of = |what: fn(&Run) -> f64| median(&one.runs.iter().map(what).collect::<Vec<_>>());
        let lost: u64 = one.runs.iter().map(|run| run.lost).sum();
        let answered: u64 = one.runs.iter().map(|run| run.answered).sum();
        let ratio = match ours.filter(|_| one.name != "ours" && others.contains(&one.name.as_str()))
        {
            Some(ours) => format!("{:.2} of it", ours / one.figure()),
            None => String::new(),
        };
        println!(
            "| {} | {:.0} | {least:.0} to {most:.0} | {:.0} | {:.2} | {lost} of {} | {ratio} |",
            one.name,
            one.figure(),
            of(|run| run.answered as f64 / run.wall / 1_000.0),
            of(Run::busy),
            lost + answered,
        );
    }
    println!();
}
