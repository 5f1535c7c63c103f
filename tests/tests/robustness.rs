//! Whatever happens to it, the others are answered: slow clients, floods, upstreams and nodes that
//! go away, clocks that jump, and an end while questions are on their way. Counts and outcomes
//! only; how long answers take is measured by `cargo bench -p resolver --bench faults`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tests::{
    dig,
    machine::Machine,
    program::{self, Daemon},
    tools,
    upstream::{self, Counting},
    wait, zones,
};

/// Slow clients over TCP.
const SLOW: usize = 1_024;
/// Names that nobody has asked for.
const FLOOD: usize = 50_000;
const ADDRESS: [u8; 4] = [203, 0, 113, 99];

/// Says that it is ready, and goes on until its input ends. The first half of its connections says
/// nothing, the others send a question a byte at a time.
const SLOW_CLIENTS: &str = "\
import resource, select, socket, sys
count, port = int(sys.argv[1]), int(sys.argv[2])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
def connect():
    return socket.create_connection(('127.0.0.1', port))
clients = [connect() for _ in range(count)]
print('ready', flush=True)
while not select.select([sys.stdin], [], [], 0.2)[0]:
    for at in range(count // 2, count):
        try:
            clients[at].send(b'\\x01')
        except OSError:
            clients[at] = connect()
";

/// Connections that are reset before anybody has taken them: closing without lingering.
const RESETS: &str = "\
import socket, struct, sys
count, port = int(sys.argv[1]), int(sys.argv[2])
for _ in range(count):
    client = socket.create_connection(('127.0.0.1', port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    client.close()
print('ready', flush=True)
sys.stdin.read()
";

/// A script that runs beside the test, ended when it is dropped.
struct Script(Child);

impl Script {
    /// Starts it with a count and the server's port, and waits until it says that it is ready.
    fn start(text: &str, count: usize, server: SocketAddr) -> Script {
        let python = tools::find("python3").expect("looked for before");
        let mut child = Command::new(python)
            .args(["-c", text, &count.to_string(), &server.port().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("its first line");
        assert_eq!(line, "ready\n");
        Script(child)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A resolver with `www.alice` on its chain.
fn started(machine: &Machine) -> Daemon {
    let (resolver, user) = machine.start();
    user.register("alice", &zones::path("alice"));
    resolver
}

fn has(answer: &[u8], address: [u8; 4]) -> bool {
    answer[3] & 0x0f == 0 && answer.windows(4).any(|bytes| bytes == address)
}

/// Asks for a known name and a name of the chain, again and again; those without the right answer.
fn others(dns: SocketAddr, rounds: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    for round in 0..rounds {
        for (name, address) in [("known.example.com.", ADDRESS), ("www.alice.", [192, 0, 2, 10])] {
            match upstream::ask(dns, name) {
                Some(answer) if has(&answer, address) => {}
                other => wrong.push(format!("{round} {name}: {other:02x?}")),
            }
        }
    }
    wrong
}

/// Asks over TCP on a connection of its own; the answer, if there is one.
fn over_tcp(dns: SocketAddr, name: &str) -> Option<Vec<u8>> {
    let question = upstream::query(7, name, 1);
    let mut stream = TcpStream::connect(dns).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    stream.write_all(&(question.len() as u16).to_be_bytes()).ok()?;
    stream.write_all(&question).ok()?;
    receive(&mut stream)
}

fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn a_thousand_slow_clients_keep_nobody_out() {
    if !tools::available("a_thousand_slow_clients_keep_nobody_out", &["python3"]) {
        return;
    }
    let machine = Machine::new(Counting::start().addr);
    let mut resolver = started(&machine);
    let dns = resolver.addr("dns");
    let slow = Script::start(SLOW_CLIENTS, SLOW, dns);
    for number in 0..200 {
        let answer = over_tcp(dns, "known.example.com.");
        assert!(
            answer.as_ref().is_some_and(|answer| has(answer, ADDRESS)),
            "{number}: {answer:02x?}"
        );
    }
    assert_eq!(others(dns, 200), [""; 0]);
    // A connection that asks again and again is none of the idle ones.
    let mut busy = TcpStream::connect(dns).expect("it listens");
    busy.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let question = upstream::query(7, "www.alice.", 1);
    let whole = [&(question.len() as u16).to_be_bytes()[..], &question].concat();
    for _ in 0..50 {
        busy.write_all(&whole).expect("the connection stays");
        assert!(receive(&mut busy).is_some_and(|answer| has(&answer, [192, 0, 2, 10])));
    }
    drop(slow);
    assert!(resolver.runs() && !resolver.log().contains("panicked"), "{}", resolver.log());
}

#[test]
fn connections_that_are_reset_stop_nothing() {
    if !tools::available("connections_that_are_reset_stop_nothing", &["python3"]) {
        return;
    }
    let machine = Machine::new(Counting::start().addr);
    let mut resolver = started(&machine);
    let dns = resolver.addr("dns");
    // While it is stopped they pile up before it: all of them are gone when it comes to take them.
    resolver.signal("STOP");
    let resets = Script::start(RESETS, 100, dns);
    resolver.signal("CONT");
    drop(resets);
    let _more = Script::start(RESETS, 2_000, dns);
    for _ in 0..20 {
        assert!(over_tcp(dns, "www.alice.").is_some_and(|answer| has(&answer, [192, 0, 2, 10])));
    }
    assert!(resolver.runs() && !resolver.log().contains("panicked"), "{}", resolver.log());
}

/// Many names of which each is asked once: all of them are answered or not, and nobody else
/// notices. What is in use stays in a cache that is far too small for them.
#[test]
fn a_flood_of_new_names_pushes_nobody_out() {
    let counting = Counting::start();
    let machine = Machine::with_config(counting.addr, "cache-bytes = 1000000\n");
    let mut resolver = started(&machine);
    let dns = resolver.addr("dns");
    assert_eq!(others(dns, 5), [""; 0]);
    let over = AtomicBool::new(false);
    let wrong = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut wrong = Vec::new();
            while !over.load(Ordering::SeqCst) {
                wrong.extend(others(dns, 10));
            }
            wrong
        });
        flood(dns);
        over.store(true, Ordering::SeqCst);
        asking.join().expect("it does not panic")
    });
    assert!(wrong.is_empty(), "{}: {wrong:?}", wrong.len());
    let asked = counting.asked().iter().filter(|name| *name == "known.example.com.").count();
    assert_eq!(asked, 1, "what is in use stays in the cache");
    let flooded = counting.asked().len();
    assert!(flooded > FLOOD / 2, "only {flooded} questions came through");
    assert!(resolver.runs() && !resolver.log().contains("panicked"), "{}", resolver.log());
}

/// Sends the names, some at a time: what the system drops before the server sees it tests nothing.
fn flood(dns: SocketAddr) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    let mut buffer = [0; 4_096];
    for batch in 0..FLOOD / 50 {
        for number in 0..50 {
            let name = format!("f{batch}-{number}.flood.example.");
            socket
                .send_to(&upstream::query(number as u16, &name, 1), dns)
                .expect("loopback takes it");
        }
        // One that is lost is not waited for twice.
        (0..50).take_while(|_| socket.recv_from(&mut buffer).is_ok()).for_each(drop);
    }
}

#[test]
fn an_upstream_that_goes_away_is_missed_for_new_names_only() {
    if !tools::available("an_upstream_that_goes_away_is_missed_for_new_names_only", &["dig"]) {
        return;
    }
    let upstream = Obedient::start();
    let machine = Machine::with_config(upstream.addr, "upstream-timeout-ms = 1000\n");
    let resolver = started(&machine);
    let dns = resolver.addr("dns");
    assert_eq!(others(dns, 1), [""; 0]);
    upstream.mood.store(SILENT, Ordering::SeqCst);
    let reply = dig::ask(dns, "new.example.com.", "A", "");
    assert_eq!((reply.status.as_str(), reply.ede.is_empty()), ("SERVFAIL", false), "{reply:?}");
    assert_eq!(others(dns, 20), [""; 0]);
    upstream.mood.store(WELL, Ordering::SeqCst);
    // The failure is kept for a moment (RFC 9520).
    wait::until("the upstream is asked again", || {
        upstream::ask(dns, "late.example.com.").filter(|answer| has(answer, ADDRESS)).map(drop)
    });
}

#[test]
fn an_upstream_that_lies_is_not_believed() {
    let upstream = Obedient::start();
    upstream.mood.store(LYING, Ordering::SeqCst);
    let machine = Machine::new(upstream.addr);
    let resolver = started(&machine);
    let dns = resolver.addr("dns");
    for number in 0..200 {
        let name = format!("name-{number}.example.com.");
        let answer = upstream::ask(dns, &name);
        assert!(
            answer.as_ref().is_some_and(|answer| has(answer, ADDRESS)),
            "{name}: {answer:02x?}"
        );
    }
}

const WELL: u8 = 0;
const SILENT: u8 = 1;
const LYING: u8 = 2;
const SLOWLY: u8 = 3;

/// An upstream that does what it is told.
struct Obedient {
    addr: SocketAddr,
    mood: Arc<std::sync::atomic::AtomicU8>,
    asked: Arc<std::sync::atomic::AtomicUsize>,
}

impl Obedient {
    /// Answers on a free port, over TCP always well; ends with the process.
    fn start() -> Obedient {
        let (socket, listener) = wait::until("a port free for UDP and TCP", || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
            let socket = UdpSocket::bind(listener.local_addr().ok()?).ok()?;
            Some((socket, listener))
        });
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let answer =
                    receive(&mut stream).and_then(|question| upstream::answer(&question, ADDRESS));
                let Some(answer) = answer else { continue };
                // The asker may be gone.
                let _ =
                    stream.write_all(&[&(answer.len() as u16).to_be_bytes()[..], &answer].concat());
            }
        });
        let addr = socket.local_addr().expect("an address");
        let (mood, asked) = (Arc::new(std::sync::atomic::AtomicU8::new(WELL)), Arc::default());
        let upstream = Obedient { addr, mood: Arc::clone(&mood), asked: Arc::clone(&asked) };
        thread::spawn(move || {
            let mut packet = [0; 4_096];
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                asked.fetch_add(1, Ordering::SeqCst);
                let Some(truth) = upstream::answer(&packet[..length], ADDRESS) else { continue };
                match mood.load(Ordering::SeqCst) {
                    SILENT => continue,
                    LYING => lies(&packet[..length])
                        .iter()
                        .for_each(|lie| drop(socket.send_to(lie, from))),
                    SLOWLY => {
                        let socket = socket.try_clone().expect("a socket more");
                        thread::spawn(move || {
                            thread::sleep(Duration::from_millis(700));
                            // The asker may be gone.
                            let _ = socket.send_to(&truth, from);
                        });
                        continue;
                    }
                    _ => {}
                }
                // The asker may be gone.
                let _ = socket.send_to(&truth, from);
            }
        });
        upstream
    }
}

