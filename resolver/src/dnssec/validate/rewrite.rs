//! Turns a validated reply into the client's answer: without records that the client did not ask
//! for, with TTLs within the signatures' validity.

use std::collections::HashMap;

use super::answer::Validated;
use super::verdict::Verdict;
use crate::dns::ede::Ede;
use crate::dns::message::{
    HEADER_BYTES, MAX_MESSAGE_BYTES, Malformed, Packet, RecordAt, Section, rcode, u16_at,
};
use crate::dns::name::Name;
use crate::dns::rtype;

const QR: u8 = 0x80;
const RA: u8 = 0x80;
const RD: u8 = 0x01;
const AD: u8 = 0x20;
const RCODE: u8 = 0x0f;
/// Compression pointers can't refer to later offsets (RFC 1035 §4.1.4).
const MAX_POINTER: usize = 0x3fff;

/// The message for a client, with id 0. An OPT at its end has the given options in wire form, and
/// an extended error if validation has one.
///
/// # Errors
/// [`Malformed`], if the message has grown too long.
pub fn answer(
    packet: &Packet<'_>,
    options: &[u8],
    validated: &Validated,
    dnssec_ok: bool,
) -> Result<Vec<u8>, Malformed> {
    let secure = validated.verdict == Verdict::Secure;
    let flags = packet.bytes()[3];
    let mut writer = Writer::new(packet, (flags & RCODE) | if secure { AD } else { 0 });
    for record in packet.records() {
        if keep(packet, record, validated, dnssec_ok) {
            writer.record(packet, record, validated)?;
        }
    }
    let mut options = options.to_vec();
    if let Verdict::Insecure(Some(ede)) = &validated.verdict {
        ede.write(&mut options);
    }
    writer.finish(&options)
}

/// A SERVFAIL with an extended error, in the form of [`answer`].
///
/// # Errors
/// [`Malformed`], never for a packet that was parsed.
pub fn failure(packet: &Packet<'_>, ede: &Ede) -> Result<Vec<u8>, Malformed> {
    let writer = Writer::new(packet, rcode::SERVFAIL);
    let mut options = Vec::new();
    ede.write(&mut options);
    writer.finish(&options)
}

fn keep(packet: &Packet<'_>, record: &RecordAt, validated: &Validated, dnssec_ok: bool) -> bool {
    let proof = matches!(record.rtype, rtype::RRSIG | rtype::NSEC | rtype::NSEC3);
    let asked_for = record.section == Section::Answer
        && matches!(packet.qtype(), rtype::ANY | rtype::RRSIG)
        || record.rtype == packet.qtype();
    if matches!(record.rtype, rtype::OPT | rtype::TSIG) || (proof && !dnssec_ok && !asked_for) {
        return false;
    }
    if validated.verdict != Verdict::Secure {
        return true;
    }
    // What AD covers was validated; the rest is removed (RFC 4035 §3.2.3).
    match record.section {
        Section::Answer => true,
        Section::Authority => validated.denies && is_checked(packet, record, validated),
        Section::Additional => false,
    }
}

/// The owner and type of a record; for a signature, those of the RRset that it covers.
fn subject(packet: &Packet<'_>, record: &RecordAt) -> Option<(Name, u16)> {
    let mut owner = Vec::new();
    packet.owner(record, &mut owner).ok()?;
    let rtype = if record.rtype == rtype::RRSIG {
        u16_at(packet.bytes(), record.data).ok()?
    } else {
        record.rtype
    };
    Some((Name::of(&owner), rtype))
}

fn is_checked(packet: &Packet<'_>, record: &RecordAt, validated: &Validated) -> bool {
    subject(packet, record).is_some_and(|subject| validated.ttls.contains_key(&subject))
}

/// A message being written, with compressed names.
struct Writer {
    out: Vec<u8>,
    places: HashMap<Vec<u8>, u16>,
    counts: [u16; 3],
}

impl Writer {
    fn new(packet: &Packet<'_>, low: u8) -> Self {
        let mut out = vec![0, 0, QR | (packet.bytes()[2] & RD), RA | low, 0, 1, 0, 0, 0, 0, 0, 0];
        out.extend_from_slice(packet.question());
        let mut writer = Self { out, places: HashMap::new(), counts: [0; 3] };
        writer.remember(&packet.question()[..packet.question().len() - 4], HEADER_BYTES);
        writer
    }

