//! What a client asks: read from a message once, checked once, and typed from then on.

use std::net::IpAddr;

use hickory_proto::{
    op::{Edns, MessageType, Metadata, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RecordType},
};

use crate::ede::Ede;

/// CO among the flags of an OPT (RFC 9824 §5.1).
pub const COMPACT_OK: u16 = 0x4000;

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram: the answer's size is limited by what the client says it can take.
    Udp,
    /// A stream: the answer may have 65,535 bytes.
    Tcp,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// The address that the answer goes to, IPv4 addresses in their own form.
    pub address: IpAddr,
    /// How the message came.
    pub transport: Transport,
}

/// One question that can be answered: class IN, one name, a type that is not an operation.
#[derive(Clone, Debug)]
pub struct Question {
    /// The name, in the client's spelling.
    pub name: Name,
    /// The type.
    pub qtype: RecordType,
    /// DO (RFC 3225): the client wants the DNSSEC records.
    pub dnssec_ok: bool,
    /// CO (RFC 9824 §5.1): the client knows that a name does not exist from NXNAME, and wants to see it in the response code
    /// all the same.
    pub compact_ok: bool,
    /// AD or DO in the query: the client understands AD in the answer (RFC 6840 §5.7).
    pub wants_ad: bool,
    /// CD: the client validates by itself.
    pub checking_disabled: bool,
    /// RD: without it nobody else is asked.
    pub recursion_desired: bool,
}

impl Question {
    /// QNAME without compression, QTYPE and QCLASS, in the client's spelling.
    pub fn wire(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(self.name.len() + 5);
        for label in self.name.iter() {
            // A label has at most 63 bytes; hickory's names hold no other.
            wire.push(label.len() as u8);
            wire.extend_from_slice(label);
        }
        wire.push(0);
        wire.extend_from_slice(&u16::from(self.qtype).to_be_bytes());
        wire.extend_from_slice(&u16::from(DNSClass::IN).to_be_bytes());
        wire
    }
}

/// A message that is answered without looking anything up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The response code.
    pub rcode: ResponseCode,
    /// Why, for clients that can be told.
    pub ede: Option<Ede>,
}

impl Refusal {
    fn because(rcode: ResponseCode, ede: Option<Ede>) -> Self {
        Refusal { rcode, ede }
    }
}

