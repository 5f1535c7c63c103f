//! Peers that say what is not so: of their network, their height, their clock, their chain.

use std::sync::Arc;

use namechain_core::{
    chain::{Chain, MemoryStorage},
    sync::message::{Hello, Request, Response},
    types::{Hash, Header, Network},
};
use tests::wait;

use crate::{
    peer::{Evil, Manners, Raw, hello, saying},
    requests::{genesis, greet, polite},
    victim::Victim,
};

const NETWORK: Network = Network::Test;

fn honest_hello() -> Hello {
    hello(NETWORK, genesis(NETWORK))
}

/// A peer that says `hello`, asked or not.
fn claiming(
    hello: Hello,
    victim: &Victim,
    answers: impl Fn(&Request) -> Option<Raw> + Send + 'static,
) -> Evil {
    let ours = hello.clone();
    let evil = Evil::new(Manners {
        network: NETWORK,
        answers: Box::new(move |request| match request {
            Request::Hello(_) => Some(Raw::frame(&Response::Hello(ours.clone()))),
            other => answers(other),
        }),
    });
    evil.connect(victim.id, &victim.address);
    evil.ask(victim.id, Raw::frame(&Request::Hello(hello)));
    evil
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_has_another_genesis_block_is_refused() {
    let victim = Victim::start("test", &[]);
    let evil = claiming(Hello { genesis: Hash([5; 32]), ..honest_hello() }, &victim, |_| None);
    evil.is_banned_by(victim.id, &victim.address);
    victim.logs(&["is refused", "OtherNetwork"]);
    victim.must_be_unharmed("another genesis block");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_is_on_another_network_is_refused() {
    let victim = Victim::start("test", &[]);
    let evil = polite(Network::Main);
    evil.connect(victim.id, &victim.address);
    evil.is_banned_by(victim.id, &victim.address);
    victim.logs(&["is on another network"]);
    victim.must_be_unharmed("another network");
}

/// It claims a million blocks and shows none of them, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_lies_about_its_height_is_banned_and_not_believed() {
    let victim = Victim::start("test", &[]);
    let lie = |number: u8| Hello {
        tip: Hash([number; 32]),
        height: 1_000_000,
        work: 1 << 100,
        ..honest_hello()
    };
    let evil = claiming(lie(1), &victim, |request| match request {
        Request::Headers { .. } => Some(Raw::frame(&Response::Headers(Vec::new()))),
        _ => None,
    });
    // A claim that comes while the one before is looked into takes its place: one at a time, until
    // there are enough of them.
    let mut score = 0;
    for number in 2..10 {
        let after = wait::until("a lie that is noticed", || match victim.peer(evil.id) {
            _ if evil.closed() >= evil.connected() => Some(None),
            peer => {
                peer.and_then(|peer| peer["score"].as_i64()).filter(|now| *now < score).map(Some)
            }
        });
        match after {
            Some(after) => score = after,
            None => break,
        }
        evil.ask(victim.id, Raw::frame(&Request::Hello(lie(number))));
    }
    evil.is_banned_by(victim.id, &victim.address);
    victim.logs(&["is refused", "Lied"]);
    let status = victim.status();
    assert_eq!(status["sync"]["target"], 0, "{status}");
    victim.must_be_unharmed("a lie about the height");
}

/// Headers as many as an answer holds, each with everything but work.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_flood_of_headers_without_work_ends_in_a_ban() {
    let victim = Victim::start("test", &[]);
    let chain = Chain::open(NETWORK, Arc::new(MemoryStorage::default())).expect("a chain");
    let first =
        chain.assemble_block(std::iter::empty(), honest_hello().time).expect("a block").header;
    let mut headers = vec![first];
    while headers.len() < 2_000 {
        let last: &Header = headers.last().expect("one");
        let next = Header {
            height: last.height + 1,
            previous: last.id(NETWORK),
            time: last.time + 1,
            ..last.clone()
        };
        headers.push(next);
    }
    let frame = Raw::frame(&Response::Headers(headers.clone()));
    let last = headers.last().expect("one").id(NETWORK);
    let claim = Hello { tip: last, height: 2_000, work: 1 << 60, ..honest_hello() };
    let evil = claiming(claim, &victim, move |request| match request {
        Request::Headers { .. } => Some(frame.clone()),
        _ => None,
    });
    evil.is_banned_by(victim.id, &victim.address);
    victim.logs(&["is refused", "BrokenRule"]);
    assert!(evil.asked().iter().any(|asked| matches!(asked, Request::Headers { .. })));
    victim.must_be_unharmed("headers without work");
}

/// A clock a year ahead: nobody's fault, and nothing changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_clock_far_off_moves_nothing() {
    let victim = Victim::start("test", &[]);
    let honest = honest_hello();
    let off = Hello { time: honest.time + 365 * 86_400, ..honest };
    let evil = claiming(off.clone(), &victim, |_| None);
    let _stays = Evil::new(Manners { network: NETWORK, answers: saying(off) });
    let peer = wait::until("a greeted peer", || {
        victim.peer(evil.id).filter(|peer| peer["height"].is_u64())
    });
    assert_eq!(peer["score"], 0, "{peer}");
    assert!(victim.status()["synced"].is_boolean());
    let honest = polite(NETWORK);
    honest.connect(victim.id, &victim.address);
    greet(&honest, &victim, NETWORK);
    assert_eq!(evil.closed(), 0);
    victim.must_be_unharmed("a clock far off");
}
