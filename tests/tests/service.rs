//! The resolver as a service: its configuration read again while it answers, the service manager
//! told, sockets passed.

use std::{
    collections::HashSet,
    fs,
    net::SocketAddr,
    os::unix::net::UnixDatagram,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use tempfile::TempDir;
use tests::{
    dig, http,
    program::{self, Daemon, User},
    tools,
    upstream::{self, Counting},
    wait,
};

/// A resolver whose configuration is all in a file.
struct Service {
    home: TempDir,
}

impl Service {
    fn new(toml: &str) -> Service {
        let service = Service { home: tempfile::tempdir().expect("a home") };
        service.configure(toml);
        service
    }

    fn configure(&self, toml: &str) {
        let whole = format!("listen = ['127.0.0.1:0']\napi = '127.0.0.1:0'\n{toml}");
        fs::write(self.file(), whole).expect("room for the configuration");
    }

    fn file(&self) -> std::path::PathBuf {
        self.home.path().join("resolver.toml")
    }

    fn args(&self) -> Vec<String> {
        let path = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
        let data = path(&self.home.path().join("data"));
        ["--dev", "--json", "--data-dir", &data, "--config", &path(&self.file())]
            .map(str::to_owned)
            .into()
    }

    fn start(&self) -> Daemon {
        let args = self.args();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Daemon::start("resolver", &args, self.home.path())
    }
}

fn reads_again(resolver: &Daemon, expected: &str) {
    let seen = resolver.log().matches(expected).count();
    resolver.signal("HUP");
    wait::until(expected, || (resolver.log().matches(expected).count() > seen).then_some(()));
}

fn asked(upstream: &Counting, name: &str) -> usize {
    upstream.asked().iter().filter(|asked| *asked == name).count()
}

/// Asks for new names until `over`, one after the other; how many were asked, and those without a
/// good answer.
fn ask_on(server: SocketAddr, over: &AtomicBool) -> (usize, Vec<String>) {
    let mut lost = Vec::new();
    for number in 0.. {
        if over.load(Ordering::SeqCst) {
            return (number, lost);
        }
        let name = format!("n{number}.steady.example.com.");
        match upstream::ask(server, &name) {
            Some(answer) if answer[3] & 0x0f == 0 => {}
            other => lost.push(format!("{name} {other:02x?}")),
        }
    }
    unreachable!("it counts for ever")
}

#[test]
fn the_configuration_is_read_again_and_nothing_is_lost() {
    if !tools::available("the_configuration_is_read_again_and_nothing_is_lost", &["dig"]) {
        return;
    }
    let (first, second) = (Counting::start(), Counting::start());
    let service = Service::new(&format!("upstream = ['{}']\n", first.addr));
    let mut resolver = service.start();
    let dns = resolver.addr("dns");
    let known = "known.example.com.";
    assert_eq!(dig::ask(dns, known, "A", "").rdata("A"), ["203.0.113.99"]);
    assert_eq!((asked(&first, known), asked(&second, known)), (1, 0));

    let over = AtomicBool::new(false);
    let (total, lost) = thread::scope(|scope| {
        let asking = scope.spawn(|| ask_on(dns, &over));
        for upstream in [&second, &first, &second] {
            service.configure(&format!("upstream = ['{}']\n", upstream.addr));
            reads_again(&resolver, "configuration reloaded; changed: upstream");
        }
        over.store(true, Ordering::SeqCst);
        asking.join().expect("it does not panic")
    });
    assert!(lost.is_empty(), "{} of {total}: {lost:?}", lost.len());

    let fresh = "fresh.example.com.";
    assert_eq!(dig::ask(dns, fresh, "A", "").rdata("A"), ["203.0.113.99"]);
    assert_eq!(
        (asked(&first, fresh), asked(&second, fresh)),
        (0, 1),
        "the second upstream is asked now"
    );
    for _ in 0..2 {
        dig::ask(dns, known, "A", "");
    }
    let counts = (asked(&first, known), asked(&second, known));
    assert_eq!(
        counts,
        (1, 1),
        "what the old upstream said is forgotten, what the new one said is not"
    );

    // A file with an error in it changes nothing, and is said with its line.
    service.configure("upstream = ['192.0.2.1']\nallow = ['nowhere']\n");
    reads_again(&resolver, "configuration not reloaded: allow: 'nowhere' is not a network");
    service.configure("upstreem = []\n");
    reads_again(&resolver, "line 3: unknown key `upstreem`");
    fs::remove_file(service.file()).expect("it is there");
    reads_again(&resolver, "can't be read");
    let still = "still.example.com.";
    assert_eq!(dig::ask(dns, still, "A", "").rdata("A"), ["203.0.113.99"]);
    assert_eq!(asked(&second, still), 1);

    // What takes a restart is said, and the rest is taken over.
    let toml = format!(
        "upstream = ['{}']\ncache-bytes = 1000000\nmount-root = false\nsuffixes = []\n",
        second.addr
    );
    service.configure(&toml);
    reads_again(&resolver, "changed: mount-root; not before a restart: suffixes, cache-bytes");
    let has_suffix = || !dig::ask(dns, "namechain.alt.", "SOA", "").rdata("SOA").is_empty();
    assert!(has_suffix(), "suffixes stay until a restart");
    // So names below them get no upstream either, whatever suffixes the file has.
    let upstream = second.addr;
    service.configure(&format!(
        "upstream = ['{upstream}']\nsuffixes = 'namechain.internal'\n\
         [[forward]]\nzone = 'namechain.alt'\nupstream = '{upstream}'\n"
    ));
    reads_again(&resolver, "configuration not reloaded: forward: 'namechain.alt.' contains names");
    assert!(has_suffix());
    assert!(resolver.runs() && !resolver.log().contains("panicked"), "{}", resolver.log());
}

#[test]
fn who_may_not_ask_any_more_is_refused() {
    // Only another address than loopback can be kept out, and there is none that a test may count
    // on.
    let service = Service::new("upstream = []\nallow = ['192.0.2.0/24']\n");
    let resolver = service.start();
    service.configure("upstream = []\n");
    reads_again(&resolver, "changed: allow, deny or refuse");
    reads_again(&resolver, "nothing has changed");
}

/// A service manager that hears what it is told.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Manager {
        let socket = UnixDatagram::bind(path).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        Manager(socket)
    }

    /// Waits for a message that has this line.
    fn hears(&self, line: &str) -> String {
        let mut heard = HashSet::new();
        wait::until(line, || {
            let mut buffer = [0; 4_096];
            let length = self.0.recv(&mut buffer).ok()?;
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            heard.insert(text.clone());
            text.lines().any(|said| said == line).then_some(text)
        })
    }
}

