//! Programs that a benchmark starts: pinned to a core, ended with their children, and measured.

use std::{
    collections::HashMap,
    env, fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::clock::until;

/// The core of the server that is measured.
pub const SERVER_CORE: usize = 0;
/// The core of the clients and the upstreams.
pub const CLIENT_CORE: usize = 1;
/// `_SC_CLK_TCK` is 100 on every Linux: the unit of the times in /proc/PID/stat.
const TICKS: f64 = 100.0;
/// How long a server may take until it answers. A million names are loaded in that time.
const START: Duration = Duration::from_secs(180);

/// The path of a program: from PATH, or where Debian puts servers.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(sbin).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// A command on one core; anywhere, if the machine has only one or no taskset.
pub fn pinned(core: usize, program: &Path) -> Command {
    match find("taskset").filter(|_| cores() > core) {
        Some(taskset) => {
            let mut command = Command::new(taskset);
            command.args(["-c", &core.to_string()]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// The number of the machine's cores, whichever of them this process may use.
fn cores() -> usize {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines().filter(|line| line.starts_with("processor")).count()
}

/// A free port of 127.0.0.1, for UDP and TCP.
pub fn free_port() -> SocketAddr {
    let found = until(Duration::from_secs(10), || {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        let address = tcp.local_addr().ok()?;
        UdpSocket::bind(address).ok().map(|_| address)
    });
    found.expect("a free port")
}

/// A running program in a process group of its own, which ends when this is dropped.
pub struct Running {
    /// Its name in the tables.
    pub name: String,
    /// Its DNS address.
    pub address: SocketAddr,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `command` and waits until it answers a query for `probe` at `address`.
    pub fn start(
        name: &str,
        mut command: Command,
        address: SocketAddr,
        probe: &str,
        dir: &Path,
    ) -> Result<Running, String> {
        let log = dir.join(format!("{name}-{}.log", address.port()));
        let out = fs::File::create(&log).map_err(|error| error.to_string())?;
        let again = out.try_clone().map_err(|error| error.to_string())?;
        command.process_group(0).stdin(Stdio::null()).stdout(out).stderr(again);
        let child = command.spawn().map_err(|error| format!("{name}: {error}"))?;
        let mut running = Running { name: name.into(), address, child, log };
        let answered = until(START, || {
            if !running.runs() {
                return Some(false);
            }
            super::load::ask_once(address, probe, Duration::from_millis(500)).map(|_| true)
        });
        match answered {
            Some(true) => Ok(running),
            _ => Err(format!("{name} does not answer: {}", running.log())),
        }
    }

    /// Whether it is still running.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its output.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its process and all descendants.
    fn family(&self) -> Vec<u32> {
        family(self.child.id())
    }

    /// The processor time of all its processes and threads so far, in seconds.
    pub fn cpu(&self) -> f64 {
        let ticks: u64 =
            self.family().iter().filter_map(|pid| stat(*pid)).map(|stat| stat.ticks).sum();
        ticks as f64 / TICKS
    }

    /// The resident memory of all its processes, in KiB; shared pages count once for each.
    pub fn resident_kib(&self) -> u64 {
        self.family().iter().map(|pid| status_kib(*pid, "VmRSS:")).sum()
    }

    /// How many file descriptors it has open.
    pub fn descriptors(&self) -> usize {
        let open = |pid: &u32| fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        self.family().iter().map(open).sum()
    }

    /// Sends a signal to all its processes: `KILL`, `STOP`, `HUP`, ...
    pub fn signal(&self, name: &str) {
        let target = format!("-{}", self.child.id());
        // It may be gone already.
        let _ = Command::new("sh")
            .args(["-c", "kill -s \"$0\" -- \"$1\" 2>/dev/null", name, &target])
            .status();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal("KILL");
        let _ = self.child.wait();
    }
}

struct Stat {
    parent: u32,
    ticks: u64,
}

/// The fields of /proc/PID/stat after the program's name, which may contain anything (proc(5)).
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat { parent: u32::try_from(number(1)?).ok()?, ticks: number(11)? + number(12)? })
}

fn family(of: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if let Some(stat) = stat(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let (mut all, mut at) = (vec![of], 0);
    while let Some(pid) = all.get(at).copied() {
        all.extend(children.get(&pid).into_iter().flatten());
        at += 1;
    }
    all
}

fn status_kib(pid: u32, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// A program that uses half of a core and no memory, until it is dropped.
pub struct Rival(Child);

impl Rival {
    /// On the servers' core: a server under measurement then always has a backlog, however fast it
    /// is, so that each receives as many queries at a time as it can.
    pub fn of_the_servers() -> io::Result<Rival> {
        let mut command = pinned(SERVER_CORE, &PathBuf::from("sh"));
        command.args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().map(Rival)
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
