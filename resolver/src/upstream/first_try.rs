//! The first attempt of a query over UDP, for the fast path, which owns sockets of its own and
//! sends many queries at a time.
//!
//! [`FirstTries::start`] makes the bytes to send, [`FirstTries::on_reply`] checks and caches the
//! reply as any other reply, and [`super::Upstreams::on_first_timeout`] records that none came.
//! Anything but a complete answer is left to [`super::Upstreams::resolve`], which retries with the
//! other upstreams and over TCP.
//!
//! Attempts with the same [`FirstTry::key`] must be sent one at a time. Otherwise two resolvers
//! that forward to each other would multiply a query without end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::dnssec_support::FirstTryMode;
use super::judge::Judge;
use super::loop_detect;
use super::policy::ValidationPolicy;
use super::rebind::has_private_address;
use super::select::UpstreamAnswer;
use super::shared::Shared;
use super::transport::query::{QUERY_RANDOM_BYTES, Query, QueryFlags, ReplyCheck, ServerCaps};
use super::validate::{apply_verdict, validation_flags};
use crate::cache::{Answer, Key, Scope, lifetime};
use crate::dns::message::{Packet, Section, rcode, u16_at};
use crate::dns::rtype;

/// Random bytes per [`FirstTry`]: for the message id and the case of the QNAME. They must come from
/// a generator that can't be predicted.
pub const FIRST_TRY_RANDOM_BYTES: usize = QUERY_RANDOM_BYTES;

/// A query to one plain-DNS upstream, ready to send over UDP.
#[derive(Debug)]
pub struct FirstTry {
    server: SocketAddr,
    query: Query,
    key: Key,
    caps: ServerCaps,
    /// Whether the answer is validated, here or by a client that set CD; and the client's flags.
    validates: bool,
    /// Whether it would be, if its upstream supported DNSSEC.
    unvalidated: bool,
    flags: QueryFlags,
    retry_delay: Duration,
    /// The settings by which it was sent.
    generation: u64,
}

impl FirstTry {
    /// The upstream.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// How long to wait for the upstream before another one is asked.
    pub fn retry_delay(&self) -> Duration {
        self.retry_delay
    }

    /// The bytes to send.
    pub fn bytes(&self) -> &[u8] {
        self.query.bytes()
    }

    /// The message id, by which the reply is matched to its query.
    pub fn id(&self) -> u16 {
        self.query.id()
    }

    /// The cache key of the answer.
    pub fn key(&self) -> &Key {
        &self.key
    }
}

/// The upstream that would be asked first.
struct FirstChoice {
    server: SocketAddr,
    caps: ServerCaps,
    /// How long to wait for it before another one is asked.
    retry_delay: Duration,
    validates: bool,
    policy: ValidationPolicy,
}

/// What a datagram means for a [`FirstTry`].
#[derive(Debug)]
pub enum FirstReply {
    /// Not a reply to the query, or forged: keep waiting.
    Stray,
    /// The answer. It is cached already, if it may be.
    Answer {
        /// The answer as cached.
        answer: Arc<Answer>,
        /// Whether it has a CNAME or DNAME: then the caller has to decide whether to follow it.
        alias: bool,
    },
    /// Anything else, left to [`super::Upstreams::resolve`]: truncated, changed case, an error
    /// code, malformed.
    Other,
}

/// Makes and completes first attempts.
#[derive(Debug, Clone, Copy)]
pub struct FirstTries<'a>(pub &'a Shared);

