//! The built-in recursive resolver (hickory's): it resolves names from the root servers down and
//! validates signatures. Its answers are cached in the resolver's cache; its own cache holds what
//! it needs on the way.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hickory_proto::dnssec::TrustAnchors;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use hickory_resolver::config::ConnectionConfig;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::recursor::{
    DnssecConfig, DnssecPolicy, Recursor, RecursorError, RecursorOptions,
};
use hickory_resolver::{ConnectionProvider, PoolContext};
use ipnet::IpNet;
use tokio::sync::Semaphore;

use crate::os::clock::Clock;
use crate::upstream::transport::query::QueryFlags;

/// IANA's root hints of 2024-04-18 (https://www.internic.net/domain/named.root).
const ROOT_HINTS: &str = include_str!("root.hints");
/// The longest file of root hints or trust anchors that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 16;
/// The most queries in progress. Each can send some tens of queries.
const MAX_IN_PROGRESS: usize = 256;
/// Entries in its own cache. Most are small; the resolver's cache matters more.
const CACHED_ANSWERS: u64 = 4_096;
/// The most zones whose name servers are cached.
const CACHED_ZONES: usize = 1_024;
/// The port of DNS.
const DNS_PORT: u16 = 53;

/// The configuration of the built-in recursive resolver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecursiveConfig {
    /// A file with the addresses of the root servers, in the form of IANA's named.root; `None`: the
    /// built-in ones.
    pub root_hints: Option<PathBuf>,
    /// A file with the root's trust anchors as DNSKEY records; `None`: the built-in ones.
    pub trust_anchor: Option<PathBuf>,
    /// Whether signatures are validated.
    pub validate: bool,
    /// The port of all servers.
    pub port: u16,
    /// Whether servers at loopback addresses may be asked: anybody can put such an address into a
    /// zone.
    pub loopback: bool,
}

impl Default for RecursiveConfig {
    fn default() -> Self {
        Self {
            root_hints: None,
            trust_anchor: None,
            validate: true,
            port: DNS_PORT,
            loopback: false,
        }
    }
}

/// Why the recursive resolver can't be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecursiveError {
    /// A file can't be used.
    #[error("{0}: {1}")]
    File(PathBuf, String),
    /// hickory refuses the configuration.
    #[error("{0}")]
    Setup(String),
}

/// The recursive resolver.
pub struct Recursive {
    recursor: Recursor<OnPort>,
    validates: bool,
    room: Semaphore,
    clock: Arc<Clock>,
}

impl std::fmt::Debug for Recursive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recursive").field("validates", &self.validates).finish_non_exhaustive()
    }
}

impl Recursive {
    /// Sets it up. Sends nothing yet.
    ///
    /// # Errors
    /// [`RecursiveError`]
    pub fn new(config: &RecursiveConfig, clock: Arc<Clock>) -> Result<Self, RecursiveError> {
        let roots = match &config.root_hints {
            Some(path) => {
                let roots = hints(&read(path)?);
                if roots.is_empty() {
                    let why = "has no line like 'a.root-servers.net. 3600000 A 198.41.0.4'";
                    return Err(RecursiveError::File(path.clone(), why.into()));
                }
                roots
            }
            None => hints(ROOT_HINTS),
        };
        let policy = if config.validate {
            let mut dnssec = DnssecConfig::default();
            dnssec.trust_anchor = config.trust_anchor.as_deref().map(anchors).transpose()?;
            DnssecPolicy::ValidateWithStaticKey(dnssec)
        } else {
            DnssecPolicy::ValidationDisabled
        };
        let mut options = RecursorOptions {
            ns_cache_size: CACHED_ZONES,
            response_cache_size: CACHED_ANSWERS,
            case_randomization: true,
            ..RecursorOptions::default()
        };
        if config.loopback {
            let nets = [
                IpNet::new([127, 0, 0, 0].into(), 8),
                IpNet::new([0, 0, 0, 0, 0, 0, 0, 1].into(), 128),
            ];
            options.allow_server = nets.into_iter().flatten().collect();
        }
        let provider = OnPort { port: config.port, provider: TokioRuntimeProvider::default() };
        let recursor = Recursor::new(&roots, policy, None, options, provider);
        Ok(Self {
            recursor: recursor.map_err(|error| RecursiveError::Setup(error.to_string()))?,
            validates: config.validate,
            room: Semaphore::new(MAX_IN_PROGRESS),
            clock,
        })
    }

