//! One question, several servers: who is asked when, and whose reply counts.

use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use super::clock::Clock;
use super::error::{ExchangeError, ForwardError};
use super::exchange::{Replied, exchange};
use super::query::{Asking, Manners};
use super::servers::Servers;
use crate::cache::wire::rcode;
use crate::cache::{Answer, Kind, lifetime};

/// How often a question is sent in all.
const MAX_TRIES: usize = 6;
/// How often it is sent to one server.
const MAX_ROUNDS: usize = 3;
/// How many servers of a list are considered.
pub const MAX_SERVERS: usize = 16;

/// An answer, who gave it, and for how long it may be kept.
#[derive(Debug)]
pub struct Won {
    pub answer: Arc<Answer>,
    pub server: SocketAddr,
    pub keep: Option<(Kind, Duration)>,
}

/// How a question is put to the servers.
#[derive(Debug)]
pub struct Race {
    pub clock: Clock,
    pub servers: Arc<Mutex<Servers>>,
    pub timeout: Duration,
    pub first_retry: Duration,
}

type Try = Pin<Box<dyn Future<Output = (SocketAddr, Result<Won, ExchangeError>)> + Send>>;

/// What has come in so far.
#[derive(Default)]
struct Seen {
    asked: Vec<SocketAddr>,
    said: Option<Won>,
    last: Option<ExchangeError>,
}

impl Race {
    /// Asks the servers, the fastest first. The next is asked when one fails, and beside it when one takes long; an earlier
    /// one's late reply still counts. What is no answer but a refusal (SERVFAIL, REFUSED, ...) is given back only when
    /// nobody said better.
    ///
    /// # Errors
    /// [`ForwardError::AllFailed`] if nobody gave a reply that may be believed.
    pub async fn run(
        self: &Arc<Self>,
        servers: &[SocketAddr],
        question: &Arc<[u8]>,
        asking: Asking,
    ) -> Result<Won, ForwardError> {
        let mut seen = Seen::default();
        let race = self.run_until_won(servers, question, asking, &mut seen);
        let won = tokio::time::timeout(self.timeout, race).await.ok().flatten();
        let Seen { asked, said, last } = seen;
        won.or(said).ok_or_else(|| {
            let silent = asked.last().map(|server| ExchangeError::Silent(*server));
            match last.or(silent) {
                Some(last) => ForwardError::AllFailed { servers: asked, timeout: self.timeout, last },
                None => ForwardError::NoUpstream,
            }
        })
    }

    async fn run_until_won(
        self: &Arc<Self>,
        servers: &[SocketAddr],
        question: &Arc<[u8]>,
        asking: Asking,
        seen: &mut Seen,
    ) -> Option<Won> {
        let order = self.servers().in_order(servers, self.clock.now());
        let rounds = std::iter::repeat_n(&order, MAX_ROUNDS).flatten();
        let mut plan: VecDeque<SocketAddr> = rounds.copied().take(MAX_TRIES.max(order.len())).collect();
        let mut tries: Vec<Try> = Vec::new();
        let mut patience = self.patience(*plan.front()?);
        loop {
            let started = plan.pop_front();
            if let Some(server) = started {
                if !seen.asked.contains(&server) {
                    seen.asked.push(server);
                }
                tries.push(Box::pin(self.clone().one_try(server, question.clone(), asking)));
            } else if tries.is_empty() {
                return None;
            }
            tokio::select! {
                (server, result) = first_of(&mut tries) => match result {
                    Ok(won) if is_final(won.answer.rcode()) => return Some(won),
                    Ok(won) => {
                        plan.retain(|next| *next != server);
                        seen.said = Some(won);
                    }
                    Err(error) => {
                        plan.retain(|next| *next != server);
                        seen.last = Some(error);
                    }
                },
                () = tokio::time::sleep(patience), if started.is_some() || seen.said.is_some() => {
                    self.servers().slow(started?, patience, self.clock.now());
                    patience *= 2;
                }
            }
        }
    }

    async fn one_try(
        self: Arc<Self>,
        server: SocketAddr,
        question: Arc<[u8]>,
        asking: Asking,
    ) -> (SocketAddr, Result<Won, ExchangeError>) {
        let started = self.clock.now();
        let manners = self.servers().manners(server, started);
        let result = exchange(server, &question, asking, manners).await.and_then(|replied| {
            let won = self.judge(server, asking, &replied)?;
            let now = self.clock.now();
            match won.answer.rcode() {
                rcode::REFUSED | rcode::NOTIMP => self.servers().failed(server, now),
                _ => self.servers().replied(server, now.saturating_sub(started), replied.manners, now),
            }
            Ok(won)
        });
        if result.is_err() {
            self.servers().failed(server, self.clock.now());
        }
        (server, result)
    }

    fn judge(&self, server: SocketAddr, asking: Asking, replied: &Replied) -> Result<Won, ExchangeError> {
        let keep_ad = asking.recursive && server.ip().is_loopback();
        let (packet, answer) = replied
            .read(keep_ad)
            .map_err(|malformed| ExchangeError::Malformed { server, what: malformed.0 })?;
        Ok(Won { keep: lifetime(&packet, !asking.recursive), answer: Arc::new(answer), server })
    }

    /// How long to wait for a server before the next is asked beside it.
    pub fn patience(&self, server: SocketAddr) -> Duration {
        match self.servers().expected(server, self.clock.now()) {
            Some(expected) => (expected * 3).clamp(self.first_retry / 2, self.first_retry * 2),
            None => self.first_retry,
        }
    }

    /// The server that would be asked first now.
    pub fn fastest(&self, servers: &[SocketAddr]) -> Option<SocketAddr> {
        self.servers().fastest(servers, self.clock.now())
    }

    /// What a server takes, as far as is known.
    pub fn manners(&self, server: SocketAddr) -> Manners {
        self.servers().manners(server, self.clock.now())
    }

    /// A server was asked elsewhere and replied after this time.
    pub fn replied(&self, server: SocketAddr, latency: Duration, manners: Manners) {
        self.servers().replied(server, latency, manners, self.clock.now());
    }

    /// A server was asked elsewhere and did not reply within this time.
    pub fn slow(&self, server: SocketAddr, waited: Duration) {
        self.servers().slow(server, waited, self.clock.now());
    }

    fn servers(&self) -> std::sync::MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An RCODE that says something about the name, and not about the server.
fn is_final(code: u8) -> bool {
    matches!(code, rcode::NOERROR | rcode::NXDOMAIN | rcode::YXDOMAIN)
}

/// Waits until one of the tries has ended and takes it out.
async fn first_of(tries: &mut Vec<Try>) -> (SocketAddr, Result<Won, ExchangeError>) {
    if tries.is_empty() {
        return pending().await;
    }
    poll_fn(|context| {
        for at in 0..tries.len() {
            if let Poll::Ready(ended) = tries[at].as_mut().poll(context) {
                drop(tries.swap_remove(at));
                return Poll::Ready(ended);
            }
        }
        Poll::Pending
    })
    .await
}
