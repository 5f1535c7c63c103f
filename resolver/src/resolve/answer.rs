//! The answer as a plain type, made by every source, and its encoding as a message.

use std::time::Duration;

use hickory_proto::{
    op::{Edns, Message, Metadata, Query, ResponseCode},
    rr::{
        Record,
        rdata::opt::{EdnsCode, EdnsOption},
    },
};

use crate::{
    chain::validity::Dependency,
    dns::{
        cookie,
        ede::Ede,
        query::{COMPACT_OK, Client, Transport},
    },
    telemetry::Origin,
};

/// The most bytes of an answer over UDP, whatever size the client advertises: it crosses every path
/// unfragmented (DNS flag day 2020), and is what we advertise.
pub const MAX_UDP_BYTES: u16 = 1_232;
/// The most bytes over UDP to a client without EDNS (RFC 1035 §4.2.1).
pub const PLAIN_UDP_BYTES: u16 = 512;

/// How long a stream may be without a query, or a response on it may wait to be read (RFC 7766
/// §6.2.3).
pub const STREAM_IDLE: Duration = Duration::from_secs(10);

/// An answer, before it is a message.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The response code.
    pub rcode: ResponseCode,
    /// AA: the owner of the first answer record is a name that the resolver is authoritative for
    /// (RFC 1034 §6.2).
    pub authoritative: bool,
    /// AD: the source of the answer has validated it.
    pub authentic: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authorities: Vec<Record>,
    /// The additional section, without the OPT record.
    pub additionals: Vec<Record>,
    /// Extended errors.
    pub ede: Vec<Ede>,
    /// Its origin.
    pub origin: Origin,
    /// The number of the signing period in which it may be served; 0 if it has no signatures made
    /// here.
    pub signed: u32,
    /// What it depends on, if it comes from the chain and from fixed rules alone; `None` otherwise.
    pub dependencies: Option<Vec<Dependency>>,
    /// The cookie that the client gets.
    pub cookie: Option<cookie::Given>,
}

impl Answer {
    /// A failure with its reason.
    pub fn failure(rcode: ResponseCode, ede: Ede) -> Self {
        Answer { rcode, ede: vec![ede], ..Answer::default() }
    }

    /// A negative answer made here with its SOA: NODATA with `NoError`, or NXDOMAIN.
    pub fn negative(rcode: ResponseCode, soa: Record) -> Self {
        Answer { rcode, authoritative: true, authorities: vec![soa], ..Answer::default() }
    }

    /// An answer made here.
    pub fn records(answers: Vec<Record>) -> Self {
        Answer { authoritative: true, answers, ..Answer::default() }
    }

    /// The message that answers `metadata` and `queries`, within the client's limit.
    ///
    /// RA is always set. AD goes to loopback clients only: no other client can know that the path
    /// to the resolver is secure.
    pub fn into_message(
        self,
        metadata: &Metadata,
        queries: &[Query],
        edns: Option<&Edns>,
        client: Client,
        wants_ad: bool,
    ) -> Message {
        let mut response = Metadata::response_from_request(metadata);
        response.recursion_available = true;
        response.authoritative = self.authoritative;
        response.authentic_data = self.authentic && wants_ad && client.address.is_loopback();
        response.response_code = self.rcode;
        let mut message = Message::response(response.id, response.op_code);
        message.metadata = response;
        message.add_queries(queries.iter().cloned());
        message.insert_answers(self.answers);
        message.insert_authorities(self.authorities);
        message.insert_additionals(self.additionals);
        if let Some(asked) = edns {
            let mut ours = Edns::new();
            ours.set_max_payload(MAX_UDP_BYTES)
                .set_version(0)
                .set_dnssec_ok(asked.flags().dnssec_ok);
            if self.signed != 0 {
                // RFC 9824 §5.1.
                ours.flags_mut().z = asked.flags().z & COMPACT_OK;
            }
            if client.transport.supports_keepalive() && asked.option(EdnsCode::Keepalive).is_some()
            {
                ours.options_mut().insert(keepalive());
            }
            for ede in &self.ede {
                ours.options_mut().insert(ede.option());
            }
            if let Some(cookie) = &self.cookie {
                ours.options_mut().insert(EdnsOption::Unknown(cookie::OPTION, cookie.to_vec()));
            }
            message.set_edns(ours);
        }
        fit(&mut message, limit(edns, client.transport));
        if client.transport.is_encrypted()
            && edns.is_some_and(|asked| asked.option(EdnsCode::Padding).is_some())
        {
            pad(&mut message);
        }
        message
    }
}

