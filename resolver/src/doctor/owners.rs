//! Finds which program uses a port, from Linux's /proc. On other systems, and for other users'
//! programs, the result is unknown.

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// The most processes that are examined.
const MAX_PROCESSES: usize = 20_000;
/// The most descriptors of a process that are examined.
const MAX_DESCRIPTORS: usize = 4_096;

/// A program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its process id.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

/// A socket that waits for datagrams or connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its local address.
    pub address: SocketAddr,
    inode: u64,
}

/// The programs that use ports.
#[derive(Debug, Default)]
pub struct Owners {
    sockets: Vec<Socket>,
    programs: HashMap<u64, Program>,
}

impl Owners {
    /// The state now.
    pub fn of_this_machine() -> Self {
        let mut sockets = Vec::new();
        for (table, tcp) in [("udp", false), ("udp6", false), ("tcp", true), ("tcp6", true)] {
            let text = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
            sockets.extend(text.lines().filter_map(|line| socket(line, tcp)));
        }
        let programs = programs();
        Owners { sockets, programs }
    }

    /// Every socket of a port, without duplicate addresses.
    pub fn of_port(&self, port: u16) -> Vec<(SocketAddr, Option<&Program>)> {
        let mut found: Vec<(SocketAddr, Option<&Program>)> = Vec::new();
        for socket in self.sockets.iter().filter(|socket| socket.address.port() == port) {
            if !found.iter().any(|(address, _)| *address == socket.address) {
                found.push((socket.address, self.programs.get(&socket.inode)));
            }
        }
        found
    }

    /// The program that prevents others from binding an address.
    pub fn of(&self, address: SocketAddr) -> Option<&Program> {
        let in_the_way = |other: &SocketAddr| {
            other.ip() == address.ip()
                || other.ip().is_unspecified()
                || address.ip().is_unspecified()
        };
        self.of_port(address.port()).into_iter().find(|(other, _)| in_the_way(other))?.1
    }
}

/// A line of /proc/net/udp or its like, if its socket waits: local address, state and inode.
fn socket(line: &str, tcp: bool) -> Option<Socket> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    if tcp && *state != LISTEN {
        return None;
    }
    let (ip, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    // Each group of four bytes is in the machine's byte order; it is little-endian wherever this
    // runs.
    let group = |text: &str| Some(u32::from_str_radix(text, 16).ok()?.swap_bytes());
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(group(ip)?).into(),
        32 => {
            let mut bits = 0u128;
            for at in 0..4 {
                bits = bits << 32 | u128::from(group(ip.get(8 * at..8 * at + 8)?)?);
            }
            Ipv6Addr::from(bits).to_canonical()
        }
        _ => return None,
    };
    Some(Socket { address: (ip, port).into(), inode: inode.parse().ok()? })
}

/// The programs by socket inode, as far as this user may see.
fn programs() -> HashMap<u64, Program> {
    let mut found = HashMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids.take(MAX_PROCESSES) {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        for entry in descriptors.take(MAX_DESCRIPTORS) {
            let link = fs::read_link(entry.path()).unwrap_or_default();
            let inode = link
                .to_str()
                .and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode {
                let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                found.entry(inode).or_insert(Program { pid, name: name.trim_end().to_owned() });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc() {
        let udp = "  123: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 9001 2 0 0";
        let found = socket(udp, false).unwrap();
        assert_eq!(found, Socket { address: "127.0.0.53:53".parse().unwrap(), inode: 9001 });
        let listening = "0: 00000000000000000000000001000000:14B4 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 77 1 0 100 0 0 10 0";
        assert_eq!(socket(listening, true).unwrap().address, "[::1]:5300".parse().unwrap());
        let mapped = "0: 0000000000000000FFFF00000100007F:0035 0:0 07 0:0 0:0 0 0 0 78 2";
        assert_eq!(socket(mapped, false).unwrap().address, "127.0.0.1:53".parse().unwrap());
        for none in [
            "",
            "sl local_address rem_address st",
            &listening.replace(" 0A ", " 01 "),
            "0: xyz:0035 0:0 0A 0 0 0 0 0 1",
        ] {
            assert_eq!(socket(none, true), None, "{none}");
        }
    }

    #[test]
    fn who_is_in_the_way() {
        let program = |pid| Program { pid, name: "server".into() };
        let owners = Owners {
            sockets: vec![
                Socket { address: "127.0.0.53:53".parse().unwrap(), inode: 1 },
                Socket { address: "0.0.0.0:5300".parse().unwrap(), inode: 2 },
            ],
            programs: [(1, program(7)), (2, program(8))].into(),
        };
        let of = |address: &str| owners.of(address.parse().unwrap()).map(|program| program.pid);
        assert_eq!(of("127.0.0.53:53"), Some(7));
        assert_eq!(of("127.0.0.1:53"), None);
        assert_eq!(of("0.0.0.0:53"), Some(7));
        assert_eq!(of("127.0.0.1:5300"), Some(8));
        assert_eq!(owners.of_port(53).len(), 1);
    }

    /// A socket of this process is found with this process's number.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_of_our_own_is_found() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let owners = Owners::of_this_machine();
        let program = owners.of(socket.local_addr().unwrap()).unwrap();
        assert_eq!(program.pid, std::process::id());
    }
}
