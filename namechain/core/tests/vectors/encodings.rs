//! What decodes and what does not: each field out of its range, order, duplicates, spare bytes.

use serde_json::{Value, json};

use super::{cases::alice, operation::*, page::*, wire::example};

struct Cases(Vec<Value>);

impl Cases {
    fn add(&mut self, what: &str, about: &str, bytes: &[u8], is_valid: bool) {
        self.0.push(json!({
            "what": what,
            "about": about,
            "bytes": hex::encode(bytes),
            "valid": is_valid,
        }));
    }
}

fn names(cases: &mut Cases) {
    let long = "a".repeat(63);
    let all = "abcdefghijklmnopqrstuvwxyz-0123456789";
    for name in [all, "abc", "a-b", "0x0", "000", "a--b", "x--y", "xn--a", "xn--", &long] {
        // "xn--" ends with a hyphen.
        cases.add("name", name, &name_bytes(name), !name.ends_with('-'));
    }
    let too_long = "a".repeat(64);
    for name in [
        "", "a", "ab", &too_long, "Abc", "abC", "a.b", "a_b", "a b", "-ab", "ab-", "ab--c", "xm--a",
    ] {
        cases.add("name", name, &name_bytes(name), false);
    }
    for (about, bytes) in [
        ("a byte of 0x60", &b"\x03a\x60b"[..]),
        ("a byte of 0x7b", b"\x03a\x7bb"),
        ("a byte of 0x2f", b"\x03a\x2fb"),
        ("a byte of 0x3a", b"\x03a\x3ab"),
        ("a zero byte", b"\x03a\x00b"),
        ("a byte of 0xff", b"\x03a\xffb"),
        ("two bytes of UTF-8", b"\x04ab\xc3\xa9"),
        ("shorter than its length", b"\x04abc"),
        ("longer than its length", b"\x03abcd"),
        ("no bytes", b""),
    ] {
        cases.add("name", about, bytes, false);
    }
}

/// Records of which each byte string is one record.
fn record_sets(cases: &mut Cases) {
    let a = |owner: &[u8], rdata: &[u8]| record(owner, 1, 300, rdata);
    let mut set = |about: &str, all: &[Vec<u8>], is_valid: bool| {
        cases.add("records", about, &records(all), is_valid);
    };
    set("none", &[], true);
    set("one", &[a(b"\0", &[1])], true);
    set("without rdata", &[a(b"\0", &[])], true);
    set("two in order", &[a(b"\0", &[1]), a(b"\0", &[2])], true);
    set("two out of order", &[a(b"\0", &[2]), a(b"\0", &[1])], false);
    set("two alike", &[a(b"\0", &[1]), a(b"\0", &[1])], false);
    set(
        "alike but for the ttl",
        &[record(b"\0", 1, 300, &[1]), record(b"\0", 1, 301, &[1])],
        false,
    );
    set(
        "one owner and type, two ttls",
        &[record(b"\0", 1, 300, &[1]), record(b"\0", 1, 301, &[2])],
        false,
    );
    set("two types, two ttls", &[record(b"\0", 1, 300, &[1]), record(b"\0", 2, 301, &[1])], true);
    set(
        "two owners, two ttls",
        &[record(b"\0", 1, 300, &[1]), record(b"\x01a\0", 1, 301, &[1])],
        true,
    );
    set(
        "types in order of numbers",
        &[record(b"\0", 255 + 1, 1, &[]), record(b"\0", 513, 1, &[])],
        true,
    );
    set("types out of order", &[record(b"\0", 16, 1, &[]), record(b"\0", 1, 1, &[])], false);
    set("a prefix of rdata first", &[a(b"\0", &[1]), a(b"\0", &[1, 0])], true);
    set("a prefix of rdata last", &[a(b"\0", &[1, 0]), a(b"\0", &[1])], false);
    set("rdata sorts without its length", &[a(b"\0", &[0, 0xff]), a(b"\0", &[1])], true);
    set("rdata in the order of its length", &[a(b"\0", &[1]), a(b"\0", &[0, 0xff])], false);
    set("rdata is compared as unsigned bytes", &[a(b"\0", &[0x7f]), a(b"\0", &[0x80])], true);
    // By the bytes as they stand: \x01b before \x02a, though "a" sorts before "b".
    set("owners sort by their length bytes", &[a(b"\x01b\0", &[1]), a(b"\x02aa\0", &[1])], true);
    set("owners in the order of DNSSEC", &[a(b"\x02aa\0", &[1]), a(b"\x01b\0", &[1])], false);
    set("a parent before its child", &[a(b"\x01b\0", &[1]), a(b"\x01b\x01a\0", &[1])], true);
    set("a child before its parent", &[a(b"\x01b\x01a\0", &[1]), a(b"\x01b\0", &[1])], false);
    set(
        "rdata of the first sorts after type",
        &[record(b"\0", 1, 1, &[9]), record(b"\0", 2, 1, &[1])],
        true,
    );
    for number in [0u16, 6, 41, 46, 47, 48, 50, 51, 128, 200, 249, 250, 252, 255] {
        set(&format!("type {number}"), &[record(b"\0", number, 300, &[])], false);
    }
    for number in [1u16, 2, 5, 7, 40, 42, 43, 45, 49, 52, 127, 256, 65_280, 65_535] {
        set(&format!("type {number}"), &[record(b"\0", number, 300, &[])], true);
    }
    set("a ttl of 2^31 - 1", &[record(b"\0", 1, (1 << 31) - 1, &[])], true);
    set("a ttl of 2^31", &[record(b"\0", 1, 1 << 31, &[])], false);
    set("a ttl of 0", &[record(b"\0", 1, 0, &[])], true);
    owners(cases);
    lengths(cases);
}

