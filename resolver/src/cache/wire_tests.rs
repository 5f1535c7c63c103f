//! Parsing of messages: what is refused, and that nothing causes a panic.

use proptest::prelude::*;

use super::{Answer, AnswerKind, MAX_NEGATIVE_TTL, MAX_POSITIVE_TTL, SERVFAIL_TTL, lifetime};
use crate::dns::message::{HEADER_BYTES, Malformed, Packet, Section};
use crate::dns::testing::{AT_QUESTION, Build, name, question};
use std::time::Duration;

fn refusal(bytes: &[u8]) -> &'static str {
    Packet::parse(bytes).expect_err("should be refused").0
}

/// Section, owner, type, TTL, RDATA.
type Expanded = (Section, Vec<u8>, u16, u32, Vec<u8>);

fn expanded(bytes: &[u8]) -> Vec<Expanded> {
    let packet = Packet::parse(bytes).unwrap();
    let read = |record: &crate::dns::message::RecordAt| {
        let (mut owner, mut rdata) = (Vec::new(), Vec::new());
        packet.owner(record, &mut owner).unwrap();
        packet.rdata(record, &mut rdata).unwrap();
        (record.section, owner, record.rtype, record.ttl, rdata)
    };
    packet.records().iter().map(read).collect()
}

#[test]
fn names_in_rdata_are_written_out_for_every_type_that_may_compress_them() {
    let name_types = [
        (2, 0),
        (3, 0),
        (4, 0),
        (5, 0),
        (7, 0),
        (8, 0),
        (9, 0),
        (12, 0),
        (15, 2),
        (18, 2),
        (21, 2),
        (24, 18),
        (30, 0),
        (33, 6),
        (36, 2),
        (39, 0),
        (46, 18),
        (47, 0),
    ];
    for (rtype, before) in name_types {
        let fixed = vec![0xc0; before];
        let rdata = [&fixed[..], b"\x01x", &AT_QUESTION].concat();
        let message = Build::answer(&question("a.example", 255)).record(
            Section::Answer,
            &AT_QUESTION,
            rtype,
            9,
            &rdata,
        );
        let want = [fixed, name("x.a.example")].concat();
        assert_eq!(expanded(&message.done())[0].4, want, "type {rtype}");
    }
    let naptr = [&[0, 1, 0, 2, 1, b'u', 0, 2, 0xc0, 0xc0][..], &AT_QUESTION].concat();
    let message = Build::answer(&question("a.example", 35)).record(
        Section::Answer,
        &AT_QUESTION,
        35,
        9,
        &naptr,
    );
    assert_eq!(expanded(&message.done())[0].4, [&naptr[..10], &name("a.example")].concat());
}

#[test]
fn a_type_without_names_is_left_alone() {
    let rdata = [0xc0, 12, 0xff, 0xc0];
    let message = Build::answer(&question("a.example", 65)).record(
        Section::Answer,
        &AT_QUESTION,
        65,
        9,
        &rdata,
    );
    assert_eq!(expanded(&message.done())[0].4, rdata);
}

/// A cached message is served with other TTLs and in the client's spelling: a name that overlaps
/// one of these would change too. Found by fuzzing.
#[test]
fn a_name_does_not_lie_across_what_is_written_over() {
    let asked = question("a.example", 1);
    let ttl_at = Build::answer(&asked).here() + 2 + 4;
    let to = |target: usize| vec![0xc0 | (target >> 8) as u8, target as u8];
    // The first TTL reads as a label of one byte, a root and what follows.
    let with = |target| {
        let first = Build::answer(&asked).record(
            Section::Answer,
            &AT_QUESTION,
            16,
            0x0161_0000,
            b"\x01x\0",
        );
        first.record(Section::Answer, &to(target), 1, 60, &[192, 0, 2, 1]).done()
    };
    for (target, expected) in [
        (ttl_at - 1, Some("a name lies across a TTL")),
        (ttl_at, Some("a name lies across a TTL")),
        (ttl_at + 3, Some("a name lies across a TTL")),
        (ttl_at + 4 + 2, None),
        (HEADER_BYTES, None),
        (HEADER_BYTES + 1, Some("a compression pointer leads into a label of the question")),
        (HEADER_BYTES + 2, None),
    ] {
        let said = Packet::parse(&with(target)).err().map(|malformed| malformed.0);
        assert_eq!(said, expected, "{target}");
    }
}