    /// Whether it validates signatures. Its answers can't be validated again: they lack the proofs
    /// for the targets of aliases, and the alias itself if its target has no data.
    pub fn validates(&self) -> bool {
        self.validates
    }

    /// Answers a question (in wire form) with a message like a recursive server's, with id 0.
    ///
    /// # Errors
    /// The cause as one line of text.
    pub async fn answer(&self, question: &[u8], flags: QueryFlags) -> Result<Vec<u8>, String> {
        let Ok(_permit) = self.room.try_acquire() else {
            return Err(format!("{MAX_IN_PROGRESS} recursive queries are already in progress"));
        };
        let query =
            Query::read(&mut BinDecoder::new(question)).map_err(|error| error.to_string())?;
        let found =
            self.recursor.resolve(query.clone(), self.clock.instant(), flags.dnssec_ok).await;
        let (rcode, mut message) = match found {
            Ok(message) => (ResponseCode::NoError, message),
            Err(error) => {
                let none = negative(error);
                let alias = if may_be_of_an_alias(&none, &query) {
                    self.alias(&query, flags).await
                } else {
                    None
                };
                alias.map_or(none, Ok)?
            }
        };
        let records = || message.all_sections();
        if !flags.checking_disabled
            && self.validates
            && records().any(|record| record.proof.is_bogus())
        {
            return Err(BOGUS.into());
        }
        let authentic = self.validates
            && message.answers.iter().chain(&message.authorities).next().is_some()
            && message
                .answers
                .iter()
                .chain(&message.authorities)
                .all(|record| record.proof.is_secure());
        let mut reply = Message::new(0, MessageType::Response, OpCode::Query);
        reply.metadata.response_code = rcode;
        reply.metadata.recursion_desired = true;
        reply.metadata.recursion_available = true;
        reply.metadata.authentic_data = authentic;
        reply.metadata.checking_disabled = flags.checking_disabled;
        reply.add_query(query);
        reply.insert_answers(std::mem::take(&mut message.answers));
        reply.insert_authorities(std::mem::take(&mut message.authorities));
        reply.to_vec().map_err(|error| error.to_string())
    }

    /// The CNAME at the name, without its target.
    async fn alias(&self, query: &Query, flags: QueryFlags) -> Option<(ResponseCode, Message)> {
        let query = Query::query(query.name().clone(), RecordType::CNAME);
        let found =
            self.recursor.resolve(query, self.clock.instant(), flags.dnssec_ok).await.ok()?;
        (!found.answers.is_empty()).then_some((ResponseCode::NoError, found))
    }
}

/// Whether a negative answer may be about the target of an alias: its SOA is of a zone that the
/// QNAME can't be in, or its proof is not for the QNAME. hickory follows aliases and omits them if
/// the target has no data; but the target may be a name of the chain.
fn may_be_of_an_alias(none: &Result<(ResponseCode, Message), String>, query: &Query) -> bool {
    let elsewhere = |record: &Record| {
        record.record_type() == RecordType::SOA
            && (record.name.is_root() || !record.name.zone_of(query.name()))
    };
    query.query_type() != RecordType::CNAME
        && match none {
            Ok((_, message)) => message.authorities.iter().any(elsewhere),
            Err(why) => why == BOGUS,
        }
}

/// The text of the error for an answer that does not validate.
pub const BOGUS: &str = "DNSSEC: the answer is bogus";