impl FirstTries<'_> {
    /// The plain-DNS upstream that would be asked first now for a name (in wire form, any case).
    /// `None` if there is none, if another transport would be used, if the name is in a zone with
    /// upstreams of its own, or if it is not known yet whether the upstreams support DNSSEC.
    pub fn server(&self, name: &[u8]) -> Option<SocketAddr> {
        self.target(name).map(|choice| choice.server)
    }

    /// As [`super::Upstreams::first_try_server`], with what is known of it.
    fn target(&self, name: &[u8]) -> Option<FirstChoice> {
        let zone = self.0.zones.of(name);
        if !zone.is_rest() {
            return None;
        }
        let now = self.0.selector.clock.now();
        let mode = self.0.dnssec.first_try_mode(zone, now);
        let (servers, validates) = match &mode {
            FirstTryMode::Undetermined => return None,
            FirstTryMode::Unvalidated => (zone.targets(), false),
            FirstTryMode::Validated(passing) => (passing.as_slice(), true),
        };
        let (server, caps, retry_delay) = self.0.selector.fastest(servers, now)?;
        let policy = zone.policy();
        Some(FirstChoice { server: server.plain()?, caps, retry_delay, validates, policy })
    }

    /// The query for a question (uncompressed QNAME, QTYPE, QCLASS, any case) to the upstream that
    /// would be asked first. `None` if [`super::Upstreams::resolve`] has to be used.
    pub fn start(
        &self,
        question: &[u8],
        dnssec_ok: bool,
        checking_disabled: bool,
        random: &[u8; FIRST_TRY_RANDOM_BYTES],
    ) -> Option<FirstTry> {
        let qtype = u16_at(question, question.len().checked_sub(4)?).ok()?;
        if rtype::is_pseudo(qtype) || loop_detect::token(question).is_some() {
            return None;
        }
        let FirstChoice { server, caps, retry_delay, validates, policy } = self.target(question)?;
        let flags = QueryFlags { dnssec_ok, checking_disabled, ..QueryFlags::plain() };
        let asked = if validates { validation_flags(flags) } else { flags };
        Some(FirstTry {
            server,
            validates,
            unvalidated: !validates && policy == ValidationPolicy::IfSupported,
            flags,
            query: Query::new(question, asked, caps, server.ip().is_loopback(), random),
            key: Key::new(question, dnssec_ok, checking_disabled, Scope::Upstreams),
            caps,
            retry_delay,
            generation: self.0.generation,
        })
    }

    /// Checks a datagram that came `rtt` after the query was sent (RFC 5452 §9: source, id,
    /// question and its case), caches the answer, and records the upstream's latency.
    pub fn on_reply(
        &self,
        asked: &FirstTry,
        from: SocketAddr,
        datagram: &[u8],
        rtt: Duration,
    ) -> FirstReply {
        if from != asked.server {
            return FirstReply::Stray;
        }
        let packet = match asked.query.check(datagram, true) {
            ReplyCheck::Stray | ReplyCheck::Bare => return FirstReply::Stray,
            ReplyCheck::Answer(packet) => packet,
            _ => return FirstReply::Other,
        };
        // After a reload the upstreams may be others: the slow path asks again.
        if asked.generation != self.0.generation {
            return FirstReply::Other;
        }
        if !matches!(packet.rcode(), rcode::NOERROR | rcode::NXDOMAIN) {
            return FirstReply::Other;
        }
        let keep_ad = from.ip().is_loopback() && !asked.validates;
        let Ok(answer) = Answer::minimal(&packet, asked.query.question(), keep_ad) else {
            return FirstReply::Other;
        };
        self.0.selector.record_reply(&from.into(), rtt, asked.caps);
        if asked.validates {
            self.0.remove_unvalidated();
        }
        let Some(received) = self.validate(asked, from, &packet, answer) else {
            return FirstReply::Other;
        };
        // Names in zones with upstreams of their own never get here.
        let received = if has_private_address(&packet) {
            UpstreamAnswer { answer: self.0.selector.strip_private(received.answer), ..received }
        } else {
            received
        };
        self.0.cache_answer(&asked.key, &received);
        let answer = received.answer;
        let records = packet.section(Section::Answer);
        let alias = !answer.is_empty()
            && records
                .into_iter()
                .any(|record| matches!(record.rtype, rtype::CNAME | rtype::DNAME));
        FirstReply::Answer { answer, alias }
    }

    /// The answer after validation; `None` if that needs further queries.
    fn validate(
        &self,
        asked: &FirstTry,
        from: SocketAddr,
        packet: &Packet<'_>,
        answer: Answer,
    ) -> Option<UpstreamAnswer> {
        let selector = &self.0.selector;
        let mut answer = answer;
        let keep = selector.bound_ttls(&mut answer, lifetime(packet, false), Duration::MAX);
        let received = UpstreamAnswer {
            answer: Arc::new(answer),
            server: from.into(),
            keep,
            bogus: false,
            unvalidated: asked.unvalidated,
        };
        if asked.validates && !asked.flags.checking_disabled {
            let validated = Judge::judge_without_queries(self.0, received.answer.wire())?;
            return apply_verdict(selector, asked.flags.dnssec_ok, &received, &validated);
        }
        Some(received)
    }
}
