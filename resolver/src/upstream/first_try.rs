//! The first try at a plain-DNS upstream, for whoever owns sockets of its own and sends many
//! queries at a time.
//!
//! The three steps are [`Upstreams::first_try`], which makes the bytes to send;
//! [`Upstreams::on_first_reply`], which judges what comes back as every other reply is judged and
//! keeps it; and [`Upstreams::on_first_timeout`]. Whatever is not a whole, good answer goes the
//! long way ([`Upstreams::resolve`]), where the other upstreams, TCP and the rest of the tries are.
//!
//! Of two tries with one [`FirstTry::key`] the second has to wait for the first: were both sent,
//! two resolvers that ask each other would do nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::loop_detect;
use super::select::UpstreamAnswer;
use super::transport::query::{QUERY_RANDOM_BYTES, Query, QueryFlags, ReplyCheck, ServerCaps};
use super::validate::{FirstTryMode, apply_verdict, validation_flags};
use super::{Upstreams, is_pseudo_type};
use crate::cache::{Answer, Key, Scope, lifetime};
use crate::dns::message::{Packet, Section, rcode, rtype, u16_at};

/// How many random bytes a [`FirstTry`] takes. They decide its id and the case of its name: from
/// the system's generator or one that is seeded from it and can't be predicted.
pub const FIRST_TRY_RANDOM_BYTES: usize = QUERY_RANDOM_BYTES;

/// A query to one plain-DNS upstream, ready to send over UDP.
#[derive(Debug)]
pub struct FirstTry {
    server: SocketAddr,
    query: Query,
    key: Key,
    caps: ServerCaps,
    /// Whether the answer is validated, or given to a client that does so; and whether that one
    /// wants what it takes.
    validates: bool,
    flags: QueryFlags,
}

impl FirstTry {
    /// Whom to send it to.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// The bytes to send.
    pub fn bytes(&self) -> &[u8] {
        self.query.bytes()
    }

    /// The id, by which the reply is found among those of other queries on one socket.
    pub fn id(&self) -> u16 {
        self.query.id()
    }

    /// Under what the answer is kept.
    pub fn key(&self) -> &Key {
        &self.key
    }
}

/// What a datagram means for a [`FirstTry`].
#[derive(Debug)]
pub enum FirstReply {
    /// Nothing to do with the query, or a forgery: go on waiting.
    Stray,
    /// The answer. It is kept already, if it may be.
    Answer {
        /// As it is kept.
        answer: Arc<Answer>,
        /// Whether there is a CNAME or DNAME in it: then it is the pipeline that says whether its
        /// target is believed.
        alias: bool,
    },
    /// It is for the long way to say: truncated, another case, a refusal, broken.
    Other,
}

impl Upstreams {
    /// The plain-DNS upstream that would be asked first now for a name (in wire form, any case).
    /// `None` if there is none, if the one that would be asked first speaks something else, if the
    /// name is in a zone with upstreams of its own, or if nobody has found out yet whether the
    /// upstreams pass DNSSEC on.
    pub fn first_try_server(&self, name: &[u8]) -> Option<SocketAddr> {
        self.first_try_target(name).map(|(server, _)| server)
    }

    /// As [`Upstreams::first_try_server`], and whether what it says is validated.
    fn first_try_target(&self, name: &[u8]) -> Option<(SocketAddr, bool)> {
        let zone = self.shared.zones.of(name);
        match self.shared.dnssec.first_try_mode(zone, self.now()) {
            _ if !zone.is_rest() => None,
            FirstTryMode::Undetermined => None,
            FirstTryMode::Unvalidated => {
                self.shared.selector.fastest(zone.targets())?.plain().map(|server| (server, false))
            }
            FirstTryMode::Validated(passing) => {
                self.shared.selector.fastest(&passing)?.plain().map(|server| (server, true))
            }
        }
    }

    /// How long to wait for an upstream before somebody else is asked.
    pub fn first_try_delay(&self, server: SocketAddr) -> Duration {
        self.shared.selector.retry_delay(&server.into())
    }

