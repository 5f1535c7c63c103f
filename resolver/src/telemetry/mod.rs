//! What is seen of answers from outside: they are counted, and written to the query log if there is
//! one.

mod counters;
mod query_log;
pub mod trace;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hickory_proto::{
    op::{Message, Query, ResponseCode},
    rr::Name,
};

use crate::dns::{
    names,
    query::{Client, Transport},
};
pub use counters::{BUCKETS, Latencies, Tally};
use query_log::QueryLog;
pub use query_log::{Logged, UnknownLogged};

/// Who gave an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// We refused, or could not make sense of the question.
    #[default]
    Refused,
    /// A special-use name, or another that the chain and legacy DNS have no say in.
    Special,
    /// The chain.
    Chain,
    /// The chain, some time ago: the answer was kept, and is still true.
    ChainKept,
    /// Legacy DNS, asked for it.
    Legacy,
    /// Legacy DNS, some time ago.
    LegacyKept,
    /// Legacy DNS, so long ago that the answer has run out.
    LegacyStale,
}

impl Origin {
    /// All of them, in their order.
    pub const ALL: [Origin; 7] = [
        Origin::Refused,
        Origin::Special,
        Origin::Chain,
        Origin::ChainKept,
        Origin::Legacy,
        Origin::LegacyKept,
        Origin::LegacyStale,
    ];

    /// Whose name it was, as a label.
    pub fn route(self) -> &'static str {
        match self {
            Origin::Refused => "none",
            Origin::Special => "special",
            Origin::Chain | Origin::ChainKept => "chain",
            Origin::Legacy | Origin::LegacyKept | Origin::LegacyStale => "legacy",
        }
    }

    /// What the cache did, as a label.
    pub fn cache(self) -> &'static str {
        match self {
            Origin::Refused | Origin::Special => "none",
            Origin::Chain | Origin::Legacy => "miss",
            Origin::ChainKept | Origin::LegacyKept => "hit",
            Origin::LegacyStale => "stale",
        }
    }
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There are records.
    NoError,
    /// The name exists, without records of the type.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// SERVFAIL.
    ServFail,
    /// REFUSED.
    Refused,
    /// FORMERR.
    FormErr,
    /// Any other response code.
    Other,
}

impl Outcome {
    /// All of them, in their order.
    pub const ALL: [(Outcome, &str); 7] = [
        (Outcome::NoError, "noerror"),
        (Outcome::NoData, "nodata"),
        (Outcome::NxDomain, "nxdomain"),
        (Outcome::ServFail, "servfail"),
        (Outcome::Refused, "refused"),
        (Outcome::FormErr, "formerr"),
        (Outcome::Other, "other"),
    ];

    /// Of a response code and the number of records in the answer section; one that is cut short
    /// has some.
    fn of(rcode: ResponseCode, some: bool) -> Self {
        match rcode {
            ResponseCode::NoError if some => Outcome::NoError,
            ResponseCode::NoError => Outcome::NoData,
            ResponseCode::NXDomain => Outcome::NxDomain,
            ResponseCode::ServFail => Outcome::ServFail,
            ResponseCode::Refused => Outcome::Refused,
            ResponseCode::FormErr => Outcome::FormErr,
            _ => Outcome::Other,
        }
    }

    /// How it is called.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// What counts and writes. One for a process: reloading does not start it anew.
#[derive(Debug, Default)]
pub struct Seen {
    /// What is answered without the fast path.
    tally: Tally,
    /// A tally for each thread of the fast path: none waits for another's.
    tallies: Mutex<Vec<Arc<Tally>>>,
    log: QueryLog,
}

impl Seen {
    /// Another tally, for somebody who counts on a thread of his own.
    pub fn another_tally(&self) -> Arc<Tally> {
        let tally = Arc::new(Tally::default());
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner).push(tally.clone());
        tally
    }

