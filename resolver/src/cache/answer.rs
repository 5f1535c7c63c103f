//! One cached answer: wire bytes, with the offsets of its TTLs.

use super::minimal;
use crate::dns::ede::Ede;
use crate::dns::message::{
    HEADER_BYTES, MAX_MESSAGE_BYTES, Malformed, Packet, RecordAt, Section, TOO_LONG,
};
use crate::dns::{names, rtype};

/// The number of the EDNS option Extended DNS Error (RFC 8914 §2).
const EXTENDED_ERROR: u16 = 15;
/// The most bytes of extended errors that are kept with an answer.
const MAX_OPTION_BYTES: usize = 512;
/// AD in the fourth byte of the header (RFC 4035 §3.2.3).
const AD: u8 = 0x20;
const MISPLACED: Malformed = Malformed("an OPT or TSIG outside the additional section");

/// An answer without what belongs to one hop: id 0, question in lower case, no OPT and no TSIG;
/// everything else is as the server sent it, byte for byte.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    wire: Box<[u8]>,
    ttl_at: Box<[u16]>,
    options: Box<[u8]>,
}

impl Answer {
    /// Takes over a reply. `sent` is the question as it was sent, whose random case is removed
    /// again.
    ///
    /// # Errors
    /// [`Malformed`] if the message has grown too long because an OPT was removed from its middle.
    pub fn new(packet: &Packet<'_>, sent: &[u8], keep_ad: bool) -> Result<Self, Malformed> {
        Self::without(packet, |_| false, sent, keep_ad)
    }

    /// As [`Answer::new`], without what does not answer the question: see [`minimal`].
    ///
    /// # Errors
    /// As [`Answer::new`].
    pub fn minimal(packet: &Packet<'_>, sent: &[u8], keep_ad: bool) -> Result<Self, Malformed> {
        Self::without(packet, minimal::unwanted(packet)?, sent, keep_ad)
    }

    /// The answer without the unwanted records.
    fn without(
        packet: &Packet<'_>,
        unwanted: impl Fn(&RecordAt) -> bool,
        sent: &[u8],
        keep_ad: bool,
    ) -> Result<Self, Malformed> {
        if packet.records().iter().any(|at| is_misplaced(at) && !unwanted(at)) {
            return Err(MISPLACED);
        }
        let dropped = |record: &RecordAt| unwanted(record) || is_hop_record(record);
        match packet.kept_prefix(dropped) {
            // Nothing moves, so no record has to be looked for again.
            Some(kept) => {
                let records = &packet.records()[..kept];
                Self::of_records(packet, packet.prefix(kept), records, sent, keep_ad)
            }
            None => {
                let wire = packet.without(dropped)?;
                let again = Packet::parse(&wire)?.records().to_vec();
                Self::of_records(packet, wire, &again, sent, keep_ad)
            }
        }
    }

    /// The answer with the bytes `wire`, whose records are these.
    fn of_records(
        packet: &Packet<'_>,
        mut wire: Vec<u8>,
        records: &[RecordAt],
        sent: &[u8],
        keep_ad: bool,
    ) -> Result<Self, Malformed> {
        if wire.len() > MAX_MESSAGE_BYTES {
            return Err(TOO_LONG);
        }
        wire[..2].fill(0);
        if !keep_ad {
            wire[3] &= !AD;
        }
        wire[HEADER_BYTES..HEADER_BYTES + packet.question().len() - 4].make_ascii_lowercase();
        let sent_name = &sent[..sent.len().saturating_sub(4)];
        for record in records {
            // Servers without compression repeat the question's random case.
            let owner = &mut wire[record.start..record.ttl_at - 4];
            if owner == sent_name {
                owner.make_ascii_lowercase();
            }
            // A TTL with the highest bit set means 0 (RFC 2181 §8) and is sent on as 0.
            wire[record.ttl_at..record.ttl_at + 4].copy_from_slice(&record.ttl.to_be_bytes());
        }
        // The length was checked above.
        let ttl_at = records.iter().map(|record| record.ttl_at as u16).collect();
        Ok(Self { wire: wire.into(), ttl_at, options: extended_errors(packet) })
    }

    /// A NODATA answer to the question of a reply, in place of the reply.
    pub fn nothing(packet: &Packet<'_>, ede: &Ede) -> Self {
        const KEPT_FLAGS: [u8; 2] = [0x81, 0x80]; // QR and RD; RA
        let mut wire = vec![0; HEADER_BYTES];
        wire[2] = packet.bytes()[2] & KEPT_FLAGS[0];
        wire[3] = packet.bytes()[3] & KEPT_FLAGS[1];
        wire[5] = 1;
        let question = packet.question();
        wire.extend(question[..question.len() - 4].iter().map(u8::to_ascii_lowercase));
        wire.extend_from_slice(&question[question.len() - 4..]);
        let mut options = Vec::new();
        ede.write(&mut options);
        Self { wire: wire.into(), ttl_at: Box::default(), options: options.into() }
    }