/// An owner that begins with a pointer to just before it, where a byte reads as a label length: the
/// label would contain the pointer and the record's own TTL. Found by fuzzing.
#[test]
fn a_name_does_not_run_into_itself() {
    let asked = question("a.example", 16);
    let first = Build::answer(&asked).record(Section::Answer, &AT_QUESTION, 16, 9, b"\x0c");
    let before = first.here() - 1;
    let owner = [0xc0, before as u8];
    let message = first.record(Section::Answer, &owner, 1, 0x8000_0001, &[0, 0, 0, 0]).done();
    assert_eq!(refusal(&message), "a name runs into itself");
}

#[test]
fn pointers_have_to_lead_back() {
    let at = Build::answer(&question("a.example", 1)).here();
    let to = |target: usize| vec![0xc0 | (target >> 8) as u8, target as u8];
    for owner in [to(at), to(at + 4), to(0), to(0x3fff), [b"\x01a".to_vec(), to(at)].concat()] {
        let message = Build::answer(&question("a.example", 1))
            .record(Section::Answer, &owner, 1, 9, &[1; 4])
            .done();
        assert_eq!(refusal(&message), "a compression pointer does not lead back", "{owner:?}");
    }
}

#[test]
fn names_end_at_255_bytes_however_they_are_put_together() {
    let label = [&[63][..], &[b'a'; 63]].concat();
    let exact = [label.repeat(3), [&[61][..], &[b'b'; 61], &[0]].concat()].concat();
    assert_eq!(exact.len(), 255);
    let message = Build::answer(&[&exact[..], &[0, 1, 0, 1]].concat()).a(9, [1; 4]).done();
    assert_eq!(expanded(&message)[0].1, exact);
    let longer = [b"\x01x".to_vec(), AT_QUESTION.to_vec()].concat();
    let build = Build::answer(&[&exact[..], &[0, 1, 0, 1]].concat());
    let message = build.record(Section::Answer, &longer, 1, 9, &[1; 4]).done();
    assert_eq!(refusal(&message), "a name is longer than 255 bytes");
}

#[test]
fn counts_and_lengths_have_to_hold() {
    let message = Build::answer(&question("a.example", 1)).a(9, [1; 4]).done();
    for length in 0..message.len() {
        assert!(Packet::parse(&message[..length]).is_err(), "{length} bytes");
    }
    let mut more = message.clone();
    more[7] = 2;
    assert_eq!(refusal(&more), "a name ends early");
    let mut questions = message.clone();
    questions[5] = 2;
    assert_eq!(refusal(&questions), "not exactly one question");
    let mx = Build::answer(&question("a.example", 15))
        .record(Section::Answer, &AT_QUESTION, 15, 9, &[0])
        .done();
    assert_eq!(refusal(&mx), "an RDATA is shorter than its type needs");
    let trailing = [&message[..], b"junk"].concat();
    assert_eq!(Packet::parse(&trailing).unwrap().bytes(), message);
}

