//! The scripts beside the Dockerfile do what they say.

use std::{env, path::Path, process::Command};

use tests::{netns::Switches, program, source, tools};

fn check(script: &str) {
    // The directory of the programs that the tests are built with: the scripts would build their
    // own otherwise.
    let probe = program::command("zonetool", Path::new("/"));
    let bin = Path::new(probe.get_program()).parent().expect("a directory").to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    command.arg(source::root().join(script)).arg("--check").env_clear().env("PATH", path);
    command.env("NAMECHAIN_BIN_DIR", bin);
    let output = command.output().expect("bash runs");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script} --check: {out}\n{err}");
}

#[test]
fn a_network_of_plain_processes() {
    if tools::available("a_network_of_plain_processes", &["bash", "dig"]) {
        check("docker/regtest.sh");
    }
}

#[test]
fn a_network_of_namespaces() {
    let test = "a_network_of_namespaces";
    if tools::available(test, &["bash", "dig"]) && Switches::new(test).is_some() {
        check("docker/netns.sh");
    }
}

/// Containers can't be run everywhere; that their description stays in step with the programs can
/// be looked at anywhere.
#[test]
fn the_containers_are_started_with_flags_that_exist() {
    let compose = source::read("docker/compose.yaml");
    for program in ["namechaind", "resolver"] {
        let home = tempfile::tempdir().expect("a home");
        let help = program::command(program, home.path()).arg("--help").output().expect("it runs");
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        let commands: Vec<&str> = compose
            .split("command: >-")
            .skip(1)
            .filter_map(|rest| rest.split_once("    ports:").map(|(command, _)| command.trim()))
            .filter(|command| command.starts_with(program))
            .collect();
        assert!(!commands.is_empty(), "{program}");
        for flag in commands
            .iter()
            .flat_map(|command| command.split_whitespace())
            .filter(|word| word.starts_with("--"))
        {
            assert!(help.contains(flag), "{program} has no {flag}");
        }
    }
}
