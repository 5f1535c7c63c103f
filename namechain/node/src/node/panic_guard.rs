//! Tells when a thread or task of the node has ended by a panic: a node that goes on without its
//! miner, or without its clock, must not look as if it were well.

use tokio::sync::watch;

/// Held by a thread or a task as long as it runs.
pub(super) struct PanicGuard {
    what: &'static str,
    failed: watch::Sender<Option<String>>,
}

impl PanicGuard {
    /// For what is called `what`; a panic of it is told to `failed`.
    pub fn new(what: &'static str, failed: &watch::Sender<Option<String>>) -> Self {
        PanicGuard { what, failed: failed.clone() }
    }
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let what = self.what;
            self.failed.send_replace(Some(format!(
                "{what} has ended by a panic: see the log, report this bug, and start the node again"
            )));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_and_an_end_is_not() {
        let (failed, watching) = watch::channel(None);
        let guard = PanicGuard::new("the clock", &failed);
        assert!(tokio::spawn(async move { drop(guard) }).await.is_ok());
        assert_eq!(*watching.borrow(), None);
        let guard = PanicGuard::new("the clock", &failed);
        let task = tokio::spawn(async move {
            let _guard = guard;
            panic!("a bug");
        });
        assert!(task.await.is_err());
        assert!(watching.borrow().as_ref().is_some_and(|why| why.starts_with("the clock has")));
        let guard = PanicGuard::new("the miner", &failed);
        let thread = std::thread::spawn(move || {
            let _guard = guard;
            panic!("a bug");
        });
        assert!(thread.join().is_err());
        assert!(watching.borrow().as_ref().is_some_and(|why| why.starts_with("the miner has")));
    }
}
