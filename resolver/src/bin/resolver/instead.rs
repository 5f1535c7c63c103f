//! What the program does instead of answering: `check-config` and `doctor`.

use std::{
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
};

use resolver::{
    config::{ChainFrom, Cli, Config, Doctor, Instead},
    doctor::{Finding, Verdict, examine},
    os::clock,
    upstream::{Upstream, Upstreams},
};
use serde::Serialize;

/// Does it.
pub fn run(cli: &Cli, instead: &Instead, config: &Config) -> ExitCode {
    match instead {
        Instead::CheckConfig => {
            match Upstreams::standalone(config.legacy(config.upstreams.clone().unwrap_or_default()))
            {
                Ok(_) => {
                    say(config.json, &Checked::of(config), &summary(config));
                    ExitCode::SUCCESS
                }
                Err(error) => refused(cli, &error.into()),
            }
        }
        Instead::Doctor(options) => doctor(config, options),
    }
}

/// Nothing can be done with this configuration. It is wrong usage, but to a doctor a finding.
pub fn refused(cli: &Cli, error: &anyhow::Error) -> ExitCode {
    if let Some(Instead::Doctor(_)) = &cli.instead {
        let finding = Finding::of_configuration(&format!("{error:#}"));
        say(cli.json, &[&finding], &finding.to_string());
        return ExitCode::FAILURE;
    }
    if let (Some(Instead::CheckConfig), true) = (&cli.instead, cli.json) {
        say(true, &serde_json::json!({ "ok": false, "error": format!("{error:#}") }), "");
    }
    eprintln!("resolver: {error:#}");
    ExitCode::from(2)
}

fn doctor(config: &Config, options: &Doctor) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("resolver: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut all = Vec::new();
    // What takes long is told when it is known.
    let report = |finding: &Finding| {
        if !config.json {
            line(finding);
        }
        all.push(finding.clone());
    };
    let worst = runtime.block_on(examine(config, options, clock::unix_now(), report));
    if config.json {
        say(true, &all, "");
    }
    if worst == Verdict::Bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What the configuration comes to.
#[derive(Serialize)]
struct Checked {
    ok: bool,
    listen: Vec<SocketAddr>,
    upstreams: Option<Vec<String>>,
    zones: Vec<String>,
    chain: String,
    allow: Vec<String>,
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
                ChainFrom::Embedded { network, data_dir, .. } => {
                    format!("{network}, in {}", data_dir.display())
                }
                ChainFrom::Remote { url, .. } => format!("the node at {url}"),
            },
            allow: config.allow.iter().map(ToString::to_string).collect(),
            query_log: config.query_log.to_string(),
        }
    }
}

fn summary(config: &Config) -> String {
    let checked = Checked::of(config);
    let listen: Vec<String> = checked.listen.iter().map(SocketAddr::to_string).collect();
    let upstreams = match checked.upstreams {
        None => "the machine's own".into(),
        Some(none) if none.is_empty() => "none: only names of the chain resolve".into(),
        Some(some) => some.join(", "),
    };
    let mut lines = vec![
        "the configuration can be used".to_owned(),
        format!("  DNS        {}", listen.join(", ")),
        format!("  upstreams  {upstreams}"),
        format!("  chain      {}", checked.chain),
        format!("  query log  {}", checked.query_log),
    ];
    lines.extend(checked.zones.iter().map(|zone| format!("  zone       {zone}")));
    if !checked.allow.is_empty() {
        lines.push(format!("  may ask    this machine, {}", checked.allow.join(", ")));
    }
    lines.join("\n")
}

fn say(json: bool, value: &impl Serialize, text: &str) {
    match serde_json::to_string(value) {
        Ok(value) if json => line(value),
        _ => line(text),
    }
}

/// Whoever listened may have closed the pipe: that is no reason to fail.
fn line(text: impl std::fmt::Display) {
    let mut out = io::stdout();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
