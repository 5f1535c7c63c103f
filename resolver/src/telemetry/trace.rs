//! The trace of one answer: a list of events, collected only where a trace was asked for.
//!
//! Without a trace an event costs one look-up of a task-local variable, on the slow path only. The
//! trace follows a question into the tasks that work for it ([`in_scope`]).

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The most events in a trace.
const MAX_EVENTS: usize = 200;

tokio::task_local! {
    static SCOPE: Arc<Scope>;
}

/// One event of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The time, by the clock given to [`collect`].
    pub at: Duration,
    /// The part of the resolver that reports it.
    pub source: &'static str,
    /// What happened.
    pub text: String,
}

struct Scope {
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    trace: Mutex<Trace>,
}

/// The events of one answer.
#[derive(Debug, Default)]
pub struct Trace {
    /// In order of time.
    pub events: Vec<Event>,
    /// Whether there were more than [`MAX_EVENTS`].
    pub truncated: bool,
}

/// Adds an event to the trace, if there is one. `text` is called only then.
pub fn event(source: &'static str, text: impl FnOnce() -> String) {
    // An error means that nobody traces this question.
    let _ = SCOPE.try_with(|scope| {
        let at = (scope.clock)();
        let mut trace = scope.trace.lock().unwrap_or_else(PoisonError::into_inner);
        if trace.events.len() < MAX_EVENTS {
            trace.events.push(Event { at, source, text: text() });
        } else {
            trace.truncated = true;
        }
    });
}

/// Runs `work` and returns its trace, with times by `clock`. Background tasks that outlive `work`
/// are not waited for.
pub async fn collect<T>(
    clock: impl Fn() -> Duration + Send + Sync + 'static,
    work: impl Future<Output = T>,
) -> (T, Trace) {
    let scope = Arc::new(Scope { clock: Box::new(clock), trace: Mutex::default() });
    let done = SCOPE.scope(scope.clone(), work).await;
    let trace = std::mem::take(&mut *scope.trace.lock().unwrap_or_else(PoisonError::into_inner));
    (done, trace)
}

/// Keeps the current trace for work that is moved to a task of its own.
pub fn in_scope<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let scope = SCOPE.try_with(Arc::clone).ok();
    async move {
        match scope {
            Some(scope) => SCOPE.scope(scope, work).await,
            None => work.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &'static str) {
        event("test", || text.into());
    }

    #[tokio::test]
    async fn events_follow_a_query_into_its_tasks_and_no_other() {
        said("nobody listens");
        let work = async {
            said("here");
            tokio::spawn(in_scope(async { said("in a task") })).await.unwrap();
            tokio::spawn(async { said("somebody else's") }).await.unwrap();
            7
        };
        let (done, trace) = collect(|| Duration::from_secs(3), work).await;
        let whats: Vec<_> = trace.events.iter().map(|event| event.text.as_str()).collect();
        assert_eq!((done, whats, trace.truncated), (7, vec!["here", "in a task"], false));
        assert_eq!(trace.events[0].at, Duration::from_secs(3));
    }

    #[tokio::test]
    async fn a_trace_is_bounded() {
        let ((), trace) =
            collect(|| Duration::ZERO, async { (0..=MAX_EVENTS).for_each(|_| said("x")) }).await;
        assert!(trace.events.len() == MAX_EVENTS && trace.truncated);
    }
}
