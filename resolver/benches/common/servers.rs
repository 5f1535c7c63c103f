//! Our server and its peers: each with one serving thread, on one core, with no feature on that the
//! others lack.

use std::{
    fmt::Write as _,
    fs,
    io::{BufWriter, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    process::{CLIENT_CORE, Running, SERVER_CORE, find, free_port, pinned},
    state,
};

/// The query that checks whether a server is up.
pub const PROBE: &str = "probe.example";
/// The zone of the chain's names: a mount for us, an ordinary zone for the others.
pub const ZONE: &str = "namechain.alt";

/// Why a server is not in the table.
pub type Missing = String;

fn program(name: &str) -> Result<PathBuf, Missing> {
    find(name).ok_or_else(|| format!("{name} is not installed"))
}

fn written(dir: &Path, file: &str, text: &str) -> PathBuf {
    let path = dir.join(file);
    fs::write(&path, text).expect("room for a configuration");
    path
}

/// This benchmark as the server with a constant answer, on `core`.
fn responder(name: &str, core: usize, dir: &Path) -> Result<Running, Missing> {
    let address = free_port();
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = pinned(core, &this);
    command.args(["respond", &address.to_string()]);
    Running::start(name, command, address, PROBE, dir)
}

/// The bound: what the kernel allows.
pub fn bound(dir: &Path) -> Result<Running, Missing> {
    responder("bound", SERVER_CORE, dir)
}

/// The upstream that knows every name, on the clients' core.
pub fn upstream(dir: &Path) -> Result<Running, Missing> {
    responder("upstream", CLIENT_CORE, dir)
}

/// The parameters of our server.
#[derive(Clone, Debug)]
pub struct Ours {
    /// The directory of its chain, which may be empty.
    pub data: PathBuf,
    /// Its upstreams.
    pub upstreams: Vec<SocketAddr>,
    /// Lines for its configuration file.
    pub config: String,
    /// Its core.
    pub core: usize,
    /// The API of a remote node; `None`: a node of its own.
    pub node: Option<String>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
}

impl Ours {
    /// On the servers' core, with a node of its own and an empty file.
    pub fn new(data: PathBuf, upstreams: Vec<SocketAddr>) -> Self {
        Ours {
            data,
            upstreams,
            config: String::new(),
            core: SERVER_CORE,
            node: None,
            environment: Vec::new(),
        }
    }
}

/// Starts this package's resolver.
pub fn ours(ours: &Ours, dir: &Path) -> Result<Running, Missing> {
    start_ours(ours, free_port(), dir)
}

/// As [`ours`], at this address.
pub fn start_ours(ours: &Ours, address: SocketAddr, dir: &Path) -> Result<Running, Missing> {
    let config = written(dir, &format!("resolver-{}.toml", address.port()), &ours.config);
    let mut command = pinned(ours.core, Path::new(env!("CARGO_BIN_EXE_resolver")));
    command
        .args(["--dev", "--listen", &address.to_string(), "--api", "127.0.0.1:0", "--config"])
        .arg(config);
    match &ours.node {
        Some(url) => command.args(["--node", url]),
        None => command.arg("--data-dir").arg(&ours.data),
    };
    command.env_clear().env("HOME", dir).envs(ours.environment.iter().cloned());
    for upstream in &ours.upstreams {
        command.args(["--upstream", &upstream.to_string()]);
    }
    Running::start("ours", command, address, PROBE, dir)
}

/// The resolver's API, as it reports it.
pub fn api(ours: &Running) -> Option<String> {
    let log = ours.log();
    let line = log.lines().find_map(|line| line.trim().strip_prefix("API"))?;
    line.split_whitespace().next().map(str::to_owned)
}

/// unbound forwarding to `upstream`, with `cache` bytes for messages and as many for records.
pub fn unbound(upstream: SocketAddr, cache: usize, dir: &Path) -> Result<Running, Missing> {
    let asked = format!(
        "forward-zone:\n name: \".\"\n forward-addr: {}@{}",
        upstream.ip(),
        upstream.port()
    );
    unbound_that(&asked, "yes", PROBE, cache, dir)
}

/// unbound querying the authoritative server of `zone`.
pub fn unbound_at(zone: &str, server: SocketAddr, dir: &Path) -> Result<Running, Missing> {
    let asked =
        format!("stub-zone:\n name: \"{zone}\"\n stub-addr: {}@{}", server.ip(), server.port());
    unbound_that(&asked, "no", zone, 64 << 20, dir)
}

fn unbound_that(
    asked: &str,
    minimal: &str,
    probe: &str,
    cache: usize,
    dir: &Path,
) -> Result<Running, Missing> {
    let address = free_port();
    let path = dir.display();
    let config = format!(
        "server:\n interface: {ip}@{port}\n num-threads: 1\n so-reuseport: yes\n so-rcvbuf: 4m\n so-sndbuf: 4m\n username: \"\"\n \
         chroot: \"\"\n directory: \"{path}\"\n pidfile: \"\"\n use-syslog: no\n do-daemonize: no\n verbosity: 0\n \
         module-config: \"iterator\"\n access-control: 127.0.0.0/8 allow\n do-not-query-localhost: no\n \
         msg-cache-size: {cache}\n rrset-cache-size: {cache}\n minimal-responses: {minimal}\n prefetch: no\n \
         outgoing-range: 8192\n num-queries-per-thread: 4096\n local-zone: \"alt.\" nodefault\n\
         {asked}\nremote-control:\n control-enable: no\n",
        ip = address.ip(),
        port = address.port(),
    );
    let mut command = pinned(SERVER_CORE, &program("unbound")?);
    command.args(["-d", "-c"]).arg(written(dir, "unbound.conf", &config));
    Running::start("unbound", command, address, probe, dir)
}

/// dnsdist with its packet cache, in front of `upstream`.
pub fn dnsdist(upstream: SocketAddr, dir: &Path) -> Result<Running, Missing> {
    let address = free_port();
    let config = format!(
        "setLocal(\"{address}\", {{reusePort=true}})\nsetACL({{\"127.0.0.0/8\"}})\n\
         newServer({{address=\"{upstream}\", sockets=8}})\ngetPool(\"\"):setCache(newPacketCache(2000000))\n\
         setMaxUDPOutstanding(65535)\nsetUDPMultipleMessagesVectorSize(64)\nsetSecurityPollSuffix(\"\")\n"
    );
    let mut command = pinned(SERVER_CORE, &program("dnsdist")?);
    command.args(["--supervised", "--disable-syslog", "-C"]).arg(written(
        dir,
        "dnsdist.lua",
        &config,
    ));
    Running::start("dnsdist", command, address, PROBE, dir)
}

/// Knot Resolver forwarding to `upstream`.
pub fn kresd(upstream: SocketAddr, dir: &Path) -> Result<Running, Missing> {
    let address = free_port();
    let config = format!(
        "net.listen('{}', {}, {{kind='dns'}})\nmodules = {{'policy'}}\ntrust_anchors.remove('.')\ncache.size = 512*MB\n\
         policy.add(policy.all(policy.STUB('{}@{}')))\n",
        address.ip(),
        address.port(),
        upstream.ip(),
        upstream.port(),
    );
    let program = program("kresd")?;
    let home = dir.join("kresd");
    fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    let mut command = pinned(SERVER_CORE, &program);
    command.args(["-n", "-c"]).arg(written(dir, "kresd.conf", &config)).arg(home);
    Running::start("kresd", command, address, PROBE, dir)
}

/// NSD with the zone in `file`.
pub fn nsd(file: &Path, dir: &Path) -> Result<Running, Missing> {
    nsd_of(ZONE, file, dir)
}

/// NSD with any zone.
pub fn nsd_of(zone: &str, file: &Path, dir: &Path) -> Result<Running, Missing> {
    let address = free_port();
    let path = dir.display();
    let config = format!(
        "server:\n ip-address: {ip}@{port}\n server-count: 1\n reuseport: yes\n username: \"\"\n chroot: \"\"\n zonesdir: \"{path}\"\n \
         database: \"\"\n xfrdfile: \"\"\n xfrdir: \"{path}\"\n zonelistfile: \"{path}/zone.list\"\n pidfile: \"\"\n \
         rrl-ratelimit: 0\nremote-control:\n control-enable: no\nzone:\n name: \"{zone}\"\n zonefile: \"{file}\"\n",
        ip = address.ip(),
        port = address.port(),
        file = file.display(),
    );
    let mut command = pinned(SERVER_CORE, &program("nsd")?);
    command.args(["-d", "-c"]).arg(written(dir, "nsd.conf", &config));
    Running::start("nsd", command, address, zone, dir)
}

/// Knot DNS with the zone in `file`.
pub fn knot(file: &Path, dir: &Path) -> Result<Running, Missing> {
    let address = free_port();
    let home = dir.join("knot");
    fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    let config = format!(
        "server:\n  listen: {ip}@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n  rundir: {home}\n\
         database:\n  storage: {home}\nlog:\n  - target: stderr\n    any: warning\n\
         zone:\n  - domain: {ZONE}\n    file: {file}\n    zonefile-sync: -1\n    semantic-checks: off\n",
        ip = address.ip(),
        port = address.port(),
        home = home.display(),
        file = file.display(),
    );
    let mut command: Command = pinned(SERVER_CORE, &program("knotd")?);
    command.arg("-c").arg(written(dir, "knot.conf", &config));
    Running::start("knot", command, address, ZONE, dir)
}

/// The zone with the same names and records as [`state::fill`] puts on the chain.
pub fn zone_file(dir: &Path, names: u32) -> PathBuf {
    let path = dir.join(format!("chain-{names}.zone"));
    let mut out = BufWriter::new(fs::File::create(&path).expect("a zone file"));
    let mut text = format!("$ORIGIN {ZONE}.\n$TTL 300\n@ SOA . . 1 2 3 4 30\n@ NS localhost.\n");
    for number in 0..names {
        let name = state::name(number);
        let [a, b, c, d] = (0x0a00_0000 | number & 0xff_ffff).to_be_bytes();
        writeln!(
            text,
            "{name} A {a}.{b}.{c}.{d}\nwww.{name} A {a}.{b}.{c}.{d}\n{name} TXT \"v=spf1 -all hello\""
        )
        .expect("writing to a string");
        if text.len() > 1 << 16 {
            out.write_all(text.as_bytes()).expect("room for the zone");
            text.clear();
        }
    }
    out.write_all(text.as_bytes()).expect("room for the zone");
    out.flush().expect("room for the zone");
    path
}

/// Puts `names` names on a new chain in `data`.
pub fn fill_chain(data: &Path, names: u32) {
    let opened = namechain_node::store::Store::open(data, state::NETWORK).expect("a store");
    state::fill(&opened.store, names, state::EMPTY_BLOCKS);
}
