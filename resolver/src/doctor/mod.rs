//! `resolver doctor`: finds what keeps names from being resolved on this machine, and says what to
//! do.
//!
//! Each check inspects one thing and returns findings; none changes anything. Reading is separate
//! from assessing, which is done by pure functions.

mod chain;
mod clock;
mod owners;
mod ports;
mod running;
mod signing;
mod system;
mod upstreams;

use std::{fmt, path::Path, time::Duration};

use serde::Serialize;

use crate::{
    config::{ChainConfig, Config, DoctorArgs},
    os,
    upstream::Upstream,
};

/// The timeout of one question.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(3);

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// No problem.
    Ok,
    /// Some names may not resolve, or not as well as they could.
    Warn,
    /// Names do not resolve because of this.
    Bad,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How severe it is.
    pub severity: Severity,
    /// What was checked.
    pub about: String,
    /// What was found.
    pub found: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    fn ok(about: impl Into<String>, found: impl Into<String>) -> Self {
        let remedy = "nothing to do".into();
        Finding { severity: Severity::Ok, about: about.into(), found: found.into(), remedy }
    }

    fn warn(about: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let severity = Severity::Warn;
        Finding { severity, about: about.into(), found: found.into(), remedy: remedy.into() }
    }

    fn bad(about: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { severity: Severity::Bad, ..Self::warn(about, found, remedy) }
    }

    /// The finding for an invalid configuration, without which nothing else can be checked.
    pub fn from_config_error(why: &str) -> Self {
        let remedy = "correct it; resolver check-config tests the configuration";
        Self::bad("configuration", why, remedy)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Ok => "ok  ",
            Severity::Warn => "warn",
            Severity::Bad => "BAD ",
        };
        // What others say may be anything.
        let line = format!("{severity}  {:<13}  {} -> {}", self.about, self.found, self.remedy);
        f.write_str(&line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>())
    }
}

/// Runs all checks. `now` is Unix time in seconds; `report` gets each finding as it comes. Returns
/// the worst severity.
pub async fn examine(
    config: &Config,
    options: &DoctorArgs,
    now: u64,
    mut report: impl FnMut(&Finding),
) -> Severity {
    let mut worst = Severity::Ok;
    let mut add = |findings: Vec<Finding>| {
        for finding in &findings {
            worst = worst.max(finding.severity);
            report(finding);
        }
    };
    add(vec![Finding::ok("configuration", "valid")]);
    let owners = owners::Owners::of_this_machine();
    let answered = ports::dns(&config.listen, &owners);
    let running = answered.running;
    add(answered.findings);
    add(ports::port_53(&config.listen, &owners));
    let from_resolv_conf = options.resolv_conf.as_path();
    add(system::resolv_conf(from_resolv_conf, &config.listen));
    add(system::nsswitch(&options.nsswitch));
    let upstreams = upstreams_in_use(config, from_resolv_conf);
    let (findings, signed) = upstreams::check_all(config, &upstreams).await;
    add(findings);
    let (findings, status) = chain::check(&config.chain, running).await;
    add(findings);
    add(vec![signing::check(config.sign.as_ref())]);
    add(vec![clock::assess(now, &signed, status.as_ref().map(|status| status.tip_time))]);
    if running {
        add(running::check(&config.listen, api(&config.chain), config.mounts.suffixes).await);
    }
    worst
}

/// The configured upstreams, or the system's.
fn upstreams_in_use(config: &Config, resolv_conf: &Path) -> Vec<Upstream> {
    config.upstreams.clone().unwrap_or_else(|| {
        let system = os::system_dns_from(resolv_conf).unwrap_or_default();
        system.servers.into_iter().map(Upstream::Plain).collect()
    })
}

/// The address of the resolver's API.
fn api(chain: &ChainConfig) -> Option<std::net::SocketAddr> {
    match chain {
        ChainConfig::Embedded { api, .. } => Some(*api),
        ChainConfig::Remote { api, .. } => {
            api.or_else(|| crate::config::DEFAULT_CONTROL_API.parse().ok())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_that_ends_with_what_to_do() {
        let finding = Finding::bad("upstream", "it said \u{1b}[31m\nred", "ask another");
        assert_eq!(finding.to_string(), "BAD   upstream       it said  [31m red -> ask another");
        assert!(Finding::ok("clock", "right").to_string().ends_with("-> nothing to do"));
        assert!(Severity::Bad > Severity::Warn && Severity::Warn > Severity::Ok);
    }
}
