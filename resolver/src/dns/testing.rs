//! Messages for tests, byte by byte.

use super::message::{HEADER_BYTES, Section};

/// A name as wire bytes.
pub fn name(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

/// A question of class IN as wire bytes.
pub fn question(text: &str, qtype: u16) -> Vec<u8> {
    let mut wire = name(text);
    wire.extend_from_slice(&qtype.to_be_bytes());
    wire.extend_from_slice(&[0, 1]);
    wire
}

/// A pointer to the name of the question.
pub const AT_QUESTION: [u8; 2] = [0xc0, 12];

/// Builds a reply.
pub struct Build(Vec<u8>);

impl Build {
    /// A reply to a query: its id, RD, CD and question; QR and RA.
    pub fn reply(query: &[u8]) -> Self {
        let name_end =
            query[HEADER_BYTES..].iter().position(|byte| *byte == 0).unwrap() + HEADER_BYTES + 1;
        let mut bytes = query[..name_end + 4].to_vec();
        bytes[2] = 0x80 | (query[2] & 0x01);
        bytes[3] = 0x80 | (query[3] & 0x10);
        bytes[6..12].fill(0);
        Self(bytes)
    }

    /// A reply to a question, with id 0.
    pub fn answer(question: &[u8]) -> Self {
        Self::reply(&[&[0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], question].concat())
    }

    /// Sets the RCODE.
    pub fn rcode(mut self, code: u8) -> Self {
        self.0[3] = (self.0[3] & 0xf0) | code;
        self
    }

    /// Sets bits of the third and fourth byte of the header.
    pub fn flags(mut self, third: u8, fourth: u8) -> Self {
        self.0[2] |= third;
        self.0[3] |= fourth;
        self
    }

    /// Appends a record of class IN. Sections must come in their order.
    pub fn record(
        self,
        section: Section,
        owner: &[u8],
        rtype: u16,
        ttl: u32,
        rdata: &[u8],
    ) -> Self {
        self.record_of_class(section, owner, rtype, 1, ttl, rdata)
    }

    /// Appends a record. Sections must come in their order.
    pub fn record_of_class(
        mut self,
        section: Section,
        owner: &[u8],
        rtype: u16,
        class: u16,
        ttl: u32,
        rdata: &[u8],
    ) -> Self {
        let count_at = 6 + 2 * section as usize;
        let count = u16::from_be_bytes([self.0[count_at], self.0[count_at + 1]]) + 1;
        self.0[count_at..count_at + 2].copy_from_slice(&count.to_be_bytes());
        self.0.extend_from_slice(owner);
        self.0.extend_from_slice(&rtype.to_be_bytes());
        self.0.extend_from_slice(&class.to_be_bytes());
        self.0.extend_from_slice(&ttl.to_be_bytes());
        self.0.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
        self.0.extend_from_slice(rdata);
        self
    }

    /// Appends an A record to the answer.
    pub fn a(self, ttl: u32, ip: [u8; 4]) -> Self {
        self.record(Section::Answer, &AT_QUESTION, 1, ttl, &ip)
    }

    /// Appends an SOA to the authority.
    pub fn soa(self, zone: &str, ttl: u32, minimum: u32) -> Self {
        let mut rdata = [name("ns.example"), name("admin.example")].concat();
        for field in [1, 3600, 600, 86400, minimum] {
            rdata.extend_from_slice(&u32::to_be_bytes(field));
        }
        self.record(Section::Authority, &name(zone), 6, ttl, &rdata)
    }

    /// Appends an OPT with an option, such as servers send.
    pub fn opt(self) -> Self {
        self.opt_with(&[0, 15, 0, 2, 0, 3])
    }

    /// Appends an OPT with these options.
    pub fn opt_with(self, options: &[u8]) -> Self {
        self.record_of_class(Section::Additional, &[0], 41, 1232, 0, options)
    }

    /// The offset of the next record.
    pub fn here(&self) -> usize {
        self.0.len()
    }

    /// The message.
    pub fn done(self) -> Vec<u8> {
        self.0
    }
}
