//! The subcommands `check-config` and `doctor`.

use std::{
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
};

use resolver::{
    config::{ChainConfig, Cli, Command, Config, DoctorArgs},
    doctor::{Finding, Severity, examine},
    os::clock,
    server::access::Access,
    upstream::{Upstream, Upstreams},
};
use serde::Serialize;

/// Runs a subcommand.
pub fn run(cli: &Cli, command: &Command, config: &Config) -> ExitCode {
    match command {
        Command::CheckConfig => {
            match Upstreams::standalone(config.legacy(config.upstreams.clone().unwrap_or_default()))
            {
                Ok(_) => {
                    print(config.json, &Checked::of(config), &summary(config));
                    ExitCode::SUCCESS
                }
                Err(error) => report_invalid_config(cli, &error.into()),
            }
        }
        Command::Doctor(options) => doctor(config, options),
    }
}

/// Reports an invalid configuration: a usage error, but a finding of the doctor.
pub fn report_invalid_config(cli: &Cli, error: &anyhow::Error) -> ExitCode {
    if let Some(Command::Doctor(_)) = &cli.command {
        let finding = Finding::from_config_error(&format!("{error:#}"));
        print(cli.json, &[&finding], &finding.to_string());
        return ExitCode::FAILURE;
    }
    if let (Some(Command::CheckConfig), true) = (&cli.command, cli.json) {
        print(true, &serde_json::json!({ "ok": false, "error": format!("{error:#}") }), "");
    }
    eprintln!("resolver: {error:#}");
    ExitCode::from(2)
}

fn doctor(config: &Config, options: &DoctorArgs) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("resolver: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut all = Vec::new();
    // Findings are printed as they come: some checks take seconds.
    let report = |finding: &Finding| {
        if !config.json {
            print_line(finding);
        }
        all.push(finding.clone());
    };
    let worst = runtime.block_on(examine(config, options, clock::unix_now(), report));
    if config.json {
        print(true, &all, "");
    }
    if worst == Severity::Bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// A summary of the configuration.
#[derive(Serialize)]
struct Checked {
    ok: bool,
    listen: Vec<SocketAddr>,
    upstreams: Option<Vec<String>>,
    zones: Vec<String>,
    chain: String,
    allow: Vec<String>,
    deny: Vec<String>,
    refuse: Vec<String>,
    query_log: String,
}

impl Checked {
    fn of(config: &Config) -> Self {
        let named =
            |upstreams: &[Upstream]| upstreams.iter().map(Upstream::to_string).collect::<Vec<_>>();
        Checked {
            ok: true,
            listen: config.listen.clone(),
            upstreams: config.upstreams.as_deref().map(named),
            zones: config
                .zones
                .iter()
                .map(|zone| format!("{} by {}", zone.zone, named(&zone.upstreams).join(", ")))
                .collect(),
            chain: match &config.chain {
                ChainConfig::Embedded { network, data_dir, .. } => {
                    format!("{network}, in {}", data_dir.display())
                }
                ChainConfig::Remote { url, .. } => format!("the node at {url}"),
            },
            allow: networks(config, Access::Allow),
            deny: networks(config, Access::Deny),
            refuse: networks(config, Access::Refuse),
            query_log: config.query_log.to_string(),
        }
    }
}

fn summary(config: &Config) -> String {
    let checked = Checked::of(config);
    let listen: Vec<String> = checked.listen.iter().map(SocketAddr::to_string).collect();
    let upstreams = match checked.upstreams {
        None => "the system's".into(),
        Some(none) if none.is_empty() => "none: only names of the chain resolve".into(),
        Some(some) => some.join(", "),
    };
    let mut lines = vec![
        "the configuration is valid".to_owned(),
        format!("  DNS        {}", listen.join(", ")),
        format!("  upstreams  {upstreams}"),
        format!("  chain      {}", checked.chain),
        format!("  query log  {}", checked.query_log),
    ];
    lines.extend(checked.zones.iter().map(|zone| format!("  zone       {zone}")));
    if !checked.allow.is_empty() {
        lines.push(format!("  clients    this machine, {}", checked.allow.join(", ")));
    }
    for (what, networks) in [("dropped", &checked.deny), ("refused", &checked.refuse)] {
        if !networks.is_empty() {
            lines.push(format!("  {what:<10} {}", networks.join(", ")));
        }
    }
    lines.join("\n")
}

/// The networks that have this rule, the most specific first.
fn networks(config: &Config, access: Access) -> Vec<String> {
    config.access.networks(access).map(ToString::to_string).collect()
}

fn print(json: bool, value: &impl Serialize, text: &str) {
    match serde_json::to_string(value) {
        Ok(value) if json => print_line(value),
        _ => print_line(text),
    }
}

/// A closed pipe is not an error.
fn print_line(text: impl std::fmt::Display) {
    let mut out = io::stdout();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
