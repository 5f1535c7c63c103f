//! From a message to the message that answers it: who may ask, how much at a time, and for how long.

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
    answer::Answer,
    basis::Basis,
    cache::{self, Kind, Probe},
    ede::Ede,
    pipeline::Pipeline,
    query::{self, Client, Question, Transport},
};

/// How many questions may be in work at a time, over all transports. One that comes when there are so many gets SERVFAIL
/// at once: it costs nothing then, and the client asks somebody else or again.
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

    fn admit(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.0.iter().any(|net| net.contains(&address))
    }
}

/// Answers messages.
pub struct Responder {
    pipeline: Pipeline,
    clients: Clients,
    in_flight: Arc<Semaphore>,
}

impl Responder {
    /// Answers `clients` from `pipeline`.
    pub fn new(pipeline: Pipeline, clients: Clients) -> Self {
        Responder { pipeline, clients, in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)) }
    }

    /// One that takes this one's place: what both have in work counts together.
    pub fn successor(&self, pipeline: Pipeline, clients: Clients) -> Self {
        Responder { pipeline, clients, in_flight: self.in_flight.clone() }
    }

    /// The answer to the message with this header, these questions and this EDNS.
    pub async fn respond(
        &self,
        metadata: &Metadata,
        queries: &[Query],
        edns: Option<&Edns>,
        client: Client,
    ) -> Message {
        let (answer, wants_ad) = self.answer(metadata, queries, edns, client).await;
        answer.into_message(metadata, queries, edns, client, wants_ad)
    }

    async fn answer(
        &self,
        metadata: &Metadata,
        queries: &[Query],
        edns: Option<&Edns>,
        client: Client,
    ) -> (Answer, bool) {
        let fail = |rcode, code, why: &str| (Answer::failure(rcode, Ede::new(code, why)), false);
        if !self.clients.admit(client.address) {
            return fail(
                ResponseCode::Refused,
                Ede::PROHIBITED,
                "this resolver does not answer your network",
            );
        }
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
        match tokio::time::timeout(ANSWER_TIMEOUT, self.answer_and_keep(&question)).await {
            Ok(answer) => (answer, question.wants_ad),
            Err(_) => fail(ResponseCode::ServFail, Ede::NO_REACHABLE_AUTHORITY, "no answer in time"),
        }
    }

    async fn answer_and_keep(&self, question: &Question) -> Answer {
        let answer = self.pipeline.answer(question).await;
        // What is kept is for those without CO: it has no part in what answers are kept under.
        if answer.grounds.is_some() && !question.compact_ok {
            let lower = question.name.to_lowercase();
            if question.name.iter().eq(lower.iter()) {
                self.keep(question, answer.clone());
            } else {
                // What is kept is in lower case throughout.
                let question = Question { name: lower, ..question.clone() };
                self.keep(&question, self.pipeline.answer(&question).await);
            }
        }
        answer
    }

    /// Keeps an answer of ours for those who ask the same before what it rests on has changed.
    fn keep(&self, question: &Question, answer: Answer) {
        let kind = match (answer.rcode, answer.answers.is_empty()) {
            (ResponseCode::NoError, false) => Kind::Positive,
            (ResponseCode::NoError | ResponseCode::NXDomain, _) => Kind::Negative,
            _ => return,
        };
        let Some(grounds) = &answer.grounds else { return };
        let mut options = Vec::new();
        answer.ede.iter().for_each(|ede| ede.write(&mut options));
        let Some((basis, epoch)) = Basis::encode(self.pipeline.mounts, answer.signed, &options, grounds)
        else {
            return;
        };
        // Whole, and without what belongs to one client; but with AD, which is taken away from those who don't get it.
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
            self.pipeline.legacy.cache().insert_ours(&probe, &kept, kind, &basis, epoch);
        }
    }

    /// Whether somebody at this address may ask.
    pub fn admits(&self, address: IpAddr) -> bool {
        self.clients.admit(address)
    }

    /// What answers are made from.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The answer to a message in wire form; `None` for what gets none: what is too short for a header, and answers,
    /// which would make two servers talk to each other for ever.
    pub async fn respond_to_bytes(&self, bytes: &[u8], client: Client) -> Option<Vec<u8>> {
        let header = Header::read(&mut BinDecoder::new(bytes)).ok()?;
        if header.message_type != MessageType::Query {
            return None;
        }
        let answer = match Message::from_vec(bytes) {
            Ok(message) => {
                self.respond(&message.metadata, &message.queries, message.edns.as_ref(), client).await
            }
            Err(_) => {
                let answer = Answer { rcode: ResponseCode::FormErr, ..Answer::default() };
                answer.into_message(&header.metadata, &[], None, client, false)
            }
        };
        answer.to_vec().ok()
    }
}
