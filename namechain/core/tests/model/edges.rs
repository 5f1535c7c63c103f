//! The times at which something in a state becomes due: where a rule says yes on one side and no on
//! the other.

use crate::{
    plain_map::{Model, Rows},
    plan::Step,
    prices::{DAY_S, Rules},
};

fn edges(rules: &Rules, rows: &Rows) -> Vec<u64> {
    let mut times = Vec::new();
    for e in rows.names.values() {
        let (settled, lease) = (e.registered.time + rules.settle.1, e.expires);
        times.extend([settled, lease - rules.lease / 4, lease, lease + rules.grace]);
        times.extend(e.transfer.map(|pending| pending.offered.time + rules.transfer.1));
        let rescues = [e.rescued.owner, e.rescued.recovery];
        times.extend(rescues.iter().filter(|used| **used > 0).map(|used| used + DAY_S));
    }
    for c in rows.commits.values() {
        times.extend([c.time + rules.commit.1, c.time + DAY_S]);
    }
    times
}

/// The time of a block that follows the tip by a step.
pub fn block_time(model: &Model, step: Step) -> u64 {
    let tip = model.tip();
    match step {
        Step::Seconds(seconds) => tip.time + seconds,
        Step::Edge(which, off) => {
            let mut times = edges(model.rules, &tip.rows);
            times.retain(|time| *time > tip.time);
            times.sort_unstable();
            let time =
                if times.is_empty() { tip.time + 1 } else { times[which.index(times.len())] };
            time.saturating_add_signed(off.into()).max(tip.time)
        }
    }
}
