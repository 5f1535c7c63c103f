//! Too many connections, begun or whole.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use namechain_core::types::Network;
use tests::wait;

use crate::{
    peer::Evil,
    requests::{greet, polite},
    victim::Victim,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn no_more_connect_than_may() {
    let victim = Victim::start("test", &["--max-peers", "16"]);
    let many: Vec<Evil> = (0..120).map(|_| polite(Network::Test)).collect();
    for evil in &many {
        evil.dial(victim.id, &victim.address);
    }
    let mut most = 0;
    wait::until("outcomes of all dials, and as many as may", || {
        most = most.max(victim.peers().len());
        let over = many.iter().all(|evil| evil.connected() + evil.refused() > 0);
        (over && most >= 16).then_some(())
    });
    assert_eq!(most, 16);
    // Who lost the place to another hears of it a moment later.
    let stand = || many.iter().filter(|evil| evil.connected() > evil.closed()).count();
    wait::until("no more than have a place are connected", || (stand() <= 16).then_some(()));
    // Who finds no place is refused, or takes the place of another one.
    let counted = |reason: &str| {
        victim.metric("namechain_net_refused_total", &[&format!("reason=\"{reason}\"")])
    };
    let (full, evicted) = (counted("full"), counted("evicted"));
    assert!(full + evicted >= 60, "{full} refused, {evicted} evicted");
    // They go, and there is room again.
    drop(many);
    wait::until("room", || victim.peers().is_empty().then_some(()));
    let honest = polite(Network::Test);
    honest.connect(victim.id, &victim.address);
    greet(&honest, &victim, Network::Test);
    victim.must_be_unharmed("a flood of connections");
}

/// Connections that never say a word: few are waited for, and not for long.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn connections_that_say_nothing_keep_nobody_out() {
    let victim = Victim::start("test", &[]);
    let mut mute: Vec<TcpStream> = (0..400)
        .map(|_| {
            let stream = TcpStream::connect(victim.socket()).expect("it listens");
            stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
            stream
        })
        .collect();
    let open = |stream: &mut TcpStream| match stream.read(&mut [0; 256]) {
        Ok(0) => false,
        Ok(_) => true,
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    };
    wait::until("most are closed", || {
        mute.retain_mut(open);
        (mute.len() <= 32).then_some(())
    });
    wait::until("all are closed", || {
        mute.retain_mut(open);
        mute.is_empty().then_some(())
    });
    let honest = polite(Network::Test);
    honest.connect(victim.id, &victim.address);
    greet(&honest, &victim, Network::Test);
    victim.must_be_unharmed("connections that say nothing");
}

/// Noise that is none: whatever is sent instead of the handshake.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_no_handshake_is_hung_up_on() {
    let victim = Victim::start("test", &[]);
    let begun = (0..24usize).map(|at| {
        let mut stream = TcpStream::connect(victim.socket()).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        // Too long, or like a request of the web.
        let bytes =
            if at % 2 == 0 { vec![0xff; 70_000] } else { b"GET / HTTP/1.1\r\n\r\n".to_vec() };
        // It may have hung up before all of it was sent.
        let _ = stream.write_all(&bytes);
        stream
    });
    for stream in begun.collect::<Vec<_>>() {
        let mut answer = Vec::new();
        match stream.take(4_096).read_to_end(&mut answer) {
            Ok(read) => assert!(read < 4_096, "it goes on"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
    }
    let honest = polite(Network::Test);
    honest.connect(victim.id, &victim.address);
    greet(&honest, &victim, Network::Test);
    victim.must_be_unharmed("what is no handshake");
}
