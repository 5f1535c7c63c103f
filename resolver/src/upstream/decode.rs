//! Decodes the bytes of an answer into hickory's message without loss.

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{
    BinDecodable, BinDecoder, BinEncodable, BinEncoder, NameEncoding,
};

use crate::dns::message::{Malformed, Packet, RecordAt, Section};

/// Decodes an answer.
///
/// A record is typed if hickory decodes it and encodes it back to the same bytes. Any other record
/// (an unknown type, a value that hickory would refuse or change) is carried as opaque RDATA (RFC
/// 3597), so that the client gets what the server sent.
///
/// # Errors
/// [`Malformed`]; never for bytes that [`Packet::parse`] has accepted.
pub fn decode(bytes: &[u8]) -> Result<Message, Malformed> {
    let packet = Packet::parse(bytes)?;
    let mut message = Message::new(0, MessageType::Response, OpCode::Query);
    let (high, low) = (bytes[2], bytes[3]);
    let meta = &mut message.metadata;
    meta.id = u16::from_be_bytes([bytes[0], bytes[1]]);
    meta.authoritative = high & 0x04 != 0;
    meta.truncation = high & 0x02 != 0;
    meta.recursion_desired = high & 0x01 != 0;
    meta.recursion_available = low & 0x80 != 0;
    meta.authentic_data = low & 0x20 != 0;
    meta.checking_disabled = low & 0x10 != 0;
    meta.response_code = ResponseCode::from(0, packet.rcode());
    let question = Query::read(&mut BinDecoder::new(packet.question()));
    message.add_query(question.map_err(|_| Malformed("an unreadable question"))?);
    for record in packet.records() {
        let section = match record.section {
            Section::Answer => &mut message.answers,
            Section::Authority => &mut message.authorities,
            Section::Additional => &mut message.additionals,
        };
        section.push(read_record(&packet, record)?);
    }
    Ok(message)
}

fn read_record(packet: &Packet<'_>, at: &RecordAt) -> Result<Record, Malformed> {
    const UNREADABLE: Malformed = Malformed("an unreadable name");
    let mut wire = Vec::with_capacity(64);
    packet.owner(at, &mut wire)?;
    let name = Name::read(&mut BinDecoder::new(&wire)).map_err(|_| UNREADABLE)?;
    for field in [at.rtype, at.class] {
        wire.extend_from_slice(&field.to_be_bytes());
    }
    wire.extend_from_slice(&at.ttl.to_be_bytes());
    let length_at = wire.len();
    wire.extend_from_slice(&[0, 0]);
    packet.rdata(at, &mut wire)?;
    let data = wire.split_off(length_at + 2);
    let length =
        u16::try_from(data.len()).map_err(|_| Malformed("an RDATA is longer than 65535 bytes"))?;
    wire[length_at..].copy_from_slice(&length.to_be_bytes());
    wire.extend_from_slice(&data);
    match Record::read(&mut BinDecoder::new(&wire)) {
        Ok(record) if encodes_to(&record, &wire) => Ok(record),
        _ => {
            let rdata =
                RData::Unknown { code: RecordType::from(at.rtype), rdata: NULL::with(data) };
            let mut record = Record::from_rdata(name, at.ttl, rdata);
            record.dns_class = DNSClass::from(at.class);
            Ok(record)
        }
    }
}

fn encodes_to(record: &Record, wire: &[u8]) -> bool {
    let mut bytes = Vec::with_capacity(wire.len());
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    record.emit(&mut encoder).is_ok() && bytes == wire
}
