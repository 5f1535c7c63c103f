//! Counters of answers, the query log, and the trace of one answer.

mod counters;
mod labels;
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
pub use counters::{Counters, LATENCY_BOUNDS_US, Latencies};
pub use labels::{Origin, Outcome};
use query_log::QueryLog;
pub use query_log::{QueryLogMode, UnknownQueryLogMode};

/// The counters and the query log of a process. They outlive a reload of the configuration.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// Answers that did not take the fast path.
    counters: Counters,
    /// Counters of each fast-path thread, so that threads do not contend.
    thread_counters: Mutex<Vec<Arc<Counters>>>,
    log: QueryLog,
}

impl Telemetry {
    /// Adds counters for one more thread.
    pub fn new_counters(&self) -> Arc<Counters> {
        let counters = Arc::new(Counters::default());
        self.thread_counters.lock().unwrap_or_else(PoisonError::into_inner).push(counters.clone());
        counters
    }

    /// The sum of all threads' counters.
    pub fn total(&self) -> Counters {
        let total = Counters::default();
        total.add(&self.counters);
        for counters in self.thread_counters.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            total.add(counters);
        }
        total
    }

    /// Sets what the query log records from now on.
    pub fn set_query_log(&self, mode: QueryLogMode) {
        self.log.set_mode(mode);
    }

    /// Query log lines that were dropped because the writer was too slow.
    pub fn lost_log_lines(&self) -> u64 {
        self.log.lost_lines()
    }

    /// Records an answer that did not take the fast path, and how long it took.
    pub fn record_answer(
        &self,
        client: Client,
        queries: &[Query],
        origin: Origin,
        message: &Message,
        took: Duration,
    ) {
        let has_records = !message.answers.is_empty() || message.metadata.truncation;
        let outcome = Outcome::from_rcode(message.metadata.response_code, has_records);
        self.counters.count(client.transport, origin, outcome);
        self.counters.record_latency(origin, took);
        if self.log.is_on() {
            let question = match queries.first() {
                Some(query) => format!("{} {}", query.name(), query.query_type()),
                None => "-".into(),
            };
            self.log_answer(client.transport, client.address, &question, origin, outcome, took);
        }
    }

    /// Records an answer of the fast path: `question` in lower case, `took` only if an upstream was
    /// asked, `address` only if the query log may need it.
    pub fn record_fast(
        &self,
        counters: &Counters,
        address: Option<IpAddr>,
        question: &[u8],
        origin: Origin,
        reply: &[u8],
        took: Option<Duration>,
    ) {
        let &[_, _, high, low, _, _, a, b, ..] = reply else { return };
        let has_records = (a, b) != (0, 0) || high & 0x02 != 0;
        let outcome = Outcome::from_rcode(ResponseCode::from(0, low & 0x0f), has_records);
        counters.count(Transport::Udp, origin, outcome);
        if let Some(took) = took {
            counters.record_latency(origin, took);
        }
        if self.log.is_on()
            && let (Some(address), Some((name, rest))) =
                (address, question.split_at_checked(question.len().saturating_sub(4)))
        {
            let name = names::to_name(name).unwrap_or_else(Name::root);
            let rtype = rest.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes));
            let question = format!("{name} {}", hickory_proto::rr::RecordType::from(rtype));
            self.log_answer(
                Transport::Udp,
                address,
                &question,
                origin,
                outcome,
                took.unwrap_or_default(),
            );
        }
    }

    fn log_answer(
        &self,
        transport: Transport,
        address: IpAddr,
        question: &str,
        origin: Origin,
        outcome: Outcome,
        took: Duration,
    ) {
        let line = format!(
            "{question} {} {} {} {} {} us",
            outcome.name(),
            origin.route(),
            origin.cache(),
            transport.name(),
            took.as_micros()
        );
        self.log.write_line(line, address);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::op::{MessageType, OpCode};

    use super::*;

    #[test]
    fn both_paths_count_into_one_total() {
        let telemetry = Telemetry::default();
        let client = Client { address: Ipv4Addr::LOCALHOST.into(), transport: Transport::Tcp };
        let mut message = Message::new(1, MessageType::Response, OpCode::Query);
        message.metadata.response_code = ResponseCode::NXDomain;
        telemetry.record_answer(client, &[], Origin::Special, &message, Duration::from_millis(3));
        let fast = telemetry.new_counters();
        let reply = |flags: u8, rcode: u8, answers: u8| {
            [0, 1, 0x80 | flags, 0x80 | rcode, 0, 1, 0, answers, 0, 0]
        };
        let question = b"\x01a\0\0\x01\0\x01";
        for (reply, origin, took) in [
            (reply(0, 0, 2), Origin::LegacyCached, None),
            (reply(0, 0, 0), Origin::ChainCached, None),
            (reply(2, 0, 0), Origin::Legacy, Some(Duration::from_secs(9))),
        ] {
            telemetry.record_fast(&fast, None, question, origin, &reply, took);
        }
        telemetry.record_fast(&fast, None, question, Origin::Legacy, b"short", None);
        let total = telemetry.total();
        let counted: Vec<_> = total.counts().collect();
        let expected = [
            (Transport::Udp, Origin::ChainCached, Outcome::NoData, 1),
            (Transport::Udp, Origin::Legacy, Outcome::NoError, 1),
            (Transport::Udp, Origin::LegacyCached, Outcome::NoError, 1),
            (Transport::Tcp, Origin::Special, Outcome::NxDomain, 1),
        ];
        assert_eq!(counted, expected);
        let legacy = total.latencies("legacy");
        assert_eq!((legacy.counts.iter().sum::<u64>(), legacy.micros), (1, 9_000_000));
        assert_eq!(legacy.counts[LATENCY_BOUNDS_US.len()], 1, "longer than all bounds");
        assert_eq!(total.latencies("special").counts[1], 0);
        assert_eq!(total.latencies("special").counts.iter().sum::<u64>(), 1);
    }
}