fn owners(cases: &mut Cases) {
    let mut owner = |about: &str, owner: &[u8], is_valid: bool| {
        cases.add("records", about, &records(&[record(owner, 1, 300, &[1])]), is_valid);
    };
    for byte in [0u8, b' ', b'.', b'*', b'_', 0x40, 0x5b, b'a', 0x7f, 0x80, 0xc3, 0xff] {
        owner(&format!("a label with the byte {byte:#04x}"), &[1, byte, 0], true);
    }
    for byte in [b'A', b'M', b'Z'] {
        owner(&format!("a label with the byte {byte:#04x}"), &[1, byte, 0], false);
    }
    let label = |size: usize| [&[size as u8][..], &vec![b'a'; size]].concat();
    owner("a label of 63", &[label(63), vec![0]].concat(), true);
    owner("a label of 64", &[label(64), vec![0]].concat(), false);
    owner("a compression pointer", &[0xc0, 0x00, 0], false);
    let longest = [label(63), label(63), label(47), vec![0]].concat();
    owner("177 bytes", &longest, true);
    let longer = [label(63), label(63), label(48), vec![0]].concat();
    owner("178 bytes", &longer, false);
    owner("88 labels of one byte", &[[1, b'a'].repeat(88), vec![0]].concat(), true);
    owner("89 labels of one byte", &[[1, b'a'].repeat(89), vec![0]].concat(), false);
}

fn lengths(cases: &mut Cases) {
    cases.add("records", "4,096 bytes", &records_of(4_096), true);
    cases.add("records", "4,097 bytes", &records_of(4_097), false);
    let good = one_record();
    let with = |at: usize, add: i16| {
        let mut bytes = good.clone();
        let value = u16::from_be_bytes([bytes[at], bytes[at + 1]]).wrapping_add_signed(add);
        bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
        bytes
    };
    cases.add("records", "a length of one less", &with(0, -1), false);
    cases.add("records", "a length of one more", &with(0, 1), false);
    cases.add("records", "an rdata length of one less", &with(9, -1), false);
    cases.add("records", "an rdata length of one more", &with(9, 1), false);
    cases.add("records", "a byte after them", &[&good[..], &[0]].concat(), false);
    cases.add(
        "records",
        "a record cut in its ttl",
        &[&[0, 5][..], &[0, 0, 1, 0, 0]].concat(),
        false,
    );
    cases.add("records", "one byte", &[0], false);
}

