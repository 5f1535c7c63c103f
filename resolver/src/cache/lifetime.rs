//! Whether an answer may be kept, and for how long.

use std::time::Duration;

use crate::dns::message::{Packet, RecordAt, Section, rcode, u32_at};
use crate::dns::rtype;

/// No answer is kept longer, whatever its TTLs say (RFC 8767 §4 suggests days; a day is what stays
/// fresh).
pub const MAX_POSITIVE: Duration = Duration::from_secs(86_400);
/// No negative answer is kept longer (RFC 2308 §5 recommends one to three hours).
pub const MAX_NEGATIVE: Duration = Duration::from_secs(3 * 3600);
/// How long a SERVFAIL or a REFUSED is kept (RFC 9520 §3.2: at least a second, at most five
/// minutes).
pub const SERVFAIL: Duration = Duration::from_secs(5);
/// How long it is kept that nobody replied. Shorter: a network comes back.
pub const NO_REPLY: Duration = Duration::from_secs(2);

/// What an answer is, for the bound it counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There are records.
    Positive,
    /// There are none: NXDOMAIN, NODATA, or a failure.
    Negative,
}

/// Judges an answer; `None` if it may not be kept. `iterative` if it was asked for with RD=0, where
/// an alias without its target and a referral are whole answers.
pub fn lifetime(packet: &Packet<'_>, iterative: bool) -> Option<(Kind, Duration)> {
    const TC: u8 = 0x02;
    if packet.bytes()[2] & TC != 0 {
        return None;
    }
    match packet.rcode() {
        rcode::SERVFAIL | rcode::REFUSED => return Some((Kind::Negative, SERVFAIL)),
        rcode::NOERROR | rcode::NXDOMAIN => {}
        _ => return None,
    }
    let kept = || {
        packet.records().iter().filter(|record| !matches!(record.rtype, rtype::OPT | rtype::TSIG))
    };
    let smallest = Duration::from_secs(u64::from(kept().map(|record| record.ttl).min()?));
    let (kind, lifetime) = if packet.rcode() == rcode::NOERROR && is_positive(packet, iterative) {
        (Kind::Positive, smallest.min(MAX_POSITIVE))
    } else {
        // Without an SOA there is nothing to say how long the absence holds (RFC 2308 §5).
        let soa = packet.section(Section::Authority).find(|record| record.rtype == rtype::SOA)?;
        let minimum = Duration::from_secs(u64::from(soa_minimum(packet, soa)?));
        (Kind::Negative, smallest.min(minimum).min(MAX_NEGATIVE))
    };
    (!lifetime.is_zero()).then_some((kind, lifetime))
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
