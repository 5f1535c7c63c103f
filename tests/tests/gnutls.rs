//! The channel's TLS against a library that nobody here wrote: Debian's GnuTLS, with raw public
//! keys, over TCP, dialling and dialled. The HELLOs that GnuTLS carries are made here by hand, from
//! `docs/messaging.md`.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use messaging::channel::{client_config, server_config};
use namechain_core::types::{Network, PublicKey, SecretKey, Signature};
use rustls::{ClientConnection, ServerConnection, StreamOwned, pki_types::ServerName};
use tests::{peers::Citizen, pipe::Pipe, tools, users::World, wait};

const PRIORITY: &str = "NORMAL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK";
const MAGIC: [u8; 4] = Network::Dev.magic();

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let bits =
            (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(*chunk.get(at).unwrap_or(&0)));
        let digit = |at: usize| char::from(DIGITS[(bits >> (18 - 6 * at)) as usize & 63]);
        (0..4).map(|at| if at <= chunk.len() { digit(at) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

/// A key in the files that GnuTLS reads: PKCS #8 (RFC 8410 section 7), SubjectPublicKeyInfo
/// (section 4).
struct Files {
    _home: tempfile::TempDir,
    secret: PathBuf,
    public: PathBuf,
}

fn files(seed: [u8; 32]) -> Files {
    let home = tempfile::tempdir().expect("a home");
    let write = |file: &str, label: &str, der: Vec<u8>| {
        let path = home.path().join(file);
        let text = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", base64(&der));
        fs::write(&path, text).expect("room");
        path
    };
    let PublicKey(key) = SecretKey::from_seed(&seed).public();
    let secret =
        [hex::decode("302e020100300506032b657004220420").expect("hexadecimal"), seed.to_vec()];
    let public = [hex::decode("302a300506032b6570032100").expect("hexadecimal"), key.to_vec()];
    let secret = write("secret.pem", "PRIVATE KEY", secret.concat());
    let public = write("public.pem", "PUBLIC KEY", public.concat());
    Files { _home: home, secret, public }
}

/// `gnutls-cli`, connected; killed when it is dropped.
struct Dialler {
    child: Child,
    input: Option<ChildStdin>,
    /// What it printed: what it says of the connection up to [`MODE`], and then what the other side
    /// says.
    output: Arc<Mutex<Vec<u8>>>,
    /// Whether that is all: nothing comes after the end of its output, which may be read after it
    /// is gone.
    ended: Arc<AtomicBool>,
    /// How much of that was heard.
    heard: usize,
    _files: Files,
}

/// The last of what it says itself.
const MODE: &[u8] = b"- Simple Client Mode:\n\n";

fn gnutls(command: &mut Command, files: &Files, home: &Path) {
    command
        .args(["--priority", PRIORITY, "--alpn", "namechain/1", "--rawpkkeyfile"])
        .arg(&files.secret);
    command.arg("--rawpkfile").arg(&files.public).current_dir(home).env("HOME", home);
}

impl Dialler {
    /// Connects with the key of `seed`. GnuTLS's own program does not know how to judge a raw key,
    /// so it is told to go on.
    fn start(seed: [u8; 32], address: SocketAddr) -> Dialler {
        let files = files(seed);
        let home = files.secret.parent().expect("a directory").to_owned();
        // It would keep what it says to itself until it ends.
        let mut command = Command::new("stdbuf");
        command.arg("-o0").arg(tools::find("gnutls-cli").expect("it is installed"));
        gnutls(&mut command, &files, &home);
        command.args([
            "--insecure",
            "--keymatexport",
            "EXPORTER-namechain/1",
            "--keymatexportsize",
            "32",
        ]);
        command.args(["-p", &address.port().to_string(), "127.0.0.1"]);
        let errors = fs::File::create(home.join("errors")).expect("room");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().expect("gnutls-cli runs");
        let (input, mut stdout) = (child.stdin.take(), child.stdout.take().expect("piped"));
        let output = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let (heard, over) = (output.clone(), ended.clone());
        thread::spawn(move || {
            let mut block = [0; 4_096];
            while let Ok(read @ 1..) = stdout.read(&mut block) {
                heard.lock().expect("nobody panics with it").extend(&block[..read]);
            }
            over.store(true, Ordering::SeqCst);
        });
        Dialler { child, input, output, ended, heard: 0, _files: files }
    }

    /// Waits until what it printed and was not heard yet is `enough`.
    fn printed<T>(&mut self, what: &str, mut enough: impl FnMut(&[u8]) -> Option<T>) -> T {
        wait::until(what, || {
            let ended = self.ended.load(Ordering::SeqCst);
            let output = self.output.lock().expect("nobody panics with it");
            let found = enough(&output[self.heard..]);
            assert!(
                found.is_some() || !ended,
                "gnutls-cli ended: {}",
                String::from_utf8_lossy(&output)
            );
            found
        })
    }

    /// What it says of the connection, once that stands.
    fn told(&mut self) -> String {
        assert_eq!(self.heard, 0, "it tells that once");
        let told = self.printed("a handshake of gnutls-cli", |output| {
            let at = output.windows(MODE.len()).position(|part| part == MODE)?;
            Some(output[..at + MODE.len()].to_vec())
        });
        self.heard = told.len();
        String::from_utf8(told).expect("text")
    }

    /// What TLS exports for this connection.
    fn exporter(&mut self) -> Vec<u8> {
        let told = self.told();
        assert!(told.contains("TLS1.3-Raw Public Key"), "{told}");
        let line = told.lines().find_map(|line| line.strip_prefix("- Key material: "));
        hex::decode(line.unwrap_or_else(|| panic!("no key material in {told}")))
            .expect("hexadecimal")
    }

    fn say(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("it was not hung up");
        input.write_all(bytes).and_then(|()| input.flush()).expect("it reads");
    }

    fn hear(&mut self, length: usize) -> Vec<u8> {
        let heard = self
            .printed("what the other side says", |output| output.get(..length).map(<[u8]>::to_vec));
        self.heard += length;
        heard
    }
}

impl Drop for Dialler {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A HELLO of the dialler, as the page of formats has it.
fn hello(exporter: &[u8], from: &str, to: &str, sequence: u32, key: &SecretKey) -> Vec<u8> {
    let mut body = vec![1, 1];
    body.extend(MAGIC);
    for name in [from, to] {
        body.push(name.len() as u8);
        body.extend(name.as_bytes());
    }
    body.extend(sequence.to_be_bytes());
    let signed = [b"m:sign-hel\0\0".as_slice(), &MAGIC, exporter, &body].concat();
    body.extend(key.sign(&signed).0);
    [(body.len() as u16).to_be_bytes().as_slice(), &body].concat()
}

fn citizens() -> Option<(World, Citizen, Citizen)> {
    if !tools::available("gnutls", &["gnutls-cli", "gnutls-serv", "stdbuf"]) {
        return None;
    }
    let world = World::new();
    let (alice, bob) = (Citizen::of(&world, "alice"), Citizen::of(&world, "bobby"));
    Some((world, alice, bob))
}

/// A channel whose dialler is GnuTLS: TLS, the exporter, the signatures and the bytes are what the
/// documents say.
#[test]
fn gnutls_calls_a_name_and_is_believed() {
    let Some((_world, alice, bob)) = citizens() else { return };
    let key = SecretKey::from_seed(&bob.seed(0));
    let mut listener = alice.listen(&["--tcp"]);
    let mut dialler = Dialler::start(bob.seed(0), listener.address());
    let exporter = dialler.exporter();
    let said = hello(&exporter, "bobby", "alice", 1, &key);
    dialler.say(&said);
    assert_eq!(listener.event("connected")["name"], "bobby");
    // The answer: alice's HELLO to this one.
    let answer = dialler.hear(2 + 2 + 4 + 6 + 6 + 4 + 64);
    let mut expected = [&[0, 86, 1, 2][..], &MAGIC].concat();
    expected.extend(b"\x05alice\x05bobby\0\0\0\x01");
    assert_eq!(answer[..24], expected);
    let signed = [b"m:sign-hel\0\0".as_slice(), &MAGIC, &exporter, &said, &answer[2..24]].concat();
    let signature = Signature(answer[24..].try_into().expect("64 bytes"));
    assert!(SecretKey::from_seed(&alice.seed(0)).public().verify(&signed, &signature));
    dialler.say(b"from GnuTLS");
    listener.say(b"to GnuTLS");
    assert_eq!(dialler.hear(9), b"to GnuTLS");
    dialler.input = None;
    let listened = listener.end();
    // gnutls-cli ends the connection when it has nothing more to say; that it does so in order is
    // its business.
    assert_eq!(listened.output, b"from GnuTLS", "{:?}", listened.said);
}

/// The same callers with a key that is not bobby's, with words for another connection, and with
/// none.
#[test]
fn gnutls_calls_a_name_and_is_not_believed() {
    let Some((_world, alice, bob)) = citizens() else { return };
    let mut listener = alice.listen(&["--tcp"]);
    let address = listener.address();
    let other = [9; 32];
    let refused = |listener: &mut Pipe, dialler: &mut Dialler, code: u8, words: &str| {
        assert_eq!(dialler.hear(5), [0, 3, 1, 3, code]);
        let turned = listener.event("rejected");
        listener.said.clear();
        assert!(turned["why"].to_string().contains(words), "{turned}");
    };
    let mut dialler = Dialler::start(other, address);
    let exporter = dialler.exporter();
    dialler.say(&hello(&exporter, "bobby", "alice", 1, &SecretKey::from_seed(&other)));
    refused(&mut listener, &mut dialler, 14, "not the one that speaks for the name");
    let mut dialler = Dialler::start(other, address);
    let exporter = dialler.exporter();
    dialler.say(&hello(&exporter, "bobby", "alice", 1, &SecretKey::from_seed(&bob.seed(0))));
    refused(&mut listener, &mut dialler, 5, "not signed for this connection");
    let mut dialler = Dialler::start(bob.seed(0), address);
    dialler.told();
    dialler.say(&hello(&[7; 32], "bobby", "alice", 1, &SecretKey::from_seed(&bob.seed(0))));
    refused(&mut listener, &mut dialler, 5, "not signed for this connection");
    let mut dialler = Dialler::start(bob.seed(0), address);
    dialler.told();
    dialler.say(b"GET / HTTP/1.1\r\n\r\n");
    refused(&mut listener, &mut dialler, 1, "no HELLO");
}

/// TLS alone, with the library's own configuration: one key is taken, another is not.
#[test]
fn a_listener_tells_gnutls_keys_apart() {
    let Some((_world, alice, bob)) = citizens() else { return };
    let wanted = SecretKey::from_seed(&bob.seed(0)).public();
    for (seed, believed) in [(bob.seed(0), true), ([9; 32], false)] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let config =
            server_config(&SecretKey::from_seed(&alice.seed(0)), wanted).expect("a configuration");
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a call");
            let connection = ServerConnection::new(Arc::new(config)).expect("a connection");
            let mut stream = StreamOwned::new(connection, stream);
            let mut heard = [0; 5];
            stream.read_exact(&mut heard).and_then(|()| stream.write_all(b"there")).map(|()| heard)
        });
        let mut dialler = Dialler::start(seed, address);
        if believed {
            dialler.told();
            dialler.say(b"hello");
            assert_eq!(dialler.hear(5), b"there");
        }
        match server.join().expect("it ends") {
            Ok(heard) => assert!(believed && &heard == b"hello"),
            Err(error) => {
                assert!(
                    !believed && error.to_string().contains("invalid peer certificate"),
                    "{error}"
                )
            }
        }
    }
}

