//! Whether an answer may be cached, and for how long.

use std::time::Duration;

use crate::dns::message::{Packet, RecordAt, Section, rcode, u32_at};
use crate::dns::rtype;

/// The longest time that an answer stays fresh, whatever its TTLs say (RFC 8767 §4).
pub const MAX_POSITIVE_TTL: Duration = Duration::from_secs(86_400);
/// The longest time that a negative answer stays fresh (RFC 2308 §5: one to three hours).
pub const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(3 * 3600);
/// How long a SERVFAIL, REFUSED, FORMERR or NOTIMP is cached (RFC 9520 §2, §3.2: one second to five
/// minutes).
pub const SERVFAIL_TTL: Duration = Duration::from_secs(5);
/// How long it is cached that no upstream replied. Shorter: a network comes back.
pub const NO_REPLY_TTL: Duration = Duration::from_secs(2);

/// Whether an answer is positive or negative, for the byte limit that it counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// There are records.
    Positive,
    /// There are none: NXDOMAIN, NODATA, or a failure.
    Negative,
}

/// The kind and lifetime of an answer; `None` if it may not be cached. The lifetime may be zero:
/// then it may be cached only if a configured bound makes it longer. `iterative`: the answer was
/// asked for with RD=0, where an alias without its target and a referral are complete answers.
pub fn lifetime(packet: &Packet<'_>, iterative: bool) -> Option<(AnswerKind, Duration)> {
    const TC: u8 = 0x02;
    if packet.bytes()[2] & TC != 0 {
        return None;
    }
    match packet.rcode() {
        code if rcode::is_failure(code) => return Some((AnswerKind::Negative, SERVFAIL_TTL)),
        rcode::NOERROR | rcode::NXDOMAIN => {}
        _ => return None,
    }
    let kept = || {
        packet.records().iter().filter(|record| !matches!(record.rtype, rtype::OPT | rtype::TSIG))
    };
    let smallest = Duration::from_secs(u64::from(kept().map(|record| record.ttl).min()?));
    if packet.rcode() == rcode::NOERROR && is_positive(packet, iterative) {
        Some((AnswerKind::Positive, smallest.min(MAX_POSITIVE_TTL)))
    } else {
        // Without an SOA there is nothing to say how long the absence holds (RFC 2308 §5).
        let soa = packet.section(Section::Authority).find(|record| record.rtype == rtype::SOA)?;
        let minimum = Duration::from_secs(u64::from(soa_minimum(packet, soa)?));
        Some((AnswerKind::Negative, smallest.min(minimum).min(MAX_NEGATIVE_TTL)))
    }
}

fn is_positive(packet: &Packet<'_>, iterative: bool) -> bool {
    let qtype = packet.qtype();
    let mut answers = packet.section(Section::Answer).peekable();
    if iterative {
        let is = |wanted| packet.section(Section::Authority).any(|record| record.rtype == wanted);
        return answers.peek().is_some() || (is(rtype::NS) && !is(rtype::SOA));
    }
    answers.any(|record| qtype == rtype::ANY || record.rtype == qtype)
}

/// The last field of an SOA (RFC 1035 §3.3.13, RFC 2308 §4).
fn soa_minimum(packet: &Packet<'_>, soa: &RecordAt) -> Option<u32> {
    u32_at(packet.bytes(), soa.end.checked_sub(4)?).ok()
}
