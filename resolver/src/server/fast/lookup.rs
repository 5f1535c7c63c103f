//! Looks a query up in the cache: the reply, or where the query has to go.

use std::{
    cell::{OnceCell, RefCell},
    net::IpAddr,
    time::Duration,
};

use super::{
    cacheable::Servable,
    query::ParsedQuery,
    reply::{CachedReply, REPLY_BUFFER_BYTES},
    root_labels::{LegacyIn, RootLabels},
};
use crate::{
    cache::{Answer, Cache, EntryKind, Probe, Slot},
    chain::{
        marks::ChainMarks,
        validity::{BlockRange, Dependency, Validity},
    },
    dns::cookie::{Given, Jar, Secrets},
    resolve::{
        Pipeline,
        route::{chain_name, deciding_label, last_label},
    },
    server::responder::Responder,
    telemetry::Origin,
};

/// A parsed query.
#[derive(Clone, Copy, Debug)]
pub struct FastQuery<'a> {
    /// The datagram.
    pub datagram: &'a [u8],
    /// Its parts.
    pub parsed: ParsedQuery,
    /// The question with its name in lower case.
    pub lower: &'a [u8],
    /// The hash of the cache key.
    pub hash: u64,
    /// The client.
    pub client: IpAddr,
}

/// The context of a batch of queries.
pub struct BatchContext<'a> {
    /// The pipeline that answers are made by.
    pub pipeline: &'a Pipeline,
    /// The cache.
    pub cache: &'a Cache,
    /// The time by which answers age.
    pub now: Duration,
    epoch: OnceCell<Option<u32>>,
    marks: OnceCell<ChainMarks>,
    root_labels: &'a RefCell<RootLabels>,
    /// The secrets of DNS cookies, if cookies are on; and whether other machines have to send one.
    jar: Option<&'a Jar>,
    needs_cookie: bool,
    /// Computed at the first query with a cookie.
    secrets: OnceCell<(Secrets, u32)>,
    period: OnceCell<u32>,
}

/// The result of a lookup.
#[derive(Debug, PartialEq, Eq)]
pub enum FastOutcome {
    /// The reply was written and has this many bytes.
    Reply(usize, Origin),
    /// As `Reply`; the answer has to be refreshed.
    ReplyAndFetch(usize, Origin),
    /// Not cached, and legacy DNS is authoritative.
    Forward,
    /// For the slow path.
    Slow,
}

impl FastQuery<'_> {
    /// The cache key of the answer.
    pub fn probe(&self) -> Probe<'_> {
        probe(&self.parsed, self.lower)
    }

    fn write(
        &self,
        kept: &CachedReply<'_>,
        origin: Origin,
        context: &BatchContext<'_>,
        out: &mut [u8; REPLY_BUFFER_BYTES],
    ) -> FastOutcome {
        let local = self.client.is_loopback();
        let cookie = context.cookie(self).map(|(given, _)| given);
        let written = kept.write(self.datagram, &self.parsed, local, cookie.as_ref(), out);
        written.map_or(FastOutcome::Slow, |length| FastOutcome::Reply(length, origin))
    }

    /// Writes the reply from an answer of legacy DNS that has just arrived. `alias`: whether the
    /// answer may lead to a name of another source.
    pub fn reply_from(
        &self,
        answer: &Answer,
        alias: bool,
        context: &BatchContext<'_>,
        out: &mut [u8; REPLY_BUFFER_BYTES],
    ) -> FastOutcome {
        let unclear =
            || alias && Servable::of(answer.wire(), context.pipeline) == Servable::Unclear;
        if !context.is_legacy(self.lower) || unclear() {
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

/// The cache key for a parsed query; its name is in lower case.
pub fn probe<'a>(parsed: &ParsedQuery, lower: &'a [u8]) -> Probe<'a> {
    Probe::of_upstreams(lower, parsed.dnssec_ok, parsed.checking_disabled)
}

impl<'a> BatchContext<'a> {
    /// The context of this moment. The labels have to be of this responder.
    pub fn new(responder: &'a Responder, root_labels: &'a RefCell<RootLabels>) -> Self {
        let pipeline = responder.pipeline();
        BatchContext {
            pipeline,
            cache: responder.cache(),
            now: responder.now(),
            epoch: OnceCell::new(),
            marks: OnceCell::new(),
            root_labels,
            jar: responder.cookies(),
            needs_cookie: responder.requires_cookies(),
            secrets: OnceCell::new(),
            period: OnceCell::new(),
        }
    }

