//! Catching up with another node over loopback, each in a process of its own, beside the least that
//! it can take; and how long a block takes to a second node. `cargo bench -p namechain --bench
//! sync`; with `-- names`, `empty` or `relay` that part alone. Prints rows for
//! `docs/performance.md`.

#[allow(dead_code, reason = "each benchmark uses its part")]
#[path = "../../core/benches/common/mod.rs"]
mod common;

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant, UNIX_EPOCH},
};

use common::{
    long::{check_all, grow},
    measure::{Took, timed},
    state::{NETWORK, name, owner, records, stamp_all},
};
use namechain_core::{
    consensus::{header::signing_context, price},
    types::{Action, Name, Operation, SignedOperation, Stamp, commitment},
};
use namechain_node::{
    node::{MineMode, Node, NodeConfig, NodeHandle, P2p},
    store::{Options, Store},
};
use serde_json::Value;

/// The blocks of a long chain, unless NAMECHAIN_BENCH_BLOCKS says otherwise.
const BLOCKS: u32 = 20_000;
/// Names whose way to a second node is timed.
const RELAYED: u32 = 100;
/// Between two looks at how far a node is.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(1_200);
/// Processor time is told in these (`_SC_CLK_TCK`, 100 on every Linux).
const TICKS_A_SECOND: f64 = 100.0;

fn main() {
    let words: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => ["names", "empty", "relay"].iter().for_each(|part| run(&[part])),
        ["names"] => catch_up(true),
        ["empty"] => catch_up(false),
        ["relay"] => relay(),
        _ => println!("the parts are names, empty and relay"),
    }
}

/// Runs this program with other words.
fn run(words: &[&str]) {
    let status = Command::new(env::current_exe().expect("this program"))
        .args(words)
        .status()
        .expect("a process");
    assert!(status.success(), "{words:?} failed");
}

fn blocks() -> u32 {
    env::var("NAMECHAIN_BENCH_BLOCKS")
        .map_or(BLOCKS, |text| text.parse().expect("a number of blocks"))
}

fn store(dir: &Path) -> Arc<Store> {
    let options = Options { reindex: false, ..Options::default() };
    Arc::new(Store::open_with(dir, NETWORK, options).expect("a store").store)
}

/// A node in a process of its own.
struct Running {
    child: Child,
    api: SocketAddr,
    p2p: Option<String>,
}

impl Running {
    fn start(dir: &Path, args: &[&str]) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_namechaind"))
            .args([
                "--network",
                "dev",
                "--mine",
                "off",
                "--api",
                "127.0.0.1:0",
                "--json",
                "--data-dir",
            ])
            .arg(dir)
            .args(args)
            .env("NAMECHAIN_LOG", env::var("NAMECHAIN_LOG").unwrap_or_else(|_| "warn".into()))
            .stdout(Stdio::piped())
            .spawn()
            .expect("a node");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("its first line");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        let api = line["api"].as_str().expect("an API").parse().expect("an address");
        let p2p = line["p2p"][0].as_str().map(str::to_owned);
        Running { child, api, p2p }
    }

    fn status(&self) -> Value {
        let mut stream = TcpStream::connect(self.api).expect("the API");
        let head =
            format!("GET /v1/status HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.api);
        stream.write_all(head.as_bytes()).expect("a question");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).expect("JSON")
    }

    /// Its processor time so far, and the most memory that it held, in MB.
    fn cost(&self) -> (Duration, u64) {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("its statistics");
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let ticks: f64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<f64>().expect("ticks"))
            .sum();
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak =
            peak.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0);
        (Duration::from_secs_f64(ticks / TICKS_A_SECOND), peak / 1_000)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark owns a clock")]
fn now() -> Instant {
    Instant::now()
}

/// A chain is grown, served by one node, and fetched by another that has nothing.
fn catch_up(names: bool) {
    let dir = tempfile::tempdir().expect("a directory");
    let (full, empty) = (dir.path().join("full"), dir.path().join("empty"));
    let blocks = blocks();
    let bound = {
        let storage = store(&full);
        grow(storage.clone(), blocks, names);
        timed(|| check_all(&*storage)).1
    };
    let server = Running::start(&full, &["--listen", "/ip4/127.0.0.1/tcp/0"]);
    let peer = server.p2p.clone().expect("an address");
    let (before, _) = server.cost();
    let start = now();
    let client = Running::start(&empty, &["--peer", &peer]);
    let mut headers = None;
    let wall = loop {
        let (status, passed) = (client.status(), start.elapsed());
        if headers.is_none() && status["sync"]["headers"] == blocks {
            headers = Some(passed);
        }
        if status["height"] == blocks {
            break passed;
        }
        assert!(passed < PATIENCE, "it does not get there: {status}");
        sleep(LOOK_EVERY);
    };
    let (cpu, peak) = client.cost();
    let served = server.cost().0 - before;
    report(names, blocks, bound, Took { wall, cpu }, headers.unwrap_or(wall), served, peak);
}

