//! Inbound connections whose handshake is not done: so many at most, and the oldest makes room for
//! a new one. So connections that say nothing keep nobody out.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{
    FutureExt, TryFutureExt,
    future::{self, BoxFuture, Either},
};
use libp2p::{
    Multiaddr, Transport,
    core::transport::{DialOpts, ListenerId, TransportError, TransportEvent},
};
use tokio::sync::oneshot;

/// A transport whose inbound handshakes are bounded in number.
pub(super) struct PendingInbound<T> {
    inner: T,
    capacity: usize,
    /// What ends each handshake, the oldest first. Those that are over are closed.
    handshakes: VecDeque<oneshot::Sender<()>>,
}

impl<T> PendingInbound<T> {
    pub fn new(inner: T, capacity: usize) -> Self {
        PendingInbound { inner, capacity, handshakes: VecDeque::new() }
    }

    /// Makes room for another handshake. Gives what ends it.
    fn admit(&mut self) -> oneshot::Receiver<()> {
        if self.handshakes.len() >= self.capacity {
            self.handshakes.retain(|handshake| !handshake.is_closed());
        }
        if self.handshakes.len() >= self.capacity
            && let Some(oldest) = self.handshakes.pop_front()
        {
            super::metrics::refused("handshake_shed");
            // An error: it is over.
            let _ = oldest.send(());
        }
        let (end, ended) = oneshot::channel();
        self.handshakes.push_back(end);
        ended
    }
}

impl<T> Transport for PendingInbound<T>
where
    T: Transport<Error = io::Error> + Unpin,
    T::ListenerUpgrade: Send + Unpin + 'static,
    T::Output: Send + 'static,
{
    type Output = T::Output;
    type Error = io::Error;
    type ListenerUpgrade = BoxFuture<'static, io::Result<T::Output>>;
    type Dial = T::Dial;

    fn listen_on(
        &mut self,
        id: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<T::Dial, TransportError<io::Error>> {
        self.inner.dial(address, options)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        let event = std::task::ready!(Pin::new(&mut self.inner).poll(cx));
        let is_inbound = matches!(event, TransportEvent::Incoming { .. });
        let ended = is_inbound.then(|| self.admit());
        Poll::Ready(event.map_upgrade(move |upgrade| match ended {
            None => upgrade.boxed(),
            Some(ended) => until(upgrade, ended).boxed(),
        }))
    }
}

/// A handshake that ends when it is told to.
async fn until<F, O>(handshake: F, ended: oneshot::Receiver<()>) -> io::Result<O>
where
    F: Future<Output = io::Result<O>> + Unpin,
{
    // What ends it may be gone with the transport: then the handshake goes on.
    let told = ended.or_else(|_| future::pending::<Result<(), ()>>());
    match future::select(handshake, Box::pin(told)).await {
        Either::Left((output, _)) => output,
        Either::Right(_) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, "another handshake has taken its place"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_handshake_makes_room() {
        let mut pending = PendingInbound::new((), 3);
        let silent = || Box::pin(future::pending::<io::Result<()>>());
        let mut handshakes: Vec<_> =
            (0..3).map(|_| Box::pin(until(silent(), pending.admit()))).collect();
        assert!(handshakes.iter_mut().all(|it| it.now_or_never().is_none()));
        let quick = until(Box::pin(future::ready(Ok(7))), pending.admit());
        assert_eq!(quick.await.expect("the newcomer gets through"), 7);
        let oldest = handshakes.remove(0).await;
        assert_eq!(oldest.expect_err("it was shed").kind(), io::ErrorKind::TimedOut);
        assert!(handshakes.iter_mut().all(|it| it.now_or_never().is_none()), "the others stay");
        // The quick one is over: its place is free.
        let next = until(silent(), pending.admit());
        assert!(handshakes.iter_mut().all(|it| it.now_or_never().is_none()));
        assert_eq!(pending.handshakes.len(), 3);
        drop(next);
    }
}
