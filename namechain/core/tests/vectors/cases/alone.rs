//! Signatures, stamps, anchors, validity, and what is paid: the same for every kind.

use super::*;

const ALL: [u8; 10] =
    [COMMIT, REGISTER, UPDATE, RENEW, TRANSFER, ACCEPT, CANCEL, RECOVER, REVOKE, PUBLISH];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in ALL {
        stamps(kind, &mut cases);
        if kind != COMMIT {
            signed(kind, &mut cases);
        }
    }
    signers(&mut cases);
    anchors(&mut cases);
    prices(&mut cases);
    cases
}

fn stamps(kind: u8, cases: &mut Vec<Case>) {
    let case = || good(kind);
    cases.extend([
        case()
            .op(|op| op.stamped = Stamped::Bad)
            .refused("stamp-work", "a nonce whose value is over the limit"),
        case().accepted("stamp-work", "a nonce whose value is not"),
        case().ctx(|ctx| ctx.anchor = None).refused("stamp-anchor", "the anchor is no ancestor"),
        case()
            .ctx(|ctx| ctx.anchor = Some((H - 721, T - 80_000, 1_024)))
            .refused("stamp-anchor", "the anchor is 721 blocks below"),
        case()
            .ctx(|ctx| ctx.anchor = Some((H - 720, T - DAY, 1_024)))
            .accepted("stamp-anchor", "the anchor is 720 blocks and 86,400 s below"),
        case()
            .ctx(|ctx| ctx.anchor = Some((H - 2, T - DAY - 1, 1_024)))
            .refused("stamp-anchor", "the anchor is two blocks and 86,401 s below"),
        case()
            .ctx(|ctx| ctx.anchor = Some((H - 1, T - 10 * DAY, 1_024)))
            .accepted("stamp-anchor", "the anchor is the parent, ten days older"),
        case().op(|op| op.work -= 1).refused("underpaid", "one expected hash less than the price"),
        case().accepted("underpaid", "the price"),
    ]);
}

fn signed(kind: u8, cases: &mut Vec<Case>) {
    let case = || good(kind);
    let until = |time: u64| case().op(move |op| op.valid_until = time);
    cases.extend([
        case()
            .op(|op| op.forge = |signature| signature[40] ^= 1)
            .refused("signature", "one bit of S is another"),
        case().op(|op| op.branch = BRANCH + 1).refused("signature", "signed for another branch"),
        case()
            .op(|op| op.genesis = genesis_id(MAIN))
            .refused("signature", "signed for the genesis block of main"),
        until(T - 1).refused("validity", "the last valid time is a second before the block"),
        until(T).accepted("validity", "the last valid time is that of the block"),
        until(T + DAY).accepted("validity", "the last valid time is a day after the block"),
        until(T + DAY + 1).refused("validity", "the last valid time is a day and a second after"),
        until(u64::MAX).refused("validity", "the last valid time is 2^64 - 1"),
    ]);
}

/// Signers that sign nothing.
fn signers(cases: &mut Vec<Case>) {
    let with = |signer: H32, forge: fn(&mut Vec<u8>)| {
        good(UPDATE)
            .op(move |op| (op.signer, op.forge) = (Some(signer), forge))
            .entry(move |entry| entry.owner = signer)
    };
    let mut two = [0; 32];
    two[0] = 2;
    let mut one = [0; 32];
    one[0] = 1;
    cases.extend([
        with(two, |_| {}).refused("signature", "the signer, who is the owner, is no point (y = 2)"),
        with([0xff; 32], |_| {}).refused("signature", "the signer is 32 bytes of ff"),
        // The neutral element: [S]B = R + [k]A holds for S = 0, R = A.
        with(one, |signature| {
            signature.fill(0);
            signature[0] = 1;
        })
        .refused("signature", "the signer is the neutral element, and so is R; S is 0"),
        good(UPDATE)
            .op(|op| op.forge = |signature| add_order(&mut signature[32..]))
            .refused("signature", "S plus the order of the group"),
        good(UPDATE)
            .op(|op| op.forge = |signature| signature.fill(0))
            .refused("signature", "64 bytes of 0"),
        // Any 32 bytes may be an owner, a recovery key, a recipient.
        good(RECOVER)
            .op(move |op| op.fields = [&two[..], &[1], &[0xff; 32]].concat())
            .sets(move |entry, op, ctx| {
                (entry.owner, entry.recovery) = (two, Some([0xff; 32]));
                (entry.title, entry.sequence, entry.transfer) = (op.subject(), 0, None);
                (entry.messaging, entry.messaging_sequence) = (None, 0);
                entry.rescued.1 = ctx.time;
            })
            .accepted("signature", "the new owner is no point, the recovery key 32 bytes of ff"),
        good(TRANSFER)
            .op(move |op| op.fields = [&4u32.to_be_bytes()[..], &one].concat())
            .sets(move |entry, op, ctx| {
                entry.sequence = 4;
                entry.transfer = Some((one, op.subject(), (ctx.height, ctx.time)));
            })
            .accepted("signature", "the recipient is of small order"),
    ]);
}

