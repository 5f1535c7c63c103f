//! The startup report: addresses, upstreams, and what to try next.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use namechain_core::types::Network;
use serde::Serialize;

/// The startup report. Its JSON form is stable: keys are added, never renamed.
#[derive(Clone, Debug, Serialize)]
pub struct StartupReport {
    /// Addresses of DNS over UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// Addresses of DNS over TLS.
    pub dns_tls: Vec<SocketAddr>,
    /// Addresses of DNS over HTTPS, path `/dns-query`.
    pub dns_https: Vec<SocketAddr>,
    /// Addresses of DNS over QUIC.
    pub dns_quic: Vec<SocketAddr>,
    /// The SHA-256 of the public key of all three, in hexadecimal.
    pub dns_pin: Option<String>,
    /// The address of the API: the node's in this process, or the control API with a remote node.
    pub api: Option<SocketAddr>,
    /// The admin socket.
    pub admin: Option<PathBuf>,
    /// The URL of the remote node.
    pub node: Option<String>,
    /// Addresses at which other nodes reach the node in this process.
    pub p2p: Vec<String>,
    /// The network; `None` while the remote node has not told it.
    pub network: Option<Network>,
    /// The upstreams: `IP:PORT`, or a URL for anything but plain DNS.
    pub upstreams: Vec<String>,
    /// The data directory.
    pub data_dir: Option<PathBuf>,
    /// Whether the upstreams are the system's.
    #[serde(skip)]
    pub system_upstreams: bool,
    /// Whether names are mounted at the root.
    #[serde(skip)]
    pub at_root: bool,
    /// The command that runs zonetool.
    #[serde(skip)]
    pub zonetool: &'static str,
}

/// The address to send queries to: loopback in place of "all addresses".
fn askable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for StartupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = self.network.map_or("not known yet", Network::as_str);
        writeln!(f, "resolver {}, network {network}", env!("CARGO_PKG_VERSION"))?;
        writeln!(f, "  DNS        {} (UDP and TCP)", list(&self.dns))?;
        for (label, addresses) in
            [("TLS", &self.dns_tls), ("HTTPS", &self.dns_https), ("QUIC", &self.dns_quic)]
        {
            if !addresses.is_empty() {
                writeln!(f, "  {:<10} {}", format!("over {label}"), list(addresses))?;
            }
        }
        if let Some(pin) = &self.dns_pin {
            writeln!(f, "  key        {pin} (SHA-256; TLSA 3 1 1)")?;
        }
        let node = match (&self.node, self.api) {
            (Some(url), api) => {
                writeln!(f, "  node       {url}")?;
                if let Some(api) = api {
                    writeln!(f, "  API        http://{api} (of the resolver)")?;
                }
                url.clone()
            }
            (None, Some(api)) => {
                writeln!(f, "  API        http://{api}")?;
                format!("http://{}", askable(api))
            }
            (None, None) => String::new(),
        };
        if let Some(admin) = &self.admin {
            writeln!(f, "  admin      {} (trace, cache, peers, bans)", admin.display())?;
        }
        for (nth, address) in self.p2p.iter().enumerate() {
            let label = if nth == 0 { "peers" } else { "" };
            writeln!(f, "  {label:<10} {address}")?;
        }
        if let Some(dir) = &self.data_dir {
            writeln!(f, "  data       {}", dir.display())?;
        }
        match (self.upstreams.as_slice(), self.system_upstreams) {
            ([], true) => writeln!(
                f,
                "  upstreams  none: this system has no DNS server configured, so names outside the chain fail; set --upstream IP"
            )?,
            ([], false) => {
                writeln!(f, "  upstreams  none, as configured: names outside the chain fail")?
            }
            (some, true) => writeln!(f, "  upstreams  {} (the system's)", some.join(", "))?,
            (some, false) => writeln!(f, "  upstreams  {}", some.join(", "))?,
        }
        let mut zonetool = self.zonetool.to_owned();
        if node != "http://127.0.0.1:7380" {
            zonetool = format!("{zonetool} --node {node}");
        }
        writeln!(f, "Try next:")?;
        writeln!(f, "  {zonetool} key new")?;
        writeln!(f, "  {zonetool} register alice --zone testdata/zones/alice.zone --wait")?;
        if let Some(dns) = self.dns.first().map(|address| askable(*address)) {
            let name = if self.at_root { "www.alice" } else { "www.alice.namechain.alt" };
            writeln!(f, "  dig @{} -p {} {name}", dns.ip(), dns.port())?;
        }
        write!(f, "Ctrl-C stops it.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> StartupReport {
        StartupReport {
            dns: vec!["0.0.0.0:5300".parse().unwrap(), "[::1]:5300".parse().unwrap()],
            dns_tls: Vec::new(),
            dns_https: Vec::new(),
            dns_quic: Vec::new(),
            dns_pin: None,
            api: Some("127.0.0.1:7380".parse().unwrap()),
            admin: Some("/data/admin.sock".into()),
            node: None,
            p2p: vec![
                "/ip4/127.0.0.1/tcp/1/p2p/12D3".into(),
                "/ip4/127.0.0.1/udp/1/quic-v1/p2p/12D3".into(),
            ],
            network: Some(Network::Dev),
            upstreams: vec!["192.0.2.1:53".to_owned()],
            data_dir: Some("/data".into()),
            system_upstreams: true,
            at_root: true,
            zonetool: "zonetool",
        }
    }

    #[test]
    fn what_a_person_reads() {
        let text = started().to_string();
        for line in [
            "  DNS        0.0.0.0:5300, [::1]:5300 (UDP and TCP)",
            "  API        http://127.0.0.1:7380",
            "  admin      /data/admin.sock (trace, cache, peers, bans)",
            "  upstreams  192.0.2.1:53 (the system's)",
            "  peers      /ip4/127.0.0.1/tcp/1/p2p/12D3",
            "             /ip4/127.0.0.1/udp/1/quic-v1/p2p/12D3",
            "  zonetool key new",
            "  dig @127.0.0.1 -p 5300 www.alice",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        let other = StartupReport {
            api: Some("127.0.0.1:9".parse().unwrap()),
            upstreams: vec![],
            at_root: false,
            ..started()
        };
        let text = other.to_string();
        assert!(text.contains("zonetool --node http://127.0.0.1:9 key new"), "{text}");
        assert!(text.contains("none: this system has no DNS server"), "{text}");
        assert!(text.contains("www.alice.namechain.alt"), "{text}");
    }

    #[test]
    fn what_a_program_reads() {
        let json: serde_json::Value = serde_json::to_value(started()).unwrap();
        let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected =
            vec!["admin", "api", "data_dir", "dns", "network", "node", "p2p", "upstreams"];
        expected.extend(["dns_tls", "dns_https", "dns_quic", "dns_pin"]);
        expected.sort_unstable();
        assert_eq!(keys, expected);
        assert_eq!(json["dns"][0], "0.0.0.0:5300");
        assert_eq!(json["network"], "dev");
    }
}