#[test]
fn the_service_manager_is_told() {
    let service = Service::new("upstream = []\n");
    let path = service.home.path().join("notify");
    let manager = Manager::at(&path);
    let mut command = program::command("resolver", service.home.path());
    command.args(service.args()).env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    let resolver = Daemon::from_command(command, service.home.path());
    manager.hears("READY=1");
    manager.hears("WATCHDOG=1");
    resolver.signal("HUP");
    let reloading = manager.hears("RELOADING=1");
    assert!(reloading.lines().any(|line| line.starts_with("MONOTONIC_USEC=")), "{reloading}");
    manager.hears("READY=1");
    assert_eq!(resolver.interrupt().code(), Some(0));
    manager.hears("STOPPING=1");
}

/// A resolver that is stopped, as a debugger stops it, can't say that all is well.
#[test]
fn the_watchdog_hears_of_answers_and_not_of_a_process() {
    let service = Service::new("upstream = []\n");
    let path = service.home.path().join("notify");
    let manager = Manager::at(&path);
    let mut command = program::command("resolver", service.home.path());
    command.args(service.args()).env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    let resolver = Daemon::from_command(command, service.home.path());
    manager.hears("WATCHDOG=1");
    resolver.signal("STOP");
    // What was on its way is heard; then there is silence.
    wait::until("silence", || {
        let mut buffer = [0; 4_096];
        manager.0.recv(&mut buffer).is_err().then_some(())
    });
    resolver.signal("CONT");
    manager.hears("WATCHDOG=1");
}

/// What systemd does: sockets bound by somebody else, from descriptor 3 on (sd_listen_fds(3)).
const ACTIVATE: &str = "\
import os, socket, sys
kinds = sys.argv[1].split(',')
made = []
tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
tcp.bind(('127.0.0.1', 0))
tcp.listen(64)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(tcp.getsockname())
by_kind = {'tcp': tcp, 'udp': udp}
high = [os.dup2(by_kind[kind].fileno(), 20 + at) for at, kind in enumerate(kinds)]
for at, fd in enumerate(high):
    os.dup2(fd, 3 + at, inheritable=True)
os.environ['LISTEN_FDS'] = str(len(kinds))
os.environ['LISTEN_PID'] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
";

fn activated(service: &Service, kinds: &str) -> std::process::Command {
    let python = tools::find("python3").expect("looked for before");
    let mut command = std::process::Command::new(python);
    command.args(["-c", ACTIVATE, kinds]).arg(program::path("resolver")).args(service.args());
    command.env_clear().env("HOME", service.home.path()).current_dir(service.home.path());
    command
}

