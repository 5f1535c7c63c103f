//! The line on the terminal that says how far a node has caught up, drawn again and again.

use std::{
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use super::handle::NodeHandle;

/// How often the line is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(250);
/// Back to the line's beginning, and clear it (ECMA-48: CR, EL).
const CLEAR: &str = "\r\u{1b}[K";

/// Whether the last line on the terminal is the one about progress.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// Draws how far the node is on the terminal, as long as it is not synced. Does nothing if standard
/// error is no terminal: the log has a line every ten seconds then. Ends only with the future.
pub async fn show_progress(node: NodeHandle) {
    if !io::stderr().is_terminal() {
        return;
    }
    let mut every = tokio::time::interval(DRAW_EVERY);
    loop {
        every.tick().await;
        let line = match node.progress() {
            Some(progress) => format!("{CLEAR}{progress}"),
            None if SHOWN.load(Ordering::Relaxed) => CLEAR.to_owned(),
            None => continue,
        };
        let shown = line != CLEAR;
        // Nobody is told that there is nobody to be told.
        let _ = io::stderr().lock().write_all(line.as_bytes());
        SHOWN.store(shown, Ordering::Relaxed);
    }
}

/// Standard error for the log: clears the line about progress before it writes.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogOutput;

impl Write for LogOutput {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut stderr = io::stderr().lock();
        if SHOWN.swap(false, Ordering::Relaxed) {
            stderr.write_all(CLEAR.as_bytes())?;
        }
        stderr.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
