//! Parsed messages, in the terms of the scenarios.

use domain::{
    base::{Name, Rtype, iana::Class, name::ToName, rdata::ComposeRecordData},
    zonefile::inplace::{Entry, Zonefile},
};
use resolver::dns::message::{HEADER_BYTES, Packet, Section};

pub const QR: u16 = 0x8000;
pub const AA: u16 = 0x0400;
pub const TC: u16 = 0x0200;
pub const RD: u16 = 0x0100;
pub const RA: u16 = 0x0080;
pub const AD: u16 = 0x0020;
pub const CD: u16 = 0x0010;
pub const OPT: u16 = 41;

/// A question: the name in wire form, type, class.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    pub name: Vec<u8>,
    pub qtype: u16,
    pub class: u16,
}

/// A record, uncompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub owner: Vec<u8>,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    pub data: Vec<u8>,
}

/// EDNS: whether DO is set, and the options in wire form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edns {
    pub dnssec_ok: bool,
    pub options: Vec<u8>,
}

/// A message.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub id: u16,
    /// The flags of the header.
    pub flags: u16,
    pub opcode: u8,
    pub rcode: u16,
    pub question: Option<Question>,
    /// Answer, authority, additional without OPT.
    pub sections: [Vec<Record>; 3],
    pub edns: Option<Edns>,
}

const SECTIONS: [Section; 3] = [Section::Answer, Section::Authority, Section::Additional];

impl Message {
    /// Parses a message with a question; a message without one has only a header.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let header = bytes.get(..HEADER_BYTES).ok_or("shorter than a header")?;
        let flags = u16::from_be_bytes([header[2], header[3]]);
        let mut message = Self {
            id: u16::from_be_bytes([header[0], header[1]]),
            flags: flags & (QR | AA | TC | RD | RA | AD | CD),
            opcode: (flags >> 11 & 15) as u8,
            rcode: flags & 15,
            ..Self::default()
        };
        if header[4..6] == [0, 0] {
            return Ok(message);
        }
        let packet = Packet::parse(bytes).map_err(|malformed| malformed.to_string())?;
        let (name, rest) = packet.question().split_at(packet.question().len() - 4);
        let short = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
        message.question = Some(Question { name: name.to_vec(), qtype: short(0), class: short(2) });
        for (place, section) in message.sections.iter_mut().zip(SECTIONS) {
            for at in packet.section(section) {
                let (mut owner, mut data) = (Vec::new(), Vec::new());
                packet.owner(at, &mut owner).map_err(|malformed| malformed.to_string())?;
                packet.rdata(at, &mut data).map_err(|malformed| malformed.to_string())?;
                if at.rtype == OPT {
                    message.rcode |= u16::from(bytes[at.ttl_at]) << 4;
                    message.edns =
                        Some(Edns { dnssec_ok: bytes[at.ttl_at + 2] & 0x80 != 0, options: data });
                } else {
                    place.push(Record {
                        owner,
                        rtype: at.rtype,
                        class: at.class,
                        ttl: at.ttl,
                        data,
                    });
                }
            }
        }
        Ok(message)
    }

    /// The bytes, uncompressed.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = self.id.to_be_bytes().to_vec();
        let flags = self.flags | u16::from(self.opcode) << 11 | self.rcode & 15;
        bytes.extend_from_slice(&flags.to_be_bytes());
        let counts = [
            usize::from(self.question.is_some()),
            self.sections[0].len(),
            self.sections[1].len(),
            self.sections[2].len() + usize::from(self.edns.is_some()),
        ];
        counts.iter().for_each(|count| bytes.extend_from_slice(&(*count as u16).to_be_bytes()));
        if let Some(question) = &self.question {
            bytes.extend_from_slice(&question.name);
            bytes.extend_from_slice(&question.qtype.to_be_bytes());
            bytes.extend_from_slice(&question.class.to_be_bytes());
        }
        for record in self.sections.iter().flatten() {
            bytes.extend_from_slice(&record.owner);
            bytes.extend_from_slice(&record.rtype.to_be_bytes());
            bytes.extend_from_slice(&record.class.to_be_bytes());
            bytes.extend_from_slice(&record.ttl.to_be_bytes());
            bytes.extend_from_slice(&(record.data.len() as u16).to_be_bytes());
            bytes.extend_from_slice(&record.data);
        }
        if let Some(edns) = &self.edns {
            let flags = u16::from(edns.dnssec_ok) << 15;
            bytes.extend_from_slice(&[0, 0, 41, 16, 0, (self.rcode >> 4) as u8, 0]);
            bytes.extend_from_slice(&flags.to_be_bytes());
            bytes.extend_from_slice(&(edns.options.len() as u16).to_be_bytes());
            bytes.extend_from_slice(&edns.options);
        }
        bytes
    }

    /// The codes of the extended errors (RFC 8914).
    pub fn extended_errors(&self) -> Vec<u16> {
        let mut found = Vec::new();
        let mut rest = self.edns.as_ref().map_or(&[][..], |edns| &edns.options);
        while let Some((&[c0, c1, l0, l1], after)) = rest.split_first_chunk::<4>() {
            let length = usize::from(u16::from_be_bytes([l0, l1])).min(after.len());
            if [c0, c1] == [0, 15] && length >= 2 {
                found.push(u16::from_be_bytes([after[0], after[1]]));
            }
            rest = &after[length..];
        }
        found
    }
}