/// `gnutls-serv`, which says back every line; killed when it is dropped.
struct Server {
    child: Child,
    _files: Files,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago: `gnutls-serv` can't be asked for any.
fn serve(seed: [u8; 32]) -> (Server, SocketAddr) {
    wait::until("gnutls-serv on a free port", || {
        let address =
            TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
        let files = files(seed);
        let home = files.secret.parent().expect("a directory").to_owned();
        let mut command = Command::new(tools::find("gnutls-serv").expect("it is installed"));
        gnutls(&mut command, &files, &home);
        command.args(["--echo", "--require-client-cert", "-p", &address.port().to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server =
            Server { child: command.spawn().expect("gnutls-serv runs"), _files: files };
        let there = wait::until("gnutls-serv or its end", || {
            if server.child.try_wait().expect("it can be waited for").is_some() {
                return Some(false);
            }
            TcpStream::connect(address).is_ok().then_some(true)
        });
        there.then_some((server, address))
    })
}

#[test]
fn gnutls_is_called() {
    let Some((_world, alice, bob)) = citizens() else { return };
    let bobs = SecretKey::from_seed(&bob.seed(0));
    let alices = SecretKey::from_seed(&alice.seed(0)).public();
    for (seed, believed) in [(alice.seed(0), true), ([9; 32], false)] {
        let (_server, address) = serve(seed);
        // TLS alone, by the library's own configuration.
        let config = client_config(&bobs, alices).expect("a configuration");
        let name = ServerName::try_from("namechain.invalid").expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
        let mut stream =
            StreamOwned::new(connection, TcpStream::connect(address).expect("it listens"));
        let mut heard = [0; 6];
        let echoed = stream.write_all(b"hello\n").and_then(|()| stream.read_exact(&mut heard));
        match echoed {
            Ok(()) => assert!(believed && &heard == b"hello\n"),
            Err(error) => {
                assert!(
                    !believed && error.to_string().contains("invalid peer certificate"),
                    "{error}"
                )
            }
        }
        // The command line: with the right key it waits for a HELLO, which GnuTLS knows nothing of.
        let address = address.to_string();
        let dialled =
            bob.dial("alice", &["--tcp", "--handshake-timeout", "2", "--address", &address]).end();
        let (code, words) =
            if believed { (5, "nothing came of it") } else { (9, "who answers is not alice") };
        assert_eq!(dialled.code, code, "{dialled:?}");
        assert!(dialled.error().contains(words) && dialled.output.is_empty(), "{dialled:?}");
    }
}
