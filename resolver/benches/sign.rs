//! The cost of signing: answers of the chain that were not queried before, unsigned and signed by
//! either algorithm.
//!
//! ```text
//! cargo bench -p resolver --bench sign
//! ```
//!
//! A query goes in as bytes, its response comes out as bytes, on one thread, without a network. The
//! three take turns in every round; the figure is the median of the rounds, in microseconds and as
//! a multiple of the unsigned answer.

use std::{net::Ipv4Addr, sync::Arc, time::Instant};

use async_trait::async_trait;
use namechain_core::types::{Name as ChainName, Network, Record, RecordSet};
use resolver::{
    chain::{ChainError, ChainSource, NameState, mount::Mounts, zone::Zone},
    dns::{
        names,
        query::{Client, Transport},
    },
    dnssec::sign::{Algorithm, Signer, SigningKey},
    os::clock::Clock,
    resolve::{Delegation, Pipeline},
    server::responder::{Clients, Responder},
    upstream::{Upstreams, UpstreamsConfig},
};
use tokio::runtime::{Builder, Runtime};

const ROUNDS: usize = 7;
/// Queries of one kind to one responder in a round.
const QUESTIONS: usize = 1_000;
/// In the middle of a period.
const NOW: u64 = 1_800_000_000 + 3_600;

/// `alice` has a wildcard, and no other name exists.
struct Alice(Arc<Zone>);

#[async_trait]
impl ChainSource for Alice {
    async fn lookup(&self, name: &ChainName) -> Result<NameState, ChainError> {
        let alice = name.as_str() == "alice";
        Ok(if alice { NameState::Active(self.0.clone()) } else { NameState::Unregistered })
    }

    fn network(&self) -> Option<Network> {
        Some(Network::Dev)
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark owns a clock")]
fn now() -> Instant {
    Instant::now()
}

fn responder(algorithm: Option<Algorithm>) -> Responder {
    let record =
        Record { owner: b"\x01*\0".to_vec(), rtype: 1, ttl: 60, rdata: vec![192, 0, 2, 1] };
    let records = RecordSet::new(vec![record]).expect("a record");
    let zone = Arc::new(Zone::of(ChainName::parse("alice").expect("a name"), 1, &records));
    let signer = algorithm.map(|algorithm| {
        let document = SigningKey::generate(algorithm).expect("a key");
        Arc::new(Signer::new(SigningKey::from_pkcs8(&document).expect("that key"), || NOW))
    });
    let legacy = UpstreamsConfig::default();
    let (cache, clock) = (Arc::new(legacy.new_cache()), Arc::new(Clock::start()));
    let pipeline = Pipeline {
        mounts: Mounts::BOTH,
        root_policy: Default::default(),
        chain: Arc::new(Alice(zone)),
        legacy: Upstreams::new(legacy, cache.clone(), clock.clone()).expect("nobody to ask"),
        designated: Default::default(),
        delegation: Delegation { port: 53, loopback: false },
        signer,
    };
    Responder::new(pipeline, cache, clock, Clients::default())
}

/// A query for an A record, with DO.
fn question(name: &str) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    bytes.extend(names::from_labels(name.split('.').map(str::as_bytes)));
    bytes.extend_from_slice(&[0, 1, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]);
    bytes
}

/// Microseconds per answer.
fn took(runtime: &Runtime, responder: &Responder, questions: &[Vec<u8>]) -> f64 {
    let client = Client { address: Ipv4Addr::LOCALHOST.into(), transport: Transport::Udp };
    let start = now();
    runtime.block_on(async {
        for question in questions {
            assert!(responder.respond_to_bytes(question, client).await.is_some());
        }
    });
    start.elapsed().as_secs_f64() * 1e6 / questions.len() as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let all = [
        ("unsigned", responder(None)),
        ("algorithm 13", responder(Some(Algorithm::EcdsaP256))),
        ("algorithm 15", responder(Some(Algorithm::Ed25519))),
    ];
    println!(
        "microseconds an answer (times the unsigned one), median of {ROUNDS} rounds of {QUESTIONS}"
    );
    for (what, name) in [
        ("a record, not asked for before", "N.alice.namechain.alt"),
        ("no such name, not asked for before", "nobody-N.namechain.alt"),
        ("a record, asked for before", "same.alice.namechain.alt"),
    ] {
        let mut times = vec![Vec::new(); all.len()];
        for round in 0..ROUNDS {
            let ask = |n: usize| question(&name.replace('N', &format!("{round}-{n}")));
            let questions: Vec<Vec<u8>> = (0..QUESTIONS).map(ask).collect();
            for ((_, responder), times) in all.iter().zip(&mut times) {
                times.push(took(&runtime, responder, &questions));
            }
        }
        let medians: Vec<f64> = times.into_iter().map(median).collect();
        println!("{what}");
        for ((who, _), time) in all.iter().zip(&medians) {
            println!("  {who:<14} {time:>8.1} ({:.1})", time / medians[0]);
        }
    }
}
