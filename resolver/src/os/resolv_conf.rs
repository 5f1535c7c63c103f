//! The servers in a resolv.conf(5), as a pure function of its text.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The port of DNS.
const DNS_PORT: u16 = 53;
/// The most servers that are used. The C library uses three; longer lists exist.
pub const MAX_SERVERS: usize = 8;
/// How much of a line a message quotes, in characters.
const MAX_QUOTED_CHARS: usize = 60;

/// The system's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemDns {
    /// The servers in order, without duplicates.
    pub servers: Vec<SocketAddr>,
    /// The lines that can't be used, for the user.
    pub skipped: Vec<Skipped>,
}

/// A `nameserver` line that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The line number, from 1.
    pub line: usize,
    /// The value, without control characters.
    pub value: String,
    /// The reason.
    pub why: Why,
}

/// Why a `nameserver` line can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It has no address.
    #[error("not an IP address")]
    NotAnAddress,
    /// The part after `%` is not an interface of this machine.
    #[error("no such network interface")]
    NoSuchInterface,
    /// There are too many.
    #[error("more servers than are used")]
    TooMany,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: nameserver {}: {}", self.line, self.value, self.why)
    }
}

/// Parses the text. `interface_index` finds the index of a network interface.
pub fn parse(text: &str, interface_index: impl Fn(&str) -> Option<u32>) -> SystemDns {
    let mut dns = SystemDns::default();
    for (number, line) in text.lines().enumerate() {
        // As in the C library, a keyword begins its line, and a value ends at the first blank.
        let Some(rest) = line.strip_prefix("nameserver") else { continue };
        if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
            continue;
        }
        let value = rest.split_whitespace().next().unwrap_or_default();
        let why = match read_address(value, &interface_index) {
            Ok(server) if dns.servers.contains(&server) => continue,
            Ok(server) if dns.servers.len() < MAX_SERVERS => {
                dns.servers.push(server);
                continue;
            }
            Ok(_) => Why::TooMany,
            Err(why) => why,
        };
        let value = value.chars().filter(|c| c.is_ascii_graphic()).take(MAX_QUOTED_CHARS).collect();
        dns.skipped.push(Skipped { line: number + 1, value, why });
    }
    dns
}

fn read_address(
    value: &str,
    interface_index: &impl Fn(&str) -> Option<u32>,
) -> Result<SocketAddr, Why> {
    let Some((address, interface)) = value.split_once('%') else {
        let ip: IpAddr = value.parse().map_err(|_| Why::NotAnAddress)?;
        return Ok(SocketAddr::new(ip, DNS_PORT));
    };
    let ip: Ipv6Addr = address.parse().map_err(|_| Why::NotAnAddress)?;
    let index = interface
        .parse()
        .ok()
        .or_else(|| interface_index(interface))
        .ok_or(Why::NoSuchInterface)?;
    Ok(SocketAddrV6::new(ip, DNS_PORT, 0, index).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> SystemDns {
        parse(text, |name| (name == "eth0").then_some(7))
    }

    fn v6(address: &str, scope: u32) -> SocketAddr {
        SocketAddrV6::new(address.parse().unwrap(), 53, 0, scope).into()
    }

    #[test]
    fn takes_servers_in_order_and_nothing_else() {
        let text = "# nameserver 192.0.2.1\n; nameserver 192.0.2.2\nsearch example.com\n\
                    nameserver 192.0.2.3\nnameserver\t2001:db8::1  # beside\r\noptions edns0\n nameserver 192.0.2.4\n\
                    nameservers 192.0.2.5\nnameserver 192.0.2.3";
        let dns = read(text);
        assert_eq!(dns.servers, ["192.0.2.3:53".parse().unwrap(), v6("2001:db8::1", 0)]);
        assert_eq!(dns.skipped, []);
    }

    #[test]
    fn keeps_the_scope_of_link_local_addresses() {
        let dns =
            read("nameserver fe80::1%eth0\nnameserver fe80::1%12\nnameserver fe80::2%wlan9\n");
        assert_eq!(dns.servers, [v6("fe80::1", 7), v6("fe80::1", 12)]);
        let skipped = Skipped { line: 3, value: "fe80::2%wlan9".into(), why: Why::NoSuchInterface };
        assert_eq!(dns.skipped, [skipped]);
    }

    #[test]
    fn tells_what_it_skips() {
        let dns = read(
            "nameserver dns.example\nnameserver\nnameserver 192.0.2.1%eth0\nnameserver \x1b[31m\u{202e}x\n",
        );
        assert_eq!(dns.servers, []);
        let told: Vec<String> = dns.skipped.iter().map(Skipped::to_string).collect();
        assert_eq!(
            told,
            [
                "line 1: nameserver dns.example: not an IP address",
                "line 2: nameserver : not an IP address",
                "line 3: nameserver 192.0.2.1%eth0: not an IP address",
                "line 4: nameserver [31mx: not an IP address",
            ]
        );
    }

    #[test]
    fn takes_no_more_than_its_bound() {
        let text: String = (1..=10).map(|n| format!("nameserver 192.0.2.{n}\n")).collect();
        let dns = read(&text);
        assert_eq!(dns.servers.len(), MAX_SERVERS);
        assert_eq!(
            dns.skipped.iter().map(|s| (s.line, s.why)).collect::<Vec<_>>(),
            [(9, Why::TooMany), (10, Why::TooMany)]
        );
    }

    #[test]
    fn an_empty_text_names_none() {
        assert_eq!(read(""), SystemDns::default());
    }
}