#[test]
fn an_answer_leaves_out_the_opt_wherever_it_stands() {
    let q = question("a.example", 1);
    let extra = |build: Build| {
        build.record(Section::Additional, &AT_QUESTION, 28, 30, &[7; 16]).record(
            Section::Additional,
            &name("mail.example"),
            15,
            20,
            &[&[0, 5][..], &AT_QUESTION].concat(),
        )
    };
    let plain = extra(Build::answer(&q).a(60, [1; 4])).done();
    let last = extra(Build::answer(&q).a(60, [1; 4])).opt().done();
    let first = extra(Build::answer(&q).a(60, [1; 4]).opt()).done();
    for message in [&last, &first] {
        let answer = Answer::new(&Packet::parse(message).unwrap(), &q, true).unwrap();
        assert_eq!(expanded(answer.wire()), expanded(&plain));
    }
    let wrong = Build::answer(&q).record(Section::Answer, &[0], 41, 0, &[]).done();
    assert!(Answer::new(&Packet::parse(&wrong).unwrap(), &q, true).is_err());
}

#[test]
fn an_answer_is_given_out_in_the_clients_case_and_aged() {
    let sent = question("wWw.ExAmPlE", 1);
    let owner = name("wWw.ExAmPlE");
    let message = Build::answer(&sent)
        .a(300, [1; 4])
        .record(Section::Answer, &owner, 1, 10, &[2; 4])
        .record(Section::Additional, &name("KeEp.example"), 1, 0x8000_0001, &[3; 4])
        .opt()
        .done();
    let answer = Answer::new(&Packet::parse(&message).unwrap(), &sent, true).unwrap();
    let mut out = b"before".to_vec();
    answer.write(7, 0x1234, &question("www.EXAMPLE", 1), &mut out);
    let out = &out[6..];
    assert_eq!(out[..2], [0x12, 0x34]);
    let records = expanded(out);
    assert_eq!((&records[0].1, records[0].3), (&name("www.EXAMPLE"), 293));
    assert_eq!((&records[1].1, records[1].3), (&name("www.example"), 3));
    assert_eq!((&records[2].1, records[2].3), (&name("KeEp.example"), 0));
}

#[test]
fn ad_stays_only_when_it_may() {
    let q = question("a.example", 1);
    let message = Build::answer(&q).flags(0, 0x20).a(9, [1; 4]).done();
    let packet = Packet::parse(&message).unwrap();
    assert_eq!(Answer::new(&packet, &q, true).unwrap().wire()[3], 0xa0);
    assert_eq!(Answer::new(&packet, &q, false).unwrap().wire()[3], 0x80);
}

/// The result of `lifetime` for a message, in seconds.
fn kept(build: Build, iterative: bool) -> Option<(AnswerKind, u64)> {
    let message = build.done();
    lifetime(&Packet::parse(&message).unwrap(), iterative)
        .map(|(kind, time)| (kind, time.as_secs()))
}

#[test]
fn answers_are_kept_as_long_as_their_shortest_record() {
    let q = || Build::answer(&question("a.example", 1));
    let day = MAX_POSITIVE_TTL.as_secs();
    let additional =
        |build: Build, ttl| build.record(Section::Additional, &name("b.example"), 1, ttl, &[1; 4]);
    assert_eq!(kept(q().a(60, [1; 4]).a(50, [2; 4]), false), Some((AnswerKind::Positive, 50)));
    assert_eq!(kept(additional(q().a(60, [1; 4]), 40), false), Some((AnswerKind::Positive, 40)));
    assert_eq!(kept(q().a(60, [1; 4]).opt(), false), Some((AnswerKind::Positive, 60)));
    assert_eq!(kept(q().a(172_800, [1; 4]), false), Some((AnswerKind::Positive, day)));
    assert_eq!(kept(q().a(0, [1; 4]), false), Some((AnswerKind::Positive, 0)));
    assert_eq!(kept(q().a(0xffff_ffff, [1; 4]), false), Some((AnswerKind::Positive, 0)));
    assert_eq!(kept(q().flags(2, 0).a(60, [1; 4]), false), None, "truncated");
    assert_eq!(kept(q().rcode(6).a(60, [1; 4]), false), None, "YXDOMAIN");
}

