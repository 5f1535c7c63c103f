//! What happens on the way to one answer, written down for whoever asked to be told.
//!
//! A question that nobody traces costs a look whether somebody does, on the slow path only. The
//! notes follow the question through the tasks that work for it.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How much is written down of one question.
const MAX_NOTES: usize = 200;

tokio::task_local! {
    static NOTES: Arc<Notes>;
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When, by the listener's clock.
    pub at: Duration,
    /// Which part of the resolver did it.
    pub who: &'static str,
    /// What it was, in words.
    pub what: String,
}

struct Notes {
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    taken: Mutex<Taken>,
}

/// What was written down.
#[derive(Debug, Default)]
pub struct Taken {
    /// In the order in which it happened.
    pub notes: Vec<Note>,
    /// More happened than there was room for.
    pub cut: bool,
}

/// Writes down what happened, if somebody wants to know.
pub fn note(who: &'static str, what: impl FnOnce() -> String) {
    // An error says that nobody does.
    let _ = NOTES.try_with(|notes| {
        let at = (notes.clock)();
        let mut taken = notes.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.notes.len() < MAX_NOTES {
            taken.notes.push(Note { at, who, what: what() });
        } else {
            taken.cut = true;
        }
    });
}

/// Does `work` and gives what was written down meanwhile, with times of `clock`. What goes on
/// behind it is not waited for.
pub async fn listen<T>(
    clock: impl Fn() -> Duration + Send + Sync + 'static,
    work: impl Future<Output = T>,
) -> (T, Taken) {
    let notes = Arc::new(Notes { clock: Box::new(clock), taken: Mutex::default() });
    let done = NOTES.scope(notes.clone(), work).await;
    let taken = std::mem::take(&mut *notes.taken.lock().unwrap_or_else(PoisonError::into_inner));
    (done, taken)
}

/// Work for the question at hand that a task of its own does: it goes on writing where the
/// question's notes are.
pub fn carry<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let notes = NOTES.try_with(Arc::clone).ok();
    async move {
        match notes {
            Some(notes) => NOTES.scope(notes, work).await,
            None => work.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(what: &'static str) {
        note("test", || what.into());
    }

    #[tokio::test]
    async fn notes_follow_the_question_into_its_tasks_and_no_other() {
        said("nobody listens");
        let work = async {
            said("here");
            tokio::spawn(carry(async { said("in a task") })).await.unwrap();
            tokio::spawn(async { said("somebody else's") }).await.unwrap();
            7
        };
        let (done, taken) = listen(|| Duration::from_secs(3), work).await;
        let whats: Vec<_> = taken.notes.iter().map(|note| note.what.as_str()).collect();
        assert_eq!((done, whats, taken.cut), (7, vec!["here", "in a task"], false));
        assert_eq!(taken.notes[0].at, Duration::from_secs(3));
    }

    #[tokio::test]
    async fn there_is_an_end_to_what_is_written_down() {
        let ((), taken) =
            listen(|| Duration::ZERO, async { (0..=MAX_NOTES).for_each(|_| said("x")) }).await;
        assert!(taken.notes.len() == MAX_NOTES && taken.cut);
    }
}
