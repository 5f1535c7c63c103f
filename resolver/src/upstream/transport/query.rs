//! Encodes queries, and checks whether a message is the reply (RFC 5452 §9).

use crate::dns::message::{HEADER_BYTES, Malformed, Packet, rcode, u16_at};
use crate::dns::rtype;

/// The UDP payload size that is advertised, in bytes (DNS flag day 2020).
const UDP_PAYLOAD_BYTES: u16 = 1232;
const RD: u8 = 0x01;
const AD: u8 = 0x20;
const CD: u8 = 0x10;
const DO: u16 = 0x8000;
/// The number of the EDNS option Padding (RFC 7830 §3).
const PADDING_OPTION: u16 = 12;
/// Encrypted queries are padded to a multiple of this many bytes (RFC 8467 §4.1).
const PADDING_BLOCK_BYTES: usize = 128;
/// The length of an EDNS option's code and length fields, in bytes.
const OPTION_HEADER_BYTES: usize = 4;
const QR_AND_OPCODE: u8 = 0xf8;
const QR: u8 = 0x80;
const TC: u8 = 0x02;

/// The flags of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryFlags {
    /// RD: the server is a recursive resolver.
    pub recursive: bool,
    /// DO, if EDNS is used.
    pub dnssec_ok: bool,
    /// CD.
    pub checking_disabled: bool,
    /// The reply is useless without EDNS, so the query is never sent without: a server that refuses
    /// it has refused this query, and no more.
    pub edns_required: bool,
}

impl QueryFlags {
    /// RD only.
    pub fn plain() -> Self {
        Self { recursive: true, dnssec_ok: false, checking_disabled: false, edns_required: false }
    }
}

/// The capabilities of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerCaps {
    /// EDNS (RFC 6891).
    pub edns: bool,
    /// It preserves the case of the question (draft-vixie-dnsext-dns0x20).
    pub mixed_case: bool,
}

/// One query, ready to send.
#[derive(Debug)]
pub struct Query {
    bytes: Vec<u8>,
    question_end: usize,
    edns: bool,
    /// Whether the query may be repeated without EDNS.
    may_drop_edns: bool,
}

/// Random bytes per query: two for the id, and a bit for each byte of the QNAME.
pub const QUERY_RANDOM_BYTES: usize = 2 + 32;

/// What a received message is.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most messages are answers, which a box would cost an allocation"
)]
pub enum ReplyCheck<'r> {
    /// Not a reply to the query: forged or late.
    Stray,
    /// The answer, with the case of the question changed: by the server, or by a forger.
    OtherCase,
    /// A truncated answer.
    Truncated,
    /// The server does not support EDNS.
    NoEdns,
    /// An error code without a question. Over UDP it is no reply.
    Bare,
    /// The answer has an extended RCODE that no query of ours can cause.
    OddRcode,
    /// A reply to the query that is not a valid message.
    Malformed(Malformed),
    /// The answer, parsed.
    Answer(Packet<'r>),
}