    /// What all of them have counted.
    pub fn total(&self) -> Tally {
        let total = Tally::default();
        total.add(&self.tally);
        for tally in self.tallies.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            total.add(tally);
        }
        total
    }

    /// Says what is to be written to the query log from now on.
    pub fn log(&self, logged: Logged) {
        self.log.set(logged);
    }

    /// How many lines the query log has lost, because they could not be written as fast as they
    /// came.
    pub fn lost(&self) -> u64 {
        self.log.lost()
    }

    /// An answer that took so long.
    pub fn answered(
        &self,
        client: Client,
        queries: &[Query],
        origin: Origin,
        message: &Message,
        took: Duration,
    ) {
        let some = !message.answers.is_empty() || message.metadata.truncation;
        let outcome = Outcome::of(message.metadata.response_code, some);
        self.tally.count(client.transport, origin, outcome);
        self.tally.took(origin, took);
        if self.log.is_on() {
            let question = match queries.first() {
                Some(query) => format!("{} {}", query.name(), query.query_type()),
                None => "-".into(),
            };
            self.write(client.transport, client.address, &question, origin, outcome, took);
        }
    }

    /// An answer of the fast path, as bytes: to a question in lower case; `took` nothing if it was
    /// at hand.
    pub fn gave(
        &self,
        tally: &Tally,
        address: Option<IpAddr>,
        question: &[u8],
        origin: Origin,
        reply: &[u8],
        took: Option<Duration>,
    ) {
        let &[_, _, high, low, _, _, a, b, ..] = reply else { return };
        let some = (a, b) != (0, 0) || high & 0x02 != 0;
        let outcome = Outcome::of(ResponseCode::from(0, low & 0x0f), some);
        tally.count(Transport::Udp, origin, outcome);
        if let Some(took) = took {
            tally.took(origin, took);
        }
        if self.log.is_on()
            && let (Some(address), Some((name, rest))) =
                (address, question.split_at_checked(question.len().saturating_sub(4)))
        {
            let name = names::to_name(name).unwrap_or_else(Name::root);
            let rtype = rest.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes));
            let question = format!("{name} {}", hickory_proto::rr::RecordType::from(rtype));
            self.write(
                Transport::Udp,
                address,
                &question,
                origin,
                outcome,
                took.unwrap_or_default(),
            );
        }
    }

    fn write(
        &self,
        transport: Transport,
        address: IpAddr,
        question: &str,
        origin: Origin,
        outcome: Outcome,
        took: Duration,
    ) {
        let what = format!(
            "{question} {} {} {} {} {} us",
            outcome.name(),
            origin.route(),
            origin.cache(),
            transport.name(),
            took.as_micros()
        );
        self.log.write(what, address);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::op::{MessageType, OpCode};

    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        for (at, (outcome, name)) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!((outcome as usize, outcome.name()), (at, name));
        }
        for (at, origin) in Origin::ALL.into_iter().enumerate() {
            assert_eq!(origin as usize, at);
        }
    }

    #[test]
    fn both_paths_count_into_one_total() {
        let seen = Seen::default();
        let client = Client { address: Ipv4Addr::LOCALHOST.into(), transport: Transport::Tcp };
        let mut message = Message::new(1, MessageType::Response, OpCode::Query);
        message.metadata.response_code = ResponseCode::NXDomain;
        seen.answered(client, &[], Origin::Special, &message, Duration::from_millis(3));
        let fast = seen.another_tally();
        let reply = |flags: u8, rcode: u8, answers: u8| {
            [0, 1, 0x80 | flags, 0x80 | rcode, 0, 1, 0, answers, 0, 0]
        };
        let question = b"\x01a\0\0\x01\0\x01";
        for (reply, origin, took) in [
            (reply(0, 0, 2), Origin::LegacyKept, None),
            (reply(0, 0, 0), Origin::ChainKept, None),
            (reply(2, 0, 0), Origin::Legacy, Some(Duration::from_secs(9))),
        ] {
            seen.gave(&fast, None, question, origin, &reply, took);
        }
        seen.gave(&fast, None, question, Origin::Legacy, b"short", None);
        let total = seen.total();
        let counted: Vec<_> = total.counts().collect();
        let expected = [
            (Transport::Udp, Origin::ChainKept, Outcome::NoData, 1),
            (Transport::Udp, Origin::Legacy, Outcome::NoError, 1),
            (Transport::Udp, Origin::LegacyKept, Outcome::NoError, 1),
            (Transport::Tcp, Origin::Special, Outcome::NxDomain, 1),
        ];
        assert_eq!(counted, expected);
        let legacy = total.latencies("legacy");
        assert_eq!((legacy.counts.iter().sum::<u64>(), legacy.micros), (1, 9_000_000));
        assert_eq!(legacy.counts[BUCKETS.len()], 1, "longer than all bounds");
        assert_eq!(total.latencies("special").counts[1], 0);
        assert_eq!(total.latencies("special").counts.iter().sum::<u64>(), 1);
    }
}
