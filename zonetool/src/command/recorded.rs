//! Waiting until an operation is recorded, by its id, and until the node serves the result.

use namechain_core::{
    api_types::{NameInfo, PastOperation, PeerCounts, Standing, Status},
    params::STATES_KEPT,
    types::{Action, Hash, Name, Operation, SignedOperation},
};

use super::{
    submit::{Submission, Submitter},
    wait::Poll,
};
use crate::{client::Client, clock, dates::Earliest, error::CommandError, interrupt, ui::counted};

/// From this depth on nobody is warned of a reorganisation (`docs/protocol.md`, section 15).
const SAFE_DEPTH_BLOCKS: u32 = 30;
/// The most pages of a history that are read to find an operation.
const MAX_PAGES: u32 = 100;

/// Where an operation was recorded.
#[derive(Debug)]
pub struct Recorded {
    /// The height of the block.
    pub height: u32,
    /// The time of the block, in seconds of Unix time.
    pub time: u64,
    /// How many blocks follow it.
    pub depth: u32,
    /// The name at the tip.
    pub info: NameInfo,
}

/// What one poll found of an operation.
enum Found {
    Recorded(Box<(Recorded, Status)>),
    /// It waits in the node; the height of the tip.
    Pending(u32),
    Nowhere,
}

impl Submitter {
    /// Waits until no operation on the name waits any more, and returns the name.
    ///
    /// # Errors
    /// If the time is over, or the node fails.
    pub fn wait_no_pending(&mut self, name: &Name) -> Result<NameInfo, CommandError> {
        let client = &self.client;
        self.waiter.until("the pending operation", || {
            let info = client.name(name)?;
            Ok(match info.pending {
                true => Poll::Pending(format!("another operation on {name} is pending")),
                false => Poll::Ready(info),
            })
        })
    }

    /// Waits until an operation is recorded, the name is served with it, and `depth` blocks follow.
    /// A registration must have settled by then. All the while a reorganisation may undo it.
    ///
    /// # Errors
    /// If something else was recorded instead, the node has dropped it, or the time is over.
    pub fn wait_until_recorded(
        &mut self,
        submission: &Submission,
        depth: u32,
    ) -> Result<Recorded, CommandError> {
        let Operation::Named(named) = &submission.operation else {
            return Err(CommandError::Dropped("the commitment".into()));
        };
        let label = submission.operation.label();
        let hint = match named.action {
            Action::Register { .. } => {
                "it stays sent: run the same command again to go on".to_owned()
            }
            _ => format!("it stays sent; to see its state: zonetool show {}", named.name),
        };
        let _notice =
            interrupt::notice(self.ui, &format!("waiting for the {label} to be recorded"), &hint);
        let client = &self.client;
        let (mut was_at, mut phase) = (None, "");
        let waited = self.waiter.until("the operation", || {
            let (recorded, status) = match find(client, named, submission)? {
                Found::Recorded(found) => *found,
                Found::Pending(tip) => {
                    let again =
                        was_at.map_or("", |_| "undone by a reorganisation, pending again: ");
                    return Ok(Poll::Pending(format!("{again}waiting for the block after {tip}")));
                }
                Found::Nowhere => return Ok(Poll::Gone),
            };
            was_at = Some(recorded.height);
            match what_is_missing(client, named, &recorded, &status, depth)? {
                None => Ok(Poll::Ready((recorded, status))),
                Some((next, text)) if std::mem::replace(&mut phase, next) == next => {
                    Ok(Poll::Pending(text))
                }
                Some((_, text)) => Ok(Poll::Progress(text)),
            }
        });
        match (waited, was_at) {
            (Err(CommandError::Dropped(_)), Some(height)) => {
                Err(CommandError::Undone { name: named.name.clone(), height })
            }
            (Ok((recorded, status)), _) => {
                self.warn_of_reorganisations(&recorded, &status, depth);
                Ok(recorded)
            }
            (Err(error), _) => Err(error),
        }
    }

    fn warn_of_reorganisations(&self, recorded: &Recorded, status: &Status, depth: u32) {
        let has_peers = status.peers != PeerCounts::default();
        if has_peers && depth == 0 && recorded.depth < SAFE_DEPTH_BLOCKS {
            self.ui.print_note(&format!(
                "{} deep: a reorganisation can still undo it; to wait until that is unlikely: \
                 --depth {SAFE_DEPTH_BLOCKS}",
                counted(recorded.depth.into(), "block")
            ));
        }
    }
}

