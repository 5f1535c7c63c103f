//! Exchanges a query and its reply with one server: over UDP, with TCP as the fallback, or over a
//! persistent connection.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::query::{QUERY_RANDOM_BYTES, Query, QueryFlags, ReplyCheck, ServerCaps};
use super::udp::Sockets;
use super::{BOGUS, Channel};
use crate::cache::Answer;
use crate::dns::message::{HEADER_BYTES, Malformed, Packet};
use crate::os::clock::Clock;
use crate::os::random::Random;
use crate::upstream::budget;
use crate::upstream::error::ExchangeError;
use crate::upstream::target::Target;

/// Larger than any datagram that a server may send. One that fills the buffer was cut by the
/// kernel, and the query is repeated over TCP.
const UDP_BUFFER_BYTES: usize = 4096;
/// After this many datagrams that do not match, somebody may be guessing ids: the query is repeated
/// over TCP, where that is harder.
const MAX_STRAYS: usize = 16;
/// How long a reply is still awaited after an error code without a question, which comes from an
/// old server or a forger. Then the query is repeated over TCP, where nobody forges it.
const BARE_WAIT: Duration = Duration::from_millis(500);
/// The most queries to one server per attempt: over UDP, without EDNS, over TCP, without mixed
/// case.
const MAX_STEPS: usize = 4;
/// How much is allocated for a TCP reply before its bytes have arrived.
const TCP_CHUNK_BYTES: u64 = 4096;

/// A reply that passed all checks.
#[derive(Debug)]
pub struct CheckedReply {
    /// The message, accepted by [`Packet::parse`].
    pub message: Vec<u8>,
    /// The question as it was sent.
    pub sent: Vec<u8>,
    /// The capabilities that the server showed.
    pub caps: ServerCaps,
}

impl CheckedReply {
    /// The reply's records, and the answer to cache: the whole reply if `whole`, else only what
    /// answers the question.
    ///
    /// # Errors
    /// [`Malformed`], only if the message is too long to rewrite.
    pub fn read(&self, keep_ad: bool, whole: bool) -> Result<(Packet<'_>, Answer), Malformed> {
        let packet = Packet::parse(&self.message)?;
        let make = if whole { Answer::new } else { Answer::minimal };
        let answer = make(&packet, &self.sent, keep_ad)?;
        Ok((packet, answer))
    }
}

/// The result of one query over one transport.
enum ExchangeStep {
    Reply(Vec<u8>),
    /// The reply is truncated, or UDP is not safe enough.
    TryTcp,
    OtherCase,
    NoEdns,
}

/// Exchanges queries with servers.
#[derive(Debug)]
pub struct Exchange {
    clock: Arc<Clock>,
    sockets: Sockets,
    random: Mutex<Random>,
}

impl Exchange {
    /// With no sockets open yet.
    pub fn new(clock: Arc<Clock>) -> Self {
        Self { clock, sockets: Sockets::default(), random: Mutex::default() }
    }

    /// Queries one server until it gives an acceptable reply, or fails.
    ///
    /// # Errors
    /// [`ExchangeError`]; never [`ExchangeError::Silent`]: the caller sets the time limit.
    pub async fn ask(
        &self,
        target: &Target,
        question: &[u8],
        flags: QueryFlags,
        caps: ServerCaps,
    ) -> Result<CheckedReply, ExchangeError> {
        match target {
            Target::Plain(server) => self.ask_plain(*server, question, flags, caps).await,
            Target::Channel(channel) => {
                self.ask_channel(channel, target, question, flags, caps).await
            }
        }
    }

    /// Closes the sockets to a server: the route may have changed.
    pub fn forget(&self, target: &Target) {
        if let Target::Plain(server) = target {
            self.sockets.forget(*server);
        }
    }

    fn random(&self) -> Result<[u8; QUERY_RANDOM_BYTES], ExchangeError> {
        // Bytes are counted as used before they are handed out, so a panic under this lock can't
        // make them appear twice.
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        random.take().map_err(|error| ExchangeError::Random(error.to_string()))
    }

    async fn ask_plain(
        &self,
        server: SocketAddr,
        question: &[u8],
        flags: QueryFlags,
        mut caps: ServerCaps,
    ) -> Result<CheckedReply, ExchangeError> {
        let (mut tcp, mut case_in_doubt) = (false, false);
        for _ in 0..MAX_STEPS {
            take_message()?;
            let random = self.random()?;
            let query = Query::new(question, flags, caps, server.ip().is_loopback(), &random);
            let step = if tcp {
                over_tcp(server, &query).await
            } else {
                self.over_udp(server, &query).await
            };
            match step {
                Ok(ExchangeStep::Reply(message)) => {
                    let sent = query.question().to_vec();
                    // A server that changes the case over TCP as well just does so; it is not a
                    // forger.
                    let kept = message.get(HEADER_BYTES..HEADER_BYTES + sent.len()) == Some(&sent);
                    caps.mixed_case &= kept;
                    return Ok(CheckedReply { message, sent, caps });
                }
                Ok(ExchangeStep::TryTcp) => tcp = true,
                Ok(ExchangeStep::OtherCase) => (tcp, case_in_doubt) = (true, true),
                Ok(ExchangeStep::NoEdns) => caps.edns = false,
                // It has no TCP and changes the case: retry over UDP from a new port with a new id,
                // without mixed case.
                Err(ExchangeError::Network { .. }) if tcp && case_in_doubt => {
                    (tcp, case_in_doubt, caps.mixed_case) = (false, false, false);
                }
                Err(error) => return Err(error),
            }
        }
        Err(ExchangeError::Malformed { server: server.into(), what: "inconsistent replies" })
    }

