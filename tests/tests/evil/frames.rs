//! Frames that are too long, too short, too slow, or never come.

use std::time::Duration;

use namechain_core::{
    codec::Encode,
    sync::message::{Request, Response},
    types::Network,
};
use tests::wait;

use crate::{
    peer::{Evil, Manners, Raw, hello},
    requests::{genesis, greet, polite},
    victim::Victim,
};

/// Answers hello with `raw`.
fn answering_hello_with(raw: Raw) -> Evil {
    Evil::new(Manners { network: Network::Test, answers: Box::new(move |_| Some(raw.clone())) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn oversized_requests_are_refused_unread_and_end_in_a_ban() {
    let victim = Victim::start("test", &[]);
    let evil = polite(Network::Test);
    evil.connect(victim.id, &victim.address);
    greet(&evil, &victim, Network::Test);
    let long = Raw::bytes([&u32::MAX.to_be_bytes()[..], &vec![0; 8 << 20]].concat());
    for _ in 0..4 {
        evil.ask(victim.id, long.clone());
    }
    evil.is_banned_by(victim.id, &victim.address);
    let bytes = victim.metric("namechain_net_bytes_total", &["direction=\"in\""]);
    assert!(bytes < 4 << 20, "{bytes} bytes were read of 32 MiB");
    victim.must_be_unharmed("oversized requests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn truncated_requests_end_in_a_ban() {
    let victim = Victim::start("test", &[]);
    let evil = polite(Network::Test);
    evil.connect(victim.id, &victim.address);
    greet(&evil, &victim, Network::Test);
    let mut cut = Raw::frame(&Request::Blocks { ids: vec![genesis(Network::Test); 100] });
    cut.bytes.truncate(1_000);
    for _ in 0..2 {
        evil.ask(victim.id, cut.clone());
    }
    evil.is_banned_by(victim.id, &victim.address);
    victim.must_be_unharmed("truncated requests");
}

/// The node dials nobody by itself here, so it asks only after it was greeted: with a hello of its
/// own that promises work, it wants headers, and gets these.
fn promising(answer: impl Fn() -> Raw + Send + 'static) -> Evil {
    let network = Network::Test;
    let mut claim = hello(network, genesis(network));
    (claim.tip, claim.height, claim.work) =
        (namechain_core::types::Hash([9; 32]), 5_000, u128::MAX >> 8);
    let ours = claim.clone();
    Evil::new(Manners {
        network,
        answers: Box::new(move |request| match request {
            Request::Hello(_) => Some(Raw::frame(&Response::Hello(ours.clone()))),
            _ => Some(answer()),
        }),
    })
}

/// Says hello with a promise, as [`promising`] does.
fn promise(evil: &Evil, victim: &Victim) {
    let mut claim = hello(Network::Test, genesis(Network::Test));
    (claim.tip, claim.height, claim.work) =
        (namechain_core::types::Hash([9; 32]), 5_000, u128::MAX >> 8);
    evil.ask(victim.id, Raw::frame(&Request::Hello(claim)));
}

/// Promises again after each answer, as long as it is let.
fn until_banned(evil: &Evil, victim: &Victim) {
    wait::until("a ban", || {
        if evil.closed() < evil.connected() {
            promise(evil, victim);
            std::thread::sleep(Duration::from_millis(200));
            return None;
        }
        Some(())
    });
    evil.is_banned_by(victim.id, &victim.address);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_oversized_answer_is_refused_unread_and_ends_in_a_ban() {
    let victim = Victim::start("test", &[]);
    let evil =
        promising(|| Raw::bytes([&0x7fff_ffff_u32.to_be_bytes()[..], &vec![0; 8 << 20]].concat()));
    evil.connect(victim.id, &victim.address);
    until_banned(&evil, &victim);
    let bytes = victim.metric("namechain_net_bytes_total", &["direction=\"in\""]);
    assert!(bytes < 4 << 20, "{bytes} bytes were read");
    victim.must_be_unharmed("oversized answers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_truncated_answer_ends_in_a_ban() {
    let victim = Victim::start("test", &[]);
    let evil = promising(|| {
        let whole = Response::Headers(Vec::new()).to_bytes();
        Raw::bytes([&(whole.len() as u32 + 160).to_be_bytes()[..], &whole].concat())
    });
    evil.connect(victim.id, &victim.address);
    until_banned(&evil, &victim);
    victim.must_be_unharmed("truncated answers");
}

/// More streams than a peer may have, each a byte at a time: others are served, and in the end the
/// node gives up on them.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn frames_a_byte_at_a_time_are_given_up() {
    let victim = Victim::start("test", &[]);
    let evil = polite(Network::Test);
    evil.connect(victim.id, &victim.address);
    greet(&evil, &victim, Network::Test);
    let mut slow = Raw::frame(&Request::Blocks { ids: vec![genesis(Network::Test); 128] });
    slow.pause = Some(Duration::from_millis(100));
    for _ in 0..100 {
        evil.ask(victim.id, slow.clone());
    }
    let honest = polite(Network::Test);
    honest.connect(victim.id, &victim.address);
    greet(&honest, &victim, Network::Test);
    wait::until("the end of all slow frames", || (evil.failed() >= 100).then_some(()));
    let slow = victim.metric("namechain_net_requests_total", &["outcome=\"slow\""]);
    assert!((8..=64).contains(&slow), "{slow} were waited for");
    evil.is_banned_by(victim.id, &victim.address);
    victim.must_be_unharmed("frames a byte at a time");
}

/// It answers nothing at all, hello neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_is_silent_after_connecting_is_hung_up_on() {
    let victim = Victim::start("test", &[]);
    let evil = Evil::new(Manners { network: Network::Test, answers: Box::new(|_| None) });
    evil.connect(victim.id, &victim.address);
    evil.is_hung_up_on();
    victim.must_be_unharmed("silence");
}

/// A hello that is no hello.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_hello_that_is_another_answer_is_no_hello() {
    let victim = Victim::start("test", &[]);
    let evil = answering_hello_with(Raw::frame(&Response::Pending(Vec::new())));
    evil.connect(victim.id, &victim.address);
    evil.is_hung_up_on();
    victim.must_be_unharmed("a hello that is none");
}
