//! Standard input to a channel, and the channel to standard output, each up to its end.

use std::{io::Read, thread};

use messaging::channel::Channel;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};

use crate::error::ChannelFailure;

/// How much is read at once.
const BLOCK_BYTES: usize = 32 * 1_024;
/// How many blocks of standard input wait to be sent.
const MAX_WAITING_BLOCKS: usize = 4;

/// Carries both ways until both have come to their end.
pub async fn pipe(mut channel: Channel) -> Result<(), ChannelFailure> {
    let name = channel.peer().name().clone();
    let broken = |error| ChannelFailure::Broken(name.clone(), error);
    let (mut from, mut to) = tokio::io::split(&mut channel);
    let carried =
        async { tokio::try_join!(outwards(&mut to, &broken), inwards(&mut from, &broken)) };
    let carried = tokio::select! {
        carried = carried => carried.map(drop),
        // Without a handler the program would be gone before the other side is told.
        _ = tokio::signal::ctrl_c() => Err(ChannelFailure::Interrupted),
    };
    match carried {
        Ok(()) => channel.close().await.map_err(broken),
        Err(error) => {
            channel.abort().await;
            Err(error)
        }
    }
}

/// Standard input, and then its end. What can't be read to its end does not look as if it had been.
async fn outwards(
    to: &mut (impl AsyncWrite + Unpin),
    broken: &impl Fn(std::io::Error) -> ChannelFailure,
) -> Result<(), ChannelFailure> {
    let mut blocks = standard_input();
    while let Some(block) = blocks.recv().await {
        let block = block.map_err(|error| ChannelFailure::Pipe("standard input", error))?;
        to.write_all(&block).await.map_err(broken)?;
        to.flush().await.map_err(broken)?;
    }
    to.shutdown().await.map_err(broken)
}

async fn inwards(
    from: &mut (impl AsyncRead + Unpin),
    broken: &impl Fn(std::io::Error) -> ChannelFailure,
) -> Result<(), ChannelFailure> {
    let (mut out, mut block) = (tokio::io::stdout(), vec![0; BLOCK_BYTES]);
    let unwritten = |error| ChannelFailure::Pipe("standard output", error);
    loop {
        match from.read(&mut block).await.map_err(broken)? {
            0 => return Ok(()),
            read => {
                out.write_all(&block[..read]).await.map_err(unwritten)?;
                out.flush().await.map_err(unwritten)?;
            }
        }
    }
}

/// Standard input on a thread of its own, which nobody waits for: when the other side is gone, a
/// person at a terminal need not press a key for the program to end.
fn standard_input() -> mpsc::Receiver<std::io::Result<Vec<u8>>> {
    let (blocks, ready) = mpsc::channel(MAX_WAITING_BLOCKS);
    thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut block = vec![0; BLOCK_BYTES];
            let read = match input.read(&mut block) {
                Ok(0) => return,
                Ok(read) => {
                    block.truncate(read);
                    Ok(block)
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = read.is_err();
            if blocks.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    ready
}
