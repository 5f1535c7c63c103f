//! The ports: who uses the configured ones, and port 53.

use std::net::SocketAddr;

use super::{
    Finding,
    owners::{Owners, Program},
};
use crate::server::{ListenError, bind};

/// The name of our program.
const OURS: &str = "resolver";
/// The port of DNS.
const DNS: u16 = 53;

/// What was found at the configured DNS addresses.
pub struct Answered {
    pub findings: Vec<Finding>,
    /// Whether a resolver of this kind is there.
    pub running: bool,
}

/// Checks the configured DNS addresses.
pub fn dns(listen: &[SocketAddr], owners: &Owners) -> Answered {
    let mut running = false;
    let mut findings = Vec::new();
    for address in listen {
        let about = format!("port {address}");
        findings.push(match bind(*address) {
            Ok(_) => Finding::warn(
                about,
                "no program listens there",
                "start the resolver with the same flags",
            ),
            Err(ListenError::Taken(_)) => match owners.of(*address) {
                Some(program) if program.name == OURS => {
                    running = true;
                    Finding::ok(about, format!("answered by {}", shown(program)))
                }
                Some(program) => {
                    let found = format!("in use by {}", shown(program));
                    let remedy = format!(
                        "stop it{}, or choose another port with --listen",
                        how_to_stop(program)
                    );
                    Finding::bad(about, found, remedy)
                }
                None => {
                    running = true;
                    let found = "in use by a program of another user, perhaps a resolver";
                    Finding::warn(
                        about,
                        found,
                        format!("run ss -lunp sport = :{} as root to see which", address.port()),
                    )
                }
            },
            Err(ListenError::Denied(_)) => {
                let remedy =
                    "choose a port from 1024 on with --listen, or grant CAP_NET_BIND_SERVICE";
                Finding::bad(about, "this user may not use the port", remedy)
            }
            Err(ListenError::NoAddress(_)) => {
                let remedy = "choose one of its addresses with --listen (ip address lists them)";
                Finding::bad(about, format!("this machine has no address {}", address.ip()), remedy)
            }
            Err(error) => {
                Finding::bad(about, error.to_string(), "choose another address with --listen")
            }
        });
    }
    Answered { findings, running }
}

/// Checks who uses port 53, the only one that programs send queries to.
pub fn port_53(listen: &[SocketAddr], owners: &Owners) -> Vec<Finding> {
    const ABOUT: &str = "port 53";
    let taken = owners.of_port(DNS);
    if taken.is_empty() {
        let ours = "no program listens there, and other programs use no other port";
        let remedy = "let the resolver listen on 127.0.0.1:53 (CAP_NET_BIND_SERVICE), or redirect queries from there to it";
        return vec![Finding::warn(ABOUT, ours, remedy)];
    }
    let finding = |(address, program): &(SocketAddr, Option<&Program>)| match program {
        Some(program) if program.name == OURS => {
            Finding::ok(ABOUT, format!("{address} is used by {}", shown(program)))
        }
        Some(program) => {
            let found = format!("{address} is used by {}", shown(program));
            if listen.iter().any(|ours| ours.port() == DNS) {
                Finding::bad(
                    ABOUT,
                    found,
                    format!("stop that program first{}", how_to_stop(program)),
                )
            } else {
                Finding::warn(
                    ABOUT,
                    found,
                    format!(
                        "make that program forward to {}, or stop it{}",
                        first(listen),
                        how_to_stop(program)
                    ),
                )
            }
        }
        None => Finding::warn(
            ABOUT,
            format!("{address} is used by another user's program"),
            "run the doctor as root to see which",
        ),
    };
    taken.iter().map(finding).collect()
}

fn first(listen: &[SocketAddr]) -> String {
    listen.first().map(SocketAddr::to_string).unwrap_or_default()
}

fn shown(program: &Program) -> String {
    format!("{} (process {})", program.name, program.pid)
}

/// How to stop programs that often use port 53.
fn how_to_stop(program: &Program) -> &'static str {
    match program.name.as_str() {
        // The kernel keeps 15 characters of a name.
        "systemd-resolve" | "systemd-resolved" => {
            " (DNSStubListener=no in /etc/systemd/resolved.conf)"
        }
        "dnsmasq" => " (systemctl disable --now dnsmasq, or dns=default in NetworkManager.conf)",
        "named" => " (systemctl disable --now named)",
        "unbound" => " (systemctl disable --now unbound)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn the_program_that_uses_a_port_is_named() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let answered = dns(&[address], &Owners::of_this_machine());
        assert!(
            answered.findings[0].found.contains(&format!("process {}", std::process::id())),
            "{answered:?}",
            answered = answered.findings
        );
        assert_eq!((answered.findings[0].severity, answered.running), (Severity::Bad, false));
        let unknown = dns(&[address], &Owners::default());
        assert_eq!(unknown.findings[0].severity, Severity::Warn);
        drop(taken);
        assert!(
            dns(&[address], &Owners::default()).findings[0].found.contains("no program listens")
        );
        let elsewhere = dns(&["192.0.2.1:53".parse().unwrap()], &Owners::default());
        assert!(elsewhere.findings[0].found.contains("no address"), "{:?}", elsewhere.findings);
    }
}
