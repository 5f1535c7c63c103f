//! The small API of a resolver whose node runs elsewhere.

use std::{io, net::SocketAddr, sync::Arc};

use anyhow::Context;
use resolver::{
    chain::Remote,
    config::DEFAULT_ASIDE,
    control::{Control, serve_without_node},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// The API while it is served.
pub struct Aside {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl Aside {
    /// Serves it at `asked`, or at the usual place. That the usual place is taken is no reason not
    /// to answer DNS: then there is no API, and a warning.
    pub async fn start(
        asked: Option<SocketAddr>,
        control: Control,
        remote: Arc<Remote>,
    ) -> anyhow::Result<Option<Aside>> {
        let at = asked.map_or_else(|| DEFAULT_ASIDE.parse().context("the default address"), Ok)?;
        let listener = match TcpListener::bind(at).await {
            Ok(listener) => listener,
            Err(error) if asked.is_none() => {
                tracing::warn!("no API at {at}: {error}; say where with --api IP:PORT");
                return Ok(None);
            }
            Err(error) => {
                return Err(error).with_context(|| {
                    format!(
                        "the API can't listen on {at}; choose another address with --api IP:PORT"
                    )
                });
            }
        };
        let address = listener.local_addr().context("the API has no address")?;
        let ready = move || {
            let remote = remote.clone();
            let ready = async move {
                match remote.status().await {
                    Ok(status) if status.synced => Ok(()),
                    Ok(status) => {
                        Err(format!("the node is at height {} and not at the tip", status.height))
                    }
                    Err(error) => Err(error.to_string()),
                }
            };
            Box::pin(ready) as _
        };
        let (stop, stopped) = oneshot::channel();
        // An error means that nobody can stop it any more: a reason to stop as well.
        let shutdown = async move { drop(stopped.await) };
        let served = serve_without_node(listener, control, Arc::new(ready), shutdown);
        let task = tokio::spawn(served);
        Ok(Some(Aside { address, stop, task }))
    }

    /// Where it is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it, when what has been asked is answered.
    pub async fn stop(self) {
        // It may have ended by itself.
        let _ = self.stop.send(());
        if let Ok(Err(error)) = self.task.await {
            tracing::warn!("the API ended with an error: {error}");
        }
    }
}
