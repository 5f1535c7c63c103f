//! A worker: one thread with one socket, and its loop.
//!
//! ```text
//! wait for a batch -> each: shape -> cache -> reply | upstream | slow path -> send the batch -> take the next, if it was full
//! ```
//!
//! It waits only when nothing has arrived, and a batch is whatever has arrived: a single query is
//! answered at once.

use std::{
    cell::RefCell,
    future::Future,
    io,
    net::{Shutdown, UdpSocket},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        eventfd::{EfdFlags, EventFd},
    },
};
use socket2::SockRef;
use tokio::{runtime::Handle, sync::mpsc, time::timeout};

use super::{
    batch::Batch,
    lookup::{BatchContext, FastOutcome, FastQuery},
    pending::{Completed, PendingQueries},
    query::MAX_QUESTION_BYTES,
    root_labels::RootLabels,
    shared_flights::SharedFlights,
    socket::{Outbox, Peer, send_one},
};
use crate::{
    dns::query::{Client, Transport},
    server::{handle::ResponderHandle, responder::Responder},
    telemetry::{Counters, Origin},
};

const STOP: u64 = 0;
const QUERIES: u64 = 1;
const FIRST_PORT: u64 = 2;
/// The most events that are taken at a time.
const EVENTS: usize = 32;
/// How many full batches are served before the upstreams' replies are read.
const MAX_BATCHES: usize = 8;
/// How long received queries may still be answered after a stop.
const GRACE: Duration = Duration::from_secs(2);

/// The signal for workers to stop.
pub struct Stop {
    flag: AtomicBool,
    event: EventFd,
}

impl Stop {
    /// Not stopped yet.
    pub fn new() -> io::Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { flag: AtomicBool::new(false), event })
    }

    /// Tells the workers on these sockets to stop. Shutting its socket down wakes a worker that
    /// waits for a query in the kernel; the kernel reports an error for a socket without a peer,
    /// but does it. A socket that another process has too is left alone, because it would stay shut
    /// down there; its worker waits where the event wakes it.
    pub fn stop(&self, sockets: &[WorkerSocket]) -> io::Result<()> {
        self.flag.store(true, Ordering::Release);
        self.event.write(1)?;
        for WorkerSocket { socket, .. } in sockets.iter().filter(|socket| !socket.is_inherited) {
            let _ = SockRef::from(socket).shutdown(Shutdown::Read);
        }
        Ok(())
    }
}

/// The socket of a worker, in blocking mode.
#[derive(Debug)]
pub struct WorkerSocket {
    /// The socket.
    pub socket: UdpSocket,
    /// Whether another process (the service manager) has the socket open too, for the next process
    /// here.
    pub is_inherited: bool,
}

impl WorkerSocket {
    /// The same socket for another worker.
    ///
    /// # Errors
    /// If there is no file descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()?, is_inherited: self.is_inherited })
    }
}

/// The state of a worker.
pub struct Worker {
    socket: Arc<UdpSocket>,
    /// Whether it may wait for queries in the receive call itself.
    may_block: bool,
    current: ResponderHandle,
    /// The responder, and the [`ResponderHandle::version`] at which it was read.
    responder: Arc<Responder>,
    version: u64,
    /// What is known of last labels with this responder.
    root_labels: Rc<RefCell<RootLabels>>,
    /// Cloned into every slow answer in progress.
    working: mpsc::Sender<()>,
    done: mpsc::Receiver<()>,
    runtime: Handle,
    stop: Arc<Stop>,
    epoll: Epoll,
    outbox: Outbox,
    pending: PendingQueries,
    completed: Vec<Completed>,
    counters: Arc<Counters>,
}

