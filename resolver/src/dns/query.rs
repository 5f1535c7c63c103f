//! A client's query: parsed and checked once, typed from then on.

use std::net::IpAddr;

use hickory_proto::{
    op::{Edns, MessageType, Metadata, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RecordType},
};

use crate::dns::{cookie, ede::Ede, names};

/// CO in the flags of an OPT (RFC 9824 §5.1).
pub const COMPACT_OK: u16 = 0x4000;

/// The transport of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram: the client limits the size of the response.
    Udp,
    /// A stream: the response may have 65,535 bytes.
    Tcp,
    /// TLS over a stream (RFC 7858).
    Tls,
    /// A request over HTTPS (RFC 8484).
    Https,
    /// A stream of a QUIC connection (RFC 9250).
    Quic,
}

impl Transport {
    /// Whether the transport is encrypted.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Transport::Tls | Transport::Https | Transport::Quic)
    }

    /// Whether one connection carries several queries, and may be told for how long (RFC 7828; not
    /// with QUIC, RFC 9250 §5.5.2, nor where HTTP manages the connection).
    pub fn supports_keepalive(self) -> bool {
        matches!(self, Transport::Tcp | Transport::Tls)
    }

    /// All transports, in order of declaration.
    pub const ALL: [Transport; 5] =
        [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Https, Transport::Quic];

    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Https => "https",
            Transport::Quic => "quic",
        }
    }
}

/// A client.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// The address that the response goes to; IPv4-mapped addresses as IPv4.
    pub address: IpAddr,
    /// The transport of the message.
    pub transport: Transport,
}

/// A question that can be answered: class IN, one name, a type that can be queried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name, in the client's spelling.
    pub name: Name,
    /// The type.
    pub qtype: RecordType,
    /// DO (RFC 3225): the client wants the DNSSEC records.
    pub dnssec_ok: bool,
    /// CO (RFC 9824 §5.1): the client understands NXNAME, and still wants NXDOMAIN in the response
    /// code.
    pub compact_ok: bool,
    /// AD or DO in the query: the client understands AD in the response (RFC 6840 §5.7).
    pub wants_ad: bool,
    /// CD: the client validates by itself.
    pub checking_disabled: bool,
    /// RD: without it no other server is queried.
    pub recursion_desired: bool,
}

impl Question {
    /// A question for a name and type, with RD, without DNSSEC.
    pub fn new(name: Name, qtype: RecordType) -> Self {
        Self {
            name,
            qtype,
            dnssec_ok: false,
            compact_ok: false,
            wants_ad: false,
            checking_disabled: false,
            recursion_desired: true,
        }
    }

    /// The same question for another name.
    pub fn with_name(&self, name: Name) -> Self {
        Self { name, ..*self }
    }

    /// QNAME without compression, QTYPE and QCLASS, in the client's spelling.
    pub fn wire(&self) -> Vec<u8> {
        let mut wire = names::to_wire(&self.name);
        wire.extend_from_slice(&u16::from(self.qtype).to_be_bytes());
        wire.extend_from_slice(&u16::from(DNSClass::IN).to_be_bytes());
        wire
    }
}

/// A message that is answered without a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// The response code.
    pub rcode: ResponseCode,
    /// The reason. `None` if nothing is refused.
    pub ede: Option<Ede>,
}

impl QueryError {
    fn with_ede(rcode: ResponseCode, code: u16, why: &str) -> Self {
        QueryError { rcode, ede: Some(Ede::new(code, why)) }
    }
}

/// Whether a type is data, or ANY. TKEY and TSIG are operations, MAILB and MAILA obsolete, 128 to
/// 248 reserved for meta-types (RFC 6895 §3.1), NXNAME among them (RFC 9824 §3.4).
pub fn is_looked_up(qtype: u16) -> bool {
    !matches!(qtype, 0 | 41 | 128..=254)
}

/// Checks the question of a message.
///
/// The order is that of RFC 6891 §6.1.3 and RFC 1035 §4.1.1: first the EDNS version, because with
/// an unknown one nothing else can be understood; then the opcode, the number of questions, and the
/// question itself.
pub fn read(
    metadata: &Metadata,
    queries: &[Query],
    edns: Option<&Edns>,
) -> Result<Question, QueryError> {
    let refuse = |rcode, code, why| Err(QueryError::with_ede(rcode, code, why));
    if edns.is_some_and(|edns| edns.version() != 0) {
        return refuse(ResponseCode::BADVERS, Ede::NOT_SUPPORTED, "only version 0 of EDNS");
    }
    if metadata.op_code != OpCode::Query {
        return refuse(ResponseCode::NotImp, Ede::NOT_SUPPORTED, "only the operation QUERY");
    }
    let [query] = queries else {
        // A client may send a query for a cookie alone (RFC 7873 §5.4, RFC 9619 §4).
        if queries.is_empty()
            && edns.is_some_and(|edns| edns.option(cookie::OPTION.into()).is_some())
        {
            return Err(QueryError { rcode: ResponseCode::NoError, ede: None });
        }
        return refuse(ResponseCode::FormErr, Ede::OTHER, "not exactly one question");
    };
    if metadata.message_type != MessageType::Query {
        return refuse(ResponseCode::FormErr, Ede::OTHER, "not a query");
    }
    if query.query_class() != DNSClass::IN {
        return refuse(ResponseCode::Refused, Ede::NOT_SUPPORTED, "only class IN");
    }
    let qtype = u16::from(query.query_type());
    match qtype {
        // Obsolete (RFC 1035 §3.2.3), or operations.
        249 | 250 | 253 | 254 => {
            return refuse(
                ResponseCode::NotImp,
                Ede::NOT_SUPPORTED,
                "not an operation of this resolver",
            );
        }
        // IXFR and AXFR.
        251 | 252 => {
            return refuse(ResponseCode::Refused, Ede::PROHIBITED, "zones are not handed out");
        }
        // The OPT pseudo-record, and what can't be the type of a record.
        _ if !is_looked_up(qtype) => {
            return refuse(
                ResponseCode::FormErr,
                Ede::INVALID_QUERY_TYPE,
                "no record can have this type",
            );
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
        let mut query =
            Query::query(Name::from_ascii("www.alice.").unwrap(), RecordType::from(qtype));
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
            (248, DNSClass::IN, Err(ResponseCode::FormErr)),
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