impl Query {
    /// Encodes a query. `question` is uncompressed QNAME, QTYPE and QCLASS. `path_secure`: nobody
    /// on the way could change the AD bit of the reply.
    pub fn new(
        question: &[u8],
        flags: QueryFlags,
        caps: ServerCaps,
        path_secure: bool,
        random: &[u8; QUERY_RANDOM_BYTES],
    ) -> Self {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + question.len() + 11);
        bytes.extend_from_slice(&random[..2]);
        bytes.push(if flags.recursive { RD } else { 0 });
        // AD asks for AD (RFC 6840 §5.7), which is trusted only where nobody could change it.
        let ad = if flags.recursive && path_secure { AD } else { 0 };
        bytes.push(ad | if flags.checking_disabled { CD } else { 0 });
        let edns = caps.edns || flags.edns_required;
        bytes.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, u8::from(edns)]);
        bytes.extend_from_slice(question);
        let question_end = bytes.len();
        if caps.mixed_case {
            mix_case(&mut bytes[HEADER_BYTES..question_end - 4], &random[2..]);
        }
        let may_drop_edns = edns && !flags.edns_required;
        if edns {
            let flags = if flags.dnssec_ok { DO } else { 0 };
            bytes.push(0);
            for field in [rtype::OPT, UDP_PAYLOAD_BYTES, 0, flags, 0] {
                bytes.extend_from_slice(&field.to_be_bytes());
            }
        }
        Self { bytes, question_end, edns, may_drop_edns }
    }

    /// Pads the query, so that its encrypted length reveals little about the name (RFC 8467 §4.1).
    pub fn padded(mut self) -> Self {
        if self.edns {
            let over = (self.bytes.len() + OPTION_HEADER_BYTES) % PADDING_BLOCK_BYTES;
            let padding = if over == 0 { 0 } else { PADDING_BLOCK_BYTES - over };
            // The OPT record is the last and has no options yet. Both numbers are far below 65,536.
            let length_at = self.bytes.len() - 2;
            self.bytes[length_at..]
                .copy_from_slice(&((OPTION_HEADER_BYTES + padding) as u16).to_be_bytes());
            self.bytes.extend_from_slice(&PADDING_OPTION.to_be_bytes());
            self.bytes.extend_from_slice(&(padding as u16).to_be_bytes());
            self.bytes.resize(self.bytes.len() + padding, 0);
        }
        self
    }

    /// The bytes to send.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The message id.
    pub fn id(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }

    /// The question in the case in which it is sent.
    pub fn question(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..self.question_end]
    }

    /// Checks a message received from the server over UDP or TCP.
    pub fn check<'r>(&self, reply: &'r [u8], udp: bool) -> ReplyCheck<'r> {
        if reply.len() < HEADER_BYTES
            || reply[..2] != self.bytes[..2]
            || reply[2] & QR_AND_OPCODE != QR
        {
            return ReplyCheck::Stray;
        }
        let code = reply[3] & 0x0f;
        if u16_at(reply, 4) == Ok(0) {
            return self.check_bare(code, udp);
        }
        let end = self.question_end;
        let Some(question) = reply.get(HEADER_BYTES..end).filter(|_| u16_at(reply, 4) == Ok(1))
        else {
            return ReplyCheck::Stray;
        };
        let (name, rest) = question.split_at(question.len() - 4);
        let (sent_name, sent_rest) = self.question().split_at(question.len() - 4);
        if rest != sent_rest || !name.eq_ignore_ascii_case(sent_name) {
            return ReplyCheck::Stray;
        }
        if udp && name != sent_name {
            return ReplyCheck::OtherCase;
        }
        if udp && reply[2] & TC != 0 {
            return ReplyCheck::Truncated;
        }
        self.check_body(reply, code)
    }

    /// Old servers reply to what they can't parse with nothing but a header. Over UDP anybody who
    /// guesses the id can send that.
    fn check_bare(&self, code: u8, udp: bool) -> ReplyCheck<'static> {
        match code {
            rcode::FORMERR | rcode::NOTIMP if self.may_drop_edns && !udp => ReplyCheck::NoEdns,
            rcode::FORMERR | rcode::SERVFAIL | rcode::NOTIMP | rcode::REFUSED => ReplyCheck::Bare,
            _ => ReplyCheck::Stray,
        }
    }

    fn check_body<'r>(&self, reply: &'r [u8], code: u8) -> ReplyCheck<'r> {
        let packet = match Packet::parse(reply) {
            Ok(packet) => packet,
            Err(malformed) => return ReplyCheck::Malformed(malformed),
        };
        if reply[2] & TC != 0 {
            return ReplyCheck::Malformed(Malformed("truncated over TCP"));
        }
        let mut opts = packet.records().iter().filter(|record| record.rtype == rtype::OPT);
        let opt = opts.next();
        if opts.next().is_some() {
            return ReplyCheck::Malformed(Malformed("more than one OPT"));
        }
        // The upper bits of the RCODE are the first byte of the OPT's TTL field (RFC 6891 §6.1.3).
        let high = opt.map_or(0, |opt| reply[opt.ttl_at]);
        match (high, code) {
            (0, rcode::FORMERR | rcode::NOTIMP) if self.may_drop_edns && opt.is_none() => {
                ReplyCheck::NoEdns
            }
            (1, 0) if self.may_drop_edns => ReplyCheck::NoEdns, // BADVERS
            (0, _) => ReplyCheck::Answer(packet),
            _ => ReplyCheck::OddRcode,
        }
    }
}

