//! What is known already: the reply out of the cache, or whose the question is.

use std::{cell::OnceCell, net::IpAddr, time::Duration};

use namechain_core::types::Name;

use super::{
    cacheable::{Owner, Servable, owner},
    query::ParsedQuery,
    reply::{CachedReply, ROOM},
};
use crate::{
    cache::{Answer, Cache, EntryKind, Probe, Slot},
    chain::validity::{Dependency, Validity},
    dns::cookie::{Given, Jar, Secrets},
    resolve::Pipeline,
    server::responder::Responder,
    telemetry::Origin,
};

/// One query, read.
#[derive(Clone, Copy, Debug)]
pub struct FastQuery<'a> {
    /// The datagram.
    pub datagram: &'a [u8],
    /// Its shape.
    pub parsed: ParsedQuery,
    /// The question with its name in lower case.
    pub lower: &'a [u8],
    /// The hash of what the answer is kept under.
    pub hash: u64,
    /// Who asks.
    pub client: IpAddr,
}

/// What is known of the world while a batch is worked on.
pub struct BatchContext<'a> {
    /// Everything that answers are made from.
    pub pipeline: &'a Pipeline,
    /// The answers that are kept.
    pub cache: &'a Cache,
    /// The time by which answers age.
    pub now: Duration,
    epoch: OnceCell<Option<u32>>,
    /// Where cookies are from, if they are given, and whether they have to be shown from elsewhere.
    jar: Option<&'a Jar>,
    needs_cookie: bool,
    /// Looked up once, when the first client sends one.
    secrets: OnceCell<(Secrets, u32)>,
    period: OnceCell<u32>,
}

/// What becomes of a query.
#[derive(Debug, PartialEq, Eq)]
pub enum FastOutcome {
    /// The reply is written, and has so many bytes.
    Reply(usize, Origin),
    /// As `Reply`, and somebody should fetch the answer again.
    ReplyAndFetch(usize, Origin),
    /// Nothing is known, and it is for legacy DNS to say.
    Forward,
    /// The slow path.
    Slow,
}

impl FastQuery<'_> {
    /// Under what the answer is kept.
    pub fn probe(&self) -> Probe<'_> {
        probe(&self.parsed, self.lower)
    }

    fn write(
        &self,
        kept: &CachedReply<'_>,
        origin: Origin,
        context: &BatchContext<'_>,
        out: &mut [u8; ROOM],
    ) -> FastOutcome {
        let local = self.client.is_loopback();
        let cookie = context.cookie(self).map(|(given, _)| given);
        let written = kept.write(self.datagram, &self.parsed, local, cookie.as_ref(), out);
        written.map_or(FastOutcome::Slow, |length| FastOutcome::Reply(length, origin))
    }

    /// The reply out of an answer of legacy DNS that has just come.
    pub fn reply_from(
        &self,
        answer: &Answer,
        context: &BatchContext<'_>,
        out: &mut [u8; ROOM],
    ) -> FastOutcome {
        let whole = match Servable::of(answer.wire(), context.pipeline) {
            Servable::Whole => true,
            Servable::WholeIfUnregistered => context.is_unregistered(self.lower),
            Servable::Unclear => false,
        };
        if !whole {
            return FastOutcome::Slow;
        }
        let kept = CachedReply {
            wire: answer.wire(),
            ttl_places: &[],
            age: 0,
            options: answer.options(),
            ours: false,
        };
        self.write(&kept, Origin::Legacy, context, out)
    }
}

/// Under what the answer to a question of this shape is kept; its name is in lower case.
pub fn probe<'a>(parsed: &ParsedQuery, lower: &'a [u8]) -> Probe<'a> {
    Probe::of_upstreams(lower, parsed.dnssec_ok, parsed.checking_disabled)
}

impl<'a> BatchContext<'a> {
    /// This moment.
    pub fn new(responder: &'a Responder) -> Self {
        let pipeline = responder.pipeline();
        BatchContext {
            pipeline,
            cache: responder.cache(),
            now: responder.now(),
            epoch: OnceCell::new(),
            jar: responder.cookies(),
            needs_cookie: responder.requires_cookies(),
            secrets: OnceCell::new(),
            period: OnceCell::new(),
        }
    }

    /// The cookies for a client that has sent one, and whether it has shown that it is where it
    /// says it is.
    fn cookie(&self, asked: &FastQuery<'_>) -> Option<(Given, bool)> {
        let sent = asked.parsed.cookie(asked.datagram)?;
        let jar = self.jar?;
        let (secrets, stamp) = self.secrets.get_or_init(|| {
            let stamp = jar.stamp(self.now);
            (jar.secrets(stamp), stamp)
        });
        Some(secrets.answer(&sent, asked.client, *stamp))
    }

    /// The number of the chain's state; `None` if nothing may be said of the chain. Asked for once,
    /// when it is needed.
    fn epoch(&self) -> Option<u32> {
        *self.epoch.get_or_init(|| self.pipeline.chain.epoch())
    }