/// The number of the EDNS option Padding (RFC 7830 §3).
const PADDING_OPTION: u16 = 12;
/// Responses over encrypted transports are padded to a multiple of this many bytes (RFC 8467 §4.1).
pub const PADDING_BLOCK_BYTES: usize = 468;
/// The length of an EDNS option's code and length fields, in bytes.
const OPTION_HEADER_BYTES: usize = 4;

/// Pads a response, so that its encrypted length reveals little.
fn pad(message: &mut Message) {
    let Ok(length) = message.to_vec().map(|bytes| bytes.len() + OPTION_HEADER_BYTES) else {
        return;
    };
    let padded = length.next_multiple_of(PADDING_BLOCK_BYTES);
    if padded <= usize::from(u16::MAX)
        && let Some(edns) = &mut message.edns
    {
        edns.options_mut().insert(EdnsOption::Unknown(PADDING_OPTION, vec![0; padded - length]));
    }
}

/// The edns-tcp-keepalive option: how long a stream stays open without a query, in units of 100 ms
/// (RFC 7828 §3.1).
fn keepalive() -> EdnsOption {
    let units = u16::try_from(STREAM_IDLE.as_millis() / 100).unwrap_or(u16::MAX);
    EdnsOption::Unknown(u16::from(EdnsCode::Keepalive), units.to_be_bytes().into())
}

/// The most bytes that the response to this client may have.
fn limit(edns: Option<&Edns>, transport: Transport) -> usize {
    usize::from(match (transport, edns) {
        (Transport::Udp, None) => PLAIN_UDP_BYTES,
        // Sizes below 512 are treated as 512 (RFC 6891 §6.2.3).
        (Transport::Udp, Some(edns)) => edns.max_payload().clamp(PLAIN_UDP_BYTES, MAX_UDP_BYTES),
        _ => u16::MAX,
    })
}

/// Makes the message fit into `limit` bytes: first the additional section is removed, which is not
/// truncation (RFC 2181 §9); then everything, and TC is set. A message that can't be encoded counts
/// as too long.
fn fit(message: &mut Message, limit: usize) {
    // The encoder stops at 65,535 bytes and sets TC, so the flag has to be checked.
    let fits = |message: &Message| {
        message.to_vec().is_ok_and(|bytes| {
            bytes.len() <= limit && (bytes[2] & 0x02 == 0 || message.metadata.truncation)
        })
    };
    if fits(message) {
        return;
    }
    if !message.answers.is_empty() {
        message.additionals.clear();
        if fits(message) {
            return;
        }
    }
    message.answers.clear();
    message.authorities.clear();
    message.additionals.clear();
    message.metadata.truncation = true;
}

#[cfg(test)]
mod tests {
    use hickory_proto::{
        op::{MessageType, OpCode},
        rr::{Name, RData, RecordType, rdata::A},
    };

    use super::*;

    const LOCAL: Client = Client {
        address: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        transport: Transport::Udp,
    };

    fn message(answer: Answer, edns: Option<u16>, client: Client) -> Message {
        let metadata = Metadata::new(7, MessageType::Query, OpCode::Query);
        let query = Query::query(name(), RecordType::A);
        let edns = edns.map(|size| {
            let mut edns = Edns::new();
            edns.set_max_payload(size);
            edns
        });
        answer.into_message(&metadata, &[query], edns.as_ref(), client, true)
    }

    fn name() -> Name {
        Name::from_ascii("www.alice.").unwrap()
    }