    /// The query for a question (QNAME without compression, QTYPE, QCLASS, in any case) to the
    /// upstream that would be asked first. `None` if that is for [`Upstreams::resolve`] to do.
    pub fn first_try(
        &self,
        question: &[u8],
        dnssec_ok: bool,
        checking_disabled: bool,
        random: &[u8; FIRST_TRY_RANDOM_BYTES],
    ) -> Option<FirstTry> {
        let qtype = u16_at(question, question.len().checked_sub(4)?).ok()?;
        if is_pseudo_type(qtype) || loop_detect::token(question).is_some() {
            return None;
        }
        let (server, validates) = self.first_try_target(question)?;
        let caps = self.shared.selector.caps(&server.into());
        let flags = QueryFlags { recursive: true, dnssec_ok, checking_disabled };
        let asked = if validates { validation_flags(flags) } else { flags };
        Some(FirstTry {
            server,
            validates,
            flags,
            query: Query::new(question, asked, caps, server.ip().is_loopback(), random),
            key: Key::new(question, dnssec_ok, checking_disabled, Scope::Upstreams),
            caps,
        })
    }

    /// Judges a datagram that came `rtt` after the query was sent (RFC 5452 §9: source, id,
    /// question and its case), keeps an answer, and keeps in mind how fast the upstream is.
    pub fn on_first_reply(
        &self,
        asked: &FirstTry,
        from: SocketAddr,
        datagram: &[u8],
        rtt: Duration,
    ) -> FirstReply {
        if from != asked.server {
            return FirstReply::Stray;
        }
        match asked.query.judge(datagram, true) {
            ReplyCheck::Stray => return FirstReply::Stray,
            ReplyCheck::Answer => {}
            _ => return FirstReply::Other,
        }
        let Ok(packet) = Packet::parse(datagram) else { return FirstReply::Other };
        if !matches!(packet.rcode(), rcode::NOERROR | rcode::NXDOMAIN) {
            return FirstReply::Other;
        }
        let keep_ad = from.ip().is_loopback() && !asked.validates;
        let Ok(answer) = Answer::minimal(&packet, asked.query.question(), keep_ad) else {
            return FirstReply::Other;
        };
        self.shared.selector.record_reply(&from.into(), rtt, asked.caps);
        let Some(received) = self.validate_first_reply(asked, from, &packet, answer) else {
            return FirstReply::Other;
        };
        // Only names in no zone of their own are asked here.
        let received = UpstreamAnswer {
            answer: self.shared.selector.strip_private(received.answer),
            ..received
        };
        self.shared.cache_answer(&asked.key, &received);
        let answer = received.answer;
        let records = packet.section(Section::Answer);
        let alias = !answer.is_empty()
            && records
                .into_iter()
                .any(|record| matches!(record.rtype, rtype::CNAME | rtype::DNAME));
        FirstReply::Answer { answer, alias }
    }

    /// What is given out and kept; `None` if something has to be asked first.
    fn validate_first_reply(
        &self,
        asked: &FirstTry,
        from: SocketAddr,
        packet: &Packet<'_>,
        answer: Answer,
    ) -> Option<UpstreamAnswer> {
        let selector = &self.shared.selector;
        let mut received = UpstreamAnswer {
            answer: Arc::new(answer),
            server: from.into(),
            keep: None,
            bogus: false,
        };
        if asked.validates && !asked.flags.checking_disabled {
            let judged = self.shared.validate_without_queries(received.answer.wire())?;
            return apply_verdict(selector, asked.flags.dnssec_ok, &received, &judged);
        }
        received.keep = lifetime(packet, false)
            .map(|(kind, life)| (kind, selector.clamp_ttl(&received.answer, life)));
        Some(received)
    }

    /// No answer came within `waited`: the upstream is thought of as slow from now on.
    pub fn on_first_timeout(&self, server: SocketAddr, waited: Duration) {
        self.shared.selector.record_timeout(&server.into(), waited);
    }
}
