//! A connection that is made when it is needed, kept for all who ask, and made anew when it is
//! gone.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::os::clock::Clock;

/// How long a connection may take to be made, handshakes included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// After a failure nobody tries to connect for so long; who asks meanwhile gets the same error.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// A connection that was kept and on which nothing comes for so long after a query is given up for
/// a fresh one: the network may have changed under it, and then nobody tells.
const SILENCE: Duration = Duration::from_millis(1_500);

/// Why an exchange over a connection failed.
#[derive(Debug)]
pub enum ConnectionFailure {
    /// The connection is gone.
    Lost(String),
    /// The server does not want this query.
    Refused(String),
}

/// How to connect, and how to ask over a connection.
pub trait Connector: Send + Sync {
    /// A connection, shared by all who use it.
    type Connection: Clone + Send + Sync;

    /// Connects to one address.
    fn connect(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = Result<Self::Connection, String>> + Send;

    /// Whether a connection can still be used, as far as is known.
    fn is_open(&self, connection: &Self::Connection) -> bool;

    /// Sends a query, waits for its reply, and gives that the query's id.
    fn ask(
        &self,
        connection: &Self::Connection,
        query: &[u8],
    ) -> impl Future<Output = Result<Vec<u8>, ConnectionFailure>> + Send;
}

/// The connection to one upstream.
pub struct PersistentConnection<T: Connector> {
    connector: T,
    addresses: Vec<SocketAddr>,
    clock: Arc<Clock>,
    state: Mutex<State<T::Connection>>,
}

struct State<C> {
    open: Option<Open<C>>,
    /// When the last attempt failed, and why.
    failed: Option<(Duration, String)>,
    /// The address to try first.
    first: usize,
}

#[derive(Clone)]
struct Open<C> {
    connection: C,
    health: Arc<Health>,
}

/// What is known of a connection, in milliseconds of the clock.
#[derive(Default)]
struct Health {
    mark_alive: AtomicU64,
    given_up: AtomicBool,
}

impl<T: Connector> fmt::Debug for PersistentConnection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersistentConnection")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl<T: Connector> PersistentConnection<T> {
    /// No connection yet.
    pub fn new(connector: T, addresses: Vec<SocketAddr>, clock: Arc<Clock>) -> Self {
        let state = Mutex::new(State { open: None, failed: None, first: 0 });
        Self { connector, addresses, clock, state }
    }

    /// Sends a query over the connection. If a connection that was kept turns out to be gone, a
    /// fresh one is tried once.
    ///
    /// # Errors
    /// What went wrong, in one line.
    pub async fn ask(&self, query: &[u8]) -> Result<Vec<u8>, String> {
        loop {
            let (open, fresh) = self.connection().await?;
            let waiting = PendingUse::new(&open.health, &self.clock);
            let mut asked = pin!(self.connector.ask(&open.connection, query));
            let result = match timeout(SILENCE, &mut asked).await {
                Ok(result) => result,
                Err(_) if !fresh && !waiting.was_alive() => {
                    Err(ConnectionFailure::Lost(format!("nothing came within {SILENCE:?}")))
                }
                Err(_) => asked.await,
            };
            match result {
                Ok(reply) => {
                    waiting.mark_alive();
                    return Ok(reply);
                }
                Err(ConnectionFailure::Refused(why)) => {
                    waiting.mark_alive();
                    return Err(why);
                }
                Err(ConnectionFailure::Lost(why)) => {
                    open.health.given_up.store(true, Ordering::Relaxed);
                    if fresh {
                        return Err(why);
                    }
                }
            }
        }
    }

    /// The connection, and whether it was made just now.
    async fn connection(&self) -> Result<(Open<T::Connection>, bool), String> {
        let mut state = self.state.lock().await;
        if let Some(open) = &state.open
            && !open.health.given_up.load(Ordering::Relaxed)
            && self.connector.is_open(&open.connection)
        {
            return Ok((open.clone(), false));
        }
        state.open = None;
        if let Some((at, why)) = &state.failed
            && self.clock.now() < *at + RETRY_PAUSE
        {
            return Err(why.clone());
        }
        match self.connect(&mut state.first).await {
            Ok(connection) => {
                let health = Arc::new(Health::default());
                let open = Open { connection, health };
                (state.open, state.failed) = (Some(open.clone()), None);
                Ok((open, true))
            }
            Err(why) => {
                state.failed = Some((self.clock.now(), why.clone()));
                Err(why)
            }
        }
    }

    /// Tries the addresses one after another, from the one that worked last.
    async fn connect(&self, first: &mut usize) -> Result<T::Connection, String> {
        let mut last = "it has no address".to_owned();
        for turn in 0..self.addresses.len() {
            let at = (*first + turn) % self.addresses.len();
            match timeout(CONNECT_TIMEOUT, self.connector.connect(self.addresses[at])).await {
                Ok(Ok(connection)) => {
                    *first = at;
                    return Ok(connection);
                }
                Ok(Err(why)) => last = why,
                Err(_) => last = format!("no connection within {CONNECT_TIMEOUT:?}"),
            }
        }
        // Whoever is cut off while one address is silent begins with the next.
        *first = (*first + 1) % self.addresses.len().max(1);
        Err(last)
    }
}

/// Somebody who waits for a reply. Who gives up after a long silence gives up the connection.
struct PendingUse<'a> {
    health: &'a Health,
    clock: &'a Clock,
    since: Duration,
}

impl<'a> PendingUse<'a> {
    fn new(health: &'a Health, clock: &'a Clock) -> Self {
        Self { health, clock, since: clock.now() }
    }

    /// Whether anything came for anybody since.
    fn was_alive(&self) -> bool {
        self.health.mark_alive.load(Ordering::Relaxed) > millis(self.since)
    }

    fn mark_alive(&self) {
        self.health.mark_alive.store(millis(self.clock.now()).max(1), Ordering::Relaxed);
    }
}

impl Drop for PendingUse<'_> {
    fn drop(&mut self) {
        if !self.was_alive() && self.clock.now().saturating_sub(self.since) >= SILENCE {
            self.health.given_up.store(true, Ordering::Relaxed);
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