/// Answers that are none: another id, another question, the question in another spelling, noise;
/// all with an address that is not so.
fn lies(question: &[u8]) -> Vec<Vec<u8>> {
    let lie = upstream::answer(question, [203, 0, 113, 66]).expect("it was answered before");
    let (mut id, mut name, mut case) = (lie.clone(), lie.clone(), lie.clone());
    id[0] ^= 0x80;
    name[13] = if name[13] == b'x' { b'y' } else { b'x' };
    case[13..17].iter_mut().for_each(|byte| *byte ^= 0x20);
    vec![id, name, case, lie.iter().rev().copied().collect()]
}

#[test]
fn a_node_that_goes_away_is_missed_for_its_names_only() {
    if !tools::available("a_node_that_goes_away_is_missed_for_its_names_only", &["dig"]) {
        return;
    }
    let counting = Counting::start();
    let machine = Machine::new(counting.addr);
    let with_node = started(&machine);
    let home = tempfile::tempdir().expect("a home");
    let node = format!("http://{}", with_node.addr("api"));
    let upstream = counting.addr.to_string();
    let args = [
        "--node",
        &node,
        "--listen",
        "127.0.0.1:0",
        "--api",
        "127.0.0.1:0",
        "--json",
        "--upstream",
        &upstream,
    ];
    let mut resolver = Daemon::start("resolver", &args, home.path());
    let dns = resolver.addr("dns");
    assert_eq!(others(dns, 2), [""; 0]);
    with_node.kill();
    // What was proven a moment ago may still be given; then nobody knows any more.
    let reply = wait::until("the chain is missed", || {
        let reply = dig::ask(dns, "www.alice.", "A", "");
        (reply.status == "SERVFAIL").then_some(reply)
    });
    assert_eq!(reply.ede, [14], "{reply:?}");
    for number in 0..20 {
        let name = format!("legacy-{number}.example.com.");
        assert!(upstream::ask(dns, &name).is_some_and(|answer| has(&answer, ADDRESS)), "{name}");
    }
    assert_eq!(
        counting.asked().iter().filter(|name| name.ends_with("alice.")).count(),
        0,
        "nobody was told"
    );
    assert!(resolver.runs());
}