    /// The cookie for a client that has sent one, and whether the client's own was valid.
    fn cookie(&self, asked: &FastQuery<'_>) -> Option<(Given, bool)> {
        let sent = asked.parsed.cookie(asked.datagram)?;
        let jar = self.jar?;
        let (secrets, stamp) = self.secrets.get_or_init(|| {
            let stamp = jar.stamp(self.now);
            (jar.secrets(stamp), stamp)
        });
        Some(secrets.answer(&sent, asked.client, *stamp))
    }

    /// The epoch of the chain source; `None` if it can't answer now. Computed once, when it is
    /// needed.
    fn epoch(&self) -> Option<u32> {
        *self.epoch.get_or_init(|| self.pipeline.chain.epoch())
    }

    /// The number of the signing period; 0 without a signer. Computed once, when it is needed.
    fn period(&self) -> u32 {
        let signer = self.pipeline.signer.as_ref();
        *self.period.get_or_init(|| signer.map_or(0, |signer| signer.period().number()))
    }

    /// The reply to a query, if it is cached.
    pub fn answer(&self, asked: &FastQuery<'_>, out: &mut [u8; REPLY_BUFFER_BYTES]) -> FastOutcome {
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
        out: &mut [u8; REPLY_BUFFER_BYTES],
    ) -> Option<FastOutcome> {
        if !asked.parsed.recursion_desired || slot.is_failure() {
            return Some(FastOutcome::Slow);
        }
        let whole = match Servable::in_slot(slot, self.pipeline) {
            Servable::Whole => true,
            Servable::WholeIfUnregistered => self.is_legacy_label(last_label(asked.lower)),
            Servable::Unclear => false,
        };
        // If a refresh is due and there is no plain-DNS upstream, the slow path does it.
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
        let outcome = asked.write(&kept, Origin::LegacyCached, self, out);
        Some(match outcome {
            FastOutcome::Reply(length, origin) if slot.touch(self.millis()) => {
                FastOutcome::ReplyAndFetch(length, origin)
            }
            outcome => outcome,
        })
    }

    /// Serves an answer made here if it was valid in the current epoch; in another epoch its
    /// dependencies are checked again.
    fn ours(
        &self,
        asked: &FastQuery<'_>,
        slot: &mut Slot,
        out: &mut [u8; REPLY_BUFFER_BYTES],
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
            if checked_epoch == Validity::CONSTANT { Origin::Special } else { Origin::ChainCached };
        let outcome = asked.write(&kept, origin, self, out);
        slot.set_checked_epoch(checked_epoch);
        slot.touch(self.millis());
        Some(outcome)
    }

    fn unknown(&self, asked: &FastQuery<'_>) -> FastOutcome {
        let legacy = asked.parsed.recursion_desired && self.is_legacy(asked.lower);
        if legacy { FastOutcome::Forward } else { FastOutcome::Slow }
    }

    fn may_forward(&self, asked: &FastQuery<'_>) -> bool {
        self.pipeline.legacy.first_try_server(asked.lower).is_some()
    }

    /// Whether legacy DNS is known to be authoritative for the name of a question, without asking.
    fn is_legacy(&self, question: &[u8]) -> bool {
        deciding_label(question, self.pipeline.mounts)
            .is_some_and(|label| self.is_legacy_label(label))
    }

    /// Whether a last label is not for the chain: it can't be registered there, or the chain source
    /// can tell at once that nobody has. An entry that was released is left to the slow path.
    fn is_legacy_label(&self, label: &[u8]) -> bool {
        let epoch = || self.epoch();
        if self.root_labels.borrow().is_legacy(label, epoch) {
            return true;
        }
        let name = chain_name(label).filter(|_| self.pipeline.mounts.root);
        let legacy_in = match (name, self.epoch()) {
            (None, _) => Some(LegacyIn::EveryEpoch),
            (Some(_), None) => None,
            (Some(name), Some(epoch)) => {
                let marks = *self.marks.get_or_init(|| self.pipeline.chain.marks());
                let range = BlockRange::ALL;
                let nothing = Dependency { name, value: None, range, marks, epoch: 0 };
                self.pipeline.chain.still_holds(&nothing).then_some(LegacyIn::Epoch(epoch))
            }
        };
        legacy_in.inspect(|found| self.root_labels.borrow_mut().insert(label, *found)).is_some()
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.now.as_millis()).unwrap_or(u64::MAX)
    }
}
