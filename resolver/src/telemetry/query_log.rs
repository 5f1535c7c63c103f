//! The query log: one line per answer. It is off by default, and leaves out the client's address
//! unless that is turned on too: what a person resolves is private.

use std::{
    fmt,
    net::IpAddr,
    str::FromStr,
    sync::{
        OnceLock,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
};

/// Lines that may wait to be written. Further lines are dropped: answers never wait for the log.
const MAX_QUEUED_LINES: usize = 4_096;

/// What the query log records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueryLogMode {
    /// Nothing.
    #[default]
    Off,
    /// Questions and outcomes.
    Queries,
    /// Questions, outcomes and client addresses.
    WithClients,
}

/// The text names no mode of the query log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is neither off nor on nor with-clients")]
pub struct UnknownQueryLogMode;

impl FromStr for QueryLogMode {
    type Err = UnknownQueryLogMode;

    fn from_str(text: &str) -> Result<Self, UnknownQueryLogMode> {
        match text {
            "off" => Ok(QueryLogMode::Off),
            "on" => Ok(QueryLogMode::Queries),
            "with-clients" => Ok(QueryLogMode::WithClients),
            _ => Err(UnknownQueryLogMode),
        }
    }
}

impl fmt::Display for QueryLogMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            QueryLogMode::Off => "off",
            QueryLogMode::Queries => "on",
            QueryLogMode::WithClients => "with-clients",
        })
    }
}

struct LogLine {
    text: String,
    client: Option<IpAddr>,
}

/// The query log. Its writer thread starts with the first line.
#[derive(Debug, Default)]
pub struct QueryLog {
    mode: AtomicU8,
    lost_lines: AtomicU64,
    writer: OnceLock<Option<SyncSender<LogLine>>>,
}

impl QueryLog {
    /// Sets what is recorded from now on.
    pub fn set_mode(&self, mode: QueryLogMode) {
        self.mode.store(mode as u8, Relaxed);
    }

    /// Whether anything is recorded.
    pub fn is_on(&self) -> bool {
        self.mode.load(Relaxed) != QueryLogMode::Off as u8
    }

    /// Lines dropped because the writer was too slow.
    pub fn lost_lines(&self) -> u64 {
        self.lost_lines.load(Relaxed)
    }

    /// Queues a line for the writer thread.
    pub fn write_line(&self, text: String, client: IpAddr) {
        let client = (self.mode.load(Relaxed) == QueryLogMode::WithClients as u8).then_some(client);
        let sent = match self.writer.get_or_init(start_writer) {
            Some(writer) => writer.try_send(LogLine { text, client }).is_ok(),
            None => false,
        };
        if !sent {
            self.lost_lines.fetch_add(1, Relaxed);
        }
    }
}

/// Starts the writer thread: a slow reader of the log must not delay answers.
fn start_writer() -> Option<SyncSender<LogLine>> {
    let (sender, lines) = sync_channel::<LogLine>(MAX_QUEUED_LINES);
    let started = thread::Builder::new().name("query-log".into()).spawn(move || {
        for LogLine { text, client } in lines {
            match client {
                Some(client) => tracing::info!(target: "resolver::queries", "{text} to {client}"),
                None => tracing::info!(target: "resolver::queries", "{text}"),
            }
        }
    });
    started.is_ok().then_some(sender)
}