#[test]
fn sockets_that_are_passed_are_answered_at() {
    if !tools::available("sockets_that_are_passed_are_answered_at", &["dig", "python3"]) {
        return;
    }
    let service = Service::new("upstream = []\n");
    let resolver = Daemon::from_command(activated(&service, "tcp,udp"), service.home.path());
    let dns = resolver.addr("dns");
    for options in ["+notcp", "+tcp"] {
        assert_eq!(
            dig::ask(dns, "localhost.", "A", options).rdata("A"),
            ["127.0.0.1"],
            "{options}"
        );
    }
    assert_eq!(http::get(resolver.addr("api"), "/healthz").status, 200);
    for (kinds, expected) in
        [("tcp", "only the stream socket"), ("udp", "only the datagram socket")]
    {
        let output = activated(&service, kinds).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(expected), "{kinds}: {output:?}");
    }
}

/// How many answers of these names the upstream was asked for since.
fn asked_again(dns: SocketAddr, upstream: &Counting, names: &[&str]) -> Vec<usize> {
    let before: Vec<usize> = names.iter().map(|name| asked(upstream, name)).collect();
    names
        .iter()
        .for_each(|name| assert_eq!(dig::ask(dns, name, "A", "").rdata("A"), ["203.0.113.99"]));
    names.iter().zip(before).map(|(name, before)| asked(upstream, name) - before).collect()
}

#[test]
fn answers_are_forgotten_when_somebody_asks_for_it() {
    if !tools::available("answers_are_forgotten_when_somebody_asks_for_it", &["dig"]) {
        return;
    }
    let upstream = Counting::start();
    let service = Service::new(&format!("upstream = ['{}']\n", upstream.addr));
    let with_node = service.start();
    // The other kind: the node runs elsewhere, and the resolver has a small API of its own.
    let beside = Service::new("");
    let node = format!("http://{}", with_node.addr("api"));
    let toml = format!("upstream = ['{}']\nnode = '{node}'\n", upstream.addr);
    beside.configure(&toml);
    let file = beside.file().to_str().expect("a path in UTF-8").to_owned();
    let without_node =
        Daemon::start("resolver", &["--json", "--config", &file], beside.home.path());
    for resolver in [&with_node, &without_node] {
        forgets(resolver, &upstream);
    }
    let api = without_node.addr("api");
    for path in ["/healthz", "/readyz"] {
        assert_eq!(http::get(api, path).body, "ok\n", "{path}");
    }
    assert_eq!(http::get(api, "/metrics").status, 200);
    drop(with_node);
    wait::until("the node is missed", || (http::get(api, "/readyz").status == 503).then_some(()));
    assert_eq!(http::get(api, "/healthz").body, "ok\n");
    assert_eq!(
        asked_again(without_node.addr("dns"), &upstream, &["a.x.example."]),
        [0],
        "legacy answers stay"
    );
}

fn forgets(resolver: &Daemon, upstream: &Counting) {
    let user = User::without_key(resolver.addr("api")).running(resolver);
    let names = ["a.x.example.", "b.a.x.example.", "x.example.", "y.example.", "xx.example."];
    let dns = resolver.addr("dns");
    assert_eq!(asked_again(dns, upstream, &names), [1; 5]);
    assert_eq!(asked_again(dns, upstream, &names), [0; 5]);
    let flush = |args: &[&str]| {
        user.zonetool(&[&["cache", "flush"], args].concat()).ok().json()["flushed"].clone()
    };
    assert_eq!(flush(&["A.X.example"]), 1);
    assert_eq!(asked_again(dns, upstream, &names), [1, 0, 0, 0, 0]);
    assert_eq!(flush(&["--zone", "x.example."]), 3);
    assert_eq!(asked_again(dns, upstream, &names), [1, 1, 1, 0, 0]);
    assert_eq!(flush(&["nowhere.example"]), 0);
    assert_eq!(flush(&[]), 5);
    assert_eq!(asked_again(dns, upstream, &names), [1; 5]);
    assert_eq!(
        user.zonetool_text(&["cache", "flush", "y.example"]).ok().stdout,
        "1 answer flushed\n"
    );
    let bad = user.zonetool(&["cache", "flush", "a..b"]);
    assert_eq!(
        (bad.code, bad.json()["error"]["code"].as_str()),
        (2, Some("bad-request")),
        "{bad:?}"
    );
    assert_eq!(asked_again(dns, upstream, &names), [0, 0, 0, 1, 0]);
}
