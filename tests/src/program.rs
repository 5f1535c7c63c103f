//! The project's own programs, as real processes.
//!
//! Cargo tells an integration test only where the binaries of its own package are, and these are of
//! three others. So they are built once for each test executable, into the directory that the
//! executable itself came from; when they are fresh, that is a look at a few timestamps. With
//! `NAMECHAIN_BIN_DIR` set, the programs there are taken instead: that is how release or installed
//! programs are tested.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{pipe::Pipe, source, wait};

/// What else cargo sets for a package.
const PACKAGE: [&str; 5] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_MANIFEST_LINKS",
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
];

/// Where the programs are, built if they were not.
fn bin_dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        if let Some(dir) = env::var_os("NAMECHAIN_BIN_DIR") {
            return PathBuf::from(dir);
        }
        // .../target/<profile>/deps/<this executable>
        let this = env::current_exe().expect("the test's own path");
        let dir = this.ancestors().nth(2).expect("target/<profile>").to_owned();
        let profile = dir.file_name().and_then(|name| name.to_str()).expect("a profile").to_owned();
        let profile = if profile == "debug" { "dev" } else { profile.as_str() };
        let mut build = Command::new(env!("CARGO"));
        // What cargo tells this executable about its own package is no word on how to build others:
        // some build scripts look at it, and would build their packages anew, here and in the next
        // build outside.
        for (name, _) in env::vars_os() {
            let ours = name
                .to_str()
                .is_some_and(|name| name.starts_with("CARGO_PKG_") || PACKAGE.contains(&name));
            if ours {
                build.env_remove(name);
            }
        }
        let built = build
            .args([
                "build",
                "--locked",
                "--quiet",
                "--workspace",
                "--bins",
                "--profile",
                profile,
                "--target-dir",
            ])
            .arg(dir.parent().expect("target"))
            .current_dir(source::root())
            .status()
            .expect("cargo runs");
        assert!(built.success(), "the programs do not build");
        dir
    })
}

/// Where one of the programs is.
pub fn path(program: &str) -> PathBuf {
    bin_dir().join(program)
}

/// A command that runs one of the programs in an environment without anything of the user's:
/// nothing there changes a test, and no test touches a user's keys or chain.
pub fn command(program: &str, home: &Path) -> Command {
    let mut command = Command::new(bin_dir().join(program));
    command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).env("HOME", home);
    command.current_dir(source::root()).stdin(Stdio::null());
    command
}

/// As [`command`], in a network namespace.
pub fn command_in(namespace: &str, program: &str, home: &Path) -> Command {
    let inner = command(program, home);
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(inner.get_program());
    command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).env("HOME", home);
    command.current_dir(source::root()).stdin(Stdio::null());
    command
}

/// Lines of a program's log that a test that fails shows.
const LOG_SHOWN: usize = 40;

/// A program that keeps running, killed when it is dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    /// The line that it printed at the start.
    pub line: Value,
}

impl Daemon {
    /// Starts `program` and waits for its line at the start, which `--json` must be among `args`
    /// for. Its standard error goes to a file in `home`.
    ///
    /// # Panics
    /// If it ends instead, with what it said.
    pub fn start(program: &str, args: &[&str], home: &Path) -> Daemon {
        let mut command = command(program, home);
        command.args(args);
        Daemon::from_command(command, home)
    }

    /// As [`Daemon::start`], of a command that is ready but for its output.
    ///
    /// # Panics
    /// If it ends instead, with what it said.
    pub fn from_command(mut command: Command, home: &Path) -> Daemon {
        let program = Path::new(command.get_program())
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let log = home.join(format!("{program}.log"));
        let stderr = fs::File::options().create(true).append(true).open(&log).expect("a log file");
        command.stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
        let stdout = child.stdout.take().expect("piped");
        let (lines, first) = mpsc::channel();
        // Reads on, so that the program never blocks on a full pipe; ends when it closes its
        // output.
        thread::spawn(move || {
            BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .for_each(|line| drop(lines.send(line)))
        });
        let mut daemon = Daemon { child, log, line: Value::Null };
        let first =
            wait::until(&format!("the first line of {command:?}"), || match first.try_recv() {
                Ok(line) => Some(Ok(line)),
                Err(mpsc::TryRecvError::Empty) => None,
                Err(mpsc::TryRecvError::Disconnected) => Some(Err(())),
            });
        let Ok(first) = first else { panic!("{command:?} ended at the start: {}", daemon.log()) };
        daemon.line = serde_json::from_str(&first)
            .unwrap_or_else(|error| panic!("{program}: '{first}': {error}"));
        daemon
    }

