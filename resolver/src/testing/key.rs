//! The cache's key: equal for the same question, ignoring case, and for nothing else.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use super::bytes::{Bytes, wire};
use crate::{
    cache::{Answer, AnswerKind, Cache, Hit, Key, Scope},
    dns::testing::Build,
};

/// A question and its scope, taken apart.
#[derive(Clone, PartialEq, Eq)]
struct ParsedKey {
    labels: Vec<Vec<u8>>,
    qtype: u16,
    class: u16,
    dnssec_ok: bool,
    checking_disabled: bool,
    scope: Whom,
}

#[derive(Clone, PartialEq, Eq)]
enum Whom {
    Upstreams,
    Zone(Vec<Vec<u8>>),
    Servers(BTreeSet<SocketAddr>),
}

impl ParsedKey {
    fn read(bytes: &mut Bytes<'_>) -> Self {
        let labels = bytes.labels();
        let flags = bytes.byte();
        let scope = match flags >> 2 & 3 {
            0 | 1 => Whom::Upstreams,
            2 => Whom::Zone(lower(&bytes.labels())),
            _ => Whom::Servers((0..bytes.byte() % 4).map(|_| server(bytes)).collect()),
        };
        let (dnssec_ok, checking_disabled) = (flags & 1 != 0, flags & 2 != 0);
        Self {
            labels,
            qtype: bytes.short(),
            class: bytes.short(),
            dnssec_ok,
            checking_disabled,
            scope,
        }
    }

    /// This one, or one that differs in at most one field.
    fn sibling(&self, bytes: &mut Bytes<'_>) -> Self {
        let mut other = self.clone();
        match bytes.byte() % 8 {
            0 => return Self::read(bytes),
            1 => other
                .labels
                .iter_mut()
                .flatten()
                .for_each(|byte| *byte ^= byte.is_ascii_alphabetic() as u8 * 0x20),
            2 => other.qtype = bytes.short(),
            3 => other.class = bytes.short(),
            4 => other.dnssec_ok ^= true,
            5 => other.scope = Self::read(bytes).scope,
            6 => {
                // The same bytes with other label boundaries.
                let flat = other.labels.concat();
                let at = usize::from(bytes.byte()).min(flat.len());
                let (front, back) = flat.split_at(at);
                other.labels = [front, back]
                    .iter()
                    .filter(|part| !part.is_empty())
                    .map(|part| part.to_vec())
                    .collect();
                other.labels.iter_mut().for_each(|label| label.truncate(63));
            }
            _ => {
                let place = usize::from(bytes.byte());
                let count: usize = other.labels.iter().map(Vec::len).sum();
                if let Some(byte) = other.labels.iter_mut().flatten().nth(place % count.max(1)) {
                    *byte = bytes.byte();
                }
            }
        }
        other
    }

    fn question(&self) -> Vec<u8> {
        [&wire(&self.labels)[..], &self.qtype.to_be_bytes(), &self.class.to_be_bytes()].concat()
    }

    fn key(&self) -> Key {
        let zone = match &self.scope {
            Whom::Zone(labels) => wire(labels),
            _ => Vec::new(),
        };
        // In any order, with duplicates.
        let servers: Vec<SocketAddr> = match &self.scope {
            Whom::Servers(servers) => servers.iter().rev().chain(servers).copied().collect(),
            _ => Vec::new(),
        };
        let scope = match &self.scope {
            Whom::Upstreams => Scope::Upstreams,
            Whom::Zone(_) => Scope::Zone(&zone),
            Whom::Servers(_) => Scope::Servers(&servers),
        };
        Key::new(&self.question(), self.dnssec_ok, self.checking_disabled, scope)
    }

    /// Whether both have the same question and scope. An empty list of servers counts as the
    /// upstreams.
    fn is_like(&self, other: &Self) -> bool {
        let plain = |asked: &Self| {
            let scope = match &asked.scope {
                Whom::Servers(servers) if servers.is_empty() => Whom::Upstreams,
                scope => scope.clone(),
            };
            Self { labels: lower(&asked.labels), scope, ..asked.clone() }
        };
        plain(self) == plain(other)
    }
}

fn lower(labels: &[Vec<u8>]) -> Vec<Vec<u8>> {
    labels.iter().map(|label| label.to_ascii_lowercase()).collect()
}

fn server(bytes: &mut Bytes<'_>) -> SocketAddr {
    let last = bytes.byte();
    match bytes.byte() % 2 {
        0 => ([127, 0, 0, last], bytes.short()).into(),
        _ => ([0, 0, 0, 0, 0, 0xffff, 0x7f00, u16::from(last)], bytes.short()).into(),
    }
}

/// Two questions: their keys are equal exactly if the questions are, and only then is one's answer
/// found for the other.
pub fn key(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let one = ParsedKey::read(&mut bytes);
    let other = one.sibling(&mut bytes);
    let (a, b) = (one.key(), other.key());
    let same = one.is_like(&other);
    assert_eq!(a == b, same, "{a:?} {b:?}");
    let cache = Cache::new(1 << 16);
    if same {
        assert_eq!(cache.hash(&a.probe()), cache.hash(&b.probe()));
    }
    let Some(answer) = answer_to(&one) else { return };
    cache.insert(&a, answer.clone(), AnswerKind::Positive, Duration::from_secs(60), Duration::ZERO);
    let found = |key| matches!(cache.get(key, Duration::ZERO), Some(Hit::Answer(found, 0, _)) if found == answer);
    assert!(found(&a), "what was kept is there");
    assert_eq!(found(&b), same);
}

fn answer_to(asked: &ParsedKey) -> Option<Arc<Answer>> {
    let question = asked.question();
    let message = Build::answer(&question).a(60, [192, 0, 2, 1]).done();
    let packet = crate::dns::message::Packet::parse(&message).ok()?;
    Some(Arc::new(Answer::new(&packet, &question, false).ok()?))
}
