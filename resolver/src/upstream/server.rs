//! The text form of an upstream.
//!
//! ```text
//! 9.9.9.9   9.9.9.9:53   [2620:fe::fe]:53        UDP, TCP for what is truncated
//! tcp://9.9.9.9                                   TCP
//! tls://9.9.9.9#dns.quad9.net                     DNS over TLS (RFC 7858), the certificate's name behind #
//! tls://dns.quad9.net?bootstrap=9.9.9.9,2620:fe::fe
//! https://dns.quad9.net/dns-query?bootstrap=9.9.9.9   DNS over HTTPS (RFC 8484), over HTTP/2
//! quic://dns.example?bootstrap=192.0.2.1          DNS over QUIC (RFC 9250)
//! recursive                                       none: the servers of the names themselves are asked, from the root on
//!
//! &ca=FILE     the certificate must be from one of the authorities in this PEM file, not from one of the system's
//! &pin=HEX     the certificate's public key (its SPKI) must have this SHA-256; nothing else is looked at
//! ```
//!
//! A host name needs bootstrap addresses: it can't be resolved before there is an upstream.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use rustls::pki_types::ServerName;

/// The port of DNS (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;
/// The port of DNS over TLS (RFC 7858 §3.1) and over QUIC (RFC 9250 §4.1.1).
const SECURE_PORT: u16 = 853;
/// The port of HTTPS.
const HTTPS_PORT: u16 = 443;
/// The default path of DNS over HTTPS (the example in RFC 8484 §4.1.1, and common practice).
const DOH_PATH: &str = "/dns-query";
/// The most addresses of one upstream.
const MAX_ADDRESSES: usize = 8;

/// One upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Upstream {
    /// UDP, and TCP for truncated answers.
    Plain(SocketAddr),
    /// TCP only.
    Tcp(SocketAddr),
    /// Encrypted and authenticated.
    Secure(Secure),
    /// The built-in recursive resolver. It is used alone, or when no other upstream replies.
    Recursive,
}

/// An encrypted upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Secure {
    /// The transport.
    pub protocol: Protocol,
    /// The name in the certificate: a DNS name, or an IP address.
    pub name: String,
    /// The addresses of the server; the first that accepts the connection is used.
    pub addresses: Vec<SocketAddr>,
    /// The path of DNS over HTTPS.
    pub path: String,
    /// How the certificate is verified.
    pub trust: Trust,
}

/// The transport of an encrypted upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS (RFC 8484), over HTTP/2.
    Https,
    /// DNS over QUIC (RFC 9250).
    Quic,
}

/// How the certificate of an encrypted upstream is verified.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Trust {
    /// It must be issued by an authority that the system trusts.
    System,
    /// It must be issued by one of the authorities in this PEM file.
    Authorities(PathBuf),
    /// Its public key must have one of these SHA-256 hashes (of the SubjectPublicKeyInfo, RFC 7858
    /// §4.2).
    Pins(Vec<[u8; 32]>),
}

/// Why the text is invalid, and what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UpstreamError(String);

const FORMS: &str = "is not an upstream: write IP or IP:PORT as in 9.9.9.9 or [2620:fe::fe]:53, tls://IP#NAME, \
                     https://NAME/dns-query?bootstrap=IP, quic://NAME?bootstrap=IP, or recursive";

/// Options beside the address: in the query part of the URL, or as keys of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The addresses of the host name.
    pub bootstrap: Vec<String>,
    /// See [`Trust::Authorities`].
    pub ca: Option<PathBuf>,
    /// See [`Trust::Pins`], in hexadecimal.
    pub pins: Vec<String>,
}

impl From<SocketAddr> for Upstream {
    fn from(address: SocketAddr) -> Self {
        Self::Plain(address)
    }
}

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, Options::default())
    }
}

impl Upstream {
    /// Whether this upstream is a server that listens at one of these addresses.
    pub fn is_one_of(&self, listen: &[SocketAddr]) -> bool {
        let (Upstream::Plain(asked) | Upstream::Tcp(asked)) = self else { return false };
        listen.iter().any(|own| {
            own.port() == asked.port()
                && (own.ip() == asked.ip()
                    || (own.ip().is_unspecified() && asked.ip().is_loopback()))
        })
    }

