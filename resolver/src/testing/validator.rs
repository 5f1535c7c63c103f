//! Messages for the validator: one to validate, and replies to its queries.

use crate::{
    dns::{message::Packet, rtype},
    dnssec::validate::{Anchors, Progress, ValidationSession, Validator, Verdict, budget, rewrite},
};

/// The trust anchors of published scenarios whose messages are among the seeds.
const ANCHORS: &str = "\
. IN DS 49060 8 2 E7B1EB56D7D5791B3D45630FEAA9C823DB84B385ACEEAC5F44DD08885C36700F
example.com. IN DS 438 10 2 33F8133EB48EDB093839E985600EB7B7009EB5AC312D11CCA9007F6B71D94D7B
";
/// Times at which these were valid, in seconds since 1970; and the end of time.
const TIMES: [u64; 3] = [1_491_004_800, 1_457_433_040, u32::MAX as u64];

/// The first byte selects the time, whether the client sets DO, and whether queries get the first
/// matching message or the next one. Messages follow, each with a length of two bytes: the one to
/// validate, and the replies.
///
/// Validation ends within its budget; the client's message has no hop-by-hop records, and AD only
/// if the verdict is secure; and nothing is secure without a verified signature.
pub fn validator(data: &[u8]) {
    let Some((&how, mut rest)) = data.split_first() else { return };
    let mut messages: Vec<&[u8]> = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (message, after) =
            after.split_at(usize::from(u16::from_be_bytes(*length)).min(after.len()));
        messages.push(message);
        rest = after;
    }
    let Some((first, others)) = messages.split_first() else { return };
    let Ok(packet) = Packet::parse(first) else { return };
    let validator = Validator::new(Anchors::from_text(ANCHORS).expect("anchors"));
    let now = TIMES[usize::from(how) % TIMES.len()];
    let Ok(mut session) = ValidationSession::new(first) else { return };
    let mut next = others.iter();
    let mut rounds = 0;
    let judged = loop {
        match session.step(&validator, now) {
            Progress::Done(judged) => break judged,
            Progress::Query(asks) => {
                for ask in asks {
                    let wanted = |message: &&&[u8]| {
                        Packet::parse(message)
                            .is_ok_and(|packet| is_about(&packet, &ask.0.to_string(), ask.1))
                    };
                    let said = others
                        .iter()
                        .find(wanted)
                        .or_else(|| next.next().filter(|_| how & 0x40 != 0));
                    let said = said.copied().ok_or_else(|| crate::dns::ede::Ede::new(22, "nobody"));
                    session.add_reply(ask, said);
                }
            }
        }
        rounds += 1;
        assert!(rounds <= budget::MAX_QUERIES, "it goes round");
    };
    let work = session.work();
    assert!(work.checks <= budget::MAX_CHECKS && work.hashes <= budget::MAX_HASHES);
    assert!(work.digests <= budget::MAX_DIGESTS && work.queries <= budget::MAX_QUERIES);
    let secure = judged.verdict == Verdict::Secure;
    assert!(!secure || work.checks > 0, "secure without a signature");
    let made = match &judged.verdict {
        Verdict::Bogus(ede) | Verdict::Indeterminate(ede) => rewrite::failure(&packet, ede),
        _ => rewrite::answer(&packet, &[], &judged, how & 0x80 != 0),
    };
    // Only a message whose names are decompressed can get too long.
    let Ok(made) = made else { return };
    let given = Packet::parse(&made).expect("what we make can be read");
    assert_eq!(made[3] & 0x20 != 0, secure, "AD");
    assert_eq!(given.question(), packet.question());
    let longest = packet.records().iter().map(|record| record.ttl).max().unwrap_or_default();
    let own = |record: &&crate::dns::message::RecordAt| record.rtype != rtype::OPT;
    assert!(given.records().iter().filter(own).all(|record| record.ttl <= longest), "no TTL grows");
}

/// Whether a message has this question.
fn is_about(packet: &Packet<'_>, name: &str, qtype: u16) -> bool {
    let question = packet.question();
    let shown = crate::dns::names::to_name(&question[..question.len() - 4])
        .map(|name| name.to_lowercase().to_string());
    packet.qtype() == qtype
        && shown
            .as_deref()
            .is_some_and(|shown| shown.trim_end_matches('.') == name.trim_end_matches('.'))
}
