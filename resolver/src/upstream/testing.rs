//! The fuzz target for the upstreams' answers.

use std::{sync::Arc, time::Duration};

use hickory_proto::op::Message;

use super::{
    decode::decode,
    transport::{
        exchange::CheckedReply,
        query::{QUERY_RANDOM_BYTES, Query, QueryFlags, ReplyCheck, ServerCaps},
    },
};
use crate::{
    cache::{Answer, Cache, Hit, Key, MAX_POSITIVE_TTL, Scope, lifetime},
    dns::{
        message::{HEADER_BYTES, Packet, RecordAt, Section},
        rtype,
        testing::question,
    },
};

/// The questions: names of several depths, and the types whose answers are handled specially.
const QUESTIONS: [(&str, u16); 8] = [
    ("www.example.com", 1),
    ("example.com", 6),
    ("a.b.c.d.example.com", 28),
    ("com", 2),
    ("", 48),
    ("alias.example.com", 5),
    ("x.dname.example.com", 16),
    ("any.example.com", 255),
];

/// A reply of a server to a query. The first byte selects the query's flags, the second its
/// question; if the first has its highest bit set, the id and the question of the reply are made to
/// match, as a server would.
///
/// An accepted reply has the query's id and question; the cached answer has every record but OPT
/// and TSIG, unchanged; the answer to the client has TTLs decreased by the age; and nothing is
/// cached for more than a day.
pub fn upstream(data: &[u8]) {
    let Some((&[how, which], reply)) = data.split_first_chunk::<2>() else { return };
    let flag = |bit: u8| how >> bit & 1 == 1;
    let (text, qtype) = QUESTIONS[usize::from(which) % QUESTIONS.len()];
    let asked = question(text, qtype);
    let flags = QueryFlags {
        recursive: flag(0),
        dnssec_ok: flag(1),
        checking_disabled: flag(2),
        edns_required: flag(1) && flag(2),
    };
    let caps = ServerCaps { edns: flag(3), mixed_case: flag(4) };
    let (udp, path_secure) = (flag(5), flag(6));
    let query = Query::new(&asked, flags, caps, path_secure, &[0xa5; QUERY_RANDOM_BYTES]);
    let mut reply = reply.to_vec();
    if flag(7) && reply.len() >= HEADER_BYTES {
        reply[..2].copy_from_slice(&query.bytes()[..2]);
        reply[2] = (reply[2] | 0x80) & !0x78;
        reply[4..6].copy_from_slice(&[0, 1]);
        reply.splice(HEADER_BYTES..HEADER_BYTES, query.question().iter().copied());
    }
    if !matches!(query.check(&reply, udp), ReplyCheck::Answer(_)) {
        return;
    }
    assert_eq!(reply[..2], query.bytes()[..2], "the id");
    let end = HEADER_BYTES + asked.len();
    assert!(reply[HEADER_BYTES..end].eq_ignore_ascii_case(&asked), "the question");
    assert!(
        !udp || reply[HEADER_BYTES..end] == *query.question(),
        "its case, where anybody could have sent it"
    );
    let replied = CheckedReply { message: reply, sent: query.question().to_vec(), caps };
    // Only a message with an OPT in the middle can grow too long when it is removed.
    let Ok((packet, answer)) = replied.read(path_secure, true) else { return };
    if let Ok((_, minimal)) = replied.read(path_secure, false) {
        let kept = Packet::parse(minimal.wire()).expect("what is kept can be read");
        let all = packet.section(Section::Answer).filter(|at| is_data(at)).count();
        let any = asked[asked.len() - 4..] == [0, rtype::ANY as u8, 0, 1];
        let count = kept.section(Section::Answer).count();
        assert!(count == all || (any && count < all), "as short as may be, and no shorter");
    }
    kept_as_it_was(&packet, &answer, path_secure);
    given_out(&packet, &answer, &asked);
    if let Some((kind, life)) = lifetime(&packet, !flags.recursive) {
        assert!(life <= MAX_POSITIVE_TTL);
        let key = Key::new(&asked, flags.dnssec_ok, flags.checking_disabled, Scope::Upstreams);
        let cache = Cache::new(1 << 18);
        cache.insert(&key, Arc::new(answer), kind, life, Duration::ZERO);
        let found = |at| matches!(cache.get(&key, at), Some(Hit::Answer(..)));
        assert!(!found(life), "not longer than its time");
    }
}

fn records<'a>(packet: &'a Packet<'_>) -> impl Iterator<Item = &'a RecordAt> {
    packet.records().iter().filter(|record| is_data(record))
}

fn is_data(record: &RecordAt) -> bool {
    !matches!(record.rtype, rtype::OPT | rtype::TSIG)
}

/// The owner in lower case and the RDATA of a record, both uncompressed.
fn written_out(packet: &Packet<'_>, record: &RecordAt) -> (Vec<u8>, Vec<u8>) {
    let (mut owner, mut data) = (Vec::new(), Vec::new());
    packet.owner(record, &mut owner).expect("it was checked");
    packet.rdata(record, &mut data).expect("it was checked");
    (owner.to_ascii_lowercase(), data)
}

fn kept_as_it_was(packet: &Packet<'_>, answer: &Answer, keep_ad: bool) {
    let kept = Packet::parse(answer.wire()).expect("what is kept can be read");
    assert_eq!(kept.bytes().len(), answer.wire().len(), "with nothing behind it");
    assert_eq!(answer.wire()[..2], [0, 0], "no id");
    assert!(keep_ad || answer.wire()[3] & 0x20 == 0, "no AD from afar");
    assert_eq!(kept.records().len(), records(packet).count());
    assert_eq!(answer.ttl_places().len(), kept.records().len());
    for (old, new) in records(packet).zip(kept.records()) {
        assert_eq!(
            (old.section, old.rtype, old.class, old.ttl),
            (new.section, new.rtype, new.class, new.ttl)
        );
        let (old, new) = (written_out(packet, old), written_out(&kept, new));
        assert_eq!(old.0, new.0);
        // Names compressed by a pointer to the question have its case.
        assert!(old.1.eq_ignore_ascii_case(&new.1));
    }
}

fn given_out(packet: &Packet<'_>, answer: &Answer, asked: &[u8]) {
    for age in [0, 1, 3_600, u32::MAX] {
        let mut out = vec![0xee];
        answer.write(age, 0x1234, asked, &mut out);
        let out = &out[1..];
        let given = Packet::parse(out).expect("what is given can be read");
        assert_eq!((&out[..2], given.question()), (&[0x12, 0x34][..], asked));
        for (old, new) in records(packet).zip(given.records()) {
            assert_eq!(new.ttl, old.ttl.saturating_sub(age));
        }
        let message = decode(out).expect("what is given can be decoded");
        assert_eq!(message.answers.len(), given.section(Section::Answer).count());
        // It may be too long only if the message used compression that the encoder does not.
        if let Ok(bytes) = message.to_vec()
            && bytes.len() < 16_384
        {
            let read = Message::from_vec(&bytes);
            assert!(read.is_ok() || decode(&bytes).is_ok(), "{read:?}");
        }
    }
}
