//! Peers that ask for much and take nothing of it: what is made for them is bounded, and given up
//! in time.

use std::{io, time::Duration};

use futures::{AsyncRead, AsyncWrite, AsyncWriteExt, StreamExt, future};
use libp2p::{
    StreamProtocol, Swarm, SwarmBuilder, noise, ping,
    request_response::{Behaviour, Codec, Config, ProtocolSupport},
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};

use super::common::{Node, PATIENCE, hello};
use crate::net::limits::{self, Limits};
use namechain_core::{
    codec::Encode,
    sync::{
        Event, Misbehavior,
        message::{MAX_RESPONSE_BYTES, Request, Response},
    },
    types::Hash,
};

/// Asks, and never reads.
#[derive(Clone)]
struct Deaf;

impl Codec for Deaf {
    type Protocol = StreamProtocol;
    type Request = Request;
    type Response = ();

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
    ) -> io::Result<Request> {
        future::pending().await
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
    ) -> io::Result<()> {
        future::pending().await
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Request,
    ) -> io::Result<()> {
        let bytes = request.to_bytes();
        io.write_all(&(bytes.len() as u32).to_be_bytes()).await?;
        io.write_all(&bytes).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        (): (),
    ) -> io::Result<()> {
        Ok(())
    }
}

#[derive(NetworkBehaviour)]
struct Both {
    ping: ping::Behaviour,
    requests: Behaviour<Deaf>,
}

fn deaf() -> Swarm<Both> {
    let protocol = StreamProtocol::new("/namechain/dev/sync/1");
    let config = Config::default().with_request_timeout(Duration::from_secs(300));
    let requests = Behaviour::with_codec(Deaf, [(protocol, ProtocolSupport::Full)], config);
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .expect("a transport")
        .with_behaviour(|_| Both { ping: ping::Behaviour::default(), requests })
        .expect("a behaviour")
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(300)))
        .build()
}

/// Connects, says hello and asks for as many blocks as there can be, so often.
fn ask_for_much(node: &Node, times: usize) -> tokio::task::JoinHandle<()> {
    let mut swarm = deaf();
    swarm.dial(node.address()).expect("dialled");
    tokio::spawn(async move {
        loop {
            if let SwarmEvent::ConnectionEstablished { peer_id, .. } =
                swarm.select_next_some().await
            {
                swarm.behaviour_mut().requests.send_request(&peer_id, Request::Hello(hello()));
                for _ in 0..times {
                    let request = Request::Blocks { ids: vec![Hash([1; 32]); 16] };
                    swarm.behaviour_mut().requests.send_request(&peer_id, request);
                }
            }
        }
    })
}

#[tokio::test]
async fn answers_that_nobody_takes_are_bounded_and_given_up() {
    let limits = Limits { request_within: Duration::from_secs(4), ..Limits::default() };
    let mut node = Node::with(|config| config.limits = limits).await;
    let large = Response::Blocks(vec![vec![7; 256 * 1024]; 8]);
    *node.fake.answer.lock().expect("no panic") = Some(large.clone());
    let deaf: Vec<_> = (0..6).map(|_| ask_for_much(&node, 20)).collect();
    // Six ask for 20 answers each. No more are made than there is room for.
    for _ in 0..6 {
        let greeted = node.wait("greeting", |event| match event {
            Event::HelloReceived { peer, .. } => Some(*peer),
            _ => None,
        });
        greeted.await;
    }
    let late = node.wait("somebody who takes nothing", |event| match event {
        Event::PeerMisbehaved { peer, misbehavior: Misbehavior::Silent } => Some(*peer),
        _ => None,
    });
    late.await;
    let made = node.fake.asked.lock().expect("no panic").len();
    // Room is set aside for the largest, and what is not used of it is given back.
    let most = limits::ANSWERS_KIB * 1024 / large.to_bytes().len();
    assert!((8..=most).contains(&made), "{made} of 120 were made, {most} have room");
    assert!(made * MAX_RESPONSE_BYTES < 64 << 20);
    // What was given up is room for others: one who listens is answered.
    deaf.iter().for_each(tokio::task::JoinHandle::abort);
    let mut other = Node::joining(&[&node]).await;
    let peer = other.greet().await;
    let answered = async {
        loop {
            match other.answer(peer, Request::Blocks { ids: vec![Hash([1; 32]); 8] }).await {
                Response::Busy => tokio::time::sleep(Duration::from_millis(50)).await,
                answer => return answer,
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, answered).await.expect("in time"), large);
}

/// A peer that takes all it gets is given so much at once, and then so much a second: the rest is
/// `Busy`.
#[tokio::test]
async fn what_a_peer_is_sent_is_bounded_by_the_second() {
    let large = Response::Blocks(vec![vec![7; 256 * 1024]; 8]);
    let kib = large.to_bytes().len().div_ceil(1024) as u32;
    let request = Request::Blocks { ids: vec![Hash([1; 32]); 8] };
    // Three, and room for the largest that there can be, which is more than these take.
    let answer_kib_at_once = 2 * kib + limits::room_kib(&request);
    let limits = Limits { answer_kib_at_once, answer_kib_per_second: 0, ..Limits::default() };
    let mut node = Node::with(|config| config.limits = limits).await;
    let mut greedy = Node::joining(&[&node]).await;
    let (_, at_node) = tokio::join!(node.greet(), greedy.greet());
    *node.fake.answer.lock().expect("no panic") = Some(large);
    let mut busy = Vec::new();
    for _ in 0..8 {
        busy.push(greedy.answer(at_node, request.clone()).await == Response::Busy);
    }
    assert_eq!(busy, [false, false, false, true, true, true, true, true]);
}
