//! The chain source with a remote node, over its HTTP API (`--node URL`).
//!
//! Every answer comes with a proof against the state root in a header, which is verified here.
//! Which header is the tip is the node's claim: use a node of your own, or one that you trust.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use namechain_core::{
    api_types::{ProofInfo, Refusal, Status},
    codec::{Decode, DecodeError},
    tree::{Proof, ProofError},
    types::{BlockTime, Entry, Hash, Header, Name, Network},
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{Mutex as AsyncMutex, Semaphore},
    time::Instant,
};

use super::{
    error::{ChainError, RemoteError},
    marks::{ChainMarks, MAX_TIP_AGE_SECS},
    name_state::NameState,
    source::ChainSource,
    validity::{BlockRange, Dependency},
    zone_cache::CompiledZone,
};

/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a status is used: a new tip is noticed this much later.
const MAX_STATUS_AGE: Duration = Duration::from_millis(100);
/// How long a failure is remembered before the node is asked again.
const MAX_FAILURE_AGE: Duration = Duration::from_secs(1);
/// For how long after its last status a node may be busy: answers are from the tip of then. A block
/// takes as long to reach a node.
const MAX_BUSY: Duration = Duration::from_secs(10);
/// The longest body that is read: an entry and its proof in hexadecimal are below 32 KiB.
const MAX_BODY_BYTES: usize = 64 << 10;
/// The most names that are cached for one tip.
const MAX_NAMES: usize = 4_096;
/// The most concurrent requests.
const MAX_REQUESTS: usize = 32;

/// The chain of a remote node.
pub struct Remote {
    url: String,
    on_loopback: bool,
    client: reqwest::Client,
    expected: Option<Network>,
    network: OnceLock<Network>,
    status: AsyncMutex<LastStatus>,
    known: Mutex<TipCache>,
    requests: Semaphore,
}

/// What the node said last.
#[derive(Default)]
struct LastStatus {
    /// Its last answer, whatever it was, and when.
    answer: Option<(Instant, Result<Status, RemoteError>)>,
    /// Its last status, and when.
    status: Option<(Instant, Status)>,
}

/// Proven states of names at one tip.
#[derive(Default)]
struct TipCache {
    /// The tip, and the marks of answers from it.
    tip: Option<(Hash, ChainMarks)>,
    /// The number of this tip, counted from 1.
    epoch: u32,
    names: HashMap<Name, NameState>,
}

impl LastStatus {
    /// An answer, or instead of "busy" the last status, for a while.
    fn or_while_busy(&self, answer: Result<Status, RemoteError>) -> Result<Status, RemoteError> {
        match (&answer, &self.status) {
            (Err(RemoteError::Busy(..)), Some((at, status))) if at.elapsed() < MAX_BUSY => {
                Ok(status.clone())
            }
            _ => answer,
        }
    }
}

impl Remote {
    /// Whether `url` can be a node's: `http://` or `https://`, an IP address or `localhost`, a port
    /// if it is not the usual one. A host name would have to be resolved, perhaps by this very
    /// resolver.
    pub fn check_url(url: &str) -> Result<(), RemoteError> {
        let refuse = |why| Err(RemoteError::Url { url: url.to_owned(), why });
        let Ok(parsed) = reqwest::Url::parse(url) else {
            return refuse("write it like http://127.0.0.1:7380");
        };
        if !matches!(parsed.scheme(), "http" | "https") {
            return refuse("it begins with neither http:// nor https://");
        }
        let host =
            parsed.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if host != "localhost" && host.parse::<IpAddr>().is_err() {
            return refuse(
                "give the node's IP address: a resolver can't resolve host names before it has a node",
            );
        }
        Ok(())
    }

    /// A node at `url`, which must be on the network `expected` if that is given.
    pub fn new(url: &str, expected: Option<Network>) -> Result<Self, RemoteError> {
        Self::check_url(url)?;
        // Another part of the process may have installed a provider already; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(REQUEST_TIMEOUT)
            .resolve("localhost", ([127, 0, 0, 1], 0).into())
            .build()
            .map_err(|error| RemoteError::Client(error.to_string()))?;
        Ok(Remote {
            url: url.trim_end_matches('/').to_owned(),
            on_loopback: is_loopback(url),
            client,
            expected,
            network: expected.map_or_else(OnceLock::new, OnceLock::from),
            status: AsyncMutex::default(),
            known: Mutex::default(),
            requests: Semaphore::new(MAX_REQUESTS),
        })
    }

