//! How many channels there are at a time, in all and with the same address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

#[derive(Debug)]
pub(super) struct ConnectionLimit {
    most: usize,
    per_address: usize,
    /// Never more entries than permits.
    taken: Mutex<(usize, HashMap<IpAddr, usize>)>,
}

/// A channel's place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    limit: Arc<ConnectionLimit>,
    address: IpAddr,
}

impl ConnectionLimit {
    pub fn new(most: usize, per_address: usize) -> Arc<Self> {
        Arc::new(ConnectionLimit { most, per_address, taken: Mutex::default() })
    }

    /// A place for one more with this address.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionPermit> {
        let address = address.to_canonical();
        let mut guard = self.lock();
        let (all, addresses) = &mut *guard;
        let there = addresses.get(&address).copied().unwrap_or(0);
        if *all >= self.most || there >= self.per_address {
            return None;
        }
        *all += 1;
        addresses.insert(address, there + 1);
        Some(ConnectionPermit { limit: self.clone(), address })
    }

    /// Whether half of the places are taken, in all or by who says to be at this address: from then
    /// on addresses have to be proven (RFC 9000 section 8.1), so that nobody fills the places of
    /// somebody else.
    pub fn is_half_full(&self, address: IpAddr) -> bool {
        let guard = self.lock();
        let there = guard.1.get(&address.to_canonical()).copied().unwrap_or(0);
        guard.0 * 2 >= self.most || there * 2 >= self.per_address
    }

    fn lock(&self) -> MutexGuard<'_, (usize, HashMap<IpAddr, usize>)> {
        // Nothing between two changes can panic.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut guard = self.limit.lock();
        let (all, addresses) = &mut *guard;
        *all = all.saturating_sub(1);
        match addresses.get_mut(&self.address) {
            Some(there) if *there > 1 => *there -= 1,
            _ => drop(addresses.remove(&self.address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_and_given_back() {
        let limit = ConnectionLimit::new(4, 2);
        let (one, other): (IpAddr, IpAddr) = ("127.0.0.1".parse().unwrap(), "::1".parse().unwrap());
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        assert!(!limit.is_half_full(one));
        let first = limit.take(one).unwrap();
        assert!(limit.is_half_full(mapped) && !limit.is_half_full(other));
        let second = limit.take(mapped).unwrap();
        assert!(limit.is_half_full(other));
        assert!(limit.take(one).is_none(), "two of the same address");
        let _others = [limit.take(other).unwrap(), limit.take(other).unwrap()];
        assert!(limit.take("::2".parse().unwrap()).is_none(), "four in all");
        drop((first, second));
        assert_eq!(limit.lock().1.len(), 1);
        assert!(limit.take(one).is_some());
    }
}
