//! How a program that runs a node is told to stop.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Completes at SIGINT or SIGTERM. From the call on, these signals do not end the process by
/// themselves.
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
