//! Answers a DNS message with a DNS message, within limits: which clients, how many queries at a
//! time, and for how long.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Header, Message, MessageType, Metadata, OpCode, Query, ResponseCode},
    serialize::binary::{BinDecodable, BinDecoder},
};
use tokio::sync::Semaphore;

use crate::{
    cache,
    cache::{AnswerKind, Cache, Probe},
    chain::validity::Validity,
    dns::{
        cookie,
        cookie::{Jar, Policy, Sent},
        ede::Ede,
        message::Packet,
        options, query,
        query::{Client, Question, Transport},
        rtype,
    },
    os::clock::Clock,
    resolve::{Pipeline, answer::Answer},
    server::access::{Access, AccessControl},
    telemetry::{Origin, Telemetry},
};

/// The most queries in progress, over all transports. Above it queries get SERVFAIL at once, which
/// is cheap, and lets the client ask another server or retry.
pub const MAX_IN_FLIGHT: usize = 2_048;
/// The time limit of a query: stub resolvers have given up by then.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);

/// Answers messages.
pub struct Responder {
    pipeline: Pipeline,
    cache: Arc<Cache>,
    clock: Arc<Clock>,
    clients: AccessControl,
    in_flight: Arc<Semaphore>,
    cookies: Cookies,
    telemetry: Arc<Telemetry>,
}

/// The DNS cookies of a server, which outlive a reload of the configuration.
#[derive(Clone)]
struct Cookies {
    policy: Policy,
    /// None if the operating system gave no random bytes.
    jar: Option<Arc<Jar>>,
}

/// The state of a client's cookie.
enum CookieState {
    /// None was sent, or cookies are off.
    Nothing,
    /// It is valid: the client is at its address.
    Known(cookie::Given),
    /// It is new or not valid.
    Unknown(cookie::Given),
    /// The option is malformed.
    Malformed,
}

impl Responder {
    /// Answers `clients` by `pipeline`. The cache and the clock are those of the pipeline's
    /// upstreams and outlive a reload.
    pub fn new(
        pipeline: Pipeline,
        cache: Arc<Cache>,
        clock: Arc<Clock>,
        clients: AccessControl,
    ) -> Self {
        let jar = Jar::new().map(Arc::new);
        let jar = jar.inspect_err(|error| tracing::warn!(%error, "DNS cookies are off")).ok();
        let cookies = Cookies { policy: Policy::default(), jar };
        let in_flight = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
        Responder { pipeline, cache, clock, clients, in_flight, cookies, telemetry: Arc::default() }
    }

    /// The responder after a reload: it shares the limits, the counters and the cookies of this
    /// one.
    pub fn successor(&self, pipeline: Pipeline, clients: AccessControl) -> Self {
        let (in_flight, cookies) = (self.in_flight.clone(), self.cookies.clone());
        let (cache, clock) = (self.cache.clone(), self.clock.clone());
        Responder {
            pipeline,
            cache,
            clock,
            clients,
            in_flight,
            cookies,
            telemetry: self.telemetry.clone(),
        }
    }

    /// The cache.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The time by which answers age.
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// The clock by which answers age.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The same responder with another policy for cookies.
    pub fn with_cookies(mut self, policy: Policy) -> Self {
        self.cookies.policy = policy;
        self
    }

    /// The secrets of DNS cookies; `None` if cookies are off.
    pub fn cookies(&self) -> Option<&Jar> {
        self.cookies.jar.as_deref().filter(|_| self.cookies.policy != Policy::Off)
    }

    /// Whether clients on other machines always have to send a valid cookie over UDP.
    pub fn requires_cookies(&self) -> bool {
        self.cookies.policy == Policy::Require
    }

    fn cookie_state(&self, edns: Option<&Edns>, client: Client) -> CookieState {
        let (Some(jar), Some(option)) =
            (self.cookies(), edns.and_then(|e| e.option(cookie::OPTION.into())))
        else {
            return CookieState::Nothing;
        };
        let data = Vec::try_from(option).unwrap_or_default();
        let Some(sent) = Sent::read(&data) else { return CookieState::Malformed };
        let now = jar.stamp(self.clock.now());
        match jar.secrets(now).answer(&sent, client.address, now) {
            (given, true) => CookieState::Known(given),
            (given, false) => CookieState::Unknown(given),
        }
    }

