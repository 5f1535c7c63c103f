//! From a message to the message that answers it: who may ask, how much at a time, and for how
//! long.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Header, Message, MessageType, Metadata, OpCode, Query, ResponseCode},
    serialize::binary::{BinDecodable, BinDecoder},
};
use ipnet::IpNet;
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
        query,
        query::{Client, Question, Transport},
        rtype,
    },
    os::clock::Clock,
    resolve::{Pipeline, answer::Answer},
    telemetry::{Origin, Telemetry},
};

/// How many questions may be in work at a time, over all transports. One that comes when there are
/// so many gets SERVFAIL at once: it costs nothing then, and the client asks somebody else or
/// again.
pub const MAX_IN_FLIGHT: usize = 2_048;
/// How long a question may take in all: stubs have given up by then.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);

/// Who may ask.
#[derive(Clone, Debug, Default)]
pub struct Clients(Vec<IpNet>);

impl Clients {
    /// This machine, and the networks in `allowed`.
    pub fn local_and(allowed: Vec<IpNet>) -> Self {
        Clients(allowed)
    }

    fn is_allowed(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.0.iter().any(|net| net.contains(&address))
    }
}

/// Answers messages.
pub struct Responder {
    pipeline: Pipeline,
    cache: Arc<Cache>,
    clock: Arc<Clock>,
    clients: Clients,
    in_flight: Arc<Semaphore>,
    cookies: Cookies,
    telemetry: Arc<Telemetry>,
}

/// The cookies of a server, which outlive its configuration.
#[derive(Clone)]
struct Cookies {
    policy: Policy,
    /// None if the system had no random numbers to give.
    jar: Option<Arc<Jar>>,
}

/// What a client's cookie says, and what it gets.
enum CookieState {
    /// None came, or none are given.
    Nothing,
    /// It is where it says it is.
    Known(cookie::Given),
    /// It may be.
    Unknown(cookie::Given),
    /// What came is no cookie.
    Malformed,
}

impl Responder {
    /// Answers `clients` from `pipeline`. The cache and the clock are those that the pipeline's
    /// upstreams have: what is kept outlives them.
    pub fn new(pipeline: Pipeline, cache: Arc<Cache>, clock: Arc<Clock>, clients: Clients) -> Self {
        let jar = Jar::new().map(Arc::new);
        let jar = jar.inspect_err(|error| tracing::warn!(%error, "no cookies are given")).ok();
        let cookies = Cookies { policy: Policy::default(), jar };
        let in_flight = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
        Responder { pipeline, cache, clock, clients, in_flight, cookies, telemetry: Arc::default() }
    }

    /// One that takes this one's place: what both have in work, and what they have answered, counts
    /// together, and the cookies given are taken.
    pub fn successor(&self, pipeline: Pipeline, clients: Clients) -> Self {
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

    /// The answers that are kept.
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

    /// The same with another policy for cookies.
    pub fn with_cookies(mut self, policy: Policy) -> Self {
        self.cookies.policy = policy;
        self
    }

    /// Where the secrets of cookies are; `None` if none are given.
    pub fn cookies(&self) -> Option<&Jar> {
        self.cookies.jar.as_deref().filter(|_| self.cookies.policy != Policy::Off)
    }

    /// Whether who asks over UDP from another machine must always show a cookie.
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

    /// Whether a client has to show a cookie before anything is done for it: anybody can write its
    /// address on a datagram.
    fn needs_cookie(&self, client: Client) -> bool {
        let busy = || self.in_flight.available_permits() < MAX_IN_FLIGHT / 2;
        client.transport == Transport::Udp
            && !client.address.is_loopback()
            && self.cookies().is_some()
            && (self.requires_cookies() || busy())
    }

    /// The answer to the message with this header, these questions and this EDNS.
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
            _ if !self.clients.is_allowed(client.address) => refused(
                ResponseCode::Refused,
                Ede::PROHIBITED,
                "this resolver does not answer your network",
            ),
            CookieState::Malformed => {
                refused(ResponseCode::FormErr, Ede::OTHER, "no cookie has this length (RFC 7873)")
            }
            CookieState::Unknown(_) if self.needs_cookie(client) => refused(
                ResponseCode::BADCOOKIE,
                Ede::OTHER,
                "ask again with the cookie that comes with this",
            ),
            CookieState::Nothing if self.needs_cookie(client) => {
                // Over a stream its address is its own.
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
        // What is kept is for those without CO: it has no part in what answers are kept under.
        if answer.dependencies.is_some() && !question.compact_ok {
            let lower = question.name.to_lowercase();
            if question.name.iter().eq(lower.iter()) {
                self.cache_answer(question, answer.clone());
            } else {
                // What is kept is in lower case throughout.
                let question = Question { name: lower, ..question.clone() };
                self.cache_answer(&question, self.pipeline.answer(&question).await);
            }
        }
        answer
    }

    /// Keeps an answer of ours for those who ask the same before what it rests on has changed.
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
        // Whole, and without what belongs to one client; but with AD, which is taken away from
        // those who don't get it.
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

    /// Whether somebody at this address may ask.
    pub fn is_allowed(&self, address: IpAddr) -> bool {
        self.clients.is_allowed(address)
    }

    /// What is seen of its answers.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// How many questions are in work.
    pub fn in_progress(&self) -> usize {
        MAX_IN_FLIGHT.saturating_sub(self.in_flight.available_permits())
    }

    /// What answers are made from.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The answer to a message in wire form; `None` for what gets none: what is too short for a
    /// header, and answers, which would make two servers talk to each other for ever.
    pub async fn respond_to_bytes(&self, bytes: &[u8], client: Client) -> Option<Vec<u8>> {
        let header = Header::read(&mut BinDecoder::new(bytes)).ok()?;
        if header.message_type != MessageType::Query {
            return None;
        }
        let answer = match Message::from_vec(bytes) {
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

    /// The answer to what can't be read. An operation that is not ours may have a form of its own.
    fn answer_unreadable(&self, metadata: &Metadata, bytes: &[u8], client: Client) -> Message {
        let (rcode, code, why) = match metadata.op_code {
            _ if !self.clients.is_allowed(client.address) => (
                ResponseCode::Refused,
                Ede::PROHIBITED,
                "this resolver does not answer your network",
            ),
            OpCode::Query => (ResponseCode::FormErr, Ede::OTHER, "the message can't be read"),
            _ => (ResponseCode::NotImp, Ede::NOT_SUPPORTED, "only the operation QUERY"),
        };
        // What is wrong may be in the OPT's options: that there is one says that the client
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
