//! Publish: what a messaging record must follow, and who signs it.

use super::*;

/// A Publish of a record under `alice`; `link` is the seed of the key that links it.
fn publish(message: Message, link: Option<u8>) -> Case {
    let signed = message.signed(TEST, &name_bytes("alice"), &TITLE, link);
    let is_linked = link.is_some();
    with_signed(signed, message, is_linked)
}

fn with_signed(signed: Vec<u8>, message: Message, is_linked: bool) -> Case {
    good(PUBLISH)
        .op(|op| {
            op.work = records_price(TEST, signed.len(), 1_024);
            op.fields = publish_fields(4, Some(&signed));
        })
        .sets(move |entry, _, ctx| {
            (entry.sequence, entry.messaging_sequence) = (4, message.sequence);
            entry.messaging = Some((message.encode(), is_linked, (ctx.height, ctx.time)));
        })
}

/// The record of key 21, which the one that stands announces.
fn next() -> Message {
    Message { identity: 21, next: next_key(TEST, 22), x25519: [21; 32], ..second_message() }
}

pub fn cases() -> Vec<Case> {
    [sequences(), signatures(), links(), shapes(), sizes()].concat()
}

fn sequences() -> Vec<Case> {
    let with = |stored: u32, sequence: u32| {
        publish(Message { sequence, ..second_message() }, None)
            .entry(move |entry| entry.messaging_sequence = stored)
    };
    let previous = |previous: H32| publish(Message { previous, ..second_message() }, None);
    let first = |previous: H32, stored: u32| {
        publish(Message { previous, sequence: stored + 1, ..second_message() }, None)
            .entry(move |entry| (entry.messaging, entry.messaging_sequence) = (None, stored))
    };
    vec![
        with(1, 1).refused("messaging-sequence", "1 was the last"),
        with(1, 2).accepted("messaging-sequence", "1 was the last, 2 is the next"),
        with(1, 3).refused("messaging-sequence", "2 is left out"),
        with(u32::MAX - 1, u32::MAX).accepted("messaging-sequence", "2^32 - 1 is the last"),
        with(u32::MAX, 0).refused("messaging-sequence", "0 after 2^32 - 1"),
        with(u32::MAX, u32::MAX).refused("messaging-sequence", "2^32 - 1 again"),
        first([0; 32], 0).accepted("messaging-previous", "the first under a title"),
        first([0; 32], 6).accepted("messaging-previous", "none stands, but others stood: zeros"),
        first(first_message().hash(TEST), 1)
            .refused("messaging-previous", "none stands, and it names one"),
        previous([0; 32]).refused("messaging-previous", "one stands, and it names none"),
        previous([9; 32]).refused("messaging-previous", "it names another"),
        previous(first_message().hash(DEV))
            .refused("messaging-previous", "it names the hash of another network"),
        previous(first_message().hash(TEST))
            .accepted("messaging-previous", "it names the one that stands"),
        good(PUBLISH)
            .op(|op| (op.fields, op.work) = (publish_fields(4, None), 256))
            .sets(|entry, _, _| (entry.sequence, entry.messaging) = (4, None))
            .accepted("effects", "without a record: none stands afterwards"),
        good(PUBLISH)
            .op(|op| (op.fields, op.work) = (publish_fields(4, None), 256))
            .entry(|entry| entry.messaging = None)
            .sets(|entry, _, _| entry.sequence = 4)
            .accepted("effects", "without a record where none stands"),
    ]
}

/// Where possession begins in what a Publish without locators carries.
const POSSESSION: usize = 168;

fn signatures() -> Vec<Case> {
    let name = name_bytes("alice");
    let forged = |signed: Vec<u8>| with_signed(signed, second_message(), false);
    let over = |name: &[u8], title: &H32| second_message().signed(TEST, name, title, None);
    let mut flipped = over(&name, &TITLE);
    flipped[POSSESSION + 40] ^= 1;
    let mut unreduced = over(&name, &TITLE);
    alone::add_order(&mut unreduced[POSSESSION + 32..POSSESSION + 64]);
    // The neutral element as the identity key: S = 0 and R the same would do without strictness.
    let mut neutral = over(&name, &TITLE);
    let identity_at = 1 + 1 + 4 + 32;
    neutral[identity_at..identity_at + 32].fill(0);
    neutral[identity_at] = 1;
    neutral[POSSESSION..POSSESSION + 64].fill(0);
    neutral[POSSESSION] = 1;
    let linked = next().signed(TEST, &name, &TITLE, Some(20));
    let link_at = POSSESSION + 64 + 1 + 32;
    let mut bad_link = linked.clone();
    bad_link[link_at + 40] ^= 1;
    // Each signature where the other belongs.
    let mut swapped = linked.clone();
    let other = sign(20, &next().signing_message(TEST, "possession", &name, &TITLE));
    swapped[link_at..].copy_from_slice(&other);
    let mut possessed = linked.clone();
    let other = sign(21, &next().signing_message(TEST, "link", &name, &TITLE));
    possessed[POSSESSION..POSSESSION + 64].copy_from_slice(&other);
    let mut other_title = linked.clone();
    let other = sign(20, &next().signing_message(TEST, "link", &name, &[0x12; 32]));
    other_title[link_at..].copy_from_slice(&other);
    let link = |signed: Vec<u8>| with_signed(signed, next(), true);
    vec![
        forged(flipped).refused("possession", "one bit of S is another"),
        forged(unreduced).refused("possession", "S plus the order of the group"),
        forged(neutral).refused("possession", "the identity key is the neutral element"),
        forged(over(&name_bytes("bobby"), &TITLE)).refused("possession", "of another name"),
        forged(over(&name, &[0x12; 32])).refused("possession", "of another title"),
        forged(over(&name, &TITLE)).accepted("possession", "of this name and title"),
        link(possessed).refused("possession", "the message of a link is signed"),
        link(bad_link).refused("link-signature", "one bit of S is another"),
        link(swapped).refused("link-signature", "the message of possession is signed"),
        link(other_title).refused("link-signature", "of another title"),
        link(linked).accepted("link-signature", "of this name and title"),
    ]
}