/// Turns hickory's error for a negative answer into a message.
fn negative(error: RecursorError) -> Result<(ResponseCode, Message), String> {
    let none = match error {
        RecursorError::Negative(data) => NoRecords::from(data),
        RecursorError::Net(NetError::Dns(DnsError::NoRecordsFound(none))) => none,
        RecursorError::Net(NetError::Dns(DnsError::Nsec { .. })) => return Err(BOGUS.into()),
        error => return Err(error.to_string()),
    };
    let mut message = Message::new(0, MessageType::Response, OpCode::Query);
    let soa: Option<Record> = none.soa.map(|soa| soa.into_record_of_rdata());
    let others = none.authorities.iter().flat_map(|all| all.iter().cloned());
    let not_twice =
        others.filter(|record| Some(record.record_type()) != soa.as_ref().map(Record::record_type));
    message.insert_authorities(soa.clone().into_iter().chain(not_twice).collect());
    Ok((none.response_code, message))
}

fn read(path: &Path) -> Result<String, RecursiveError> {
    let failed = |why: String| RecursiveError::File(path.to_owned(), why);
    let length = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if length > MAX_FILE_BYTES {
        return Err(failed(format!("has more than {MAX_FILE_BYTES} bytes")));
    }
    std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))
}

fn anchors(path: &Path) -> Result<Arc<TrustAnchors>, RecursiveError> {
    let failed = |why: String| RecursiveError::File(path.to_owned(), why);
    let anchors: TrustAnchors = read(path)?.parse().map_err(|error| failed(format!("{error}")))?;
    if anchors.is_empty() {
        return Err(failed("has no DNSKEY record".into()));
    }
    Ok(Arc::new(anchors))
}

/// The addresses in root hints: the field after A or AAAA in each line.
fn hints(text: &str) -> Vec<IpAddr> {
    let lines = text.lines().map(|line| line.split(';').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            fields.find(|field| {
                field.eq_ignore_ascii_case("A") || field.eq_ignore_ascii_case("AAAA")
            })?;
            fields.next()?.parse().ok()
        })
        .collect()
}

/// Connects as hickory does, but always to one port.
#[derive(Clone)]
struct OnPort {
    port: u16,
    provider: TokioRuntimeProvider,
}

impl ConnectionProvider for OnPort {
    type Conn = <TokioRuntimeProvider as ConnectionProvider>::Conn;
    type FutureConn = <TokioRuntimeProvider as ConnectionProvider>::FutureConn;
    type RuntimeProvider = TokioRuntimeProvider;

    fn new_connection(
        &self,
        ip: IpAddr,
        config: &ConnectionConfig,
        context: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        let mut config = config.clone();
        config.port = self.port;
        self.provider.new_connection(ip, &config, context)
    }

    fn runtime_provider(&self) -> &TokioRuntimeProvider {
        &self.provider
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_hints_are_thirteen_servers_with_two_addresses_each() {
        let roots = hints(ROOT_HINTS);
        assert_eq!(roots.iter().filter(|ip| ip.is_ipv4()).count(), 13);
        assert_eq!(roots.iter().filter(|ip| ip.is_ipv6()).count(), 13);
        assert!(roots.contains(&"198.41.0.4".parse().unwrap()));
        assert!(Recursive::new(&RecursiveConfig::default(), Arc::new(Clock::start())).is_ok());
    }

    #[test]
    fn a_file_that_can_not_be_used_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hints");
        std::fs::write(&file, "; nothing\n").unwrap();
        let clock = || Arc::new(Clock::start());
        let config =
            RecursiveConfig { root_hints: Some(file.clone()), ..RecursiveConfig::default() };
        let why = Recursive::new(&config, clock()).unwrap_err().to_string();
        assert!(why.contains("hints: has no line like"), "{why}");
        let config = RecursiveConfig { trust_anchor: Some(file), ..RecursiveConfig::default() };
        let why = Recursive::new(&config, clock()).unwrap_err().to_string();
        assert!(why.contains("hints: has no DNSKEY"), "{why}");
    }
}