/// Looks for the operation; an error if another is recorded in its place.
fn find(
    client: &Client,
    named: &SignedOperation,
    submission: &Submission,
) -> Result<Found, CommandError> {
    // A reorganisation may record it lower than where the tip was when it was submitted.
    let from = submission.height.saturating_sub(STATES_KEPT);
    // In this order: what is recorded in between is found pending, or not yet.
    let info = client.name(&named.name)?;
    let past = history_from(client, &named.name, from)?;
    let place = past.iter().find(|past| past.id == submission.id);
    if let Some(error) = lost_to(named, &info, &past, submission.id, place) {
        return Err(error);
    }
    let Some(place) = place else {
        return Ok(if info.pending { Found::Pending(info.height) } else { Found::Nowhere });
    };
    let status = client.status()?;
    let depth = status.height.saturating_sub(place.height);
    let recorded = Recorded { height: place.height, time: place.time, depth, info };
    Ok(Found::Recorded(Box::new((recorded, status))))
}

/// The operations on a name from a height on.
fn history_from(
    client: &Client,
    name: &Name,
    from: u32,
) -> Result<Vec<PastOperation>, CommandError> {
    let (mut past, mut next) = (Vec::new(), Some(from));
    for _ in 0..MAX_PAGES {
        let Some(height) = next else { break };
        let page = client.history(name, height)?;
        past.extend(page.operations);
        next = page.next.filter(|next| *next > height);
    }
    Ok(past)
}

/// The error if another operation was recorded so that this one can't be any more, or has lost its
/// effect: the same sequence number under the same title, or another title.
fn lost_to(
    named: &SignedOperation,
    info: &NameInfo,
    past: &[PastOperation],
    id: Hash,
    place: Option<&PastOperation>,
) -> Option<CommandError> {
    let name = || named.name.clone();
    let entry = info.entry.as_ref()?;
    if matches!(named.action, Action::Register { .. }) {
        let is_later = |past: &&PastOperation| past.kind == "register" && past.id != id;
        let after = past.iter().skip_while(|past| past.id != id);
        return match place {
            Some(_) if after.into_iter().any(|past| is_later(&past)) => {
                Some(CommandError::Displaced { name: name(), owner: entry.owner })
            }
            // While another registration settles, ours may still displace it.
            None if !info.pending && entry.owner != named.signer => {
                Some(CommandError::Taken(name(), entry.owner))
            }
            _ => None,
        };
    }
    if place.is_some() {
        return None;
    }
    let takes_its_place = |other: &&PastOperation| {
        other.id != id
            && other.reference == named.reference
            && match named.action.sequence() {
                Some(sequence) => other.sequence == Some(sequence),
                None => matches!(other.kind.as_str(), "accept" | "recover"),
            }
    };
    let other = past.iter().rev().find(takes_its_place)?;
    Some(CommandError::Overtaken { name: name(), kind: other.kind.clone() })
}

/// What is still to come until the name is served with a recorded operation: a phase and words.
fn what_is_missing(
    client: &Client,
    named: &SignedOperation,
    recorded: &Recorded,
    status: &Status,
    depth: u32,
) -> Result<Option<(&'static str, String)>, CommandError> {
    let name = &named.name;
    let (height, info) = (recorded.height, &recorded.info);
    if let (Standing::Settling, Some(entry)) = (info.standing, &info.entry) {
        let settles = Earliest { height: entry.settles_height, time: entry.settles_time };
        let when = settles.describe(info.height, clock::unix());
        return Ok(Some((
            "settling",
            format!(
                "{name} is registered at height {height} and is settled {when}; until then an \
                 older commitment can displace it"
            ),
        )));
    }
    // A registration resolves once it has settled where names are served.
    let is_served = status.served_height >= height
        && info.height >= height
        && match named.action {
            Action::Register { .. } => {
                client.name_at(name, status.served_height)?.standing == Standing::Active
            }
            _ => true,
        };
    if !is_served {
        return Ok(Some((
            "served",
            format!(
                "{name}: recorded at height {height}; the node serves names {} deep, now from \
                 height {}",
                counted(status.serve_depth.into(), "block"),
                status.served_height
            ),
        )));
    }
    Ok((recorded.depth < depth).then(|| {
        let text = format!(
            "{name}: recorded at height {height}, {} deep, {} to go",
            counted(recorded.depth.into(), "block"),
            depth - recorded.depth
        );
        ("depth", text)
    }))
}