fn report(
    names: bool,
    blocks: u32,
    bound: Took,
    took: Took,
    headers: Duration,
    served: Duration,
    peak: u64,
) {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let least = bound.cpu.as_secs_f64() / cores as f64;
    let rate = |time: Duration| f64::from(blocks) / time.as_secs_f64();
    println!("{blocks} blocks{}", if names { ", a name in each" } else { ", empty" });
    println!("| | |\n|---|---|");
    println!("| all works and signatures, one thread | {:.2} s |", bound.cpu.as_secs_f64());
    println!(
        "| the same on {cores} cores | {least:.2} s, {:.0} blocks a second |",
        f64::from(blocks) / least
    );
    println!(
        "| caught up, by the wall | {:.2} s, {:.0} blocks a second |",
        took.wall.as_secs_f64(),
        rate(took.wall)
    );
    println!("| of that until all headers were checked | {:.2} s |", headers.as_secs_f64());
    println!("| ratio to the checks on {cores} cores | {:.2} |", took.wall.as_secs_f64() / least);
    println!("| processor time of the one who caught up | {:.2} s |", took.cpu.as_secs_f64());
    println!(
        "| ratio to the checks on one thread | {:.2} |",
        took.cpu.as_secs_f64() / bound.cpu.as_secs_f64()
    );
    println!(
        "| processor time of the one who served, on the same machine | {:.2} s |",
        served.as_secs_f64()
    );
    println!("| the most memory held by the one who caught up | {peak} MB |\n");
}

/// Two nodes that are connected; names are registered at the first, which mines them.
fn relay() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let start = |at: &str, mine, p2p| {
        let config = NodeConfig {
            network: NETWORK,
            data_dir: dir.path().join(at),
            api: None,
            admin: None,
            allow_hosts: Vec::new(),
            p2p: Some(p2p),
            mine,
            mine_threads: 1,
            prune_bytes: None,
            reindex: false,
        };
        runtime.block_on(Node::start(config)).expect("a node")
    };
    let p2p = P2p { listen: Vec::new(), peers: Vec::new(), mdns: false, max_inbound: 8 };
    let listen = vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")];
    let one = start("one", MineMode::OnDemand, P2p { listen, ..p2p.clone() });
    let address = one.handle().p2p()[0].parse().expect("an address");
    let other = start("other", MineMode::Off, P2p { peers: vec![address], ..p2p });
    let (from, to) = (one.handle(), other.handle());
    // Until they are connected and the gossip has found its way.
    let mut took: Vec<Duration> = Vec::new();
    wait(|| to.synced());
    for number in 100_000..100_000 + RELAYED + 5 {
        took.push(time_of(&from, &to, number));
    }
    // The first few are on their way while the two still get to know each other.
    let mut took = took.split_off(5);
    took.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    println!("From a mined block to its name resolving at another node, {RELAYED} times");
    println!("| median | 90% | worst |\n|---|---|---|");
    let at = |percent: usize| ms(took[(took.len() * percent / 100).min(took.len() - 1)]);
    println!("| {:.1} ms | {:.1} ms | {:.1} ms |\n", at(50), at(90), at(100));
    runtime.block_on(other.stop());
    runtime.block_on(one.stop());
}

/// Waits, looking often.
fn wait(mut done: impl FnMut() -> bool) {
    let start = now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "it does not come");
        sleep(Duration::from_micros(50));
    }
}

fn unix_now() -> u64 {
    UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs())
}

/// Registers a name at one node. How long after that has it in a block the other has it.
fn time_of(from: &NodeHandle, to: &NodeHandle, number: u32) -> Duration {
    let (name, key, records): (Name, _, _) = (name(number), owner(number), records(number));
    let there = |node: &NodeHandle| node.served().value_hash(&name.key(NETWORK)).is_some();
    let tip = from.snapshot();
    let params = NETWORK.params();
    let stamp = |work| Stamp { anchor: tip.id, work, nonce: 0 };
    let hidden = commitment(NETWORK, &name, &key.public(), &key.salt(NETWORK, &name));
    let work = price::registration(params, &name, tip.header.name_price);
    let mut commit = vec![Operation::Commit { commitment: hidden, stamp: stamp(work) }];
    stamp_all(&mut commit);
    let commit_id = commit[0].id(NETWORK);
    let height = from.snapshot().height();
    from.submit(commit.remove(0)).expect("it is taken");
    wait(|| from.snapshot().height() > height && to.snapshot().id == from.snapshot().id);
    let opens = from.snapshot().header.time + params.commit_delay.seconds;
    wait(|| unix_now() >= opens);
    let work = price::records(params, records.byte_len(), tip.header.byte_price);
    let action = Action::Register { recovery: None, salt: key.salt(NETWORK, &name), records };
    let mut register = vec![Operation::Named(SignedOperation::sign(
        &signing_context(params, params.branches[0].number),
        name.clone(),
        commit_id,
        unix_now() + 3_600,
        action,
        &key,
        stamp(work),
    ))];
    stamp_all(&mut register);
    from.submit(register.remove(0)).expect("it is taken");
    wait(|| there(from));
    let mined = now();
    wait(|| there(to));
    mined.elapsed()
}