    /// Remembers the offsets of the name at `at` and of its suffixes.
    fn remember(&mut self, name: &[u8], at: usize) {
        let mut done = 0;
        while let Some(&length) = name.get(done).filter(|length| **length > 0) {
            let place = at + done;
            if place > MAX_POINTER {
                return;
            }
            // Checked a line above.
            self.places.entry(name[done..].to_vec()).or_insert(place as u16);
            done += 1 + usize::from(length);
        }
    }

    fn name(&mut self, name: &[u8]) {
        let (start, mut at) = (self.out.len(), 0);
        while let Some(&length) = name.get(at) {
            if let Some(place) = self.places.get(&name[at..]).filter(|_| length > 0) {
                self.out.extend_from_slice(&(0xc000 | place).to_be_bytes());
                break;
            }
            let next = (at + 1 + usize::from(length)).min(name.len());
            self.out.extend_from_slice(&name[at..next]);
            at = next;
        }
        // The labels are followed by the rest of the name, possibly as a pointer.
        self.remember_written(name, start, at);
    }

    fn remember_written(&mut self, name: &[u8], start: usize, written: usize) {
        let mut done = 0;
        while done < written && start + done <= MAX_POINTER && name[done] > 0 {
            // As in `remember`.
            self.places.entry(name[done..].to_vec()).or_insert((start + done) as u16);
            done += 1 + usize::from(name[done]);
        }
    }

    fn record(
        &mut self,
        packet: &Packet<'_>,
        record: &RecordAt,
        validated: &Validated,
    ) -> Result<(), Malformed> {
        let mut owner = Vec::new();
        packet.owner(record, &mut owner)?;
        self.name(&owner);
        let most = subject(packet, record).and_then(|subject| validated.ttls.get(&subject));
        let ttl = most.map_or(record.ttl, |most| record.ttl.min(*most));
        self.out.extend_from_slice(&record.rtype.to_be_bytes());
        self.out.extend_from_slice(&record.class.to_be_bytes());
        self.out.extend_from_slice(&ttl.to_be_bytes());
        let length_at = self.out.len();
        self.out.extend_from_slice(&[0, 0]);
        let mut value = Vec::new();
        packet.rdata(record, &mut value)?;
        self.value(record.rtype, &value);
        let length = self.out.len() - length_at - 2;
        let length = u16::try_from(length).map_err(|_| TOO_LONG)?;
        self.out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        self.counts[record.section as usize] += 1;
        if self.out.len() > MAX_MESSAGE_BYTES { Err(TOO_LONG) } else { Ok(()) }
    }

    /// Writes RDATA. Only the types of RFC 1035 may have compressed names (RFC 3597 §4).
    fn value(&mut self, rtype: u16, value: &[u8]) {
        let (fixed, names) = match rtype {
            rtype::NS | rtype::CNAME | 12 => (0, 1), // PTR
            rtype::SOA => (0, 2),
            15 => (2, 1), // MX
            _ => (value.len(), 0),
        };
        let mut at = fixed.min(value.len());
        self.out.extend_from_slice(&value[..at]);
        for _ in 0..names {
            let Some((_, length)) = value.get(at..).and_then(Name::read) else { break };
            self.name(&value[at..at + length]);
            at += length;
        }
        self.out.extend_from_slice(&value[at..]);
    }

    fn finish(mut self, options: &[u8]) -> Result<Vec<u8>, Malformed> {
        let length = u16::try_from(options.len()).map_err(|_| TOO_LONG)?;
        self.out.push(0);
        for field in [rtype::OPT, 0, 0, 0, length] {
            self.out.extend_from_slice(&field.to_be_bytes());
        }
        self.out.extend_from_slice(options);
        self.counts[2] = self.counts[2].saturating_add(1);
        for (at, count) in self.counts.iter().enumerate() {
            self.out[6 + 2 * at..8 + 2 * at].copy_from_slice(&count.to_be_bytes());
        }
        if self.out.len() > MAX_MESSAGE_BYTES { Err(TOO_LONG) } else { Ok(self.out) }
    }
}

const TOO_LONG: Malformed = Malformed("longer than 65535 bytes");