    /// Parses an upstream. `options`: those given beside the text.
    ///
    /// # Errors
    /// [`UpstreamError`], which says what to write.
    pub fn parse(text: &str, mut options: Options) -> Result<Self, UpstreamError> {
        // The template's variable is for GET (RFC 8484 §4.1); queries are sent by POST.
        let text = text.trim().replacen("{?dns}", "", 1);
        let text = text.as_str();
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None => ("udp".to_owned(), text),
        };
        if scheme == "udp" && rest == "recursive" {
            return options.none_for("recursive").map(|()| Self::Recursive);
        }
        let protocol = match scheme.as_str() {
            "udp" | "tcp" => {
                let address = plain_address(rest)?;
                options.none_for("an upstream without encryption")?;
                return Ok(if scheme == "tcp" { Self::Tcp(address) } else { Self::Plain(address) });
            }
            "tls" => Protocol::Tls,
            "https" => Protocol::Https,
            "quic" => Protocol::Quic,
            _ => return Err(error(FORMS)),
        };
        let (rest, name) = match rest.rsplit_once('#') {
            Some((rest, name)) => (rest, Some(name)),
            None => (rest, None),
        };
        let rest = match rest.split_once('?') {
            Some((rest, query)) => {
                options.read(query)?;
                rest
            }
            None => rest,
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        secure(protocol, authority, path, name, &options).map(Self::Secure)
    }
}

fn error(text: impl Into<String>) -> UpstreamError {
    UpstreamError(text.into())
}

fn plain_address(text: &str) -> Result<SocketAddr, UpstreamError> {
    text.parse()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS_PORT)))
        .map_err(|_| error(FORMS))
}

fn secure(
    protocol: Protocol,
    authority: &str,
    path: &str,
    name: Option<&str>,
    options: &Options,
) -> Result<Secure, UpstreamError> {
    let default = if protocol == Protocol::Https { HTTPS_PORT } else { SECURE_PORT };
    let (host, port) = host_and_port(authority, default)?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    let own: Option<IpAddr> = host.parse().ok();
    addresses.extend(own.map(|ip| SocketAddr::new(ip, port)));
    for text in &options.bootstrap {
        let ip: IpAddr = text.trim().parse().map_err(|_| {
            error(format!("has the bootstrap address '{text}', which is not an IP address"))
        })?;
        addresses.push(SocketAddr::new(ip, port));
    }
    addresses.dedup();
    if addresses.is_empty() {
        return Err(error(format!(
            "needs the address of {host}, because names can't be resolved before it is reached: write ?bootstrap=IP after it, \
             or tls://IP#{host}"
        )));
    }
    if addresses.len() > MAX_ADDRESSES {
        return Err(error(format!("has more than {MAX_ADDRESSES} addresses")));
    }
    let name = name.unwrap_or(&host).to_ascii_lowercase();
    if ServerName::try_from(name.as_str()).is_err() {
        return Err(error(format!(
            "has '{name}' for the name in its certificate, which is not a name"
        )));
    }
    let path = match (protocol, path) {
        (Protocol::Https, "" | "/") => DOH_PATH.to_owned(),
        (Protocol::Https, path) => path.to_owned(),
        (_, "" | "/") => String::new(),
        (_, path) => {
            return Err(error(format!("has the path '{path}', which only https:// can have")));
        }
    };
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(error("has a path with characters that are not allowed in a URL"));
    }
    Ok(Secure { protocol, name, addresses, path, trust: options.trust()? })
}

/// `NAME`, `NAME:PORT`, `IP`, `IP:PORT`, `[IPV6]`, `[IPV6]:PORT`.
fn host_and_port(authority: &str, default: u16) -> Result<(String, u16), UpstreamError> {
    if authority.parse::<IpAddr>().is_ok() {
        return Ok((authority.to_owned(), default));
    }
    if let Ok(address) = authority.parse::<SocketAddr>() {
        return Ok((address.ip().to_string(), address.port()));
    }
    if let Some(ip) = authority.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match ip.parse::<IpAddr>() {
            Ok(ip) => Ok((ip.to_string(), default)),
            Err(_) => Err(error(FORMS)),
        };
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| error(FORMS))?),
        None => (authority, default),
    };
    let named = ServerName::try_from(host).is_ok() && !host.is_empty();
    if named { Ok((host.to_owned(), port)) } else { Err(error(FORMS)) }
}

impl Options {
    /// Adds the options in the query part of a URL.
    fn read(&mut self, query: &str) -> Result<(), UpstreamError> {
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("bootstrap", list)) => {
                    self.bootstrap.extend(list.split(',').map(str::to_owned))
                }
                Some(("ca", file)) => self.ca = Some(file.into()),
                Some(("pin", list)) => self.pins.extend(list.split(',').map(str::to_owned)),
                _ => {
                    let why = format!(
                        "has the unknown option '{part}': known are bootstrap=IP,IP, ca=FILE and pin=HEX"
                    );
                    return Err(error(why));
                }
            }
        }
        Ok(())
    }

    fn none_for(&self, what: &str) -> Result<(), UpstreamError> {
        if *self == Self::default() {
            return Ok(());
        }
        Err(error(format!("can't have bootstrap, ca or pin: it is {what}")))
    }

    fn trust(&self) -> Result<Trust, UpstreamError> {
        match (&self.ca, self.pins.as_slice()) {
            (Some(_), [_, ..]) => Err(error("has both ca and pin: one of them says whom to trust")),
            (Some(file), []) => Ok(Trust::Authorities(file.clone())),
            (None, []) => Ok(Trust::System),
            (None, pins) => {
                pins.iter().map(|pin| read_pin(pin)).collect::<Result<_, _>>().map(Trust::Pins)
            }
        }
    }
}