    /// The node's status, not older than [`MAX_STATUS_AGE`]; a failure not older than
    /// [`MAX_FAILURE_AGE`].
    pub async fn status(&self) -> Result<Status, RemoteError> {
        // Callers that come while a request is in progress wait here, and take its result.
        let mut last = self.status.lock().await;
        if let Some((at, result)) = &last.answer {
            let age = if result.is_ok() { MAX_STATUS_AGE } else { MAX_FAILURE_AGE };
            if at.elapsed() < age {
                return last.or_while_busy(result.clone());
            }
        }
        let result =
            self.get::<Status>("/v1/status").await.and_then(|status| self.check_network(status));
        if let Ok(status) = &result {
            last.status = Some((now(), status.clone()));
        }
        last.answer = Some((now(), result.clone()));
        last.or_while_busy(result)
    }

    fn check_network(&self, status: Status) -> Result<Status, RemoteError> {
        let expected = *self.network.get_or_init(|| status.network);
        if status.network != expected {
            let found = status.network;
            return Err(RemoteError::Network { url: self.url.clone(), expected, found });
        }
        Ok(status)
    }

    fn known(&self) -> MutexGuard<'_, TipCache> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The epoch of the tip in the latest status. Cached names of another tip are dropped.
    fn epoch_of(&self, status: &Status) -> u32 {
        let mut known = self.known();
        let tip = Some((status.tip, marks_of(status)));
        if known.tip != tip {
            let epoch = known.epoch.wrapping_add(1).max(1);
            *known = TipCache { tip, epoch, names: HashMap::new() };
        }
        known.epoch
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, RemoteError> {
        let unreachable = |error: reqwest::Error| {
            let why =
                if error.is_timeout() { "no answer in time".to_owned() } else { innermost(&error) };
            RemoteError::Unreachable(self.url.clone(), why)
        };
        let malformed = |why: String| RemoteError::Malformed(self.url.clone(), why);
        let _permit =
            self.requests.acquire().await.map_err(|error| malformed(error.to_string()))?;
        let mut response =
            self.client.get(format!("{}{path}", self.url)).send().await.map_err(unreachable)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(malformed(format!("more than {MAX_BODY_BYTES} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        if !response.status().is_success() {
            let why = serde_json::from_slice::<Refusal>(&body)
                .map_or_else(|_| response.status().to_string(), |refusal| refusal.message);
            let why = why.chars().filter(|c| !c.is_control()).collect();
            let is_busy = matches!(response.status().as_u16(), 429 | 503);
            let kind = if is_busy { RemoteError::Busy } else { RemoteError::Refused };
            return Err(kind(self.url.clone(), why));
        }
        serde_json::from_slice(&body).map_err(|error| malformed(error.to_string()))
    }

    /// The state of the name by the node's proof, and the height that it is for.
    async fn fetch_proof(
        &self,
        name: &Name,
        status: &Status,
    ) -> Result<(NameState, u32), RemoteError> {
        let info: ProofInfo = self.get(&format!("/v1/names/{name}/proof")).await?;
        verify(&info, name, status.network, marks_of(status).fork).map_err(|why| match why {
            ProofFailure::Bytes(why) => RemoteError::Malformed(self.url.clone(), why),
            ProofFailure::Proof(error) => RemoteError::Proof(self.url.clone(), error),
            ProofFailure::Entry => RemoteError::Entry(self.url.clone(), name.clone()),
        })
    }
}

/// Whether a node's URL leads to this machine.
fn is_loopback(url: &str) -> bool {
    let url = reqwest::Url::parse(url);
    let host = url.as_ref().ok().and_then(reqwest::Url::host_str).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Why a proof does not verify.
#[derive(Debug)]
enum ProofFailure {
    Bytes(String),
    Proof(ProofError),
    Entry,
}

impl From<DecodeError> for ProofFailure {
    fn from(error: DecodeError) -> Self {
        ProofFailure::Bytes(error.to_string())
    }
}

impl From<hex::FromHexError> for ProofFailure {
    fn from(error: hex::FromHexError) -> Self {
        ProofFailure::Bytes(error.to_string())
    }
}

/// Checks that the header leads to the proof, the proof to the entry, and the entry to the name.
fn verify(
    info: &ProofInfo,
    name: &Name,
    network: Network,
    fork: Option<u32>,
) -> Result<(NameState, u32), ProofFailure> {
    let header = Header::from_bytes(&hex::decode(&info.header)?)?;
    let proof = Proof::from_bytes(&hex::decode(&info.proof)?)?;
    let entry = info.entry.as_ref().map(hex::decode).transpose()?;
    let value = entry.as_ref().map(|bytes| Entry::value_hash(network, bytes));
    proof
        .verify(network, &header.state_root, &name.key(network), value.as_ref())
        .map_err(ProofFailure::Proof)?;
    let state = match entry.map(|bytes| Entry::from_bytes(&bytes)).transpose()? {
        None => NameState::Unregistered,
        Some(Entry::Name(entry)) if entry.name == *name => {
            let now = BlockTime { height: header.height, time: header.time };
            CompiledZone::new(entry).state_at(network.params(), now, fork)
        }
        Some(_) => return Err(ProofFailure::Entry),
    };
    Ok((state, header.height))
}

/// The marks of answers, by what the node says.
fn marks_of(status: &Status) -> ChainMarks {
    let fork = status.hold.as_ref().map(|hold| hold.fork_height);
    ChainMarks { fork, is_old: status.tip_age > MAX_TIP_AGE_SECS }
}

/// The dependency of an answer proven at a tip: it holds while that is the tip.
fn dependency_at_tip(name: &Name, epoch: u32) -> Dependency {
    let marks = ChainMarks::default();
    Dependency { name: name.clone(), value: None, range: BlockRange::ALL, marks, epoch }
}

/// The clock by which the node's status ages.
#[expect(
    clippy::disallowed_methods,
    reason = "how long ago a node was asked is the shell's matter"
)]
fn now() -> Instant {
    Instant::now()
}

/// The root cause of an error, such as "connection refused".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[async_trait]
impl ChainSource for Remote {
    async fn lookup(&self, name: &Name) -> Result<NameState, ChainError> {
        Ok(self.lookup_with_dependency(name).await?.0)
    }

    async fn lookup_with_dependency(
        &self,
        name: &Name,
    ) -> Result<(NameState, Option<Dependency>), ChainError> {
        let status = self.status().await?;
        if !status.synced {
            return Err(ChainError::NotSynced { height: status.height });
        }
        let epoch = self.epoch_of(&status);
        if let Some(state) = self.known().names.get(name) {
            return Ok((state.clone(), Some(dependency_at_tip(name, epoch))));
        }
        let (state, height) = self.fetch_proof(name, &status).await?;
        let mut known = self.known();
        // The node may have a new tip meanwhile: then the answer is correct, but not for this tip.
        if known.epoch != epoch || height != status.served_height {
            return Ok((state, None));
        }
        if known.names.len() < MAX_NAMES {
            known.names.insert(name.clone(), state.clone());
        }
        Ok((state, Some(dependency_at_tip(name, epoch))))
    }

    fn epoch(&self) -> Option<u32> {
        // While a request holds the lock, the status will be known in a moment.
        let last = self.status.try_lock().ok()?;
        let (at, Ok(status)) = last.answer.as_ref()? else { return None };
        (status.synced && at.elapsed() < MAX_STATUS_AGE).then(|| self.epoch_of(status))
    }

    fn marks(&self) -> ChainMarks {
        self.known().tip.map(|(_, marks)| marks).unwrap_or_default()
    }

    fn is_trusted(&self) -> bool {
        self.on_loopback
    }

    fn network(&self) -> Option<Network> {
        self.expected.or_else(|| self.network.get().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_node_is_believed_for_a_while() {
        let zero = Hash::ZERO;
        let status = format!(
            r#"{{"version":"0.1.0","network":"dev","height":3,"tip":"{zero}","tip_time":1,"work":"9","serve_depth":0,"served_height":3,"synced":true,"mempool_operations":0,"mempool_bytes":0,"mining":"off","mining_hashes":0}}"#
        );
        let status: Status = serde_json::from_str(&status).unwrap();
        let url = || "http://127.0.0.1:7380".to_owned();
        let busy = || Err(RemoteError::Busy(url(), "too many requests".into()));
        let mut last = LastStatus::default();
        assert!(last.or_while_busy(busy()).is_err(), "it has said nothing yet");
        last.status = Some((now(), status.clone()));
        assert!(last.or_while_busy(busy()).is_ok());
        let gone = Err(RemoteError::Unreachable(url(), "no answer in time".into()));
        assert!(last.or_while_busy(gone).is_err());
        last.status = Some((now().checked_sub(MAX_BUSY).unwrap(), status));
        assert!(last.or_while_busy(busy()).is_err());
    }

    /// Only a node on this machine is trusted like one in this process.
    #[test]
    fn which_nodes_are_on_this_machine() {
        for (url, expected) in [
            ("http://127.0.0.1:7380", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:7380/", true),
            ("http://localhost:7380", true),
            ("https://192.0.2.1", false),
            ("http://[2001:db8::1]:7380", false),
            ("http://0.0.0.0:7380", false),
            ("http://localhost.example:7380", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(url), expected, "{url}");
        }
    }
}