impl Worker {
    /// A worker on a socket. Its `number` is that among the workers that have `shared` in common.
    pub fn new(
        WorkerSocket { socket, is_inherited }: WorkerSocket,
        (shared, number): (Arc<SharedFlights>, usize),
        current: ResponderHandle,
        runtime: Handle,
        stop: Arc<Stop>,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&stop.event, EpollEvent::new(EpollFlags::EPOLLIN, STOP))?;
        // Of several workers that share a socket, one has to wake up for a query.
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE;
        epoll.add(&socket, EpollEvent::new(flags, QUERIES))?;
        let (working, done) = mpsc::channel(1);
        let (version, responder) = (current.version(), current.get());
        let counters = responder.telemetry().new_counters();
        Ok(Self {
            outbox: Outbox::default(),
            socket: Arc::new(socket),
            may_block: !is_inherited,
            current,
            responder,
            version,
            root_labels: Rc::default(),
            working,
            done,
            runtime,
            stop,
            epoll,
            pending: PendingQueries::new(FIRST_PORT, shared, number),
            completed: Vec::new(),
            counters,
        })
    }

    /// Serves until it is told to stop; then answers what has been received, for at most [`GRACE`].
    ///
    /// # Errors
    /// The operating system's error, if it can't wait or receive any more.
    pub fn run(mut self) -> io::Result<()> {
        // The slow path uses the runtime's timers and tasks.
        let runtime = self.runtime.clone();
        let _entered = runtime.enter();
        let mut batch = Batch::new(&self.socket)?;
        while !self.stop.flag.load(Ordering::Acquire) {
            // With nothing else to wait for, it waits in the receive call, which saves one system
            // call.
            let wait = self.may_block && self.pending.is_idle();
            if wait || self.events(None)? {
                self.queries(&mut batch, wait)?;
            }
        }
        let end = self.now() + GRACE;
        self.epoll.delete(&self.stop.event)?;
        self.epoll.delete(&*self.socket)?;
        while self.queries(&mut batch, false)? && self.now() < end {}
        while !self.pending.is_idle() && self.now() < end {
            self.events(Some(end))?;
        }
        let left = end.saturating_sub(self.now());
        drop(self.working);
        // Nothing is ever sent: the channel closes when the last sender is dropped.
        let _ = runtime.block_on(async { timeout(left, self.done.recv()).await });
        Ok(())
    }

    /// Takes the current responder.
    fn refresh_responder(&mut self) {
        let version = self.current.version();
        if version != self.version {
            (self.version, self.responder) = (version, self.current.get());
            self.root_labels.take();
        }
    }

    /// Waits for events, at most until `end`, and handles those of upstreams; whether there are
    /// queries.
    fn events(&mut self, end: Option<Duration>) -> io::Result<bool> {
        let mut events = [EpollEvent::empty(); EVENTS];
        let count = match self.epoll.wait(&mut events, self.wait_time(end)) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        self.refresh_responder();
        let responder = self.responder.clone();
        let (legacy, now) = (&responder.pipeline().legacy, self.now());
        let mut queries = false;
        for event in &events[..count] {
            match event.data() {
                STOP => {}
                QUERIES => queries = true,
                port => self.pending.readable(port, legacy, now, &mut self.completed),
            }
        }
        self.pending.expire(legacy, now, &mut self.completed);
        self.send_completed(&responder);
        Ok(queries)
    }

    /// How long it may wait for events.
    fn wait_time(&self, end: Option<Duration>) -> EpollTimeout {
        let Some(deadline) = self.pending.deadline().into_iter().chain(end).min() else {
            return EpollTimeout::NONE;
        };
        let left = deadline.saturating_sub(self.now()) + Duration::from_millis(1);
        EpollTimeout::try_from(left).unwrap_or(EpollTimeout::MAX)
    }

    fn now(&self) -> Duration {
        self.responder.now()
    }

    /// Receives and answers queries; whether there may be more. With `wait` it waits for the first.
    fn queries(&mut self, batch: &mut Batch, wait: bool) -> io::Result<bool> {
        for at in 0..MAX_BATCHES {
            let full = batch.receive(&self.socket, wait && at == 0, &self.stop.flag)?;
            self.refresh_responder();
            let responder = self.responder.clone();
            batch.read(&responder);
            let root_labels = self.root_labels.clone();
            let context = BatchContext::new(&responder, &root_labels);
            for (datagram, peer, asked) in batch.queries() {
                self.query(&context, datagram, peer, asked.as_ref());
            }
            self.outbox.send(&self.socket);
            self.pending.flush(&mut self.completed);
            self.send_completed(&responder);
            if !full {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn query(
        &mut self,
        context: &BatchContext<'_>,
        datagram: &[u8],
        peer: &Peer,
        asked: Option<&FastQuery<'_>>,
    ) {
        let Some(asked) = asked else { return self.slow(datagram, peer) };
        match context.answer(asked, self.outbox.next(&self.socket)) {
            FastOutcome::Reply(length, origin) => self.push(asked, origin, length, peer, None),
            FastOutcome::ReplyAndFetch(length, origin) => {
                self.push(asked, origin, length, peer, None);
                self.forward(context, asked, None);
            }
            FastOutcome::Forward => {
                if !self.forward(context, asked, Some(peer)) {
                    self.slow(datagram, peer);
                }
            }
            FastOutcome::Slow => self.slow(datagram, peer),
        }
    }

    /// Sends the reply in the outbox's buffer, and counts it.
    fn push(
        &mut self,
        asked: &FastQuery<'_>,
        origin: Origin,
        length: usize,
        peer: &Peer,
        took: Option<Duration>,
    ) {
        let reply = &self.outbox.next(&self.socket)[..length];
        self.responder.telemetry().record_fast(
            &self.counters,
            peer.ip(),
            asked.lower,
            origin,
            reply,
            took,
        );
        self.outbox.push(length, peer);
    }

    fn forward(
        &mut self,
        context: &BatchContext<'_>,
        asked: &FastQuery<'_>,
        peer: Option<&Peer>,
    ) -> bool {
        let legacy = &context.pipeline.legacy;
        let started = self.pending.start(asked, peer, legacy, &self.epoll, context.now);
        if started && peer.is_some() {
            context.cache.record_miss(asked.hash);
        }
        started
    }

    /// Sends the answers to clients that waited for upstreams.
    fn send_completed(&mut self, responder: &Responder) {
        if self.completed.is_empty() {
            return;
        }
        let root_labels = self.root_labels.clone();
        let context = BatchContext::new(responder, &root_labels);
        let mut lower = [0; MAX_QUESTION_BYTES];
        for completed in std::mem::take(&mut self.completed) {
            let (answer, waiters) = match completed {
                Completed::Answer { answer, alias, waiters } => (Some((answer, alias)), waiters),
                Completed::Slow(waiters) => (None, waiters),
            };
            for waiter in waiters {
                let asked = waiter.asked(&mut lower);
                let outcome = answer.as_ref().map(|(answer, alias)| {
                    asked.reply_from(answer, *alias, &context, self.outbox.next(&self.socket))
                });
                match outcome {
                    Some(FastOutcome::Reply(length, origin)) => {
                        let took = context.now.saturating_sub(waiter.since);
                        self.push(&asked, origin, length, &waiter.peer, Some(took));
                    }
                    _ => self.slow(&waiter.datagram, &waiter.peer),
                }
            }
        }
        self.outbox.send(&self.socket);
    }

    /// The slow path: run here as far as it goes without waiting, and in a task of its own from
    /// there.
    fn slow(&mut self, datagram: &[u8], peer: &Peer) {
        let Some(address) = peer.ip() else { return };
        let client = Client { address, transport: Transport::Udp };
        let (responder, bytes) = (self.responder.clone(), datagram.to_vec());
        let mut answer: Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>> =
            Box::pin(async move { responder.respond_to_bytes(&bytes, client).await });
        match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(reply)) => send_one(&self.socket, &reply, peer),
            Poll::Ready(None) => {}
            // The responder bounds how many there are: above its limit it does not wait.
            Poll::Pending => {
                let (socket, peer, working) = (self.socket.clone(), *peer, self.working.clone());
                self.runtime.spawn(async move {
                    if let Some(reply) = answer.await {
                        send_one(&socket, &reply, &peer);
                    }
                    drop(working);
                });
            }
        }
    }
}
