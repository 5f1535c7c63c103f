//! Too many requests, and requests that are none.

use namechain_core::{
    sync::message::{Request, Response},
    types::Network,
};
use tests::wait;

use crate::{
    peer::{Evil, Manners, Raw, hello, saying},
    victim::Victim,
};

/// The genesis block's id, as the node says it.
pub fn genesis(network: Network) -> namechain_core::types::Hash {
    let storage = std::sync::Arc::new(namechain_core::chain::MemoryStorage::default());
    namechain_core::chain::Chain::open(network, storage).expect("a chain").tip_id()
}

/// A peer that behaves, so far.
pub fn polite(network: Network) -> Evil {
    let hello = hello(network, genesis(network));
    Evil::new(Manners { network, answers: saying(hello) })
}

/// Says hello and waits for the answer.
pub fn greet(evil: &Evil, victim: &Victim, network: Network) {
    let before = evil.answers().len();
    evil.ask(victim.id, Raw::frame(&Request::Hello(hello(network, genesis(network)))));
    wait::until("an answer to hello", || (evil.answers().len() > before).then_some(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_flood_of_requests_is_answered_so_far_and_then_refused() {
    let network = Network::Test;
    let victim = Victim::start("test", &[]);
    let evil = polite(network);
    evil.connect(victim.id, &victim.address);
    let flood = Raw::frame(&Request::Hello(hello(network, genesis(network))));
    // In waves: what the engine has queued on this side is not the node's to bear.
    for wave in 1..=400 {
        (0..25).for_each(|_| evil.ask(victim.id, flood.clone()));
        wait::until("outcomes of a wave", || {
            let outcomes = evil.answers().len() + evil.busy() + evil.failed();
            (outcomes >= wave * 25).then_some(())
        });
        if evil.closed() > 0 {
            break;
        }
    }
    evil.is_banned_by(victim.id, &victim.address);
    let answered =
        evil.answers().iter().filter(|answer| matches!(answer, Response::Hello(_))).count();
    assert!(evil.busy() >= 300, "{} were told that it is busy", evil.busy());
    assert!(answered <= 2_000, "{answered} were answered");
    victim.logs(&["floods us"]);
    assert!(victim.metric("namechain_net_requests_total", &["outcome=\"over\""]) >= 300);
    victim.must_be_unharmed("a flood of requests");
}

/// Those that cost the node most, side by side, by several.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_flood_of_costly_requests_by_many_leaves_time_for_others() {
    let network = Network::Test;
    let victim = Victim::start("test", &[]);
    let id = genesis(network);
    let costly = [
        Raw::frame(&Request::Blocks { ids: vec![id; 128] }),
        Raw::frame(&Request::Headers { locator: vec![namechain_core::types::Hash::ZERO; 64] }),
        Raw::frame(&Request::Pending),
        Raw::frame(&Request::Operations { ids: vec![id; 256] }),
    ];
    let many: Vec<Evil> = (0..8).map(|_| polite(network)).collect();
    for evil in &many {
        evil.connect(victim.id, &victim.address);
        greet(evil, &victim, network);
        for raw in costly.iter().cycle().take(3_000) {
            evil.ask(victim.id, raw.clone());
        }
    }
    let honest = polite(network);
    honest.connect(victim.id, &victim.address);
    greet(&honest, &victim, network);
    honest.ask(victim.id, Raw::frame(&Request::Headers { locator: vec![id] }));
    wait::until("an answer among the flood", || {
        honest.answers().iter().any(|answer| matches!(answer, Response::Headers(_))).then_some(())
    });
    for evil in &many {
        wait::until("outcomes", || {
            (evil.answers().len() + evil.busy() + evil.failed() >= 3_000 || evil.closed() > 0)
                .then_some(())
        });
    }
    victim.must_be_unharmed("a flood of costly requests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn requests_that_can_not_be_read_end_in_a_ban() {
    let victim = Victim::start("test", &[]);
    let evil = polite(Network::Test);
    evil.connect(victim.id, &victim.address);
    greet(&evil, &victim, Network::Test);
    for _ in 0..2 {
        evil.ask(victim.id, Raw::bytes(vec![0, 0, 0, 3, 77, 77, 77]));
    }
    evil.is_banned_by(victim.id, &victim.address);
    victim.logs(&["is refused", "Malformed"]);
    victim.must_be_unharmed("requests that can't be read");
}