/// Adds the order of the group to a little-endian number.
pub fn add_order(number: &mut [u8]) {
    let order =
        hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0u16;
    for (byte, add) in number.iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = carry as u8;
        carry >>= 8;
    }
}

fn anchors(cases: &mut Vec<Case>) {
    let at = |below: u32, age: u64| {
        good(UPDATE).ctx(move |ctx| ctx.anchor = Some((H - below, T - age, 1_024)))
    };
    cases.extend([
        at(0, 0).refused("stamp-anchor", "the anchor has the block's own height"),
        at(1, 0).accepted("stamp-anchor", "the anchor is the parent, of the same time"),
        at(1, DAY + 1).accepted("stamp-anchor", "the anchor is the parent, 86,401 s older"),
        at(2, DAY).accepted("stamp-anchor", "the anchor is two blocks and 86,400 s below"),
        at(720, DAY + 1).refused("stamp-anchor", "the anchor is 720 blocks and 86,401 s below"),
        // A stamp covers what it claims.
        good(UPDATE)
            .op(|op| op.stamped = Stamped::Nonce(other_works_nonce()))
            .refused("stamp-work", "the nonce is good for the same stamp with the work 1"),
    ]);
}

/// A nonce that is good if 1 is claimed (any is), and not for what is claimed.
fn other_works_nonce() -> u64 {
    let op = good(UPDATE).op;
    let value = |nonce| work_value(TEST, 256, &op.stamp_password(nonce));
    (0..).find(|nonce| value(*nonce) > u128::MAX / u128::from(op.work)).unwrap()
}

fn prices(cases: &mut Vec<Case>) {
    // Multipliers: rounding up, and which operations follow which.
    for kind in [COMMIT, REGISTER, UPDATE, TRANSFER, ACCEPT, PUBLISH] {
        let base = good(kind).op.work;
        let p = 1_025;
        let price = scaled(base, p);
        let case = |work: u64| {
            good(kind).op(move |op| op.work = work).ctx(move |ctx| match kind {
                COMMIT => (ctx.names, ctx.anchor) = (p, Some((H - 61, T - 9_000, 1_024))),
                _ => ctx.bytes = p,
            })
        };
        let which = if kind == COMMIT { "name" } else { "byte" };
        let about = format!("the {which} price is 1,025/1,024, rounded up");
        let mut accepted = case(price).accepted("underpaid", &about);
        if kind == COMMIT {
            accepted.set = register::recorded_at(p);
        }
        cases.push(accepted);
        let about = format!("one less than the price at a {which} price of 1,025");
        cases.push(case(price - 1).refused("underpaid", &about));
        // The other multiplier does not count.
        let mut other = good(kind).ctx(move |ctx| match kind {
            COMMIT => ctx.bytes = 1 << 31,
            _ => ctx.names = 1 << 31,
        });
        other.set = if kind == COMMIT { register::recorded_at(1_024) } else { other.set };
        cases.push(other.accepted("underpaid", "the other multiplier is 2^31"));
    }
    for kind in [RENEW, CANCEL, RECOVER, REVOKE] {
        cases.push(
            good(kind)
                .ctx(|ctx| (ctx.names, ctx.bytes) = (1 << 31, 1 << 31))
                .accepted("underpaid", "both multipliers are 2^31, the price is fixed"),
        );
    }
    record_bytes(cases);
    rescues(cases);
    renewals(cases);
}