fn links() -> Vec<Case> {
    let stands = |case: Case, message: Message, is_linked: bool| {
        case.entry(move |entry| {
            let when = (150, T - 14_500_000);
            entry.messaging = Some((message.encode(), is_linked, when));
        })
    };
    let unannounced = Message { next: [0; 32], ..first_message() };
    let after_unannounced = Message { previous: unannounced.hash(TEST), ..next() };
    let own = Message { next: next_key(TEST, 20), ..first_message() };
    let after_own = Message { previous: own.hash(TEST), ..second_message() };
    let same = second_message();
    vec![
        publish(next(), Some(20)).accepted("link-identity", "by the key that stands"),
        publish(next(), Some(21)).refused("link-identity", "by the new key itself"),
        publish(next(), Some(STRANGER)).refused("link-identity", "by a stranger"),
        publish(Message { sequence: 1, previous: [0; 32], ..next() }, Some(20))
            .entry(|entry| (entry.messaging, entry.messaging_sequence) = (None, 0))
            .refused("link-identity", "none stands"),
        publish(Message { identity: 22, ..next() }, Some(20))
            .refused("link-announced", "key 21 was announced, key 22 comes"),
        stands(publish(after_unannounced.clone(), Some(20)), unannounced.clone(), false)
            .refused("link-announced", "none was announced"),
        publish(next(), Some(20)).accepted("link-announced", "key 21 was announced"),
        // Linked or not.
        publish(next(), None).accepted("effects", "a new key without a link: not linked"),
        stands(publish(after_unannounced, None), unannounced, true)
            .accepted("effects", "a new key without a link after a linked one: not linked"),
        stands(publish(same.clone(), None), first_message(), true)
            .sets(move |entry, _, ctx| {
                (entry.sequence, entry.messaging_sequence) = (4, 2);
                entry.messaging = Some((same.encode(), true, (ctx.height, ctx.time)));
            })
            .accepted("effects", "the same key stays as linked as it was"),
        stands(publish(after_own.clone(), Some(20)), own, false)
            .sets(move |entry, _, ctx| {
                (entry.sequence, entry.messaging_sequence) = (4, 2);
                entry.messaging = Some((after_own.encode(), false, (ctx.height, ctx.time)));
            })
            .accepted("effects", "a key that announces itself gains nothing by a link to itself"),
    ]
}

fn shapes() -> Vec<Case> {
    let locators = vec!["a".repeat(128), "!~".into(), "https://a.example/".into()];
    vec![
        publish(Message { locators, policy: 1, ..second_message() }, None)
            .accepted("effects", "three locators and the policy 1"),
        publish(Message { next: [0; 32], bundle: [3; 32], ..second_message() }, None)
            .accepted("effects", "no key is announced"),
    ]
}

/// Signed messaging records around a step of 512 bytes, with and without a link.
fn sizes() -> Vec<Case> {
    let mut cases = Vec::new();
    for n in [511, 512, 513] {
        for (message, link, shortest) in [(second_message(), None, 233), (next(), Some(20), 329)] {
            let message = Message { locators: locators(n - shortest), ..message };
            let signed = message.signed(TEST, &name_bytes("alice"), &TITLE, link);
            assert_eq!(signed.len(), n);
            let with = if link.is_some() { "with" } else { "without" };
            let about = format!("{n} bytes of a signed messaging record {with} a link");
            let case = publish(message, link);
            cases.push(case.clone().accepted("underpaid", &about));
            let less = case.op(|op| op.work -= 1);
            cases.push(less.refused("underpaid", &format!("{about}, one hash less")));
        }
    }
    cases
}

/// Locators that take this many bytes with their lengths.
fn locators(bytes: usize) -> Vec<String> {
    let (whole, rest) = (bytes / 129, bytes % 129);
    let last = (rest > 0).then(|| "b".repeat(rest - 1));
    std::iter::repeat_n("a".repeat(128), whole).chain(last).collect()
}