impl Record {
    /// Whether it is equal, ignoring case and TTL.
    pub fn is_like(&self, other: &Self) -> bool {
        // Names in RDATA: the types of RFC 4034 §6.2, and NSEC.
        let names = matches!(
            self.rtype,
            2..=9 | 12 | 14 | 15 | 17 | 18 | 21 | 24 | 26 | 30 | 33 | 35 | 36 | 39 | 46 | 47
        );
        let same = |one: &[u8], other: &[u8]| match names {
            true => one.eq_ignore_ascii_case(other),
            false => one == other,
        };
        self.owner.eq_ignore_ascii_case(&other.owner)
            && (self.rtype, self.class) == (other.rtype, other.class)
            && same(&self.data, &other.data)
    }

    /// The type that a signature covers; the own type of other records.
    pub fn covered(&self) -> u16 {
        match self.rtype {
            46 if self.data.len() > 2 => u16::from_be_bytes([self.data[0], self.data[1]]),
            rtype => rtype,
        }
    }

    pub fn shown(&self) -> String {
        let name = shown(&self.owner);
        let mut data: String = self.data.iter().map(|byte| format!("{byte:02x}")).collect();
        data.truncate(60);
        format!("{name} {} {} {data}", self.ttl, Rtype::from_int(self.rtype))
    }
}

/// A name as text.
pub fn shown(name: &[u8]) -> String {
    Name::from_octets(name).map_or_else(|_| format!("{name:?}"), |name| format!("{name}."))
}

/// A name from text, in wire form.
pub fn name(text: &str) -> Result<Vec<u8>, String> {
    let name = Name::<Vec<u8>>::vec_from_str(text).map_err(|error| format!("{text}: {error}"))?;
    Ok(name.as_slice().to_vec())
}

/// A type or class from its mnemonic.
pub fn rtype(text: &str) -> Result<u16, String> {
    text.parse::<Rtype>().map(Rtype::to_int).map_err(|_| format!("no type '{text}'"))
}

pub fn class(text: &str) -> Option<u16> {
    text.parse::<Class>().map(Class::to_int).ok()
}

/// Replaces the mnemonics of algorithms by numbers: of the old ones the library parses only those.
pub fn numbered(line: &str) -> String {
    let line = line.split(" ;").next().unwrap_or(line);
    let word = |word: &str| match word {
        "RSAMD5" => "1".to_owned(),
        "DSA" => "3".to_owned(),
        "RSASHA1" => "5".to_owned(),
        other => other.to_owned(),
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Records from the text of a zone file.
pub fn records(text: &str, origin: &str) -> Result<Vec<Record>, String> {
    let mut file = Zonefile::with_capacity(text.len() + 1).allow_invalid();
    file.extend_from_slice(text.as_bytes());
    file.extend_from_slice(b"\n");
    file.set_origin(Name::bytes_from_str(origin).map_err(|error| error.to_string())?);
    file.set_default_class(Class::IN);
    let mut found = Vec::new();
    while let Some(entry) = file.next_entry().map_err(|error| format!("{text}: {error}"))? {
        let Entry::Record(record) = entry else { return Err("an $INCLUDE".into()) };
        let mut data = Vec::new();
        let Ok(()) = record.data().compose_rdata(&mut data);
        found.push(Record {
            owner: record.owner().to_vec().as_slice().to_vec(),
            rtype: record.rtype().to_int(),
            class: record.class().to_int(),
            ttl: record.ttl().as_secs(),
            data,
        });
    }
    Ok(found)
}
