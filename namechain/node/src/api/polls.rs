//! Requests that wait for something new. Each keeps a connection busy, so there is a bound on how
//! many wait: they must not fill the listener.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::connections::Client;

/// The most that wait at once: a quarter of the connections.
const MAX_POLLS: usize = 64;
/// The most of them from elsewhere than this machine and private networks, and of one site there: a
/// miner needs one.
const MAX_FAR_POLLS: usize = 48;
const MAX_POLLS_OF_A_SITE: usize = 4;

/// Who waits, and how many of its requests do.
#[derive(Clone, Debug, Default)]
pub(super) struct Polls {
    waiting: Arc<Mutex<HashMap<Client, usize>>>,
}

/// A place among those that wait, until it is dropped.
#[derive(Debug)]
pub(super) struct Poll {
    client: Client,
    polls: Polls,
}

impl Polls {
    /// A place for a request of `client`; `None` if too many wait. Whoever is near is bounded by
    /// the number of places alone: a proxy is.
    pub fn begin(&self, client: Client, is_near: bool) -> Option<Poll> {
        let client = client.site();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = waiting.values().sum();
        let own = waiting.get(&client).copied().unwrap_or(0);
        let is_far_full = all >= MAX_FAR_POLLS || own >= MAX_POLLS_OF_A_SITE;
        if all >= MAX_POLLS || !is_near && is_far_full {
            return None;
        }
        waiting.insert(client, own + 1);
        Some(Poll { client, polls: self.clone() })
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        let mut waiting = self.polls.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Client {
        Client::new(Some(address.parse().unwrap()))
    }

    #[test]
    fn so_many_wait_and_no_more() {
        let polls = Polls::default();
        let miner = client("192.0.2.1");
        let mut places: Vec<Poll> = (0..4).map(|_| polls.begin(miner, false).unwrap()).collect();
        assert!(polls.begin(miner, false).is_none(), "four of a site");
        places.pop();
        places.push(polls.begin(miner, false).unwrap());
        let others = (2..13).flat_map(|at| (0..4).map(move |_| client(&format!("192.0.2.{at}"))));
        places.extend(others.map(|other| polls.begin(other, false).unwrap()));
        assert!(polls.begin(client("192.0.2.99"), false).is_none(), "48 from afar");
        let proxy = client("127.0.0.1");
        places.extend((48..64).map(|_| polls.begin(proxy, true).unwrap()));
        assert!(polls.begin(proxy, true).is_none(), "64 in all");
        places.clear();
        assert!(polls.waiting.lock().unwrap().is_empty());
    }
}
