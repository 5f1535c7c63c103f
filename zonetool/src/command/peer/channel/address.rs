//! Where a name is called: what was given, or the locators in its record.

use std::net::{IpAddr, SocketAddr};

use messaging::channel::Transport;

/// A host, a port and what carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// An address, or a name in DNS.
    pub host: String,
    pub port: u16,
    pub transport: Transport,
}

/// The place that a multiaddress says: `/ip4/192.0.2.1/udp/7381/quic-v1`,
/// `/dns/alice.example/tcp/7381/tls`, and nothing behind it.
pub fn of_locator(locator: &str) -> Option<Place> {
    let parts: Vec<&str> = locator.strip_prefix('/')?.split('/').collect();
    let (host, rest) = match parts.as_slice() {
        ["ip4", host, rest @ ..] if matches!(host.parse(), Ok(IpAddr::V4(_))) => (host, rest),
        ["ip6", host, rest @ ..] if matches!(host.parse(), Ok(IpAddr::V6(_))) => (host, rest),
        ["dns" | "dns4" | "dns6", host, rest @ ..] if is_host(host) => (host, rest),
        _ => return None,
    };
    let (port, transport) = match rest {
        ["udp", port, "quic-v1"] => (port, Transport::Quic),
        ["tcp", port, "tls"] => (port, Transport::Tcp),
        _ => return None,
    };
    let port = port.parse().ok().filter(|port| *port != 0)?;
    Some(Place { host: (*host).to_owned(), port, transport })
}

/// `HOST:PORT`; an IPv6 address stands in brackets.
pub fn of_argument(text: &str, transport: Transport) -> Result<Place, &'static str> {
    let place = |host: String, port| Place { host, port, transport };
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(place(address.ip().to_string(), address.port()));
    }
    let (host, port) = text.rsplit_once(':').ok_or("expected HOST:PORT")?;
    let port = port
        .parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or("the port is a number from 1 to 65535")?;
    match is_host(host) {
        true => Ok(place(host.to_owned(), port)),
        false => Err("expected HOST:PORT, an IPv6 address in brackets"),
    }
}

/// What can be asked of DNS.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str, port: u16, transport: Transport) -> Place {
        Place { host: host.into(), port, transport }
    }

    #[test]
    fn locators() {
        for (locator, host, port, transport) in [
            ("/ip4/192.0.2.1/udp/7381/quic-v1", "192.0.2.1", 7381, Transport::Quic),
            ("/ip6/2001:db8::1/udp/1/quic-v1", "2001:db8::1", 1, Transport::Quic),
            ("/dns4/alice.example/tcp/65535/tls", "alice.example", 65_535, Transport::Tcp),
        ] {
            assert_eq!(of_locator(locator), Some(place(host, port, transport)), "{locator}");
        }
        for bad in [
            "",
            "/",
            "https://alice.example/",
            "/ip4/::1/udp/1/quic-v1",
            "/ip4/192.0.2.1/udp/1",
            "/ip4/192.0.2.1/udp/0/quic-v1",
            "/ip4/192.0.2.1/udp/65536/quic-v1",
            "/ip4/192.0.2.1/udp/1/quic-v1/p2p/Qm",
            "/ip4/192.0.2.1/tcp/1",
            "/dns4/a..b/tcp/1/tls",
            "/dns4//tcp/1/tls",
            "/dns4/a b/tcp/1/tls",
        ] {
            assert_eq!(of_locator(bad), None, "{bad}");
        }
    }

    #[test]
    fn arguments() {
        for (text, host, port) in [
            ("127.0.0.1:7381", "127.0.0.1", 7381),
            ("[::1]:1", "::1", 1),
            ("alice.example:7381", "alice.example", 7381),
        ] {
            assert_eq!(
                of_argument(text, Transport::Tcp),
                Ok(place(host, port, Transport::Tcp)),
                "{text}"
            );
        }
        for bad in ["", "alice", "alice:", "alice:0x1", "alice:0", "::1:7381x", "a b:1", ":1"] {
            assert!(of_argument(bad, Transport::Quic).is_err(), "{bad}");
        }
    }
}