/// The bit that is set in lower-case letters.
const LOWER: u8 = 0x20;

/// Sets the case of each letter by one random bit. Label lengths are below `A` and stay as they
/// are.
fn mix_case(name: &mut [u8], random: &[u8]) {
    for (eight, random) in name.chunks_mut(8).zip(random.iter().cycle()) {
        for (at, byte) in eight.iter_mut().enumerate() {
            if byte.is_ascii_alphabetic() {
                let lower = !(random >> at) & 1;
                *byte = (*byte & !LOWER) | (lower * LOWER);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dns::testing::{Build, question};

    fn query(edns: bool) -> Query {
        let flags = QueryFlags::plain();
        let caps = ServerCaps { edns, mixed_case: true };
        Query::new(&question("www.example.com", 1), flags, caps, false, &[0xa5; QUERY_RANDOM_BYTES])
    }

    #[test]
    fn only_a_server_that_is_near_is_asked_for_ad() {
        assert_eq!(query(true).bytes()[2..4], [1, 0]);
    }

    #[test]
    fn what_is_encrypted_is_padded_to_whole_blocks() {
        for labels in 1..30 {
            let name = "abcdefg.".repeat(labels);
            let flags = QueryFlags { dnssec_ok: true, ..QueryFlags::plain() };
            let caps = ServerCaps { edns: true, mixed_case: false };
            let query =
                Query::new(&question(&name, 1), flags, caps, true, &[0; QUERY_RANDOM_BYTES])
                    .padded();
            assert_eq!(query.bytes().len() % 128, 0, "{labels}");
            let packet = Packet::parse(query.bytes()).unwrap();
            assert_eq!(
                packet.bytes().len(),
                query.bytes().len(),
                "{labels}: the option is within the OPT"
            );
        }
        assert_eq!(
            query(false).padded().bytes().len(),
            HEADER_BYTES + question("www.example.com", 1).len()
        );
    }

    #[test]
    fn a_bare_refusal_is_none_of_edns_when_none_was_sent() {
        let mut reply = query(false).bytes()[..HEADER_BYTES].to_vec();
        reply[2..].copy_from_slice(&[0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        let bare = |check| matches!(check, ReplyCheck::Bare);
        assert!(bare(query(false).check(&reply, false)));
        assert!(matches!(query(true).check(&reply, false), ReplyCheck::NoEdns));
        assert!(bare(query(true).check(&reply, true)), "anybody can send it");
        reply[3] = 0;
        assert!(matches!(query(true).check(&reply, true), ReplyCheck::Stray), "no refusal either");
    }

    proptest! {
        /// Whatever is changed in a valid reply: no panic, and an accepted message has the query's
        /// id, question and case.
        #[test]
        fn what_passes_matches(
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in any::<prop::sample::Index>(),
            udp in any::<bool>(),
        ) {
            let query = query(true);
            let mut reply = Build::reply(query.bytes()).a(60, [192, 0, 2, 1]).opt().done();
            prop_assert!(matches!(query.check(&reply, udp), ReplyCheck::Answer(_)));
            for (at, byte) in &flips {
                let at = at.index(reply.len());
                reply[at] = *byte;
            }
            if flips.len() == 3 {
                reply.truncate(cut.index(reply.len()));
            }
            if let ReplyCheck::Answer(_) = query.check(&reply, udp) {
                prop_assert_eq!(&reply[..2], &query.bytes()[..2]);
                let question = &reply[HEADER_BYTES..HEADER_BYTES + query.question().len()];
                prop_assert!(question.eq_ignore_ascii_case(query.question()));
                prop_assert!(!udp || question == query.question());
                prop_assert!(Packet::parse(&reply).is_ok());
            }
        }
    }
}
