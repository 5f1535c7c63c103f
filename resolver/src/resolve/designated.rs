//! Discovery of this server's encrypted transports (RFC 9462): SVCB records at
//! `_dns.resolver.arpa`, by which a client that knows only the address upgrades.

use std::net::{IpAddr, SocketAddr};

use hickory_proto::rr::{Name, Record, RecordType};

use super::answer::Answer;
use crate::dns::{
    names,
    query::{Question, Transport},
    rtype,
};

/// The TTL of the records: they change when the server is restarted.
const TTL_SECS: u32 = 300;
/// The SVCB parameters (RFC 9460 §14.3.2, RFC 9461 §5), in the order in which they must stand.
const ALPN: u16 = 1;
const PORT: u16 = 3;
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;
const DOH_PATH: u16 = 7;
/// The path of DNS over HTTPS as a URI template (RFC 8484 §4.1.1).
const DOH_TEMPLATE: &[u8] = b"/dns-query{?dns}";

/// The encrypted transports of this server; empty if there are none, or no name for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Designated {
    /// The name in the certificate, in wire form.
    target: Vec<u8>,
    services: Vec<Service>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Service {
    transport: Transport,
    port: u16,
    /// Without unspecified ones.
    addresses: Vec<IpAddr>,
}

impl Designated {
    /// The transports at these addresses, with a certificate for `name`. Clients verify that name
    /// or the address, so a server with neither certificate nor name is not designated.
    pub fn new(name: &Name, listeners: impl IntoIterator<Item = (Transport, SocketAddr)>) -> Self {
        let mut services: Vec<Service> = Vec::new();
        for (transport, address) in listeners.into_iter().filter(|(it, _)| it.is_encrypted()) {
            let port = address.port();
            let at = services.iter().position(|it| (it.transport, it.port) == (transport, port));
            let at = at.unwrap_or_else(|| {
                services.push(Service { transport, port, addresses: Vec::new() });
                services.len() - 1
            });
            if !address.ip().is_unspecified() {
                services[at].addresses.push(address.ip());
            }
        }
        Self { target: names::to_wire(name), services }
    }

    /// The answer to a question; `None` if it is not for these records, or there are none.
    pub fn answer(&self, question: &Question, name: &Name) -> Option<Answer> {
        let is_asked = question.qtype == RecordType::SVCB
            && names::relative(name, 0) == b"\x04_dns\x08resolver\x04arpa\0";
        if !is_asked || self.services.is_empty() {
            return None;
        }
        let records = (1..).zip(&self.services).map(|(priority, service)| {
            let data = names::opaque(rtype::SVCB.into(), service.rdata(priority, &self.target));
            Record::from_rdata(name.clone(), TTL_SECS, data)
        });
        Some(Answer::records(records.collect()))
    }
}

impl Service {
    fn rdata(&self, priority: u16, target: &[u8]) -> Vec<u8> {
        let mut rdata = [&priority.to_be_bytes(), target].concat();
        let mut parameter = |key: u16, value: &[u8]| {
            if !value.is_empty() {
                rdata.extend_from_slice(&key.to_be_bytes());
                // A few addresses, far below 65,536 bytes.
                rdata.extend_from_slice(&(value.len() as u16).to_be_bytes());
                rdata.extend_from_slice(value);
            }
        };
        let (alpn, path): (&[u8], &[u8]) = match self.transport {
            Transport::Https => (b"\x02h2", DOH_TEMPLATE),
            Transport::Quic => (b"\x03doq", b""),
            _ => (b"\x03dot", b""),
        };
        parameter(ALPN, alpn);
        parameter(PORT, &self.port.to_be_bytes());
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for address in &self.addresses {
            match address {
                IpAddr::V4(address) => v4.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => v6.extend_from_slice(&address.octets()),
            }
        }
        parameter(IPV4_HINT, &v4);
        parameter(IPV6_HINT, &v6);
        parameter(DOH_PATH, path);
        rdata
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::op::{Message, MessageType, Metadata, OpCode};

    use super::*;
    use crate::dns::query::Client;

    fn shown(designated: &Designated, name: &str, qtype: RecordType) -> Option<Vec<String>> {
        let question = Question::new(Name::from_ascii(name).unwrap(), qtype);
        let answer = designated.answer(&question, &question.name)?;
        let client = Client { address: Ipv4Addr::LOCALHOST.into(), transport: Transport::Tcp };
        let asked = Metadata::new(0, MessageType::Query, OpCode::Query);
        let bytes = answer.into_message(&asked, &[], None, client, false).to_vec().unwrap();
        let message = Message::from_vec(&bytes).unwrap();
        Some(message.answers.iter().map(|record| record.data.to_string()).collect())
    }

    #[test]
    fn the_records_name_each_transport() {
        let name = Name::from_ascii("dns.example.").unwrap();
        let at = |address: &str| address.parse::<SocketAddr>().unwrap();
        let designated = Designated::new(
            &name,
            [
                (Transport::Tls, at("192.0.2.1:853")),
                (Transport::Tls, at("[2001:db8::1]:853")),
                (Transport::Https, at("0.0.0.0:443")),
                (Transport::Quic, at("192.0.2.1:8853")),
                (Transport::Udp, at("192.0.2.1:53")),
            ],
        );
        let records = shown(&designated, "_dns.Resolver.arpa.", RecordType::SVCB).unwrap();
        assert_eq!(records.len(), 3, "{records:?}");
        for (record, parts) in records.iter().zip([
            [
                "1 dns.example.",
                "alpn=dot",
                "port=853",
                "ipv4hint=192.0.2.1",
                "ipv6hint=2001:db8::1",
            ],
            ["2 dns.example.", "alpn=h2", "port=443", "", ""],
            ["3 dns.example.", "alpn=doq", "port=8853", "ipv4hint=192.0.2.1", ""],
        ]) {
            // hickory prints commas behind lists.
            let plain = record.replace(['"', ','], "");
            assert!(parts.iter().all(|part| plain.contains(part)), "{record}: {parts:?}");
        }
        for (name, qtype) in [
            ("_dns.resolver.arpa.", RecordType::A),
            ("resolver.arpa.", RecordType::SVCB),
            ("x._dns.resolver.arpa.", RecordType::SVCB),
        ] {
            assert_eq!(shown(&designated, name, qtype), None, "{name}");
        }
        let none = Designated::default();
        assert_eq!(shown(&none, "_dns.resolver.arpa.", RecordType::SVCB), None);
    }
}