/// Steps of 512 bytes; the length field does not count.
fn record_bytes(cases: &mut Vec<Case>) {
    for n in [511, 512, 513, 4_096] {
        let update = |work| {
            good(UPDATE)
                .op(move |op| {
                    (op.fields, op.work) = (update_fields(4, &records_of(n)), work);
                })
                .sets(move |entry, _, _| (entry.sequence, entry.records) = (4, records_of(n)))
        };
        let price = records_price(TEST, n, 1_024);
        cases.push(update(price).accepted("underpaid", &format!("{n} bytes of records")));
        cases.push(update(price - 1).refused("underpaid", &format!("{n} bytes, one hash less")));
        let register = |work| {
            let mut case = good(REGISTER).op(move |op| {
                (op.fields, op.work) = (register_fields(Some(RECOVERY), &records_of(n)), work);
            });
            case.set = register::registered("alice", OWNER, Some(RECOVERY), records_of(n));
            case
        };
        cases.push(register(price).accepted("underpaid", &format!("{n} bytes of records")));
        cases.push(register(price - 1).refused("underpaid", &format!("{n} bytes, one hash less")));
    }
    let none = |work| {
        good(UPDATE)
            .op(move |op| (op.fields, op.work) = (update_fields(4, &[0, 0]), work))
            .sets(|entry, _, _| (entry.sequence, entry.records) = (4, vec![0, 0]))
    };
    cases.push(none(256).accepted("underpaid", "no records"));
    cases.push(none(255).refused("underpaid", "no records, one hash less"));
    let silent = |work| {
        good(PUBLISH)
            .op(move |op| (op.fields, op.work) = (publish_fields(4, None), work))
            .sets(|entry, _, _| (entry.sequence, entry.messaging) = (4, None))
    };
    cases.push(silent(256).accepted("underpaid", "no record"));
    cases.push(silent(255).refused("underpaid", "no record, one hash less"));
}

/// Once in 86,400 s for a role of a name the price is fixed.
fn rescues(cases: &mut Vec<Case>) {
    let fixed = rescue(TEST);
    let full = records_price(TEST, 0, 1_024);
    for (kind, seed, is_owner) in [
        (CANCEL, OWNER, true),
        (CANCEL, RECOVERY, false),
        (REVOKE, OWNER, true),
        (REVOKE, RECOVERY, false),
        (RECOVER, RECOVERY, false),
    ] {
        let role = if is_owner { "owner" } else { "recovery key" };
        // The other role's time is always recent: it does not count.
        let at = move |time: u64, work: u64, is_set: bool| {
            let before = if is_owner { (time, T - 1) } else { (T - 1, time) };
            let mut case = good(kind)
                .op(move |op| (op.seed, op.work) = (seed, work))
                .entry(move |entry| entry.rescued = before);
            let usual = effect(kind);
            case.set = Rc::new(move |state, op, ctx| {
                usual(state, op, ctx);
                let now = if is_set { ctx.time } else { time };
                name_of(state).rescued = if is_owner { (now, T - 1) } else { (T - 1, now) };
            });
            case
        };
        let word = |text: &str| format!("{text} by the {role}");
        cases.extend([
            at(0, fixed, true).accepted("underpaid", &word("the first rescue")),
            at(T - DAY, fixed, true).accepted("underpaid", &word("a rescue after 86,400 s")),
            at(T - DAY + 1, fixed, false)
                .refused("underpaid", &word("a rescue after 86,399 s at the fixed price")),
            at(T - DAY + 1, full - 1, false)
                .refused("underpaid", &word("a rescue after 86,399 s, one hash less")),
            at(T - DAY + 1, full, false)
                .accepted("underpaid", &word("a rescue after 86,399 s at the price of bytes")),
            at(0, full, true)
                .accepted("underpaid", &word("the first rescue, paid as a further one")),
        ]);
    }
    // One key in both roles counts as the owner's for Cancel and Revoke.
    for kind in [CANCEL, REVOKE] {
        cases.push(
            good(kind)
                .entry(|entry| (entry.recovery, entry.rescued) = (Some(public(OWNER)), (0, T - 1)))
                .accepted("underpaid", "one key is owner and recovery key: the owner's role"),
        );
    }
}

fn renewals(cases: &mut Vec<Case>) {
    for (name, work) in [("bobs", 32_768u64), ("alice", 4_096), ("alices", 512)] {
        let case = |work: u64| {
            good(RENEW)
                .op(move |op| (op.name, op.work) = (name_bytes(name), work))
                .entry(|entry| entry.name = name.into())
        };
        let about = format!("{} characters", name.len());
        cases.push(case(work).accepted("underpaid", &about));
        cases.push(case(work - 1).refused("underpaid", &format!("{about}, one hash less")));
    }
}