/// Reads the question of a message.
///
/// The order is that of RFC 6891 §6.1.3 and RFC 1035 §4.1.1: an EDNS version that is not ours says nothing else can be
/// understood, then the operation, then the number of questions, then the question itself.
pub fn read(metadata: &Metadata, queries: &[Query], edns: Option<&Edns>) -> Result<Question, Refusal> {
    let refuse = |rcode| Err(Refusal::because(rcode, None));
    if edns.is_some_and(|edns| edns.version() != 0) {
        return refuse(ResponseCode::BADVERS);
    }
    if metadata.op_code != OpCode::Query {
        return refuse(ResponseCode::NotImp);
    }
    let [query] = queries else { return refuse(ResponseCode::FormErr) };
    if metadata.message_type != MessageType::Query {
        return refuse(ResponseCode::FormErr);
    }
    if query.query_class() != DNSClass::IN {
        return Err(Refusal::because(
            ResponseCode::Refused,
            Some(Ede::new(Ede::NOT_SUPPORTED, "only class IN")),
        ));
    }
    match u16::from(query.query_type()) {
        // No such type; the OPT pseudo-record is not data.
        0 | 41 => return refuse(ResponseCode::FormErr),
        // NXNAME stands in denials and nowhere else (RFC 9824 §3.5).
        128 => {
            let ede = Ede::new(Ede::INVALID_QUERY_TYPE, "NXNAME can't be asked for");
            return Err(Refusal::because(ResponseCode::FormErr, Some(ede)));
        }
        // TKEY and TSIG are operations, MAILB and MAILA obsolete (RFC 1035 §3.2.3).
        249 | 250 | 253 | 254 => return refuse(ResponseCode::NotImp),
        // IXFR and AXFR.
        251 | 252 => {
            let ede = Ede::new(Ede::PROHIBITED, "zones are not handed out");
            return Err(Refusal::because(ResponseCode::Refused, Some(ede)));
        }
        _ => {}
    }
    let dnssec_ok = edns.is_some_and(|edns| edns.flags().dnssec_ok);
    Ok(Question {
        name: query.name().clone(),
        qtype: query.query_type(),
        dnssec_ok,
        compact_ok: dnssec_ok && edns.is_some_and(|edns| edns.flags().z & COMPACT_OK != 0),
        wants_ad: dnssec_ok || metadata.authentic_data,
        checking_disabled: metadata.checking_disabled,
        recursion_desired: metadata.recursion_desired,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(qtype: u16, class: DNSClass) -> Query {
        let mut query = Query::query(Name::from_ascii("www.alice.").unwrap(), RecordType::from(qtype));
        query.set_query_class(class);
        query
    }

    #[test]
    fn what_is_refused_and_how() {
        let plain = Metadata::new(1, MessageType::Query, OpCode::Query);
        let a = query(1, DNSClass::IN);
        let rcode = |metadata: &Metadata, queries: &[Query], edns: Option<&Edns>| {
            read(metadata, queries, edns).map(|_| ()).map_err(|refusal| refusal.rcode)
        };
        assert_eq!(rcode(&plain, std::slice::from_ref(&a), None), Ok(()));
        assert_eq!(rcode(&plain, &[], None), Err(ResponseCode::FormErr));
        assert_eq!(rcode(&plain, &[a.clone(), a.clone()], None), Err(ResponseCode::FormErr));
        let update = Metadata::new(1, MessageType::Query, OpCode::Update);
        assert_eq!(rcode(&update, std::slice::from_ref(&a), None), Err(ResponseCode::NotImp));
        let mut edns = Edns::new();
        edns.set_version(1);
        assert_eq!(rcode(&update, &[], Some(&edns)), Err(ResponseCode::BADVERS));
        for (qtype, class, expected) in [
            (1, DNSClass::CH, Err(ResponseCode::Refused)),
            (1, DNSClass::ANY, Err(ResponseCode::Refused)),
            (252, DNSClass::IN, Err(ResponseCode::Refused)),
            (251, DNSClass::IN, Err(ResponseCode::Refused)),
            (250, DNSClass::IN, Err(ResponseCode::NotImp)),
            (41, DNSClass::IN, Err(ResponseCode::FormErr)),
            (0, DNSClass::IN, Err(ResponseCode::FormErr)),
            (128, DNSClass::IN, Err(ResponseCode::FormErr)),
            (255, DNSClass::IN, Ok(())),
            (65280, DNSClass::IN, Ok(())),
        ] {
            assert_eq!(rcode(&plain, &[query(qtype, class)], None), expected, "{qtype} {class}");
        }
    }

    #[test]
    fn the_flags_are_read() {
        let mut metadata = Metadata::new(1, MessageType::Query, OpCode::Query);
        metadata.recursion_desired = true;
        metadata.checking_disabled = true;
        let mut edns = Edns::new();
        edns.set_dnssec_ok(true);
        let question = read(&metadata, &[query(1, DNSClass::IN)], Some(&edns)).unwrap();
        assert!(question.recursion_desired && question.checking_disabled);
        assert!(question.dnssec_ok && question.wants_ad, "DO says that AD is understood");
        assert!(!question.compact_ok);
        edns.flags_mut().z = COMPACT_OK;
        assert!(read(&metadata, &[query(1, DNSClass::IN)], Some(&edns)).unwrap().compact_ok);
        edns.set_dnssec_ok(false);
        assert!(!read(&metadata, &[query(1, DNSClass::IN)], Some(&edns)).unwrap().compact_ok);
        edns.set_dnssec_ok(true);
        let question = read(&metadata, &[query(1, DNSClass::IN)], None).unwrap();
        assert!(!question.dnssec_ok && !question.wants_ad);
    }
}
