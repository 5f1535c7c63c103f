//! The commands of the README, run in their order: what a newcomer types has to work.

use std::path::Path;

use tests::{
    program::{self, Daemon, Outcome},
    source, tools,
    upstream::Counting,
};

/// The lines of the README's `sh` blocks.
fn commands() -> Vec<String> {
    let readme = source::read("README.md");
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
    blocks.flat_map(|(block, _)| block.lines()).map(str::to_owned).collect()
}

/// The program and its arguments in `cargo run --release --bin PROGRAM -- ARGUMENTS`.
fn ours(command: &str) -> Option<(&str, Vec<&str>)> {
    let rest = command.strip_prefix("cargo run --release --bin ")?;
    let (program, arguments) = rest.split_once(" -- ").unwrap_or((rest, ""));
    Some((program, arguments.split_whitespace().collect()))
}

/// As written, but for the ports (any free one), the upstream (a stranger's is not asked in a test)
/// and the home directory. The programs are those that the tests are built with, so `cargo run
/// --release` is not run itself.
#[test]
fn the_commands_of_the_readme_work() {
    if !tools::available("the_commands_of_the_readme_work", &["dig"]) {
        return;
    }
    let home = tempfile::tempdir().expect("a home");
    let upstream = Counting::start();
    let mut resolver: Option<Daemon> = None;
    let mut seen = Vec::new();
    for command in commands() {
        if let Some(("resolver", arguments)) = ours(&command) {
            assert!(resolver.is_none(), "the README starts one resolver");
            let mut process = program::command("resolver", home.path());
            process.env("NAMECHAIN_LISTEN", "127.0.0.1:0").env("NAMECHAIN_API", "127.0.0.1:0");
            process.env("NAMECHAIN_UPSTREAM", upstream.addr.to_string());
            process.args(arguments).arg("--json");
            resolver = Some(Daemon::from_command(process, home.path()));
        } else {
            let resolver = resolver
                .as_ref()
                .unwrap_or_else(|| panic!("'{command}' comes before the resolver"));
            run(&command, resolver, home.path());
        }
        seen.push(command);
    }
    for promised in [
        "--bin resolver -- --dev",
        "register alice --zone testdata/zones/alice.zone --wait",
        "dig ",
    ] {
        assert!(seen.iter().any(|command| command.contains(promised)), "'{promised}' in {seen:#?}");
    }
}

fn run(command: &str, resolver: &Daemon, home: &Path) {
    let mut process = if let Some((program, arguments)) = ours(command) {
        let mut process = program::command(program, home);
        process.env("NAMECHAIN_NODE", format!("http://{}", resolver.addr("api"))).args(arguments);
        process
    } else {
        let port = format!("-p {}", resolver.addr("dns").port());
        let dig = command.replace("-p 5300", &port);
        assert!(dig.starts_with("dig @127.0.0.1 ") && dig.contains(&port), "what is '{command}'?");
        let mut process = std::process::Command::new("dig");
        process.arg("-r").args(dig.split_whitespace().skip(1));
        process
    };
    let outcome =
        Outcome::from(process.output().unwrap_or_else(|error| panic!("{command}: {error}"))).ok();
    assert!(!outcome.stdout.is_empty(), "{command}: {outcome:?}");
    if command.starts_with("dig ") {
        let answered =
            outcome.stdout.contains("status: NOERROR") && !outcome.stdout.contains("ANSWER: 0");
        assert!(answered, "{command}: {}", outcome.stdout);
    }
}
