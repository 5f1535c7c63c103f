//! The ends of heights and times: sums stop there, differences may be below zero (section 1.1).

use super::*;

const LAST_H: u32 = u32::MAX;
const LAST_T: u64 = u64::MAX;

pub fn cases() -> Vec<Case> {
    [heights(), times(), leases(), commits(), beginnings()].concat()
}

/// An operation in a block of this height and time, anchored to its parent, on a name that was
/// registered long before and whose lease is as long as can be.
fn late(kind: u8, height: u32, time: u64) -> Case {
    let case = good(kind)
        .ctx(|ctx| {
            (ctx.height, ctx.time) = (height, time);
            ctx.anchor = Some((height - 1, time - 9, 1_024));
        })
        .op(|op| op.valid_until = time.saturating_add(3_600));
    if kind == REGISTER {
        return case.commit(|c| (c.height, c.time) = (height - 10, time - 600));
    }
    case.entry(|entry| {
        (entry.registered, entry.updated) = ((100, time - DAY), (200, time - DAY));
        entry.expires = LAST_T;
    })
}

/// What takes a number of blocks is over at the last height, if not before.
fn heights() -> Vec<Case> {
    let update =
        |height| late(UPDATE, height, T).entry(|entry| entry.registered = (LAST_H - 10, T - 9_000));
    let register =
        |height| late(REGISTER, height, T).commit(|c| (c.height, c.time) = (LAST_H - 5, T - 9_000));
    let accept = |height| {
        late(ACCEPT, height, T).entry(|entry| {
            entry.transfer = Some((public(RECIPIENT), OFFER, (LAST_H - 5, T - 2 * DAY)));
        })
    };
    let last = "at height 2^32 - 1";
    let before = "at height 2^32 - 2";
    vec![
        update(LAST_H)
            .accepted("name-settling", &format!("10 blocks after it was registered, {last}")),
        update(LAST_H - 1)
            .refused("name-settling", &format!("9 blocks after it was registered, {before}")),
        register(LAST_H)
            .accepted("commitment-young", &format!("5 blocks after its Commit, {last}")),
        register(LAST_H - 1)
            .refused("commitment-young", &format!("4 blocks after its Commit, {before}")),
        accept(LAST_H).accepted("transfer-young", &format!("5 blocks after the Transfer, {last}")),
        accept(LAST_H - 1)
            .refused("transfer-young", &format!("4 blocks after the Transfer, {before}")),
    ]
}

/// What takes a time.
fn times() -> Vec<Case> {
    let time = LAST_T - 1;
    let near = LAST_T - 100;
    let full = records_price(TEST, 0, 1_024);
    let rescued = |work| {
        late(CANCEL, H, time)
            .op(move |op| op.work = work)
            .entry(move |entry| entry.rescued.0 = near)
    };
    vec![
        late(UPDATE, H, time)
            .entry(move |entry| entry.registered = (H - 700, near))
            .refused("name-settling", "99 s after it was registered, at the time 2^64 - 2"),
        late(ACCEPT, H, time)
            .entry(move |entry| {
                entry.transfer = Some((public(RECIPIENT), OFFER, (H - 700, near)));
            })
            .refused("transfer-young", "99 s after the Transfer, at the time 2^64 - 2"),
        rescued(rescue(TEST))
            .refused("underpaid", "a rescue after 99 s at the fixed price, at the time 2^64 - 2"),
        rescued(full)
            .sets(|entry, _, _| entry.transfer = None)
            .accepted("underpaid", "a rescue after 99 s at the price of bytes, at 2^64 - 2"),
        late(UPDATE, H, near)
            .op(|op| op.valid_until = LAST_T)
            .accepted("validity", "the last valid time is 2^64 - 1, 100 s after the block"),
        late(UPDATE, H, near)
            .op(|op| op.valid_until = near - 1)
            .refused("validity", "the last valid time is a second before, near 2^64 - 1"),
    ]
}

fn leases() -> Vec<Case> {
    let ends = |kind, time| {
        let expires = LAST_T - 1_000;
        late(kind, H, time).entry(move |entry| entry.expires = expires).op(move |op| {
            if kind == RENEW {
                op.fields = expires.to_be_bytes().to_vec();
            }
        })
    };
    let taken = |time| {
        late(REGISTER, H, time).state(move |state| {
            let expires = LAST_T - 1_000;
            state.push(E::Name(NameE { expires, registered: (100, 100), ..alice() }));
        })
    };
    vec![
        ends(RENEW, LAST_T - 2_000)
            .sets(|entry, _, _| entry.expires = LAST_T)
            .accepted("effects", "the lease ends at 2^64 - 1, as no later time has a number"),
        ends(RENEW, LAST_T - 1)
            .sets(|entry, _, _| entry.expires = LAST_T)
            .accepted("name-in-grace", "the grace ends at 2^64 - 1: the second before"),
        ends(UPDATE, LAST_T - 1)
            .refused("name-in-grace", "the grace ends at 2^64 - 1: the second before"),
        ends(RENEW, LAST_T).refused("name-unregistered", "the grace ends at 2^64 - 1: its end"),
        late(UPDATE, H, LAST_T)
            .refused("name-unregistered", "lease and grace end at 2^64 - 1: their end"),
        taken(LAST_T - 1).refused("name-taken", "the grace ends at 2^64 - 1: the second before"),
        taken(LAST_T).accepted("name-taken", "the grace ends at 2^64 - 1: its end"),
        late(REGISTER, H, LAST_T - 100)
            .accepted("effects", "at 2^64 - 101: the lease ends at 2^64 - 1"),
    ]
}

fn commits() -> Vec<Case> {
    let aged =
        |time: u64| late(REGISTER, H, time).commit(|c| (c.height, c.time) = (H - 10, LAST_T - 300));
    vec![
        aged(LAST_T).accepted("commitment-young", "300 s after its Commit, at the time 2^64 - 1"),
        aged(LAST_T - 1).refused("commitment-young", "299 s after its Commit, at 2^64 - 2"),
    ]
}

/// Near the beginning of time the last quarter of a lease begins before it.
fn beginnings() -> Vec<Case> {
    let first = good(RENEW)
        .ctx(|ctx| (ctx.time, ctx.anchor) = (4_000, Some((H - 1, 3_990, 1_024))))
        .op(|op| (op.valid_until, op.fields) = (4_000, 5_000u64.to_be_bytes().to_vec()))
        .entry(|entry| {
            (entry.registered, entry.updated, entry.expires) = ((1, 0), (1, 0), 5_000);
        });
    vec![first.accepted("renew-early", "the last quarter of the lease begins below the time 0")]
}
