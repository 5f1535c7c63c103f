//! The addresses of this machine's network interfaces, looked at every few seconds.
//!
//! The published crate is told of changes by the kernel (netlink on Linux), which takes a tenth of
//! the time of a first build. This one has the same interface and asks.

pub use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A change of the addresses of this machine.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum IfEvent {
    /// An address was added.
    Up(IpNet),
    /// An address was removed.
    Down(IpNet),
}

/// The watcher for programs that run on tokio.
pub mod tokio {
    use std::{
        collections::{HashSet, VecDeque},
        io,
        pin::Pin,
        task::{Context, Poll, ready},
        time::Duration,
    };

    use ::tokio::time::{Interval, MissedTickBehavior, interval};
    use futures_core::stream::{FusedStream, Stream};
    use if_addrs::{IfAddr, get_if_addrs};

    use super::{IfEvent, IpNet, Ipv4Net, Ipv6Net};

    /// How often the addresses are looked at. Whoever listens on all of them hears at once; only
    /// what is told of them to others is this late.
    const INTERVAL: Duration = Duration::from_secs(10);

    /// Tells the addresses there are, then every change.
    #[derive(Debug)]
    pub struct IfWatcher {
        addresses: HashSet<IpNet>,
        events: VecDeque<IfEvent>,
        interval: Interval,
    }

    impl IfWatcher {
        /// A watcher that has not looked yet.
        ///
        /// # Errors
        /// None today: the published crate opens a socket here.
        ///
        /// # Panics
        /// Outside of a tokio runtime.
        pub fn new() -> io::Result<Self> {
            let mut interval = interval(INTERVAL);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Ok(IfWatcher { addresses: HashSet::new(), events: VecDeque::new(), interval })
        }

        /// The addresses of when it last looked.
        pub fn iter(&self) -> impl Iterator<Item = &IpNet> {
            self.addresses.iter()
        }

        /// The next change.
        ///
        /// # Errors
        /// If the operating system does not tell the addresses.
        pub fn poll_if_event(&mut self, context: &mut Context<'_>) -> Poll<io::Result<IfEvent>> {
            loop {
                if let Some(event) = self.events.pop_front() {
                    return Poll::Ready(Ok(event));
                }
                ready!(self.interval.poll_tick(context));
                let found = get_if_addrs()?.into_iter().filter_map(|interface| net(&interface.addr));
                self.update(found.collect());
            }
        }

        fn update(&mut self, found: HashSet<IpNet>) {
            self.events.extend(self.addresses.difference(&found).copied().map(IfEvent::Down));
            self.events.extend(found.difference(&self.addresses).copied().map(IfEvent::Up));
            self.addresses = found;
        }
    }

    impl Stream for IfWatcher {
        type Item = io::Result<IfEvent>;

        fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            self.get_mut().poll_if_event(context).map(Some)
        }
    }

    impl FusedStream for IfWatcher {
        fn is_terminated(&self) -> bool {
            false
        }
    }

    fn net(address: &IfAddr) -> Option<IpNet> {
        match address {
            IfAddr::V4(v4) => Ipv4Net::with_netmask(v4.ip, v4.netmask).ok().map(IpNet::V4),
            IfAddr::V6(v6) => Ipv6Net::with_netmask(v6.ip, v6.netmask).ok().map(IpNet::V6),
        }
    }

    #[cfg(test)]
    mod tests {
        use std::{future::poll_fn, net::Ipv4Addr};

        use super::*;

        #[test]
        fn loopback_is_there_and_changes_are_told() {
            let runtime = ::tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.expect("a runtime").block_on(async {
                let mut watcher = IfWatcher::new().expect("a watcher");
                let first = poll_fn(|context| watcher.poll_if_event(context)).await;
                assert!(matches!(first, Ok(IfEvent::Up(_))));
                assert!(watcher.iter().any(|net| net.addr() == Ipv4Addr::LOCALHOST));
                watcher.events.clear();
                let new: IpNet = "192.0.2.1/24".parse().expect("a network");
                watcher.update(HashSet::from([new]));
                assert_eq!(watcher.events.pop_back(), Some(IfEvent::Up(new)));
                assert!(watcher.events.iter().all(|event| matches!(event, IfEvent::Down(_))));
                assert!(!watcher.events.is_empty());
            });
        }
    }
}
