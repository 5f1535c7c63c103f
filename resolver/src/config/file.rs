//! The configuration file: TOML; unknown keys are errors.

use std::path::PathBuf;

use serde::Deserialize;

use super::{
    encrypted::EncryptedTable, one_or_many::OneOrMany, sign::SignTable, validate::ValidateTable,
};

/// The file. All keys are optional.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    /// `main`, `test` or `dev`.
    pub network: Option<String>,
    /// The addresses of DNS.
    pub listen: Option<Vec<String>>,
    /// Address of the node's API.
    pub api: Option<String>,
    /// Upstreams; an empty list means none.
    pub upstream: Option<OneOrMany>,
    /// More upstreams, each in a table of its own.
    #[serde(default)]
    pub upstreams: Vec<UpstreamTable>,
    /// Zones with upstreams of their own.
    #[serde(default)]
    pub forward: Vec<ForwardTable>,
    /// The configuration of `upstream = "recursive"`.
    #[serde(default)]
    pub recursive: RecursiveTable,
    /// The data directory.
    pub data_dir: Option<PathBuf>,
    /// The path of the admin socket.
    pub admin_socket: Option<PathBuf>,
    /// URL of a remote node.
    pub node: Option<String>,
    /// Addresses at which other nodes can connect.
    pub p2p_listen: Option<Vec<String>>,
    /// Nodes to stay connected to.
    pub peer: Option<Vec<String>>,
    /// Whether to look for nodes on the local network.
    pub mdns: Option<bool>,
    /// `off`, `on-demand` or `always`.
    pub mine: Option<String>,
    /// Threads that mine.
    pub mine_threads: Option<u16>,
    /// The size in MiB above which old blocks are deleted.
    pub prune: Option<u32>,
    /// Host names that the API accepts.
    pub allow_host: Option<Vec<String>>,
    /// Whether names are mounted at the root.
    pub mount_root: Option<bool>,
    /// The suffixes below which names are mounted.
    pub suffixes: Option<OneOrMany>,
    /// Last labels that are left to the network.
    pub never_chain: Option<Vec<String>>,
    /// Whether labels that this machine uses are left to the network too.
    pub never_chain_auto: Option<bool>,
    /// Whether names of one label have addresses.
    pub dotless_addresses: Option<bool>,
    /// Networks that may send queries, beside this machine.
    pub allow: Option<Vec<String>>,
    /// The size of the cache of legacy answers, in bytes.
    pub cache_bytes: Option<usize>,
    /// The time limit of a query to the upstreams, in milliseconds.
    pub upstream_timeout_ms: Option<u64>,
    /// The initial delay before a second upstream is asked in parallel, in milliseconds.
    pub hedge_ms: Option<u64>,
    /// For how long stale answers may be served when no upstream replies, in seconds; 0: never.
    pub serve_stale_seconds: Option<u64>,
    /// The least TTL of legacy answers, in seconds.
    pub min_ttl_seconds: Option<u64>,
    /// The greatest TTL of legacy answers, in seconds.
    pub max_ttl_seconds: Option<u64>,
    /// Whether UDP is served by the fast path.
    pub fast_path: Option<bool>,
    /// Fast-path threads per address.
    pub workers: Option<usize>,
    /// `off`, `on` or `with-clients`.
    pub query_log: Option<String>,
    /// `off`, `legacy` or `all`.
    pub rebind_protection: Option<String>,
    /// Zones whose names may point at private addresses.
    pub rebind_allow: Option<Vec<String>>,
    /// `off`, `on` or `require`.
    pub cookies: Option<String>,
    /// DNS over TLS, HTTPS and QUIC.
    #[serde(default)]
    pub encrypted: EncryptedTable,
    /// How servers of delegated zones are queried.
    #[serde(default)]
    pub delegation: DelegationTable,
    /// DNSSEC signing of names on the chain.
    #[serde(default)]
    pub sign: SignTable,
    /// DNSSEC validation of legacy answers.
    #[serde(default)]
    pub validate: ValidateTable,
}

/// A table of `upstreams`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct UpstreamTable {
    /// The upstream, as in the list `upstream`.
    pub url: String,
    /// The bootstrap addresses.
    #[serde(default)]
    pub bootstrap: Vec<String>,
    /// A PEM file with the authorities that may issue its certificate.
    pub ca: Option<PathBuf>,
    /// SHA-256 hashes of its public key.
    pub pin: Option<OneOrMany>,
}

/// A table of `forward`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ForwardTable {
    /// The zone.
    pub zone: String,
    /// Its upstreams.
    pub upstream: OneOrMany,
    /// Whether its answers are validated.
    pub validate: Option<bool>,
}

/// The table `recursive`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecursiveTable {
    /// A file with the addresses of the root servers.
    pub root_hints: Option<PathBuf>,
    /// A file with the root's trust anchors.
    pub trust_anchor: Option<PathBuf>,
    /// Whether signatures are validated.
    pub validate: Option<bool>,
    /// The port of all servers.
    pub port: Option<u16>,
    /// Whether servers at loopback addresses may be queried.
    pub loopback: Option<bool>,
}

/// The table `delegation`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DelegationTable {
    /// The port of the servers.
    pub port: Option<u16>,
    /// Whether servers at loopback addresses may be queried.
    pub loopback: Option<bool>,
}

/// Parses a file. The error is one line: line number, problem, and known keys.
pub fn parse(text: &str) -> Result<File, String> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        let message = error.message().replace("unknown field", "unknown key").replace('\n', " ");
        let message = suggestion(&message).unwrap_or(message);
        if line == 0 { message } else { format!("line {line}: {message}") }
    })
}

/// Replaces the list of known keys by the most similar one, if that is close to the unknown key.
fn suggestion(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next().filter(|_| message.starts_with("unknown key"))?;
    let (distance, nearest) = quoted.map(|known| (distance(unknown, known), known)).min()?;
    (distance <= 2).then(|| format!("unknown key `{unknown}`, did you mean `{nearest}`?"))
}

/// The Levenshtein distance of two words.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[row.len() - 1]
}