fn messages(cases: &mut Cases) {
    let message = Message {
        sequence: 1,
        previous: [0; 32],
        identity: 20,
        next: [0; 32],
        x25519: [0; 32],
        bundle: [0; 32],
        locators: vec![],
        policy: 0,
    };
    let signed = |message: &Message| message.signed(MAIN, &name_bytes("alice"), &[1; 32], None);
    let good = signed(&message);
    cases.add("messaging", "without a link", &good, true);
    let linked = message.signed(MAIN, &name_bytes("alice"), &[1; 32], Some(20));
    cases.add("messaging", "with a link", &linked, true);
    let mut with = |about: &str, at: usize, value: u8, is_valid: bool| {
        let mut bytes = good.clone();
        bytes[at] = value;
        cases.add("messaging", about, &bytes, is_valid);
    };
    with("version 0", 0, 0, false);
    with("version 2", 0, 2, false);
    with("flags 1", 1, 1, false);
    with("flags 128", 1, 128, false);
    with("policy 1", 167, 1, true);
    with("policy 2", 167, 2, false);
    with("policy 255", 167, 255, false);
    with("an optional of 2", good.len() - 1, 2, false);
    with("an optional of 1 and nothing", good.len() - 1, 1, false);
    with("4 locators are counted", 166, 4, false);
    with("1 locator is counted, of 0 bytes", 166, 1, false);
    for (locators, is_valid) in [
        (vec!["a".to_owned()], true),
        (vec!["a".repeat(128)], true),
        (vec!["a".repeat(129)], false),
        (vec![String::new()], false),
        (vec!["!".into(), "~".into(), "a".into()], true),
        (vec!["a".into(), "a".into(), "a".into()], true),
        (vec!["a".into(); 4], false),
        (vec!["a b".into()], false),
        (vec!["a\u{7f}".into()], false),
        (vec!["é".into()], false),
    ] {
        let about = format!("locators {locators:?}");
        let about = if about.len() > 60 {
            format!("{} locators, the first of {} bytes", locators.len(), locators[0].len())
        } else {
            about
        };
        cases.add("messaging", &about, &signed(&Message { locators, ..message.clone() }), is_valid);
    }
    cases.add("messaging", "a byte more", &[&good[..], &[0]].concat(), false);
    for end in [0, 1, 5, 100, 166, 167, 168, 231, 232] {
        cases.add("messaging", &format!("cut to {end} bytes"), &good[..end], false);
    }
}

fn operations(cases: &mut Cases) {
    for kind in COMMIT..=PUBLISH {
        let good = example(kind).bytes();
        let what = label(kind);
        cases.add("operation", what, &good, true);
        cases.add("operation", &format!("{what} and a byte"), &[&good[..], &[0]].concat(), false);
        cases.add("operation", &format!("{what} less a byte"), &good[..good.len() - 1], false);
        let mut unpaid = good.clone();
        let at = good.len() - 16;
        unpaid[at..at + 8].fill(0);
        cases.add("operation", &format!("{what} with the work 0"), &unpaid, false);
        unpaid[at + 7] = 1;
        cases.add("operation", &format!("{what} with the work 1"), &unpaid, true);
        unpaid[at..at + 8].fill(0xff);
        cases.add("operation", &format!("{what} with the work 2^64 - 1"), &unpaid, true);
    }
    for kind in [0u8, 11, 12, 128, 255] {
        let mut bytes = example(REVOKE).bytes();
        bytes[0] = kind;
        cases.add("operation", &format!("kind {kind}"), &bytes, false);
    }
    // Where the optional fields begin: kind, name, reference, valid until, signer.
    let fields = 1 + 14 + 32 + 8 + 32;
    for (kind, at) in
        [(REGISTER, fields), (ACCEPT, fields + 32), (RECOVER, fields + 32), (PUBLISH, fields + 4)]
    {
        let mut bytes = example(kind).bytes();
        bytes[at] = 2;
        cases.add("operation", &format!("{} with an optional of 2", label(kind)), &bytes, false);
    }
    let mut named = example(UPDATE);
    named.name = name_bytes("ab");
    cases.add("operation", "update of a name of two characters", &named.bytes(), false);
    named.name = name_bytes("Alice");
    cases.add("operation", "update of a name in upper case", &named.bytes(), false);
    let unsorted = [record(b"\0", 1, 300, &[2]), record(b"\0", 1, 300, &[1])];
    let mut update = example(UPDATE);
    update.fields = [&1u32.to_be_bytes()[..], &records(&unsorted)].concat();
    cases.add("operation", "update with records out of order", &update.bytes(), false);
    let mut reserved = example(UPDATE);
    reserved.name = name_bytes("com");
    cases.add(
        "operation",
        "update of a reserved name: that is another rule",
        &reserved.bytes(),
        true,
    );
}

