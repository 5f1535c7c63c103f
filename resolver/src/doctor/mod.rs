//! What keeps names from being resolved on this machine, and what to do about it.
//!
//! Each check looks at one thing and gives findings; none changes anything. Reading is apart from
//! judging: what a file or a server says is judged by plain functions.

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
    config::{ChainFrom, Config, Doctor},
    os,
    upstream::Upstream,
};

/// How long one question of the doctor's may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Names resolve, but not all, or not as well as they could.
    Warn,
    /// This keeps names from being resolved.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub verdict: Verdict,
    /// What was looked at.
    pub about: String,
    /// How it is.
    pub found: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    fn ok(about: impl Into<String>, found: impl Into<String>) -> Self {
        let remedy = "nothing to do".into();
        Finding { verdict: Verdict::Ok, about: about.into(), found: found.into(), remedy }
    }

    fn warn(about: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let verdict = Verdict::Warn;
        Finding { verdict, about: about.into(), found: found.into(), remedy: remedy.into() }
    }

    fn bad(about: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { verdict: Verdict::Bad, ..Self::warn(about, found, remedy) }
    }

    /// What is wrong with the configuration, which keeps all else from being looked at.
    pub fn of_configuration(why: &str) -> Self {
        let remedy = "mend it; resolver check-config says whether it can be used";
        Self::bad("configuration", why, remedy)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "warn",
            Verdict::Bad => "BAD ",
        };
        // What others say may be anything.
        let line = format!("{verdict}  {:<13}  {} -> {}", self.about, self.found, self.remedy);
        f.write_str(&line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>())
    }
}

/// Looks at everything. `now` is in seconds of Unix time; `report` gets each finding as soon as
/// there is one.
pub async fn examine(
    config: &Config,
    options: &Doctor,
    now: u64,
    mut report: impl FnMut(&Finding),
) -> Verdict {
    let mut worst = Verdict::Ok;
    let mut tell = |findings: Vec<Finding>| {
        for finding in &findings {
            worst = worst.max(finding.verdict);
            report(finding);
        }
    };
    tell(vec![Finding::ok("configuration", "it can be used")]);
    let owners = owners::Owners::of_this_machine();
    let answered = ports::dns(&config.listen, &owners);
    let running = answered.running;
    tell(answered.findings);
    tell(ports::port_53(&config.listen, &owners));
    let from_resolv_conf = options.resolv_conf.as_path();
    tell(system::resolv_conf(from_resolv_conf, &config.listen));
    tell(system::nsswitch(&options.nsswitch));
    let upstreams = asked(config, from_resolv_conf);
    let (findings, signed) = upstreams::all(config, &upstreams).await;
    tell(findings);
    let (findings, status) = chain::look(&config.chain, running).await;
    tell(findings);
    tell(vec![signing::look(config.sign.as_ref())]);
    tell(vec![clock::judge(now, &signed, status.as_ref().map(|status| status.tip_time))]);
    if running {
        tell(running::look(&config.listen, api(&config.chain)).await);
    }
    worst
}

/// The upstreams of everything else, which are the machine's own if none are named.
fn asked(config: &Config, resolv_conf: &Path) -> Vec<Upstream> {
    config.upstreams.clone().unwrap_or_else(|| {
        let system = os::system_dns_from(resolv_conf).unwrap_or_default();
        system.servers.into_iter().map(Upstream::Plain).collect()
    })
}

/// Where the API of the resolver is served.
fn api(chain: &ChainFrom) -> Option<std::net::SocketAddr> {
    match chain {
        ChainFrom::Embedded { api, .. } => Some(*api),
        ChainFrom::Remote { api, .. } => api.or_else(|| crate::config::DEFAULT_ASIDE.parse().ok()),
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
        assert!(Verdict::Bad > Verdict::Warn && Verdict::Warn > Verdict::Ok);
    }
}
