//! Polling the node, within a time limit.

use std::time::Duration;

use crate::{
    clock,
    error::CommandError,
    interrupt,
    mine::StandIn,
    ui::{Ui, duration},
};

/// The first pause between two polls; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(3);
/// How many polls in a row may get no answer: the node may be restarting.
const MAX_UNREACHABLE_POLLS: u32 = 10;
/// How many polls in a row may find no trace of what was submitted: a block may just be connected.
const MAX_GONE_POLLS: u32 = 4;

/// The result of one poll.
pub enum Poll<T> {
    /// Done.
    Ready(T),
    /// Not yet; the state in words.
    Pending(String),
    /// Not yet, but in a new phase; the state in words, which are shown at once.
    Progress(String),
    /// There is nothing to wait for.
    Gone,
}

/// Polls, for the time in all that the user gave.
#[derive(Debug)]
pub struct Waiter {
    ui: Ui,
    timeout: Duration,
    waited: Duration,
    /// Mines when nobody else does.
    stand_in: Option<StandIn>,
}

impl Waiter {
    /// A waiter that gives up after `timeout`.
    pub fn new(ui: Ui, timeout: Duration) -> Self {
        Waiter { ui, timeout, waited: Duration::ZERO, stand_in: None }
    }

    /// As this one, mining when nobody else does.
    pub fn with_stand_in(self, stand_in: StandIn) -> Self {
        Waiter { stand_in: Some(stand_in), ..self }
    }

    /// Polls until it is done. `what` names it in messages.
    pub fn until<T>(
        &mut self,
        what: &str,
        mut poll: impl FnMut() -> Result<Poll<T>, CommandError>,
    ) -> Result<T, CommandError> {
        let _notice = interrupt::notice(
            self.ui,
            &format!("waiting for {what}"),
            "what was sent stays sent: run the same command again to go on",
        );
        let mut pause = FIRST_PAUSE;
        let (mut away, mut missing) = (0, 0);
        let mut progress = None;
        loop {
            let state = match poll() {
                Ok(Poll::Ready(value)) => return Ok(value),
                Ok(Poll::Pending(state)) => {
                    (away, missing) = (0, 0);
                    state
                }
                Ok(Poll::Progress(state)) => {
                    (away, missing, progress) = (0, 0, None);
                    state
                }
                Ok(Poll::Gone) if missing < MAX_GONE_POLLS => {
                    missing += 1;
                    format!("the node does not have {what}")
                }
                Ok(Poll::Gone) => return Err(CommandError::Dropped(what.into())),
                Err(CommandError::Client(error))
                    if error.is_temporary() && away < MAX_UNREACHABLE_POLLS =>
                {
                    away += 1;
                    format!("the node can't answer now: {error}")
                }
                Err(error) => return Err(error),
            };
            if self.waited >= self.timeout {
                return Err(CommandError::Timeout(duration(self.timeout), state));
            }
            progress.get_or_insert_with(|| self.ui.progress()).show(None, &state);
            let pausing = pause.min(self.timeout - self.waited);
            match &mut self.stand_in {
                Some(stand_in) => stand_in.pause(pausing),
                None => clock::sleep(pausing),
            }
            self.waited += pausing;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ClientError;

    fn waiter(millis: u64) -> Waiter {
        Waiter::new(Ui::new(true), Duration::from_millis(millis))
    }

    #[test]
    fn it_ends_when_it_has_come() {
        let mut looks = 0;
        let found = waiter(60_000).until("it", || {
            looks += 1;
            Ok(if looks == 3 { Poll::Ready(looks) } else { Poll::Pending("soon".into()) })
        });
        assert_eq!(found.unwrap(), 3);
    }

    #[test]
    fn it_ends_in_time_and_says_where_it_stood() {
        let mut waiter = waiter(1);
        for _ in 0..2 {
            let ended = waiter.until::<()>("it", || Ok(Poll::Pending("block 3 of 10".into())));
            assert!(
                matches!(ended, Err(CommandError::Timeout(_, state)) if state == "block 3 of 10")
            );
        }
    }

    #[test]
    fn a_node_that_is_away_for_a_moment_is_waited_for() {
        let gone = || {
            CommandError::Client(ClientError::Unreachable {
                node: "n".into(),
                why: "refused".into(),
            })
        };
        let mut looks = 0;
        let found = waiter(60_000).until("it", || {
            looks += 1;
            if looks <= 2 { Err(gone()) } else { Ok(Poll::Ready(())) }
        });
        assert!(found.is_ok());
        let refused = waiter(60_000).until::<()>("it", || Err(CommandError::NotSynced(1)));
        assert!(matches!(refused, Err(CommandError::NotSynced(1))));
    }
}