    fn addresses(count: u8) -> Vec<Record> {
        (0..count).map(|n| Record::from_rdata(name(), 60, RData::A(A::new(192, 0, 2, n)))).collect()
    }

    /// A header, a question of 15 bytes, and 16 bytes an address; an OPT record has 11.
    #[test]
    fn the_size_is_the_smaller_of_the_clients_and_ours() {
        for (count, edns, truncated) in [
            (30, None, false),
            (31, None, true),
            (29, Some(100), false),
            (30, Some(100), true),
            (41, Some(700), false),
            (42, Some(700), true),
            (74, Some(4096), false),
            (75, Some(4096), true),
        ] {
            let message = message(Answer::records(addresses(count)), edns, LOCAL);
            assert_eq!(message.metadata.truncation, truncated, "{count} addresses, {edns:?}");
            assert_eq!(message.answers.len(), if truncated { 0 } else { usize::from(count) });
            let size = usize::from(edns.unwrap_or(512).clamp(512, 1232));
            assert!(message.to_vec().unwrap().len() <= size);
        }
        let over_tcp = message(
            Answer::records(addresses(200)),
            None,
            Client { transport: Transport::Tcp, ..LOCAL },
        );
        assert_eq!(over_tcp.answers.len(), 200);
    }

    #[test]
    fn an_additional_section_is_left_out_before_anything_is_truncated() {
        let answer = Answer { additionals: addresses(40), ..Answer::records(addresses(20)) };
        let message = message(answer, None, LOCAL);
        assert_eq!((message.answers.len(), message.additionals.len()), (20, 0));
        assert!(!message.metadata.truncation);
    }

    #[test]
    fn more_than_a_stream_message_holds_is_truncated() {
        let text = |n: u8| {
            Record::from_rdata(
                name(),
                60,
                RData::Unknown {
                    code: RecordType::from(65_280),
                    rdata: hickory_proto::rr::rdata::NULL::with(vec![n; 4_000]),
                },
            )
        };
        let answer = Answer::records((0..20).map(text).collect());
        let message = message(answer, None, Client { transport: Transport::Tcp, ..LOCAL });
        assert!(message.metadata.truncation && message.answers.is_empty());
    }

    #[test]
    fn a_stream_that_asks_is_told_how_long_it_stays_open() {
        let metadata = Metadata::new(7, MessageType::Query, OpCode::Query);
        let mut asked = Edns::new();
        let keepalive = |asked: &Edns, transport| {
            let client = Client { transport, ..LOCAL };
            let message =
                Answer::default().into_message(&metadata, &[], Some(asked), client, false);
            message.edns.unwrap().option(EdnsCode::Keepalive).cloned()
        };
        assert_eq!(keepalive(&asked, Transport::Tcp), None);
        asked.options_mut().insert(EdnsOption::Unknown(11, vec![]));
        assert_eq!(keepalive(&asked, Transport::Udp), None, "RFC 7828 §3.2.1");
        assert_eq!(keepalive(&asked, Transport::Tcp), Some(EdnsOption::Unknown(11, vec![0, 100])));
    }

    #[test]
    fn ad_is_for_loopback_and_ede_for_those_with_edns() {
        let answer =
            Answer { authentic: true, ede: vec![Ede::new(14, "not yet")], ..Answer::default() };
        let elsewhere = Client { address: [192, 0, 2, 1].into(), ..LOCAL };
        assert!(message(answer.clone(), None, LOCAL).metadata.authentic_data);
        assert!(!message(answer.clone(), None, elsewhere).metadata.authentic_data);
        assert!(message(answer.clone(), None, LOCAL).edns.is_none());
        let with = message(answer, Some(4096), LOCAL);
        let edns = with.edns.unwrap();
        assert_eq!(
            edns.option(EdnsCode::from(15)),
            Some(&EdnsOption::Unknown(15, b"\0\x0enot yet".to_vec()))
        );
        assert_eq!(edns.max_payload(), MAX_UDP_BYTES);
    }
}
