//! What a user gets wrong at the start: one clear line that says what to do, and an exit code that
//! is not 0.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, UdpSocket},
    path::Path,
};

use tests::{machine::Machine, program, program::Outcome, tools, upstream::Counting};

/// Runs a program that is expected not to start, and gives its one line.
fn refuses(program: &str, args: &[&str], home: &Path) -> (i32, String) {
    let outcome =
        Outcome::from(program::command(program, home).args(args).output().expect("it runs"));
    assert_eq!(outcome.stdout, "", "{program} {args:?}: {outcome:?}");
    assert!(!outcome.stderr.contains("panicked"), "{program} {args:?}: {outcome:?}");
    (outcome.code, outcome.stderr)
}

fn one_line(program: &str, args: &[&str], home: &Path, words: &[&str]) {
    let (code, said) = refuses(program, args, home);
    assert!(code > 0, "{program} {args:?}: {code} {said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{program} {args:?}: {said}");
    for word in words {
        assert!(said.contains(word), "'{word}' in '{said}' of {program} {args:?}");
    }
}

#[test]
fn a_port_that_is_taken() {
    let home = tempfile::tempdir().expect("a home");
    let data = home.path().join("data");
    let data = data.to_str().expect("UTF-8");
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let taken_tcp = tcp.local_addr().expect("an address").to_string();
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let taken_udp = udp.local_addr().expect("an address").to_string();
    for (listen, api, taken, flag) in [
        (taken_udp.as_str(), "127.0.0.1:0", &taken_udp, "--listen"),
        (taken_tcp.as_str(), "127.0.0.1:0", &taken_tcp, "--listen"),
        ("127.0.0.1:0", taken_tcp.as_str(), &taken_tcp, "--api"),
    ] {
        let args = [
            "--dev",
            "--listen",
            listen,
            "--api",
            api,
            "--data-dir",
            data,
            "--upstream",
            "127.0.0.1:9",
        ];
        one_line("resolver", &args, home.path(), &[taken, flag]);
    }
    let args = ["--network", "dev", "--api", &taken_tcp, "--data-dir", data];
    one_line("namechaind", &args, home.path(), &[&taken_tcp, "--api"]);
}

#[test]
fn values_that_are_none() {
    let home = tempfile::tempdir().expect("a home");
    for (program, args, word) in [
        ("resolver", vec!["--dev", "--listen", "localhost:5300"], "--listen"),
        ("resolver", vec!["--dev", "--listen", "127.0.0.1:99999"], "--listen"),
        ("resolver", vec!["--dev", "--api", "7380"], "--api"),
        ("resolver", vec!["--dev", "--upstream", "dns.example.net"], "--upstream"),
        ("resolver", vec!["--network", "moon"], "moon"),
        ("resolver", vec!["--dev", "--no-such-flag"], "--no-such-flag"),
        ("resolver", vec!["--dev", "--config", "/there/is/none.toml"], "/there/is/none.toml"),
        ("namechaind", vec!["--network", "moon"], "moon"),
        ("namechaind", vec!["--network", "dev", "--api", "localhost"], "--api"),
        ("zonetool", vec!["no-such-command"], "no-such-command"),
        ("zonetool", vec!["--node", "not a url", "status"], "not a url"),
    ] {
        let (code, said) = refuses(program, &args, home.path());
        assert_eq!(code, 2, "{program} {args:?}: {said}");
        assert!(said.contains(word), "{program} {args:?}: {said}");
    }
}

#[test]
fn a_directory_that_cannot_be_used() {
    let home = tempfile::tempdir().expect("a home");
    let file = home.path().join("a-file");
    fs::write(&file, "not a directory").expect("room for a file");
    let file = file.to_str().expect("UTF-8");
    let below = format!("{file}/data");
    for dir in [file, below.as_str(), "/proc/no-such-thing"] {
        let args = [
            "--dev",
            "--listen",
            "127.0.0.1:0",
            "--api",
            "127.0.0.1:0",
            "--upstream",
            "127.0.0.1:9",
            "--data-dir",
            dir,
        ];
        one_line("resolver", &args, home.path(), &[dir]);
        one_line(
            "namechaind",
            &["--network", "dev", "--api", "127.0.0.1:0", "--data-dir", dir],
            home.path(),
            &[dir],
        );
    }
}

