//! Operations on a name that somebody has: what keeps them out.

use super::*;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in CHANGES {
        status(kind, &mut cases);
    }
    for kind in [UPDATE, TRANSFER, PUBLISH] {
        sequences(kind, &mut cases);
        for (seed, who) in [(RECOVERY, "the recovery key"), (STRANGER, "a stranger")] {
            cases.push(good(kind).op(|op| op.seed = seed).refused("not-owner", who));
        }
        cases.push(good(kind).accepted("not-owner", "the owner"));
    }
    for kind in [RENEW, CANCEL, REVOKE] {
        cases.push(good(kind).op(|op| op.seed = STRANGER).refused("not-keyholder", "a stranger"));
        cases.push(
            good(kind)
                .op(|op| op.seed = RECOVERY)
                .entry(|entry| entry.recovery = None)
                .refused("not-keyholder", "a key that was never a recovery key"),
        );
        cases.push(good(kind).accepted("not-keyholder", "the owner"));
        let mut by_recovery = good(kind).op(|op| op.seed = RECOVERY);
        if kind != RENEW {
            let usual = effect(kind);
            by_recovery.set = Rc::new(move |state, op, ctx| {
                usual(state, op, ctx);
                name_of(state).rescued = (0, ctx.time);
            });
        }
        cases.push(by_recovery.accepted("not-keyholder", "the recovery key"));
    }
    recoveries(&mut cases);
    renewals(&mut cases);
    transfers(&mut cases);
    cases
}

/// What status and title say to each kind.
fn status(kind: u8, cases: &mut Vec<Case>) {
    let with = |change: fn(&mut NameE)| good(kind).entry(change);
    // A Renew names the end of the lease.
    let ending = |expires: u64| {
        good(kind).entry(move |entry| entry.expires = expires).op(move |op| {
            if kind == RENEW {
                op.fields = expires.to_be_bytes().to_vec();
            }
        })
    };
    let in_grace = matches!(kind, RENEW | CANCEL | RECOVER | REVOKE);
    cases.extend([
        good(kind).state(|state| state.clear()).refused("name-unregistered", "nobody has it"),
        ending(T - GRACE).refused("name-unregistered", "it is released and not removed yet"),
        ending(T - 1).accepted("name-in-grace", "a second after the lease"),
        ending(T - GRACE + 1).accepted("name-unregistered", "the last second of the grace"),
        ending(T + 1).accepted("name-in-grace", "the last second of the lease"),
        ending(T).accepted("name-in-grace", "the first second of the grace"),
        with(|e| e.registered = (H - 29, T - 90_000))
            .refused("name-settling", "29 blocks after it was registered"),
        with(|e| e.registered = (H - 700, T - 3_599))
            .refused("name-settling", "3,599 s after it was registered"),
        with(|e| e.registered = (H - 30, T - 3_600))
            .accepted("name-settling", "30 blocks and 3,600 s after it was registered"),
        with(|e| e.revoked = true).refused("name-revoked", "it is revoked"),
        with(|e| e.title = [0x12; 32]).refused("title", "the title is another"),
        good(kind)
            .op(|op| op.reference = [0; 32])
            .refused("title", "the operation names a title of zeros"),
        good(kind).accepted("title", "the present title"),
    ]);
    if kind == RECOVER {
        // The exception: a revoked name can be recovered.
        cases.retain(|case| !(case.op.kind == RECOVER && case.rule == "name-revoked"));
        cases.push(
            with(|e| (e.revoked, e.records) = (true, vec![0, 0]))
                .accepted("name-revoked", "it is revoked, in its lease"),
        );
        cases.push(
            ending(T - GRACE + 1)
                .entry(|e| e.revoked = true)
                .accepted("name-revoked", "it is revoked, in the last second of its grace"),
        );
    } else {
        cases.push(
            ending(T - GRACE + 1)
                .entry(|e| e.revoked = true)
                .refused("name-revoked", "it is revoked, in its grace"),
        );
    }
    if !in_grace {
        // What is only for the lease is refused in the grace.
        for case in cases.iter_mut().filter(|case| case.op.kind == kind) {
            let expires = name_entry(case).map_or(0, |entry| entry.expires);
            let is_in_grace = expires <= T && T < expires + GRACE;
            if is_in_grace && !case.is_refused {
                (case.rule, case.is_refused) = ("name-in-grace", true);
            }
        }
    }
}

fn name_entry(case: &Case) -> Option<&NameE> {
    case.state.iter().find_map(|entry| match entry {
        E::Name(name) => Some(name),
        E::Commit(_) => None,
    })
}