fn read_pin(text: &str) -> Result<[u8; 32], UpstreamError> {
    let mut pin = [0; 32];
    let digits = text.replace(':', "");
    hex::decode_to_slice(digits, &mut pin).map_err(|_| {
        error(format!("has the pin '{text}', which is not the 64 digits of a SHA-256"))
    })?;
    Ok(pin)
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(address) => address.fmt(f),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Secure(secure) => secure.fmt(f),
            Self::Recursive => f.write_str("recursive"),
        }
    }
}

impl fmt::Display for Secure {
    /// The first address is enough to identify it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.addresses.first();
        match self.protocol {
            Protocol::Tls => f.write_str("tls://")?,
            Protocol::Https => f.write_str("https://")?,
            Protocol::Quic => f.write_str("quic://")?,
        }
        if let Some(address) = address {
            write!(f, "{address}")?;
        }
        f.write_str(&self.path)?;
        if address.is_none_or(|address| address.ip().to_string() != self.name) {
            write!(f, "#{}", self.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match text.parse::<Upstream>() {
            Ok(upstream) => upstream.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_form() {
        for (text, shown) in [
            ("9.9.9.9", "9.9.9.9:53"),
            (" 9.9.9.9:5353 ", "9.9.9.9:5353"),
            ("2620:fe::fe", "[2620:fe::fe]:53"),
            ("udp://[2620:fe::fe]:53", "[2620:fe::fe]:53"),
            ("tcp://9.9.9.9", "tcp://9.9.9.9:53"),
            ("tls://9.9.9.9", "tls://9.9.9.9:853"),
            ("tls://2620:fe::fe#dns.quad9.net", "tls://[2620:fe::fe]:853#dns.quad9.net"),
            ("TLS://[2620:fe::fe]", "tls://[2620:fe::fe]:853#2620:fe::fe"),
            ("tls://9.9.9.9:8853#dns.quad9.net", "tls://9.9.9.9:8853#dns.quad9.net"),
            (
                "tls://dns.quad9.net?bootstrap=9.9.9.9,2620:fe::fe",
                "tls://9.9.9.9:853#dns.quad9.net",
            ),
            ("https://9.9.9.9", "https://9.9.9.9:443/dns-query"),
            (
                "https://dns.example:8443/a/b{?dns}?bootstrap=192.0.2.1",
                "https://192.0.2.1:8443/a/b#dns.example",
            ),
            ("quic://dns.example?bootstrap=192.0.2.1", "quic://192.0.2.1:853#dns.example"),
            ("recursive", "recursive"),
        ] {
            let shown = shown.replace("853#2620:fe::fe", "853");
            assert_eq!(read(text), shown, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_says_what_to_write() {
        for (text, expected) in [
            ("dns.example", "write IP or IP:PORT"),
            ("", "write IP or IP:PORT"),
            ("9.9.9.9:99999", "write IP or IP:PORT"),
            ("ftp://9.9.9.9", "tls://IP#NAME"),
            ("tls://dns.example", "write ?bootstrap=IP after it"),
            ("tls://dns.example?bootstrap=here", "'here', which is not an IP address"),
            ("tls://9.9.9.9#not a name", "'not a name' for the name"),
            ("tls://9.9.9.9/path", "only https:// can have"),
            ("tls://:853", "write IP or IP:PORT"),
            ("tls://9.9.9.9?boot=1", "'boot=1': known are bootstrap"),
            ("tls://9.9.9.9?pin=12", "64 digits"),
            ("tls://9.9.9.9?ca=/a&pin=12", "both ca and pin"),
            ("https://9.9.9.9/\u{1}", "not allowed in a URL"),
        ] {
            let shown = read(text);
            assert!(shown.contains(expected), "{text}: {shown}");
        }
        let options = Options { ca: Some("/ca.pem".into()), ..Options::default() };
        for text in ["9.9.9.9", "tcp://9.9.9.9", "recursive"] {
            let why = Upstream::parse(text, options.clone()).unwrap_err().to_string();
            assert!(why.contains("can't have bootstrap, ca or pin"), "{why}");
        }
    }

    #[test]
    fn whom_to_trust() {
        let trust = |text: &str| match text.parse() {
            Ok(Upstream::Secure(secure)) => secure.trust,
            other => panic!("{other:?}"),
        };
        assert_eq!(trust("tls://9.9.9.9"), Trust::System);
        assert_eq!(trust("tls://9.9.9.9?ca=/a/b.pem"), Trust::Authorities("/a/b.pem".into()));
        let pin = "ab".repeat(32);
        assert_eq!(trust(&format!("quic://9.9.9.9?pin={pin}")), Trust::Pins(vec![[0xab; 32]]));
    }
}
