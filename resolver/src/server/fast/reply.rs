//! Writes a reply from a cached message: a copy with the client's fields patched in.

use super::query::ParsedQuery;
use crate::{
    dns::{cookie, cookie::Given, message::HEADER_BYTES, rtype},
    resolve::answer::MAX_UDP_BYTES,
};

/// The size of a reply buffer: the most bytes over UDP, rounded up to an odd number of processor
/// cache lines, so that the replies of a batch don't compete for the same ones.
pub const REPLY_BUFFER_BYTES: usize = 21 * 64;
const _: () = assert!(REPLY_BUFFER_BYTES >= MAX_UDP_BYTES as usize);
const QR: u8 = 0x80;
const AA: u8 = 0x04;
const RD: u8 = 0x01;
const RA: u8 = 0x80;
const AD: u8 = 0x20;
const CD: u8 = 0x10;
const RCODE: u8 = 0x0f;

/// A cached message.
#[derive(Clone, Copy, Debug)]
pub struct CachedReply<'a> {
    /// The message, without an OPT.
    pub wire: &'a [u8],
    /// The offsets of its TTLs, two bytes each, low byte first.
    pub ttl_places: &'a [u8],
    /// Its age in seconds, by which the TTLs are decreased.
    pub age: u32,
    /// The EDNS options of the reply.
    pub options: &'a [u8],
    /// Whether the answer was made here, so that AA may be set.
    pub ours: bool,
}

impl CachedReply<'_> {
    /// Writes the reply to a query; `None` if it is too long for the client. AD is set only for
    /// clients on this machine that understand it.
    pub fn write(
        &self,
        query: &[u8],
        parsed: &ParsedQuery,
        local: bool,
        cookie: Option<&Given>,
        out: &mut [u8; REPLY_BUFFER_BYTES],
    ) -> Option<usize> {
        let body = self.wire.len();
        let options = self.options.len() + cookie.map_or(0, |given| 4 + given.len());
        let opt = if parsed.edns { 11 + options } else { 0 };
        let length = body + opt;
        if length > parsed.limit
            || query.len() < HEADER_BYTES + parsed.question
            || body < HEADER_BYTES + parsed.question
        {
            return None;
        }
        let out = &mut out[..length];
        out[..body].copy_from_slice(self.wire);
        out[..2].copy_from_slice(&query[..2]);
        let (high, low) = (self.wire[2], self.wire[3]);
        out[2] = QR | (query[2] & RD) | if self.ours { high & AA } else { 0 };
        let authentic = if local && parsed.wants_ad { low & AD } else { 0 };
        out[3] = RA | authentic | (query[3] & CD) | (low & RCODE);
        // The name as the client spelled it; type and class are the same.
        out[HEADER_BYTES..HEADER_BYTES + parsed.question]
            .copy_from_slice(&query[HEADER_BYTES..HEADER_BYTES + parsed.question]);
        for at in self.ttl_places.chunks_exact(2) {
            let at = usize::from(u16::from_le_bytes([at[0], at[1]]));
            if let Some(place) = out.get_mut(at..at + 4) {
                let ttl = u32::from_be_bytes([place[0], place[1], place[2], place[3]]);
                place.copy_from_slice(&ttl.saturating_sub(self.age).to_be_bytes());
            }
        }
        if parsed.edns {
            let additional = u16::from_be_bytes([self.wire[10], self.wire[11]]).saturating_add(1);
            out[10..12].copy_from_slice(&additional.to_be_bytes());
            let flags = u16::from(parsed.dnssec_ok) << 15;
            // The options fit, or the length would not.
            let fields = [rtype::OPT, MAX_UDP_BYTES, 0, flags, options as u16];
            out[body] = 0;
            for (place, field) in out[body + 1..].chunks_exact_mut(2).zip(fields) {
                place.copy_from_slice(&field.to_be_bytes());
            }
            let (kept, own) = out[body + 11..].split_at_mut(self.options.len());
            kept.copy_from_slice(self.options);
            if let Some(given) = cookie {
                own[..2].copy_from_slice(&cookie::OPTION.to_be_bytes());
                own[2..4].copy_from_slice(&(given.len() as u16).to_be_bytes());
                own[4..].copy_from_slice(given);
            }
        }
        Some(length)
    }
}