fn blocks(cases: &mut Cases) {
    let head = Head { height: 1, ..genesis(MAIN) };
    let op = example(REVOKE).bytes();
    let good = block(&head, &[op.clone(), op.clone()]);
    cases.add("block", "two operations", &good, true);
    cases.add("block", "no operations", &block(&head, &[]), true);
    let mut count = |about: &str, number: u32, is_valid: bool| {
        let mut bytes = good.clone();
        bytes[168..172].copy_from_slice(&number.to_be_bytes());
        cases.add("block", about, &bytes, is_valid);
    };
    count("one operation is counted, two are there", 1, false);
    count("three operations are counted, two are there", 3, false);
    count("2^32 - 1 operations are counted", u32::MAX, false);
    cases.add("block", "a header alone", &head.encode(), false);
    cases.add("block", "cut in the header", &head.encode()[..167], false);
    cases.add("block", "cut in an operation", &good[..good.len() - 1], false);
    cases.add("block", "a byte more", &[&good[..], &[0]].concat(), false);
    let ones = [vec![0xff; 168], vec![0; 4]].concat();
    cases.add("block", "a header of ones: any 168 bytes are a header", &ones, true);
}

fn entries(cases: &mut Cases) {
    let name = E::Name(alice()).encode();
    cases.add("entry", "a name", &name, true);
    cases.add("entry", "a name and a byte", &[&name[..], &[0]].concat(), false);
    cases.add("entry", "a name less a byte", &name[..name.len() - 1], false);
    let commit = [vec![2], vec![0; 92], vec![0]].concat();
    let mut with = |about: &str, bytes: &[u8], at: usize, value: u8, is_valid: bool| {
        let mut bytes = bytes.to_vec();
        bytes[at] = value;
        cases.add("entry", about, &bytes, is_valid);
    };
    with("kind 0", &name, 0, 0, false);
    with("kind 3", &name, 0, 3, false);
    with("a commit of kind 0", &commit, 0, 0, false);
    with("a commit of kind 3", &commit, 0, 3, false);
    with("a commit, not spent", &commit, 93, 0, true);
    with("a commit, spent", &commit, 93, 1, true);
    with("a commit, spent = 2", &commit, 93, 2, false);
    // kind, name, owner, recovery key, title, sequence, three places, expires.
    let revoked = 1 + 6 + 32 + 33 + 32 + 4 + 12 + 8 + 12 + 8;
    with("revoked = 1", &name, revoked, 1, true);
    with("revoked = 2", &name, revoked, 2, false);
    with("a transfer of 2", &name, revoked + 1 + 16, 2, false);
    let linked = name.len() - 4 - 12 - 1;
    with("linked = 1", &name, linked, 1, true);
    with("linked = 2", &name, linked, 2, false);
    with("a messaging record of another version", &name, linked - 168, 2, false);
}

fn varints(cases: &mut Cases) {
    for (about, bytes, fits_64, fits_128) in [
        ("0", &[0][..], true, true),
        ("127", &[0x7f], true, true),
        ("128", &[0x80, 1], true, true),
        ("0 in two bytes", &[0x80, 0], false, false),
        ("127 in two bytes", &[0xff, 0], false, false),
        ("16,384", &[0x80, 0x80, 1], true, true),
        ("no bytes", &[], false, false),
        ("no last byte", &[0x80], false, false),
        ("2^64 - 1", &[&[0xff; 9][..], &[1]].concat(), true, true),
        ("2^64", &[&[0x80; 9][..], &[2]].concat(), false, true),
        ("2^128 - 1", &[&[0xff; 18][..], &[3]].concat(), false, true),
        ("2^128", &[&[0x80; 18][..], &[4]].concat(), false, false),
        ("20 bytes", &[&[0x80; 19][..], &[1]].concat(), false, false),
        ("two numbers", &[1, 1], false, false),
    ] {
        cases.add("varint-64", about, bytes, fits_64);
        cases.add("varint-128", about, bytes, fits_128);
    }
}

pub fn encodings() -> Value {
    let mut cases = Cases(Vec::new());
    names(&mut cases);
    record_sets(&mut cases);
    messages(&mut cases);
    operations(&mut cases);
    blocks(&mut cases);
    entries(&mut cases);
    varints(&mut cases);
    json!({
        "about": "Bytes and whether they are the encoding of something: a name with its length, a records field, a signed messaging \
                  record, an operation, a block, an entry, a varint of 64 or 128 bits. Nothing is judged but the encoding.",
        "cases": cases.0,
    })
}