    /// An answer from what [`Answer::wire`], [`Answer::ttl_places`] and [`Answer::options`]
    /// returned.
    pub(super) fn from_parts(wire: Box<[u8]>, ttl_at: Box<[u16]>, options: Box<[u8]>) -> Self {
        Self { wire, ttl_at, options }
    }

    /// A message made here whose TTLs do not age: its id becomes 0 and its question is put in lower
    /// case.
    ///
    /// # Errors
    /// [`Malformed`] if it is not a message with one question.
    pub fn constant(message: &[u8]) -> Result<Self, Malformed> {
        let packet = Packet::parse(message)?;
        if packet.records().iter().any(is_misplaced) {
            return Err(MISPLACED);
        }
        let mut wire = packet.without(is_hop_record)?;
        wire[..2].fill(0);
        wire[HEADER_BYTES..HEADER_BYTES + packet.question().len() - 4].make_ascii_lowercase();
        Ok(Self { wire: wire.into(), ttl_at: Box::default(), options: Box::default() })
    }

    /// Appends the answer to `out` with this id, this question (the same name, in the client's
    /// spelling), and every TTL less `age` seconds.
    pub fn write(&self, age: u32, id: u16, question: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.wire);
        let wire = &mut out[start..];
        wire[..2].copy_from_slice(&id.to_be_bytes());
        let name = &question[..question.len().saturating_sub(4)];
        if let Some(place) = wire.get_mut(HEADER_BYTES..HEADER_BYTES + name.len())
            && place.eq_ignore_ascii_case(name)
        {
            place.copy_from_slice(name);
        }
        for &at in &self.ttl_at {
            if let Some(place) = wire.get_mut(usize::from(at)..usize::from(at) + 4) {
                let ttl = u32::from_be_bytes([place[0], place[1], place[2], place[3]]);
                place.copy_from_slice(&ttl.saturating_sub(age).to_be_bytes());
            }
        }
    }

    /// The stored bytes.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The question: QNAME in lower case, QTYPE, QCLASS.
    pub fn question(&self) -> &[u8] {
        let bytes = &self.wire[HEADER_BYTES..];
        let name = names::name_len(bytes).unwrap_or_default();
        bytes.get(..name + 4).unwrap_or_default()
    }

    /// The offsets of the TTLs.
    pub fn ttl_places(&self) -> &[u16] {
        &self.ttl_at
    }

    /// The extended errors (RFC 8914) that the server sent with the answer: EDNS options in wire
    /// form.
    pub fn options(&self) -> &[u8] {
        &self.options
    }

    /// Brings every TTL within bounds, in seconds.
    pub fn bound_ttls(&mut self, least: u32, most: u32) {
        for &at in &self.ttl_at {
            if let Some(place) = self.wire.get_mut(usize::from(at)..usize::from(at) + 4) {
                let ttl = u32::from_be_bytes([place[0], place[1], place[2], place[3]]);
                place.copy_from_slice(&ttl.max(least).min(most).to_be_bytes());
            }
        }
    }

    /// Whether its answer section is empty.
    pub fn is_empty(&self) -> bool {
        self.wire[6..8] == [0, 0]
    }

    /// The RCODE.
    pub fn rcode(&self) -> u8 {
        self.wire[3] & 0x0f
    }
}

/// The extended errors in the OPT of a reply, up to the size limit.
fn extended_errors(packet: &Packet<'_>) -> Box<[u8]> {
    let mut kept = Vec::new();
    let opt = packet.records().iter().find(|record| record.rtype == rtype::OPT);
    let mut rest = opt.map_or(&[][..], |opt| &packet.bytes()[opt.data..opt.end]);
    while let Some((&[a, b, c, d], after)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([c, d]));
        if length > after.len() {
            break;
        }
        let (option, after) = rest.split_at(4 + length);
        if u16::from_be_bytes([a, b]) == EXTENDED_ERROR
            && kept.len() + option.len() <= MAX_OPTION_BYTES
        {
            kept.extend_from_slice(option);
        }
        rest = after;
    }
    kept.into()
}

fn is_hop_record(record: &RecordAt) -> bool {
    matches!(record.rtype, rtype::OPT | rtype::TSIG)
}

fn is_misplaced(record: &RecordAt) -> bool {
    is_hop_record(record) && record.section != Section::Additional
}