    async fn over_udp(
        &self,
        server: SocketAddr,
        query: &Query,
    ) -> Result<ExchangeStep, ExchangeError> {
        let network = |error: io::Error| network(server, &error);
        let connected = self.sockets.take(server, self.clock.now()).await.map_err(network)?;
        connected.socket.send(query.bytes()).await.map_err(network)?;
        let mut buffer = [0; UDP_BUFFER_BYTES];
        let mut bare = false;
        for _ in 0..MAX_STRAYS {
            let received = connected.socket.recv(&mut buffer);
            let length = if bare {
                match tokio::time::timeout(BARE_WAIT, received).await {
                    Ok(length) => length,
                    Err(_) => break,
                }
            } else {
                received.await
            };
            let message = &buffer[..length.map_err(network)?];
            let check = query.check(message, true);
            bare |= matches!(check, ReplyCheck::Bare);
            if let Some(step) = next_step(&server.into(), check, message, true)? {
                if matches!(step, ExchangeStep::Reply(_)) {
                    self.sockets.release(connected, self.clock.now());
                }
                return Ok(step);
            }
        }
        Ok(ExchangeStep::TryTcp)
    }

    async fn ask_channel(
        &self,
        channel: &Channel,
        target: &Target,
        question: &[u8],
        flags: QueryFlags,
        mut caps: ServerCaps,
    ) -> Result<CheckedReply, ExchangeError> {
        let failed = |what: String| ExchangeError::Network { server: target.clone(), what };
        take_message()?;
        if let Some(recursive) = channel.recursive() {
            let message = recursive.answer(question, flags).await.map_err(|what| match what {
                what if what == BOGUS => ExchangeError::Bogus { server: target.clone() },
                what => failed(what),
            })?;
            return Ok(CheckedReply { message, sent: question.to_vec(), caps });
        }
        // Replies can't be forged here, so mixed case is not needed.
        for _ in 0..MAX_STEPS {
            let caps_now = ServerCaps { mixed_case: false, ..caps };
            let query =
                Query::new(question, flags, caps_now, target.is_path_secure(), &self.random()?);
            let query = if channel.is_encrypted() { query.padded() } else { query };
            let message = channel.ask(query.bytes()).await.map_err(failed)?;
            match next_step(target, query.check(&message, false), &message, false)? {
                Some(ExchangeStep::Reply(message)) => {
                    return Ok(CheckedReply { message, sent: query.question().to_vec(), caps });
                }
                Some(ExchangeStep::NoEdns) => {
                    take_message()?;
                    caps.edns = false;
                }
                _ => {
                    let what = "a reply to another query";
                    return Err(ExchangeError::Malformed { server: target.clone(), what });
                }
            }
        }
        Err(ExchangeError::Malformed { server: target.clone(), what: "inconsistent replies" })
    }
}

/// # Errors
/// [`ExchangeError::OverBudget`], if the question has used up its messages.
fn take_message() -> Result<(), ExchangeError> {
    budget::take_message().then_some(()).ok_or(ExchangeError::OverBudget)
}

async fn over_tcp(server: SocketAddr, query: &Query) -> Result<ExchangeStep, ExchangeError> {
    let message =
        tcp_round(server, query.bytes()).await.map_err(|error| network(server, &error))?;
    let stray = ExchangeError::Malformed {
        server: server.into(),
        what: "a reply to another query over TCP",
    };
    next_step(&server.into(), query.check(&message, false), &message, false)?.ok_or(stray)
}

async fn tcp_round(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(query);
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut message = Vec::with_capacity(usize::from(length).min(TCP_CHUNK_BYTES as usize));
    (&mut stream).take(u64::from(length)).read_to_end(&mut message).await?;
    if message.len() < usize::from(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(message)
}

/// What a message means for the exchange; `None` if it has to be ignored.
fn next_step(
    target: &Target,
    check: ReplyCheck<'_>,
    message: &[u8],
    udp: bool,
) -> Result<Option<ExchangeStep>, ExchangeError> {
    let malformed = |what| ExchangeError::Malformed { server: target.clone(), what };
    Ok(Some(match check {
        ReplyCheck::Stray => return Ok(None),
        ReplyCheck::Bare if udp => return Ok(None),
        ReplyCheck::OtherCase => ExchangeStep::OtherCase,
        ReplyCheck::Truncated => ExchangeStep::TryTcp,
        ReplyCheck::Malformed(_) if message.len() == UDP_BUFFER_BYTES && udp => {
            ExchangeStep::TryTcp
        }
        ReplyCheck::NoEdns => ExchangeStep::NoEdns,
        ReplyCheck::Answer(_) => ExchangeStep::Reply(message.to_vec()),
        ReplyCheck::Bare => return Err(malformed("an error code without a question")),
        ReplyCheck::OddRcode => return Err(malformed("an extended RCODE that was not asked for")),
        ReplyCheck::Malformed(Malformed(what)) => return Err(malformed(what)),
    }))
}

fn network(server: SocketAddr, error: &io::Error) -> ExchangeError {
    ExchangeError::Network { server: server.into(), what: error.to_string() }
}
