//! One thread, one socket: the loop that answers.
//!
//! ```text
//! wait -> take a batch -> each: shape -> cache -> reply | upstream | slow path -> send the batch -> take the next, if it was full
//! ```
//!
//! It waits only when nothing is there, and a batch is what is there: one query alone is answered at once.

use std::{
    future::Future,
    io,
    net::UdpSocket,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        eventfd::EventFd,
    },
};
use tokio::runtime::Handle;

use super::{
    batch::Batch,
    hit::{Asked, Moment, Outcome},
    misses::{Landed, Misses},
    shape::MAX_QUESTION,
    socket::{Outbox, Peer, send_one},
};
use crate::{
    query::{Client, Transport},
    respond::Responder,
};

const STOP: u64 = 0;
const QUERIES: u64 = 1;
const FIRST_PORT: u64 = 2;
/// How many events are taken at a time.
const EVENTS: usize = 32;
/// How many full batches are taken before the upstreams' replies have their turn.
const MAX_BATCHES: usize = 8;

/// What a worker needs.
pub struct Worker {
    socket: Arc<UdpSocket>,
    responder: Arc<Responder>,
    runtime: Handle,
    epoll: Epoll,
    outbox: Outbox,
    misses: Misses,
    landed: Vec<Landed>,
}

impl Worker {
    /// A worker on a socket, which ends when `stop` is written to.
    pub fn new(
        socket: UdpSocket,
        responder: Arc<Responder>,
        runtime: Handle,
        stop: &EventFd,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(stop, EpollEvent::new(EpollFlags::EPOLLIN, STOP))?;
        epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, QUERIES))?;
        Ok(Self {
            outbox: Outbox::new(&socket)?,
            socket: Arc::new(socket),
            responder,
            runtime,
            epoll,
            misses: Misses::new(FIRST_PORT),
            landed: Vec::new(),
        })
    }

    /// Answers until it is told to stop.
    ///
    /// # Errors
    /// What the system says when it can't be waited or received any more.
    pub fn run(mut self) -> io::Result<()> {
        // The slow path's timers and tasks are the runtime's.
        let runtime = self.runtime.clone();
        let _entered = runtime.enter();
        let mut batch = Batch::new(&self.socket)?;
        let mut events = [EpollEvent::empty(); EVENTS];
        loop {
            let count = match self.epoll.wait(&mut events, self.patience()) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(error) => return Err(error.into()),
            };
            let mut queries = false;
            for event in &events[..count] {
                match event.data() {
                    STOP => return Ok(()),
                    QUERIES => queries = true,
                    port => self.upstream(port),
                }
            }
            if self.misses.deadline().is_some() {
                self.expire();
            }
            if queries {
                self.queries(&mut batch)?;
            }
        }
    }

    /// How long there is nothing to do by itself.
    fn patience(&self) -> EpollTimeout {
        let Some(deadline) = self.misses.deadline() else { return EpollTimeout::NONE };
        let left = deadline.saturating_sub(self.now()) + Duration::from_millis(1);
        EpollTimeout::try_from(left).unwrap_or(EpollTimeout::MAX)
    }

    fn now(&self) -> Duration {
        self.responder.pipeline().legacy.now()
    }

    fn queries(&mut self, batch: &mut Batch) -> io::Result<()> {
        for _ in 0..MAX_BATCHES {
            let full = batch.receive(&self.socket)?;
            let responder = self.responder.clone();
            batch.read(&responder);
            let moment = moment(&responder, self.now());
            for (datagram, peer, asked) in batch.queries() {
                self.query(&moment, datagram, peer, asked.as_ref());
            }
            self.outbox.send(&self.socket);
            if !full {
                break;
            }
        }
        Ok(())
    }

    fn query(&mut self, moment: &Moment<'_>, datagram: &[u8], peer: &Peer, asked: Option<&Asked<'_>>) {
        let Some(asked) = asked else { return self.slow(datagram, peer) };
        match moment.answer(asked, self.outbox.next(&self.socket)) {
            Outcome::Reply(length) => self.outbox.push(length, peer),
            Outcome::ReplyAndFetch(length) => {
                self.outbox.push(length, peer);
                self.forward(moment, asked, None);
            }
            Outcome::Forward => {
                if !self.forward(moment, asked, Some(peer)) {
                    self.slow(datagram, peer);
                }
            }
            Outcome::Slow => self.slow(datagram, peer),
        }
    }

    fn forward(&mut self, moment: &Moment<'_>, asked: &Asked<'_>, peer: Option<&Peer>) -> bool {
        let legacy = &moment.pipeline.legacy;
        let started = self.misses.start(asked, peer, legacy, &self.epoll, moment.now);
        if started && peer.is_some() {
            legacy.cache().missed(&asked.probe());
        }
        started
    }

    /// What upstreams have said.
    fn upstream(&mut self, event: u64) {
        let (responder, now) = (self.responder.clone(), self.now());
        self.misses.readable(event, &responder.pipeline().legacy, now, &mut self.landed);
        self.give_out();
    }

    fn expire(&mut self) {
        let (responder, now) = (self.responder.clone(), self.now());
        self.misses.expire(&responder.pipeline().legacy, now, &mut self.landed);
        self.give_out();
    }

    /// Gives those who waited what there is for them.
    fn give_out(&mut self) {
        if self.landed.is_empty() {
            return;
        }
        let responder = self.responder.clone();
        let moment = moment(&responder, self.now());
        let mut lower = [0; MAX_QUESTION];
        for landed in std::mem::take(&mut self.landed) {
            let (answer, waiters) = match landed {
                Landed::Answer(answer, waiters) => (Some(answer), waiters),
                Landed::Slow(waiters) => (None, waiters),
            };
            for waiter in waiters {
                let asked = waiter.asked(&mut lower);
                let outcome = answer
                    .as_ref()
                    .map(|answer| asked.reply_from(answer, &moment, self.outbox.next(&self.socket)));
                match outcome {
                    Some(Outcome::Reply(length)) => self.outbox.push(length, &waiter.peer),
                    _ => self.slow(&waiter.datagram, &waiter.peer),
                }
            }
        }
        self.outbox.send(&self.socket);
    }

    /// The slow path: here and now as far as it goes without waiting, and in a task of its own from there.
    fn slow(&mut self, datagram: &[u8], peer: &Peer) {
        let Some(address) = peer.ip() else { return };
        let client = Client { address, transport: Transport::Udp };
        let (responder, bytes) = (self.responder.clone(), datagram.to_vec());
        let mut answer: Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>> =
            Box::pin(async move { responder.respond_to_bytes(&bytes, client).await });
        match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(reply)) => send_one(&self.socket, &reply, peer),
            Poll::Ready(None) => {}
            // How many there are at a time is the responder's to say: above that it does not wait.
            Poll::Pending => {
                let (socket, peer) = (self.socket.clone(), *peer);
                self.runtime.spawn(async move {
                    if let Some(reply) = answer.await {
                        send_one(&socket, &reply, &peer);
                    }
                });
            }
        }
    }
}

fn moment(responder: &Responder, now: Duration) -> Moment<'_> {
    let pipeline = responder.pipeline();
    Moment { pipeline, now, epoch: pipeline.chain.epoch() }
}