/// Questions that are on their way when it is told to stop are answered first.
#[test]
fn an_end_waits_for_what_is_on_its_way() {
    let upstream = Obedient::start();
    let machine = Machine::new(upstream.addr);
    let resolver = started(&machine);
    let dns = resolver.addr("dns");
    upstream.mood.store(SLOWLY, Ordering::SeqCst);
    let before = upstream.asked.load(Ordering::SeqCst);
    let (udp, tcp, status) = thread::scope(|scope| {
        let udp = scope.spawn(|| upstream::ask(dns, "udp.example.com."));
        let tcp = scope.spawn(|| over_tcp(dns, "tcp.example.com."));
        wait::until("both are on their way", || {
            (upstream.asked.load(Ordering::SeqCst) > before).then_some(())
        });
        // The other one is at most a moment behind.
        thread::sleep(Duration::from_millis(200));
        let status = resolver.interrupt();
        (udp.join().expect("it does not panic"), tcp.join().expect("it does not panic"), status)
    });
    assert_eq!(status.code(), Some(0));
    for (how, answer) in [("UDP", udp), ("TCP", tcp)] {
        assert!(answer.as_ref().is_some_and(|answer| has(answer, ADDRESS)), "{how}: {answer:02x?}");
    }
}

/// The wall's clock goes forward by a day, and back by two. Answers age by a clock that does
/// neither.
#[test]
fn a_clock_that_jumps_changes_nothing() {
    let Some(library) = tools::faketime("a_clock_that_jumps_changes_nothing") else { return };
    let counting = Counting::start();
    let machine = Machine::new(counting.addr);
    drop(started(&machine));
    let offset = machine.home().join("offset");
    let set = |text: &str| std::fs::write(&offset, text).expect("room for a few bytes");
    set("+0s");
    let (data, upstream) = (machine.home().join("data"), counting.addr.to_string());
    let mut command = program::command("resolver", machine.home());
    command.args([
        "--dev",
        "--listen",
        "127.0.0.1:0",
        "--api",
        "127.0.0.1:0",
        "--json",
        "--upstream",
        &upstream,
    ]);
    command
        .arg("--data-dir")
        .arg(data)
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &offset);
    command.env("FAKETIME_NO_CACHE", "1").env("DONT_FAKE_MONOTONIC", "1");
    let mut resolver = Daemon::from_command(command, machine.home());
    let dns = resolver.addr("dns");
    for jump in ["+0s", "+86400s", "-86400s", "+0s"] {
        set(jump);
        assert_eq!(others(dns, 10), [""; 0], "{jump}");
    }
    let asked = counting.asked().iter().filter(|name| *name == "known.example.com.").count();
    assert_eq!(asked, 1, "its answer holds for a minute, and no minute has passed");
    assert!(resolver.runs() && !resolver.log().contains("panicked"), "{}", resolver.log());
}
