//! The table of connections, and which one is closed when it is full. It has no sockets and no
//! clock: order is kept by a counter.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

/// The connections of one server. `H` is the handle that closes a connection.
pub(super) struct ConnectionTable<H> {
    entries: HashMap<u64, ConnectionEntry<H>>,
    next: u64,
    held: usize,
    most: usize,
    most_held: usize,
}

struct ConnectionEntry<H> {
    from: From,
    /// When it was accepted, or last sent a whole query (a value of the counter).
    heard: u64,
    /// Queries in progress.
    working: usize,
    /// Bytes buffered for it.
    held: usize,
    handle: Option<H>,
}

/// A group of clients that is limited together: this machine, an IPv4 address, an IPv6 network of
/// 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Here,
    There(IpAddr),
}

impl From {
    fn of(address: IpAddr) -> Self {
        match address {
            address if address.is_loopback() => From::Here,
            IpAddr::V6(ip) => From::There(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into()),
            address => From::There(address),
        }
    }
}

impl<H> ConnectionTable<H> {
    /// A table for at most `most` connections with at most `most_held` buffered bytes.
    pub fn new(most: usize, most_held: usize) -> Self {
        ConnectionTable { entries: HashMap::new(), next: 0, held: 0, most, most_held }
    }

    fn count(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Adds a connection. Returns its number, and the connection to close for it.
    ///
    /// A client on another machine may have at most a quarter of the table: beyond that its own
    /// oldest connection is closed.
    pub fn admit(&mut self, address: IpAddr) -> (u64, Option<H>) {
        let from = From::of(address);
        let its_own = self.entries.values().filter(|entry| entry.from == from).count();
        let evict = if from != From::Here && its_own >= self.most.div_ceil(4) {
            self.evict(|entry| entry.from == from)
        } else if self.entries.len() >= self.most {
            self.evict(|_| true)
        } else {
            None
        };
        let id = self.count();
        self.entries
            .insert(id, ConnectionEntry { from, heard: id, working: 0, held: 0, handle: None });
        (id, evict)
    }

    /// Removes the connection of `among` that has been idle for the longest time; one with queries
    /// in progress only if all have some.
    fn evict(&mut self, among: impl Fn(&ConnectionEntry<H>) -> bool) -> Option<H> {
        let those = self.entries.iter().filter(|(_, entry)| among(entry));
        let (id, _) = those.min_by_key(|(_, entry)| (entry.working > 0, entry.heard))?;
        self.remove(*id)
    }

    /// Removes the connection that has been idle for the longest time.
    pub fn evict_oldest(&mut self) -> Option<H> {
        self.evict(|_| true)
    }

    /// Sets the handle that closes the connection.
    pub fn attach(&mut self, id: u64, handle: H) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.handle = Some(handle);
        }
    }

    /// Removes a connection that has ended.
    pub fn remove(&mut self, id: u64) -> Option<H> {
        let entry = self.entries.remove(&id)?;
        self.held -= entry.held;
        entry.handle
    }

    /// Records that a whole query has arrived.
    pub fn on_query(&mut self, id: u64) {
        let heard = self.count();
        if let Some(entry) = self.entries.get_mut(&id) {
            (entry.heard, entry.working) = (heard, entry.working + 1);
        }
    }

    /// Records that a query is done, answered or not.
    pub fn on_answered(&mut self, id: u64) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.working = entry.working.saturating_sub(1);
        }
    }

    /// Adds buffered bytes. Returns the connections to close for them, which may include this one.
    pub fn hold(&mut self, id: u64, bytes: usize) -> Vec<H> {
        let mut leaving = Vec::new();
        let Some(entry) = self.entries.get_mut(&id) else { return leaving };
        entry.held += bytes;
        self.held += bytes;
        while self.held > self.most_held {
            let most = self.entries.iter().max_by_key(|(_, entry)| entry.held).map(|(id, _)| *id);
            let Some(most) = most else { break };
            leaving.extend(self.remove(most));
        }
        leaving
    }

    /// Subtracts buffered bytes.
    pub fn release(&mut self, id: u64, bytes: usize) {
        if let Some(entry) = self.entries.get_mut(&id) {
            let bytes = bytes.min(entry.held);
            entry.held -= bytes;
            self.held -= bytes;
        }
    }

    /// Whether more than half of the table is in use: idle times are shorter then.
    pub fn is_crowded(&self) -> bool {
        self.entries.len() > self.most / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> IpAddr {
        [127, 0, 0, 1].into()
    }

    fn there(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    /// A table for `most` connections; the handle of each is its number.
    fn table(most: usize) -> ConnectionTable<u64> {
        ConnectionTable::new(most, 1_000)
    }

    fn admit(table: &mut ConnectionTable<u64>, address: IpAddr) -> (u64, Option<u64>) {
        let (id, evict) = table.admit(address);
        table.attach(id, id);
        (id, evict)
    }

    #[test]
    fn the_one_that_has_said_nothing_for_longest_goes_first() {
        let mut table = table(3);
        let [a, b, c] = [(); 3].map(|()| admit(&mut table, here()).0);
        table.on_query(a);
        table.on_answered(a);
        let (d, evict) = admit(&mut table, here());
        assert_eq!(evict, Some(b), "a has asked since");
        assert_eq!(admit(&mut table, here()).1, Some(c));
        assert_eq!(admit(&mut table, here()).1, Some(a));
        assert_eq!(admit(&mut table, here()).1, Some(d));
    }

    #[test]
    fn one_with_a_question_in_work_goes_last_but_goes() {
        let mut table = table(2);
        let (a, _) = admit(&mut table, here());
        table.on_query(a);
        let (b, _) = admit(&mut table, here());
        let (c, evict) = admit(&mut table, here());
        assert_eq!(evict, Some(b));
        table.on_query(c);
        assert_eq!(admit(&mut table, here()).1, Some(a), "both are at work, a for longer");
    }

    #[test]
    fn a_client_elsewhere_has_a_quarter_of_the_room() {
        let mut table = table(8);
        let (first, _) = admit(&mut table, here());
        let (a, _) = admit(&mut table, there(1));
        let (b, _) = admit(&mut table, there(1));
        assert_eq!(admit(&mut table, there(1)).1, Some(a), "its own, not the first");
        assert_eq!(admit(&mut table, there(2)).1, None);
        table.remove(b);
        assert_eq!(admit(&mut table, there(1)).1, None);
        // An IPv6 network of 64 bits is one client; an IPv4-mapped address is the IPv4 client.
        let v6 = |text: &str| text.parse::<IpAddr>().unwrap();
        let (c, _) = admit(&mut table, v6("2001:db8::1"));
        admit(&mut table, v6("2001:db8::2"));
        assert_eq!(admit(&mut table, v6("2001:db8::ffff:3")).1, Some(c));
        assert_eq!(admit(&mut table, v6("2001:db8:0:1::1")).1, None);
        assert_eq!(admit(&mut table, v6("::1")).1, None);
        assert_eq!(admit(&mut table, here()).1, Some(first), "full: the oldest of all");
    }

    #[test]
    fn bytes_are_bounded_and_whoever_holds_most_goes() {
        let mut table = table(8);
        let [a, b, c] = [(); 3].map(|()| admit(&mut table, here()).0);
        assert!(table.hold(a, 600).is_empty());
        assert!(table.hold(b, 300).is_empty());
        assert_eq!(table.hold(c, 200), [a]);
        table.release(a, 600);
        assert!(table.hold(c, 500).is_empty(), "what a held was given back once, not twice");
        table.release(b, 300);
        assert!(table.hold(b, 300).is_empty());
        assert_eq!(table.hold(c, 900), [c], "it may be the one that asks for more");
        assert_eq!(table.held, 300);
    }

    #[test]
    fn it_knows_when_it_is_crowded() {
        let mut table = table(4);
        let ids = [(); 3].map(|()| admit(&mut table, here()).0);
        assert!(table.is_crowded());
        table.remove(ids[0]);
        assert!(!table.is_crowded());
    }
}
