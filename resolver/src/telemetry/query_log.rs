//! The query log: a line for each answer, off unless somebody turns it on, and without who asked
//! unless that is asked for too. What somebody resolves says much about him: nothing is written by
//! default.

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

/// Lines that wait to be written. More are lost: answers never wait for the log.
const MAX_WAITING: usize = 4_096;

/// What is logged of queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Logged {
    /// Nothing.
    #[default]
    Off,
    /// Questions and how they were answered.
    Queries,
    /// That, and the client's address.
    WithClients,
}

/// What is logged is named otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is neither off nor on nor with-clients")]
pub struct UnknownLogged;

impl FromStr for Logged {
    type Err = UnknownLogged;

    fn from_str(text: &str) -> Result<Self, UnknownLogged> {
        match text {
            "off" => Ok(Logged::Off),
            "on" => Ok(Logged::Queries),
            "with-clients" => Ok(Logged::WithClients),
            _ => Err(UnknownLogged),
        }
    }
}

impl fmt::Display for Logged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Logged::Off => "off",
            Logged::Queries => "on",
            Logged::WithClients => "with-clients",
        })
    }
}

struct Line {
    what: String,
    client: Option<IpAddr>,
}

/// The log. Its thread is there once something was logged.
#[derive(Debug, Default)]
pub struct QueryLog {
    logged: AtomicU8,
    lost: AtomicU64,
    writer: OnceLock<Option<SyncSender<Line>>>,
}

impl QueryLog {
    /// Says what is logged from now on.
    pub fn set(&self, logged: Logged) {
        self.logged.store(logged as u8, Relaxed);
    }

    /// Whether something is.
    pub fn is_on(&self) -> bool {
        self.logged.load(Relaxed) != Logged::Off as u8
    }

    /// Lines that could not be written as fast as they came.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Writes a line, sooner or later.
    pub fn write(&self, what: String, client: IpAddr) {
        let client = (self.logged.load(Relaxed) == Logged::WithClients as u8).then_some(client);
        let sent = match self.writer.get_or_init(writer) {
            Some(writer) => writer.try_send(Line { what, client }).is_ok(),
            None => false,
        };
        if !sent {
            self.lost.fetch_add(1, Relaxed);
        }
    }
}

/// The thread that writes: whoever reads the log may be slow, and must keep no answer waiting.
fn writer() -> Option<SyncSender<Line>> {
    let (sender, lines) = sync_channel::<Line>(MAX_WAITING);
    let started = thread::Builder::new().name("query-log".into()).spawn(move || {
        for Line { what, client } in lines {
            match client {
                Some(client) => tracing::info!(target: "resolver::queries", "{what} to {client}"),
                None => tracing::info!(target: "resolver::queries", "{what}"),
            }
        }
    });
    started.is_ok().then_some(sender)
}
