//! A bound on the queries that one client question may cause: aliases, retries, keys for validation
//! and servers of delegations multiply (unbound has `max-global-quota`).

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The most messages that are sent to servers for one question.
pub const MAX_MESSAGES_PER_QUESTION: u32 = 200;

tokio::task_local! {
    /// How many messages may still be sent for the question that this task works for.
    static LEFT: Arc<AtomicU32>;
}

/// Runs the work for one question, within its budget.
pub async fn bounded<T>(work: impl Future<Output = T>) -> T {
    LEFT.scope(Arc::new(AtomicU32::new(MAX_MESSAGES_PER_QUESTION)), work).await
}

/// Keeps the budget of the current question for work that is moved to a task of its own. Without a
/// question it gets a budget of its own.
pub fn in_budget<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let left = LEFT.try_with(Arc::clone).ok();
    async move {
        match left {
            Some(left) => LEFT.scope(left, work).await,
            None => bounded(work).await,
        }
    }
}

/// Takes one message from the budget; whether there was one left. Work that is for no question
/// (probes, loop tests) has no budget.
pub fn take_message() -> bool {
    let take = |left: &Arc<AtomicU32>| {
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    };
    LEFT.try_with(take).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_question_has_one_budget_in_all_its_tasks() {
        assert!((0..=MAX_MESSAGES_PER_QUESTION).all(|_| take_message()), "no question");
        let spend = || (0..MAX_MESSAGES_PER_QUESTION / 2).filter(|_| take_message()).count();
        let spent = bounded(async {
            let one = tokio::spawn(in_budget(async move { spend() })).await.unwrap();
            one + spend() + spend()
        });
        assert_eq!(spent.await, MAX_MESSAGES_PER_QUESTION as usize);
    }
}