    /// The addresses of peers that it printed at the start, for another's `--peer`.
    pub fn p2p(&self) -> Vec<String> {
        let list = self.line["p2p"].as_array().cloned().unwrap_or_default();
        list.iter().filter_map(|address| address.as_str().map(str::to_owned)).collect()
    }

    /// The address under `key` in the line at the start; the first one if there are several.
    ///
    /// # Panics
    /// If there is none.
    pub fn addr(&self, key: &str) -> SocketAddr {
        let value = &self.line[key];
        let text = value.get(0).unwrap_or(value).as_str().unwrap_or_default();
        text.parse().unwrap_or_else(|error| panic!("'{key}' in {}: {error}", self.line))
    }

    /// Its admin socket, by the line at the start.
    ///
    /// # Panics
    /// If it has none.
    pub fn admin(&self) -> &Path {
        Path::new(self.line["admin"].as_str().unwrap_or_else(|| panic!("none in {}", self.line)))
    }

    /// What it has written to standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its memory in KiB, by a name of `/proc/PID/status`: `VmRSS` now, `VmHWM` at the most. `None`
    /// where there is no such file.
    pub fn memory_kib(&self, name: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        signal(name, &self.child.id().to_string());
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// kill -9: no chance to say goodbye.
    pub fn kill(mut self) {
        self.child.kill().expect("it ran");
        self.child.wait().expect("it can be waited for");
    }

    /// Ctrl-C, then waits for its end.
    pub fn interrupt(mut self) -> ExitStatus {
        signal("INT", &self.child.id().to_string());
        wait::until("an end after Ctrl-C", || self.child.try_wait().expect("it can be waited for"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(LOG_SHOWN)..].join("\n");
            eprintln!("--- the end of {}\n{end}", self.log.display());
        }
    }
}

/// Sends a signal by name to a process, or to a group if `target` is negative.
pub(crate) fn signal(name: &str, target: &str) {
    let sent = Command::new("sh").args(["-c", "kill -s \"$0\" -- \"$1\"", name, target]).status();
    assert!(sent.is_ok_and(|status| status.success()), "signal {name} to {target}");
}

/// A home of its own, a node to talk to, and `zonetool` between them.
pub struct User {
    home: TempDir,
    node: String,
    namespace: Option<String>,
    /// Where the socket is of the program that this user runs.
    data_dir: Option<PathBuf>,
}

/// What `zonetool` did.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Outcome {
    /// The standard output as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Itself, if the exit code was 0.
    ///
    /// # Panics
    /// If it was another.
    pub fn ok(self) -> Outcome {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Outcome {
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl User {
    /// A user with a new key, without a passphrase, who talks to the node whose API is at `node`.
    ///
    /// # Panics
    /// If no key can be made.
    pub fn new(node: SocketAddr) -> User {
        let user = User::without_key(node);
        user.zonetool(&["key", "new", "--no-passphrase"]).ok();
        user
    }

    /// A user who has made no key yet.
    ///
    /// # Panics
    /// If there is no room for a home.
    pub fn without_key(node: SocketAddr) -> User {
        User {
            home: tempfile::tempdir().expect("a home"),
            node: format!("http://{node}"),
            namespace: None,
            data_dir: None,
        }
    }

    /// The user who runs `daemon`, and may use its admin socket.
    ///
    /// # Panics
    /// If it has none.
    pub fn running(self, daemon: &Daemon) -> User {
        User { data_dir: daemon.admin().parent().map(Path::to_owned), ..self }
    }

    /// As [`User::new`], in a network namespace.
    ///
    /// # Panics
    /// If no key can be made.
    pub fn new_in(namespace: &str, node: SocketAddr) -> User {
        let user = User { namespace: Some(namespace.to_owned()), ..User::without_key(node) };
        user.zonetool(&["key", "new", "--no-passphrase"]).ok();
        user
    }

    /// Talks to another node from now on.
    pub fn move_to(&mut self, node: SocketAddr) {
        self.node = format!("http://{node}");
    }

    /// The user's home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where the user's keys are.
    pub fn keys(&self) -> PathBuf {
        self.home.path().join("keys")
    }

    /// The user, at another node from now on.
    pub fn at(self, node: SocketAddr) -> User {
        User { node: format!("http://{node}"), ..self }
    }

    /// Runs `zonetool` with `--node`, `--keys` and `--json` before `args`.
    ///
    /// # Panics
    /// If it can't be run.
    pub fn zonetool(&self, args: &[&str]) -> Outcome {
        self.command().arg("--json").args(args).output().expect("zonetool runs").into()
    }

    /// Runs `zonetool` with `args` and without output, until it ends or `over` is set, when it is
    /// killed. Whether it ended well.
    ///
    /// # Panics
    /// If it can't be run.
    pub fn zonetool_until(&self, over: &AtomicBool, args: &[&str]) -> bool {
        let mut command = self.command();
        let mut child = command
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("zonetool runs");
        let ended = wait::until("an end of zonetool", || {
            match child.try_wait().expect("it can be waited for") {
                None if over.load(Ordering::SeqCst) => Some(None),
                None => None,
                ended => Some(ended),
            }
        });
        if ended.is_none() {
            child.kill().expect("it ran");
            child.wait().expect("it can be waited for");
        }
        if ended.is_some_and(|status| !status.success()) {
            // What little it says fits into the pipe.
            let said = child.wait_with_output().expect("its output");
            eprintln!("{args:?}: {}", String::from_utf8_lossy(&said.stderr));
        }
        ended.is_some_and(|status| status.success())
    }

    /// Runs `zonetool` with `args`, `input` on its standard input, and `before` in front of it:
    /// `faketime` and a time, say. Its output is bytes.
    ///
    /// # Panics
    /// If it can't be run.
    pub fn fed(&self, before: &[&str], args: &[&str], input: &[u8]) -> Output {
        let inner = self.command();
        let mut words = before.iter().map(|word| OsStr::new(*word)).chain([inner.get_program()]);
        let mut command = Command::new(words.next().expect("zonetool at least"));
        command.args(words).args(inner.get_args()).args(args).env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("zonetool runs");
        // It may end without reading all of it.
        let _ = child.stdin.take().expect("piped").write_all(input);
        child.wait_with_output().expect("it ends")
    }

    fn command(&self) -> Command {
        let mut command = match &self.namespace {
            Some(namespace) => command_in(namespace, "zonetool", self.home()),
            None => command("zonetool", self.home()),
        };
        command.arg("--node").arg(&self.node).arg("--keys").arg(self.keys());
        command.envs(self.data_dir.iter().map(|dir| ("NAMECHAIN_DATA_DIR", dir)));
        command
    }

    /// `zonetool` with `args`, as a pipe to somebody else.
    ///
    /// # Panics
    /// If it can't be run.
    pub fn pipe(&self, args: &[&str]) -> Pipe {
        let mut command = self.command();
        command.args(args);
        Pipe::start(command)
    }

    /// As [`User::zonetool`], without `--json`: the output as people see it.
    ///
    /// # Panics
    /// If it can't be run.
    pub fn zonetool_text(&self, args: &[&str]) -> Outcome {
        self.command().args(args).output().expect("zonetool runs").into()
    }

    /// Registers `name` with the zone in `file` and waits until it resolves.
    ///
    /// # Panics
    /// If it does not work.
    pub fn register(&self, name: &str, file: &Path) {
        let file = file.to_str().expect("a path in UTF-8");
        self.zonetool(&["register", name, "--zone", file, "--wait"]).ok();
    }
}