fn sequences(kind: u8, cases: &mut Vec<Case>) {
    let with = |stored: u32, sequence: u32| {
        let mut case = good(kind)
            .entry(move |entry| entry.sequence = stored)
            .op(move |op| op.fields[..4].copy_from_slice(&sequence.to_be_bytes()));
        let usual = effect(kind);
        case.set = Rc::new(move |state, op, ctx| {
            usual(state, op, ctx);
            name_of(state).sequence = sequence;
        });
        case
    };
    cases.extend([
        with(3, 3).refused("sequence", "3 was the last"),
        with(3, 4).accepted("sequence", "3 was the last, 4 is the next"),
        with(3, 5).refused("sequence", "4 is left out"),
        with(3, 0).refused("sequence", "0 after 3"),
        with(0, 1).accepted("sequence", "the first under a title is 1"),
        with(0, 0).refused("sequence", "the first under a title is not 0"),
        with(u32::MAX - 1, u32::MAX).accepted("sequence", "2^32 - 1 is the last"),
        with(u32::MAX, 0).refused("sequence", "0 after 2^32 - 1"),
        with(u32::MAX, u32::MAX).refused("sequence", "2^32 - 1 again"),
    ]);
}

fn recoveries(cases: &mut Vec<Case>) {
    cases.extend([
        good(RECOVER).op(|op| op.seed = OWNER).refused("not-recovery", "the owner"),
        good(RECOVER).op(|op| op.seed = STRANGER).refused("not-recovery", "a stranger"),
        good(RECOVER)
            .entry(|entry| entry.recovery = None)
            .refused("not-recovery", "there is no recovery key"),
        good(RECOVER).accepted("not-recovery", "the recovery key"),
        good(RECOVER)
            .entry(|entry| (entry.owner, entry.recovery) = (public(OWNER), Some(public(OWNER))))
            .op(|op| op.seed = OWNER)
            .accepted("not-recovery", "one key is owner and recovery key"),
        // Nothing that an owner key signs keeps it out.
        good(RECOVER)
            .entry(|entry| entry.sequence = u32::MAX)
            .accepted("not-recovery", "the last sequence number is used up"),
        good(RECOVER)
            .op(|op| op.fields = to_fields(&public(7), None))
            .sets(|entry, op, ctx| {
                (entry.owner, entry.recovery) = (public(7), None);
                (entry.title, entry.sequence, entry.transfer) = (op.subject(), 0, None);
                (entry.messaging, entry.messaging_sequence) = (None, 0);
                entry.rescued.1 = ctx.time;
            })
            .accepted("effects", "without a recovery key afterwards"),
    ]);
}

fn renewals(cases: &mut Vec<Case>) {
    let ends = |expires: u64, named: u64| {
        good(RENEW)
            .entry(move |entry| entry.expires = expires)
            .op(move |op| op.fields = named.to_be_bytes().to_vec())
    };
    let first = T + LEASE / 4;
    cases.extend([
        ends(first, first).accepted("renew-early", "the last quarter begins"),
        ends(first + 1, first + 1).refused("renew-early", "a second before the last quarter"),
        ends(first + LEASE, first + LEASE).refused("renew-early", "renewed before"),
        ends(first, first - 1).refused("renew-expires", "it names a second less"),
        ends(first, first + 1).refused("renew-expires", "it names a second more"),
        ends(first, first + LEASE).refused("renew-expires", "it names the lease after"),
        ends(first, first).accepted("renew-expires", "it names the end of the lease"),
    ]);
}

fn transfers(cases: &mut Vec<Case>) {
    let offered = |blocks: u32, seconds: u64| {
        good(ACCEPT).entry(move |entry| {
            entry.transfer = Some((public(RECIPIENT), OFFER, (H - blocks, T - seconds)));
        })
    };
    cases.extend([
        good(TRANSFER)
            .entry(|entry| entry.transfer = alice().transfer)
            .refused("transfer-pending", "one waits"),
        good(TRANSFER).accepted("transfer-pending", "none waits"),
        offered(9, 10 * DAY).refused("transfer-young", "9 blocks after the Transfer"),
        offered(10, DAY - 1).refused("transfer-young", "10 blocks and 86,399 s after it"),
        offered(10, DAY).accepted("transfer-young", "10 blocks and 86,400 s after it"),
        offered(0, 2 * DAY).refused("transfer-young", "in its block, were that a day long"),
        good(ACCEPT).op(|op| op.seed = OWNER).refused("not-recipient", "the owner"),
        good(ACCEPT).op(|op| op.seed = RECOVERY).refused("not-recipient", "the recovery key"),
        good(ACCEPT).op(|op| op.seed = STRANGER).refused("not-recipient", "a stranger"),
        good(ACCEPT).accepted("not-recipient", "the recipient"),
        good(ACCEPT)
            .op(|op| op.fields = to_fields(&OFFER, None))
            .sets(|entry, op, _| {
                (entry.owner, entry.recovery) = (public(RECIPIENT), None);
                (entry.title, entry.sequence, entry.transfer) = (op.subject(), 0, None);
                (entry.records, entry.messaging, entry.messaging_sequence) = (vec![0, 0], None, 0);
            })
            .accepted("effects", "without a recovery key afterwards"),
    ]);
    for kind in [ACCEPT, CANCEL] {
        cases.extend([
            good(kind)
                .entry(|entry| entry.transfer = None)
                .refused("transfer-missing", "none waits"),
            good(kind).accepted("transfer-missing", "one waits"),
            good(kind)
                .op(|op| op.fields[..32].fill(0x23))
                .refused("transfer-other", "it names another transfer"),
            good(kind).accepted("transfer-other", "it names the one that waits"),
        ]);
    }
}
