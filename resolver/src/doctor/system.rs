//! The system's DNS configuration: resolv.conf, nsswitch.conf, and systemd-resolved.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use super::Finding;
use crate::os;

/// The addresses at which systemd-resolved serves programs.
const STUBS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54))];

/// Checks the machine's DNS servers.
pub fn resolv_conf(path: &Path, listen: &[SocketAddr]) -> Vec<Finding> {
    let about = "system's DNS";
    let dns = match os::system_dns_from(path) {
        Ok(dns) => dns,
        Err(error) => {
            let remedy = format!("write \"nameserver 127.0.0.1\" into {}", path.display());
            return vec![Finding::bad(about, error.error, remedy)];
        }
    };
    let mut findings: Vec<Finding> = dns
        .skipped
        .iter()
        .map(|skipped| {
            Finding::warn(
                about,
                format!("{}, {skipped}", path.display()),
                "correct or remove that line",
            )
        })
        .collect();
    findings.push(assess_servers(&dns.servers, listen));
    findings
}

fn assess_servers(servers: &[SocketAddr], listen: &[SocketAddr]) -> Finding {
    let about = "system's DNS";
    let ours = |server: &SocketAddr| {
        listen.iter().any(|own| {
            own.port() == server.port()
                && (own.ip() == server.ip()
                    || own.ip().is_unspecified() && server.ip().is_loopback())
        })
    };
    let at = listen.first().map(SocketAddr::to_string).unwrap_or_default();
    match servers {
        [] => Finding::bad(
            about,
            "no name server is configured",
            "write \"nameserver 127.0.0.1\" into it, and let the resolver listen on 127.0.0.1:53",
        ),
        [first, rest @ ..] if ours(first) => match rest.iter().find(|server| !ours(server)) {
            None => Finding::ok(about, format!("programs use {first}, which is this resolver")),
            Some(other) => {
                let found =
                    format!("programs use this resolver first, and {other} when it is slow");
                Finding::warn(
                    about,
                    found,
                    format!("remove {other}: it does not resolve names of the chain"),
                )
            }
        },
        [first, ..] if STUBS.contains(&first.ip()) => {
            let found = format!("programs use systemd-resolved at {first}, not this resolver");
            let remedy = format!(
                "in /etc/systemd/resolved.conf.d/namechain.conf: [Resolve] DNS={at} Domains=~. and then systemctl restart systemd-resolved"
            );
            Finding::warn(about, found, remedy)
        }
        [first, ..] => {
            let remedy =
                "let the resolver listen on 127.0.0.1:53, and make \"nameserver 127.0.0.1\" the only server there"
                    .to_owned();
            Finding::warn(about, format!("programs use {first}, not this resolver"), remedy)
        }
    }
}

/// Checks how host names are looked up.
pub fn nsswitch(path: &Path) -> Vec<Finding> {
    let about = "host look-ups";
    // Without this file, DNS is used.
    let Ok(text) = fs::read_to_string(path) else { return Vec::new() };
    vec![assess_nsswitch(&text).unwrap_or_else(|| Finding::ok(about, "the C library uses DNS"))]
}

fn assess_nsswitch(text: &str) -> Option<Finding> {
    let about = "host look-ups";
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("hosts:"))?;
    let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
    let place = |word: &str| words.iter().position(|other| *other == word);
    let Some(dns) = place("dns") else {
        if place("resolve").is_some() {
            let found = "the C library uses systemd-resolved (resolve) and never DNS";
            return Some(Finding::warn(
                about,
                found,
                "make systemd-resolved use this resolver, or add \"dns\" to the line hosts:",
            ));
        }
        return Some(Finding::bad(
            about,
            "the C library never uses DNS",
            "add \"dns\" to the line hosts: of nsswitch.conf",
        ));
    };
    let resolve = place("resolve").filter(|at| *at < dns)?;
    let goes_on = words.get(resolve + 1).is_none_or(|next| !next.starts_with('['));
    let found = if goes_on {
        "the C library uses systemd-resolved (resolve) before DNS"
    } else {
        "the C library uses systemd-resolved (resolve), and DNS only while that is not running"
    };
    Some(Finding::warn(
        about,
        found,
        "make systemd-resolved use this resolver, or remove \"resolve\" from the line hosts:",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn who_is_asked() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let severity = |servers: &[&str], listen: &str| {
            let servers: Vec<SocketAddr> = servers.iter().map(|text| at(text)).collect();
            assess_servers(&servers, &[at(listen)])
        };
        assert_eq!(severity(&["127.0.0.1:53"], "127.0.0.1:53").severity, Severity::Ok);
        assert_eq!(severity(&["127.0.0.1:53"], "0.0.0.0:53").severity, Severity::Ok);
        assert_eq!(severity(&[], "127.0.0.1:53").severity, Severity::Bad);
        for (servers, listen, says) in [
            (&["127.0.0.53:53"][..], "127.0.0.1:5300", "systemd-resolved"),
            (&["127.0.0.1:53", "192.0.2.1:53"], "127.0.0.1:53", "192.0.2.1:53 when it is slow"),
            (&["192.0.2.1:53"], "127.0.0.1:53", "not this resolver"),
            (&["127.0.0.1:53"], "127.0.0.1:5300", "not this resolver"),
        ] {
            let finding = severity(servers, listen);
            assert!(
                finding.severity == Severity::Warn && finding.found.contains(says),
                "{finding}"
            );
        }
    }

    #[test]
    fn how_hosts_are_looked_up() {
        let bad =
            |line: &str| assess_nsswitch(line).map(|finding| (finding.severity, finding.found));
        assert_eq!(
            bad("passwd: files\nhosts: files mdns4_minimal [NOTFOUND=return] dns # resolve\n"),
            None
        );
        assert_eq!(bad("passwd: files\n"), None);
        let (severity, found) =
            bad("hosts: mymachines resolve [!UNAVAIL=return] files dns").unwrap();
        assert!(severity == Severity::Warn && found.contains("only while"), "{found}");
        assert!(bad("hosts: resolve dns").unwrap().1.contains("before"));
        assert_eq!(bad("hosts: files").unwrap().0, Severity::Bad);
        assert_eq!(bad("hosts: files resolve").unwrap().0, Severity::Warn);
    }
}