#[test]
fn absence_is_kept_as_long_as_the_soa_says() {
    let q = || Build::answer(&question("a.example", 1));
    let alias =
        |build: Build, ttl| build.record(Section::Answer, &AT_QUESTION, 5, ttl, &name("b.example"));
    let longest = MAX_NEGATIVE_TTL.as_secs();
    for code in [0, 3] {
        assert_eq!(
            kept(q().rcode(code).soa("example", 900, 300), false),
            Some((AnswerKind::Negative, 300))
        );
        assert_eq!(
            kept(q().rcode(code).soa("example", 200, 300), false),
            Some((AnswerKind::Negative, 200))
        );
        assert_eq!(
            kept(q().rcode(code).soa("example", 99_999, 99_999), false),
            Some((AnswerKind::Negative, longest))
        );
        assert_eq!(
            kept(alias(q().rcode(code), 30).soa("example", 900, 300), false),
            Some((AnswerKind::Negative, 30))
        );
        assert_eq!(
            kept(q().rcode(code).soa("example", 900, 0), false),
            Some((AnswerKind::Negative, 0))
        );
        assert_eq!(kept(q().rcode(code), false), None, "no SOA");
        assert_eq!(kept(alias(q().rcode(code), 30), false), None, "an alias and no SOA");
    }
    for failure in [1, 2, 4, 5] {
        assert_eq!(
            kept(q().rcode(failure), false),
            Some((AnswerKind::Negative, SERVFAIL_TTL.as_secs()))
        );
    }
    assert_eq!(
        kept(alias(q(), 30), true),
        Some((AnswerKind::Positive, 30)),
        "an alias out of the zone"
    );
    let referral = q().record(Section::Authority, &name("example"), 2, 70, &name("ns.example"));
    assert_eq!(kept(referral, true), Some((AnswerKind::Positive, 70)));
    assert!(SERVFAIL_TTL <= Duration::from_secs(300), "RFC 9520 §3.2");
}

/// A nearly valid message.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let record = (0usize..3, 0u16..60, 0u32..100_000, prop::collection::vec(any::<u8>(), 0..40));
    let flips = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (prop::collection::vec(record, 0..6), flips).prop_map(|(mut records, flips)| {
        records.sort_by_key(|record| record.0);
        let mut build = Build::answer(&question("www.example.com", 1));
        for (section, rtype, ttl, rdata) in records {
            let section = [Section::Answer, Section::Authority, Section::Additional][section];
            build = build.record(section, &AT_QUESTION, rtype, ttl, &rdata);
        }
        let mut bytes = build.done();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    /// Any input: refused, or accepted by hickory's decoder up to the records, and once more as an
    /// answer.
    #[test]
    fn what_is_accepted_stays_readable(bytes in nearly()) {
        let sent = question("www.example.com", 1);
        let Ok(packet) = Packet::parse(&bytes) else { return Ok(()) };
        if let Ok(answer) = Answer::new(&packet, &sent, true) {
            let again = Packet::parse(answer.wire()).map_err(|Malformed(why)| TestCaseError::fail(why))?;
            let hop = packet.records().iter().filter(|record| matches!(record.rtype, 41 | 250)).count();
            prop_assert_eq!(again.records().len(), packet.records().len() - hop);
            prop_assert_eq!(again.question().to_ascii_lowercase(), packet.question().to_ascii_lowercase());
            let mut aged = Vec::new();
            answer.write(1, 1, packet.question(), &mut aged);
            for (new, old) in Packet::parse(&aged).unwrap().records().iter().zip(again.records()) {
                prop_assert_eq!(new.ttl, old.ttl.saturating_sub(1));
            }
        }
    }

    #[test]
    fn noise_is_refused_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if bytes.len() > HEADER_BYTES {
            bytes[4..12].copy_from_slice(&[0, 1, 0, 3, 0, 2, 0, 2]);
        }
        if let Ok(packet) = Packet::parse(&bytes) {
            prop_assert!(packet.bytes().len() <= bytes.len());
        }
    }
}
