//! A persistent connection: made when needed, shared by all queries, and made again when it is
//! lost.

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

/// The time limit of a connection attempt, including handshakes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause after a failed attempt, in which queries get the same error.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// A connection used before is replaced if nothing arrives on it for this long after a query: the
/// network may have changed without notice.
const SILENCE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Why an exchange over a connection failed.
#[derive(Debug)]
pub enum ConnectionFailure {
    /// The connection is lost.
    Lost(String),
    /// The server refused this query.
    Refused(String),
}

/// Connects to an upstream over one protocol.
pub trait Connector: Send + Sync {
    /// A connection, shared by all users.
    type Connection: Clone + Send + Sync;

    /// Connects to one address.
    fn connect(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = Result<Self::Connection, String>> + Send;

    /// Whether a connection is usable, as far as known.
    fn is_open(&self, connection: &Self::Connection) -> bool;

    /// Sends a query and waits for its reply, in which the query's id is set.
    fn ask(
        &self,
        connection: &Self::Connection,
        query: &[u8],
    ) -> impl Future<Output = Result<Vec<u8>, ConnectionFailure>> + Send;
}

/// The persistent connection to one upstream.
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

/// The health of a connection, in milliseconds of the clock.
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
    /// Not connected yet.
    pub fn new(connector: T, addresses: Vec<SocketAddr>, clock: Arc<Clock>) -> Self {
        let state = Mutex::new(State { open: None, failed: None, first: 0 });
        Self { connector, addresses, clock, state }
    }

    /// Sends a query over the connection. If a connection used before turns out to be lost, a new
    /// one is tried once.
    ///
    /// # Errors
    /// The cause as one line of text.
    pub async fn ask(&self, query: &[u8]) -> Result<Vec<u8>, String> {
        loop {
            let (open, fresh) = self.connection().await?;
            let waiting = PendingUse::new(&open.health, &self.clock);
            let mut asked = pin!(self.connector.ask(&open.connection, query));
            let result = match timeout(SILENCE_TIMEOUT, &mut asked).await {
                Ok(result) => result,
                Err(_) if !fresh && !waiting.was_alive() => Err(ConnectionFailure::Lost(format!(
                    "nothing arrived within {SILENCE_TIMEOUT:?}"
                ))),
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

    /// The connection, and whether it is new.
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

    /// Tries the addresses in turn, starting with the one that worked last.
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
        // If the caller's time ends while one address is silent, the next attempt starts with
        // another.
        *first = (*first + 1) % self.addresses.len().max(1);
        Err(last)
    }
}

/// A query that waits for its reply. If it is given up after a long silence, so is the connection.
struct PendingUse<'a> {
    health: &'a Health,
    clock: &'a Clock,
    since: Duration,
}

impl<'a> PendingUse<'a> {
    fn new(health: &'a Health, clock: &'a Clock) -> Self {
        Self { health, clock, since: clock.now() }
    }

    /// Whether anything arrived for any query since.
    fn was_alive(&self) -> bool {
        self.health.mark_alive.load(Ordering::Relaxed) > millis(self.since)
    }

    fn mark_alive(&self) {
        self.health.mark_alive.store(millis(self.clock.now()).max(1), Ordering::Relaxed);
    }
}

impl Drop for PendingUse<'_> {
    fn drop(&mut self) {
        if !self.was_alive() && self.clock.now().saturating_sub(self.since) >= SILENCE_TIMEOUT {
            self.health.given_up.store(true, Ordering::Relaxed);
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
