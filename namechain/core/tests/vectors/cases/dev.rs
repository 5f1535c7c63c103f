//! The short times of the network `dev`.

use super::*;

/// The same operation on `dev`, where everything that it names is of that network.
fn on_dev(kind: u8, work: u64) -> Case {
    good(kind).op(|op| (op.net, op.genesis, op.work) = (DEV, genesis_id(DEV), work))
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (blocks, seconds, is_old) in [(1, 1, true), (0, 1, false), (1, 0, false)] {
        let case = on_dev(REGISTER, records_price(DEV, 15, 1_024)).commit(|c| {
            (c.height, c.time) = (H - blocks, T - seconds);
            let parts: [&[u8]; 3] = [&name_bytes("alice"), &public(OWNER), &SALT];
            c.commitment = hash(DEV, "commitment", &parts);
            c.work = registration(DEV, "alice", 1_024);
        });
        cases.push(judged(case, "commitment-young", "its Commit", (blocks, seconds), is_old));
        let case = on_dev(UPDATE, records_price(DEV, 20, 1_024))
            .entry(|entry| entry.registered = (H - blocks, T - seconds));
        cases.push(judged(case, "name-settling", "it was registered", (blocks, seconds), is_old));
    }
    for (blocks, seconds, is_old) in [(1, 2, true), (0, 2, false), (1, 1, false)] {
        let case = on_dev(ACCEPT, records_price(DEV, 0, 1_024)).entry(|entry| {
            entry.transfer = Some((public(RECIPIENT), OFFER, (H - blocks, T - seconds)));
        });
        cases.push(judged(case, "transfer-young", "the Transfer", (blocks, seconds), is_old));
    }
    cases.push(on_dev(CANCEL, rescue(DEV)).accepted("underpaid", "on dev"));
    cases.push(on_dev(RENEW, renewal(DEV, "alice")).accepted("underpaid", "on dev"));
    cases.push(on_dev(RENEW, renewal(DEV, "alice") - 1).refused("underpaid", "on dev, one less"));
    cases
}

fn judged(case: Case, rule: &'static str, what: &str, age: (u32, u64), is_old: bool) -> Case {
    let about = format!("on dev, {} blocks and {} s after {what}", age.0, age.1);
    if is_old { case.accepted(rule, &about) } else { case.refused(rule, &about) }
}