    /// Whether a client has to send a valid cookie before it is served: source addresses can be
    /// forged over UDP.
    fn needs_cookie(&self, client: Client) -> bool {
        let busy = || self.in_flight.available_permits() < MAX_IN_FLIGHT / 2;
        client.transport == Transport::Udp
            && !client.address.is_loopback()
            && self.cookies().is_some()
            && (self.requires_cookies() || busy())
    }

    /// The response to a message with this header, these questions and this EDNS.
    pub async fn respond(
        &self,
        metadata: &Metadata,
        queries: &[Query],
        edns: Option<&Edns>,
        client: Client,
    ) -> Message {
        let started = self.clock.now();
        let shown = self.cookie_state(edns, client);
        let refused = |rcode, code, why: &str| (Answer::failure(rcode, Ede::new(code, why)), false);
        let mut truncated = false;
        let (mut answer, wants_ad) = match &shown {
            _ if !self.is_allowed(client.address) => refused(
                ResponseCode::Refused,
                Ede::PROHIBITED,
                "clients in your network may not query this resolver",
            ),
            CookieState::Malformed => {
                refused(ResponseCode::FormErr, Ede::OTHER, "no cookie has this length (RFC 7873)")
            }
            CookieState::Unknown(_) if self.needs_cookie(client) => refused(
                ResponseCode::BADCOOKIE,
                Ede::OTHER,
                "retry with the cookie in this response",
            ),
            CookieState::Nothing if self.needs_cookie(client) => {
                // Over a stream the address can't be forged.
                truncated = true;
                (Answer::default(), false)
            }
            _ => self.answer(metadata, queries, edns).await,
        };
        if let CookieState::Known(given) | CookieState::Unknown(given) = shown {
            answer.cookie = Some(given);
        }
        let origin = answer.origin;
        let mut message = answer.into_message(metadata, queries, edns, client, wants_ad);
        message.metadata.truncation |= truncated;
        let took = self.clock.now().saturating_sub(started);
        self.telemetry.record_answer(client, queries, origin, &message, took);
        message
    }

    async fn answer(
        &self,
        metadata: &Metadata,
        queries: &[Query],
        edns: Option<&Edns>,
    ) -> (Answer, bool) {
        let fail = |rcode, code, why: &str| (Answer::failure(rcode, Ede::new(code, why)), false);
        let question = match query::read(metadata, queries, edns) {
            Ok(question) => question,
            Err(refusal) => {
                let ede = refusal.ede.into_iter().collect();
                return (Answer { rcode: refusal.rcode, ede, ..Answer::default() }, false);
            }
        };
        let Ok(_permit) = self.in_flight.try_acquire() else {
            return fail(ResponseCode::ServFail, Ede::OTHER, "too many questions at a time");
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, self.resolve_and_cache(&question)).await {
            Ok(answer) => (answer, question.wants_ad),
            Err(_) => {
                fail(ResponseCode::ServFail, Ede::NO_REACHABLE_AUTHORITY, "no answer in time")
            }
        }
    }

    async fn resolve_and_cache(&self, question: &Question) -> Answer {
        let answer = self.pipeline.answer(question).await;
        // Cached answers are for clients without CO, which is not part of the cache key.
        if answer.dependencies.is_some() && !question.compact_ok {
            let lower = question.name.to_lowercase();
            if question.name.iter().eq(lower.iter()) {
                self.cache_answer(question, answer.clone());
            } else {
                // Cached answers are in lower case throughout.
                let question = Question { name: lower, ..question.clone() };
                self.cache_answer(&question, self.pipeline.answer(&question).await);
            }
        }
        answer
    }