#[test]
fn a_configuration_that_is_wrong() {
    let home = tempfile::tempdir().expect("a home");
    let file = home.path().join("resolver.toml");
    let path = file.to_str().expect("UTF-8").to_owned();
    for (toml, words) in [
        ("lisen = [\"127.0.0.1:0\"]\n", vec!["lisen", "line 1"]),
        ("network = \"dev\"\nlisten = [\"nowhere\"]\n", vec!["listen", "nowhere"]),
        ("network = \"dev\"\n[delegation\n", vec!["line 2"]),
        ("network = 3\n", vec!["line 1"]),
    ] {
        fs::write(&file, toml).expect("room for a file");
        one_line("resolver", &["--config", &path], home.path(), &words);
    }
}

/// Flag over environment over file.
#[test]
fn settings_come_from_file_environment_and_flags() {
    let machine = Machine::with_config(
        Counting::start().addr,
        "network = \"test\"\nupstream = [\"192.0.2.1\", \"192.0.2.2:5353\"]\n",
    );
    let file = machine.home().join("resolver.toml");
    let data = machine.home().join("elsewhere");
    let line = |envs: &[(&str, &str)], flags: &[&str]| {
        let mut command = program::command("resolver", machine.home());
        command.arg("--config").arg(&file).arg("--data-dir").arg(&data).args([
            "--json",
            "--listen",
            "127.0.0.1:0",
        ]);
        command.args(["--api", "127.0.0.1:0"]).args(flags).envs(envs.iter().copied());
        program::Daemon::from_command(command, machine.home()).line.clone()
    };
    let from_file = line(&[], &[]);
    assert_eq!(
        (&from_file["network"], &from_file["upstreams"][1]),
        (&"test".into(), &"192.0.2.2:5353".into())
    );
    let from_env = line(&[("NAMECHAIN_UPSTREAM", "192.0.2.3")], &[]);
    assert_eq!(from_env["upstreams"], serde_json::json!(["192.0.2.3:53"]));
    let from_flag = line(&[("NAMECHAIN_UPSTREAM", "192.0.2.3")], &["--upstream", "192.0.2.4"]);
    assert_eq!(from_flag["upstreams"], serde_json::json!(["192.0.2.4:53"]));
}

/// Without any upstream chain names are answered, and the rest fails with its reason.
#[test]
fn no_upstream_is_said_and_answered_with_an_error() {
    if !tools::available("no_upstream_is_said_and_answered_with_an_error", &["dig"]) {
        return;
    }
    let home = tempfile::tempdir().expect("a home");
    let file = home.path().join("resolver.toml");
    fs::write(&file, "upstream = []\n").expect("room for a file");
    let data = home.path().join("data");
    let args = [
        "--dev",
        "--listen",
        "127.0.0.1:0",
        "--api",
        "127.0.0.1:0",
        "--json",
        "--config",
        file.to_str().expect("UTF-8"),
    ];
    let mut args = args.to_vec();
    args.extend(["--data-dir", data.to_str().expect("UTF-8")]);
    let resolver = program::Daemon::start("resolver", &args, home.path());
    assert_eq!(resolver.line["upstreams"], serde_json::json!([]));
    let reply = tests::dig::ask(resolver.addr("dns"), "example.com.", "A", "");
    assert_eq!((reply.status.as_str(), reply.ede.is_empty()), ("SERVFAIL", false), "{reply:?}");
    assert_eq!(
        tests::dig::ask(resolver.addr("dns"), "x.namechain.alt.", "A", "").status,
        "NXDOMAIN"
    );
}

#[test]
fn help_has_examples_and_version_a_number() {
    let home = tempfile::tempdir().expect("a home");
    for program in ["resolver", "namechaind", "zonetool"] {
        let run = |flag| {
            Outcome::from(
                program::command(program, home.path()).arg(flag).output().expect("it runs"),
            )
            .ok()
        };
        assert!(run("--version").stdout.contains(env!("CARGO_PKG_VERSION")));
        let help = run("--help").stdout;
        assert!(help.contains(&format!("{program} ")) && help.contains("Exit codes:"), "{help}");
    }
}
