//! What an operator bans.

use super::common::Node;
use crate::net::{BanTarget, NetHandle};

/// Runs what is for threads.
async fn on_thread<T: Send + 'static>(
    net: &NetHandle,
    work: impl FnOnce(NetHandle) -> T + Send + 'static,
) -> T {
    let net = net.clone();
    tokio::task::spawn_blocking(move || work(net)).await.expect("no panic")
}

/// Banned by its identity, a peer is disconnected, and refused still after a restart, until the
/// operator lifts the ban.
#[tokio::test]
async fn an_operators_ban_is_kept_over_a_restart() {
    let mut a = Node::start().await;
    let mut b = Node::joining(&[&a]).await;
    let (at_a, at_b) = tokio::join!(a.greet(), b.greet());
    let target: BanTarget = b.net.id().parse().expect("an identity");
    on_thread(&a.net, move |net| net.ban(target, None)).await.expect("kept");
    a.disconnected(at_a).await;
    b.disconnected(at_b).await;
    let (dir, listen) = (a.dir.clone(), a.address());
    a.net.stop().await;
    let mut again = Node::in_dir(dir, |config| {
        let mut listen = listen;
        listen.pop();
        config.listen = vec![listen];
    })
    .await;
    let bans = on_thread(&again.net, |net| net.bans()).await;
    assert_eq!(bans.len(), 1);
    assert_eq!((bans[0].target, bans[0].until, bans[0].by_operator), (target, None, true));
    // Somebody else comes in, b does not, though it was told to stay connected.
    let mut c = Node::joining(&[&again]).await;
    tokio::join!(c.greet(), again.greet());
    assert!(again.net.peers().iter().all(|peer| peer.id != b.net.id()));
    assert_eq!(on_thread(&again.net, |net| net.lift_bans(None)).await.expect("kept"), 1);
    b.connected().await;
    again.connected().await;
    assert_eq!(on_thread(&again.net, |net| net.bans()).await, []);
}
