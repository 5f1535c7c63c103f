//! The configuration file: TOML, every key known.

use std::path::PathBuf;

use serde::Deserialize;

/// What the file can say. All keys are optional.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    /// `main`, `test` or `dev`.
    pub network: Option<String>,
    /// Addresses to answer DNS at.
    pub listen: Option<Vec<String>>,
    /// Address of the node's API.
    pub api: Option<String>,
    /// Upstreams; an empty list says that there are none.
    pub upstream: Option<Vec<String>>,
    /// Where the chain is kept.
    pub data_dir: Option<PathBuf>,
    /// URL of a node elsewhere.
    pub node: Option<String>,
    /// Names at the root.
    pub mount_root: Option<bool>,
    /// Names under `namechain.alt.`.
    pub mount_alt: Option<bool>,
    /// Networks other than this machine that may ask.
    pub allow: Option<Vec<String>>,
    /// Memory for legacy answers, in bytes.
    pub cache_bytes: Option<usize>,
    /// How long a question to the upstreams may take, in milliseconds.
    pub upstream_timeout_ms: Option<u64>,
    /// Whether UDP is served by the fast path.
    pub fast_path: Option<bool>,
    /// Threads of the fast path at each address.
    pub workers: Option<usize>,
    /// How delegated servers are asked.
    #[serde(default)]
    pub delegation: Delegation,
}

/// The table `delegation`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Delegation {
    /// Their port.
    pub port: Option<u16>,
    /// Whether loopback addresses may be asked.
    pub loopback: Option<bool>,
}

/// Reads the text of a file. The error is one line: where, what, and what there is.
pub fn parse(text: &str) -> Result<File, String> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        let message = error.message().replace("unknown field", "unknown key").replace('\n', " ");
        if line == 0 { message } else { format!("line {line}: {message}") }
    })
}
