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
    buffered_bytes: usize,
    max_connections: usize,
    max_buffered_bytes: usize,
}

struct ConnectionEntry<H> {
    group: ClientGroup,
    /// When it was accepted, or last sent a whole query (a value of the counter).
    last_active: u64,
    /// Queries in progress.
    in_progress: usize,
    /// Bytes buffered for it.
    buffered_bytes: usize,
    handle: Option<H>,
}

/// A group of clients that is limited together: this machine, an IPv4 address, an IPv6 network of
/// 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientGroup {
    Local,
    Remote(IpAddr),
}

impl ClientGroup {
    fn of(address: IpAddr) -> Self {
        match address {
            address if address.is_loopback() => ClientGroup::Local,
            IpAddr::V6(ip) => {
                ClientGroup::Remote(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into())
            }
            address => ClientGroup::Remote(address),
        }
    }
}

impl<H> ConnectionTable<H> {
    /// A table for at most `max_connections` connections with at most `max_buffered_bytes` buffered
    /// bytes.
    pub fn new(max_connections: usize, max_buffered_bytes: usize) -> Self {
        ConnectionTable {
            entries: HashMap::new(),
            next: 0,
            buffered_bytes: 0,
            max_connections,
            max_buffered_bytes,
        }
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
        let group = ClientGroup::of(address);
        let its_own = self.entries.values().filter(|entry| entry.group == group).count();
        let evict = if group != ClientGroup::Local && its_own >= self.max_connections.div_ceil(4) {
            self.evict(|entry| entry.group == group)
        } else if self.entries.len() >= self.max_connections {
            self.evict(|_| true)
        } else {
            None
        };
        let id = self.count();
        self.entries.insert(
            id,
            ConnectionEntry {
                group,
                last_active: id,
                in_progress: 0,
                buffered_bytes: 0,
                handle: None,
            },
        );
        (id, evict)
    }

    /// Removes the connection of `among` that has been idle for the longest time; one with queries
    /// in progress only if all have some.
    fn evict(&mut self, among: impl Fn(&ConnectionEntry<H>) -> bool) -> Option<H> {
        let those = self.entries.iter().filter(|(_, entry)| among(entry));
        let (id, _) = those.min_by_key(|(_, entry)| (entry.in_progress > 0, entry.last_active))?;
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
        self.buffered_bytes -= entry.buffered_bytes;
        entry.handle
    }

    /// Records that a whole query has arrived.
    pub fn on_query(&mut self, id: u64) {
        let last_active = self.count();
        if let Some(entry) = self.entries.get_mut(&id) {
            (entry.last_active, entry.in_progress) = (last_active, entry.in_progress + 1);
        }
    }

    /// Records that a query is done, answered or not.
    pub fn on_answered(&mut self, id: u64) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.in_progress = entry.in_progress.saturating_sub(1);
        }
    }

    /// Adds buffered bytes. Returns the connections to close for them, which may include this one.
    pub fn add_buffered(&mut self, id: u64, bytes: usize) -> Vec<H> {
        let mut closing = Vec::new();
        let Some(entry) = self.entries.get_mut(&id) else { return closing };
        entry.buffered_bytes += bytes;
        self.buffered_bytes += bytes;
        while self.buffered_bytes > self.max_buffered_bytes {
            let most = self
                .entries
                .iter()
                .max_by_key(|(_, entry)| entry.buffered_bytes)
                .map(|(id, _)| *id);
            let Some(most) = most else { break };
            closing.extend(self.remove(most));
        }
        closing
    }

    /// Subtracts buffered bytes.
    pub fn remove_buffered(&mut self, id: u64, bytes: usize) {
        if let Some(entry) = self.entries.get_mut(&id) {
            let bytes = bytes.min(entry.buffered_bytes);
            entry.buffered_bytes -= bytes;
            self.buffered_bytes -= bytes;
        }
    }

    /// Whether more than half of the table is in use: idle times are shorter then.
    pub fn is_crowded(&self) -> bool {
        self.entries.len() > self.max_connections / 2
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

    /// A table for `max_connections` connections; the handle of each is its number.
    fn table(max_connections: usize) -> ConnectionTable<u64> {
        ConnectionTable::new(max_connections, 1_000)
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
        assert!(table.add_buffered(a, 600).is_empty());
        assert!(table.add_buffered(b, 300).is_empty());
        assert_eq!(table.add_buffered(c, 200), [a]);
        table.remove_buffered(a, 600);
        assert!(
            table.add_buffered(c, 500).is_empty(),
            "what a buffered_bytes was given back once, not twice"
        );
        table.remove_buffered(b, 300);
        assert!(table.add_buffered(b, 300).is_empty());
        assert_eq!(table.add_buffered(c, 900), [c], "it may be the one that asks for more");
        assert_eq!(table.buffered_bytes, 300);
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
