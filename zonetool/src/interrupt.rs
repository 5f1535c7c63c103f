//! Ctrl-C while a command works or waits: what is kept, and how to go on.

use std::sync::{Mutex, MutexGuard, Once};

use crate::{
    error::ErrorCode,
    ui::{ErrorReport, Ui},
};

/// What the command does now, and what becomes of it.
#[derive(Debug)]
struct Notice {
    ui: Ui,
    doing: String,
    hint: String,
}

static NOTICE: Mutex<Option<Notice>> = Mutex::new(None);
static HANDLER: Once = Once::new();

/// While it lives, Ctrl-C ends the program with its notice.
#[derive(Debug)]
#[must_use]
pub struct Guard {
    /// Whether the notice is its own: an outer one stays.
    is_own: bool,
}

/// Says at Ctrl-C, until the guard is dropped, that the command was interrupted while `doing`
/// something, and `hint`. What an outer guard says has precedence.
pub fn notice(ui: Ui, doing: &str, hint: &str) -> Guard {
    let mut current = lock();
    let is_own = current.is_none();
    if is_own {
        *current = Some(Notice { ui, doing: doing.to_owned(), hint: hint.to_owned() });
    }
    drop(current);
    // Without a thread Ctrl-C ends the program as it always does.
    HANDLER.call_once(|| drop(std::thread::Builder::new().spawn(wait)));
    Guard { is_own }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.is_own {
            *lock() = None;
        }
    }
}

fn lock() -> MutexGuard<'static, Option<Notice>> {
    NOTICE.lock().unwrap_or_else(|error| error.into_inner())
}

fn wait() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return };
    if runtime.block_on(tokio::signal::ctrl_c()).is_err() {
        return;
    }
    let code = ErrorCode::Interrupted;
    let report = |message: String, hint| ErrorReport {
        code: code.as_str(),
        exit: code.exit() as u8,
        message,
        hint,
        rule: None,
    };
    // Held to the end: what the command does meanwhile is not announced any more.
    let current = lock();
    let ui = current.as_ref().map_or(Ui::new(false), |notice| notice.ui);
    ui.end_progress_line();
    ui.print_error(match current.as_ref() {
        Some(Notice { doing, hint, .. }) => {
            report(format!("interrupted while {doing}"), Some(hint.clone()))
        }
        None => report("interrupted".into(), None),
    });
    std::process::exit(i32::from(code.exit() as u8));
}