    /// Caches an answer made here, with what it depends on.
    fn cache_answer(&self, question: &Question, answer: Answer) {
        let kind = match (answer.rcode, answer.answers.is_empty()) {
            (ResponseCode::NoError, false) => AnswerKind::Positive,
            (ResponseCode::NoError | ResponseCode::NXDomain, _) => AnswerKind::Negative,
            _ => return,
        };
        let Some(dependencies) = &answer.dependencies else { return };
        let mut options = Vec::new();
        answer.ede.iter().for_each(|ede| ede.write(&mut options));
        let Some((validity, epoch)) =
            Validity::encode(self.pipeline.mounts, answer.signed, &options, dependencies)
        else {
            return;
        };
        // The whole answer, without what belongs to one client; AD is removed for clients that must
        // not get it.
        let client = Client { address: Ipv4Addr::LOCALHOST.into(), transport: Transport::Tcp };
        let query = Query::query(question.name.clone(), question.qtype);
        let asked = Metadata::new(0, MessageType::Query, OpCode::Query);
        let message = answer.into_message(&asked, &[query], None, client, true);
        if message.metadata.truncation {
            return;
        }
        if let Ok(bytes) = message.to_vec()
            && let Ok(kept) = cache::Answer::constant(&bytes)
        {
            let wire = question.wire();
            let probe = Probe::of_upstreams(&wire, question.dnssec_ok, question.checking_disabled);
            self.cache.insert_local(&probe, &kept, kind, &validity, epoch);
        }
    }

    /// Whether a client at this address may send queries.
    pub fn is_allowed(&self, address: IpAddr) -> bool {
        self.clients.of(address) == Access::Allow
    }

    /// Whether queries of a client at this address are dropped.
    pub fn is_denied(&self, address: IpAddr) -> bool {
        self.clients.of(address) == Access::Deny
    }

    /// The counters and the query log.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// How many queries are in progress.
    pub fn in_progress(&self) -> usize {
        MAX_IN_FLIGHT.saturating_sub(self.in_flight.available_permits())
    }

    /// The pipeline.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The response to a message in wire form; `None` for what gets no response: bytes too short
    /// for a header, and responses, because two servers would answer each other without end; and
    /// for queries of clients that are denied.
    pub async fn respond_to_bytes(&self, bytes: &[u8], client: Client) -> Option<Vec<u8>> {
        if self.is_denied(client.address) {
            return None;
        }
        let header = Header::read(&mut BinDecoder::new(bytes)).ok()?;
        if header.message_type != MessageType::Query {
            return None;
        }
        let message = Message::from_vec(bytes).or_else(|error| {
            // The decoder checks the values of options that have no effect here.
            options::without_unused(bytes).map_or(Err(error), |less| Message::from_vec(&less))
        });
        let answer = match message {
            Ok(message) => {
                self.respond(&message.metadata, &message.queries, message.edns.as_ref(), client)
                    .await
            }
            Err(_) => {
                let message = self.answer_unreadable(&header.metadata, bytes, client);
                self.telemetry.record_answer(
                    client,
                    &[],
                    Origin::Refused,
                    &message,
                    Duration::ZERO,
                );
                message
            }
        };
        answer.to_vec().ok()
    }

    /// The response to a message that can't be parsed. An opcode that is not supported may have a
    /// format of its own.
    fn answer_unreadable(&self, metadata: &Metadata, bytes: &[u8], client: Client) -> Message {
        let (rcode, code, why) = match metadata.op_code {
            _ if !self.is_allowed(client.address) => (
                ResponseCode::Refused,
                Ede::PROHIBITED,
                "clients in your network may not query this resolver",
            ),
            OpCode::Query => (ResponseCode::FormErr, Ede::OTHER, "the message can't be read"),
            _ => (ResponseCode::NotImp, Ede::NOT_SUPPORTED, "only the operation QUERY"),
        };
        // The defect may be in the OPT's options: that there is an OPT says that the client
        // understands ours.
        let records = Packet::parse(bytes).ok();
        let has_edns =
            records.is_some_and(|packet| packet.records().iter().any(|at| at.rtype == rtype::OPT));
        let edns = has_edns.then(Edns::new);
        Answer::failure(rcode, Ede::new(code, why)).into_message(
            metadata,
            &[],
            edns.as_ref(),
            client,
            false,
        )
    }
}