    /// The number of the period that signatures are made for; 0 if there is nobody who signs. Asked
    /// for once, when it is needed.
    fn period(&self) -> u32 {
        let signer = self.pipeline.signer.as_ref();
        *self.period.get_or_init(|| signer.map_or(0, |signer| signer.period().number()))
    }

    /// The reply to a query, if it is known.
    pub fn answer(&self, asked: &FastQuery<'_>, out: &mut [u8; ROOM]) -> FastOutcome {
        if self.needs_cookie
            && !asked.client.is_loopback()
            && !self.cookie(asked).is_some_and(|(_, known)| known)
        {
            return FastOutcome::Slow;
        }
        let cache = self.cache;
        let outcome =
            cache.inspect(&asked.probe(), asked.hash, self.now, |slot| match slot.entry_kind() {
                EntryKind::Upstream => self.legacy(asked, slot, out),
                EntryKind::Local => self.ours(asked, slot, out),
                EntryKind::NoReply => Some(FastOutcome::Slow),
            });
        outcome.unwrap_or_else(|| self.unknown(asked))
    }

    fn legacy(
        &self,
        asked: &FastQuery<'_>,
        slot: &mut Slot,
        out: &mut [u8; ROOM],
    ) -> Option<FastOutcome> {
        if !asked.parsed.recursion_desired || slot.is_failure() {
            return Some(FastOutcome::Slow);
        }
        let whole = match Servable::in_slot(slot, self.pipeline) {
            Servable::Whole => true,
            Servable::WholeIfUnregistered => self.is_unregistered(asked.lower),
            Servable::Unclear => false,
        };
        // If it is due and there is no plain upstream, the slow path is told so.
        if !whole || (slot.is_due(self.millis()) && !self.may_forward(asked)) {
            return Some(FastOutcome::Slow);
        }
        let kept = CachedReply {
            wire: slot.wire(),
            ttl_places: slot.ttl_places(),
            age: slot.age(self.millis()),
            options: slot.extra(),
            ours: false,
        };
        let outcome = asked.write(&kept, Origin::LegacyKept, self, out);
        Some(match outcome {
            FastOutcome::Reply(length, origin) if slot.touch(self.millis()) => {
                FastOutcome::ReplyAndFetch(length, origin)
            }
            outcome => outcome,
        })
    }

    /// An answer of ours is true in the state in which it was last found true; in another one that
    /// is found out anew.
    fn ours(
        &self,
        asked: &FastQuery<'_>,
        slot: &mut Slot,
        out: &mut [u8; ROOM],
    ) -> Option<FastOutcome> {
        let validity = Validity::decode(slot.extra())?;
        if !validity.matches_mounts(self.pipeline.mounts)
            || (validity.period() != 0 && validity.period() != self.period())
        {
            return None;
        }
        let mut checked_epoch = slot.checked_epoch();
        if checked_epoch != Validity::CONSTANT && Some(checked_epoch) != self.epoch() {
            checked_epoch = self.epoch().filter(|_| {
                validity
                    .dependencies()
                    .all(|dependency| self.pipeline.chain.still_holds(&dependency))
            })?;
        }
        let kept = CachedReply {
            wire: slot.wire(),
            ttl_places: &[],
            age: 0,
            options: validity.options(),
            ours: true,
        };
        let origin =
            if checked_epoch == Validity::CONSTANT { Origin::Special } else { Origin::ChainKept };
        let outcome = asked.write(&kept, origin, self, out);
        slot.set_checked_epoch(checked_epoch);
        slot.touch(self.millis());
        Some(outcome)
    }

    fn unknown(&self, asked: &FastQuery<'_>) -> FastOutcome {
        let legacy = asked.parsed.recursion_desired
            && match owner(asked.lower, self.pipeline.mounts) {
                Owner::Legacy => true,
                Owner::Unregistered(label) => self.knows_nobody_has(label),
                Owner::Other => false,
            };
        if legacy && self.may_forward(asked) { FastOutcome::Forward } else { FastOutcome::Slow }
    }

    fn may_forward(&self, asked: &FastQuery<'_>) -> bool {
        self.pipeline.legacy.first_try_server(asked.lower).is_some()
    }

    fn is_unregistered(&self, question: &[u8]) -> bool {
        match owner(question, self.pipeline.mounts) {
            Owner::Unregistered(label) => self.knows_nobody_has(label),
            _ => false,
        }
    }

    /// Whether the chain knows at once that nobody has the name; that its entry was released is for
    /// the slow path to see.
    fn knows_nobody_has(&self, name: Name) -> bool {
        let nothing = Dependency { name, value: None, from: 0, until: u32::MAX, epoch: 0 };
        self.epoch().is_some() && self.pipeline.chain.still_holds(&nothing)
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.now.as_millis()).unwrap_or(u64::MAX)
    }
}
