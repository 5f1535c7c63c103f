//! Frames: four bytes of length, big-endian, then the message. A length over its cap is refused
//! unread, and memory is taken as bytes arrive, not as they are promised.

use std::{io, sync::Arc, time::Duration};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use namechain_core::{
    codec::{Decode, Encode},
    sync::message::{MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, Request, Response},
};

/// The room that an answer takes until it is sent: of all answers together, and of its peer's.
#[derive(Debug)]
pub(super) struct Room {
    /// Of the bytes of all answers.
    pub _bytes: Option<OwnedSemaphorePermit>,
    /// Counts the peer's answers as long as it is there.
    pub _peer: Arc<()>,
}

/// An answer: one that came, or one that goes.
#[derive(Debug)]
pub(super) enum Reply {
    /// It came, and was read.
    Received(Response),
    /// It goes, and holds its room until it is gone.
    Sent(Vec<u8>, Room),
}

/// A request: one that goes, or one that came. What can't be read comes too: the engine would drop
/// it without a word.
#[derive(Debug)]
pub(super) enum Wanted {
    /// It goes, or it came and was read.
    Read(Request),
    /// It came, and can't be read, is longer than it may be, or is cut off.
    Malformed,
    /// It did not come in time.
    Slow,
}

/// Reads and writes frames.
#[derive(Clone, Debug)]
pub(super) struct Codec {
    /// How long a request may take to arrive, from its first byte to its last.
    pub request_within: Duration,
}

impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = Wanted;
    type Response = Reply;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Wanted>
    where
        T: AsyncRead + Unpin + Send,
    {
        match timeout(self.request_within, read_frame(io, MAX_REQUEST_BYTES)).await {
            Err(_) => Ok(Wanted::Slow),
            Ok(Ok(bytes)) => {
                Ok(Request::from_bytes(&bytes).map_or(Wanted::Malformed, Wanted::Read))
            }
            Ok(Err(error)) if is_malformed(&error) => Ok(Wanted::Malformed),
            Ok(Err(error)) => Err(error),
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Reply>
    where
        T: AsyncRead + Unpin + Send,
    {
        let bytes = read_frame(io, MAX_RESPONSE_BYTES).await?;
        Response::from_bytes(&bytes).map(Reply::Received).map_err(malformed)
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        wanted: Wanted,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match wanted {
            Wanted::Read(request) => write_frame(io, &request.to_bytes()).await,
            Wanted::Malformed | Wanted::Slow => Err(malformed("nothing to ask")),
        }
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        reply: Reply,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match reply {
            Reply::Sent(bytes, _room) => write_frame(io, &bytes).await,
            Reply::Received(response) => write_frame(io, &response.to_bytes()).await,
        }
    }
}

fn malformed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Whether an error of ours says that the other side broke the form, rather than that the
/// connection broke.
pub(super) fn is_malformed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

async fn read_frame<T: AsyncRead + Unpin + Send>(io: &mut T, cap: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length > cap {
        return Err(malformed(format!("a frame of {length} bytes, over the cap of {cap}")));
    }
    let mut bytes = Vec::new();
    io.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

async fn write_frame<T: AsyncWrite + Unpin + Send>(io: &mut T, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(malformed)?;
    io.write_all(&length.to_be_bytes()).await?;
    io.write_all(bytes).await?;
    io.flush().await
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;

    async fn read(bytes: &[u8], cap: usize) -> io::Result<Vec<u8>> {
        read_frame(&mut Cursor::new(bytes), cap).await
    }

    #[tokio::test]
    async fn frames_go_there_and_back() {
        let mut wire = Cursor::new(Vec::new());
        write_frame(&mut wire, b"hello").await.expect("written");
        assert_eq!(wire.get_ref(), b"\0\0\0\x05hello");
        assert_eq!(read(wire.get_ref(), 5).await.expect("read"), b"hello");
    }

    #[tokio::test]
    async fn over_the_cap_is_refused_unread() {
        let mut wire = Cursor::new(&b"\0\0\0\x06hello!"[..]);
        let error = read_frame(&mut wire, 5).await.expect_err("over the cap");
        assert!(is_malformed(&error), "{error}");
        assert_eq!(wire.position(), 4);
    }

    #[tokio::test]
    async fn a_truncated_frame_is_malformed() {
        for cut in [&b"\0\0"[..], b"\0\0\0\x05hell"] {
            assert!(is_malformed(&read(cut, 64).await.expect_err("truncated")));
        }
    }
}
