//! The control API of a resolver with a remote node.

use std::{io, net::SocketAddr, sync::Arc};

use anyhow::Context;
use resolver::{
    chain::Remote,
    config::DEFAULT_CONTROL_API,
    control::{Control, serve_without_node},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// A running control API.
pub struct ControlApi {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl ControlApi {
    /// Starts the API at the configured address, or at the default one. If the default one is in
    /// use, DNS is served without an API, with a warning.
    pub async fn start(
        configured: Option<SocketAddr>,
        control: Control,
        remote: Arc<Remote>,
    ) -> anyhow::Result<Option<ControlApi>> {
        let at = configured
            .map_or_else(|| DEFAULT_CONTROL_API.parse().context("the default address"), Ok)?;
        let listener = match TcpListener::bind(at).await {
            Ok(listener) => listener,
            Err(error) if configured.is_none() => {
                tracing::warn!("no API at {at}: {error}; set an address with --api IP:PORT");
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
                        Err(format!("the node is not synced: it is at height {}", status.height))
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
        Ok(Some(ControlApi { address, stop, task }))
    }

    /// The address of the API.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the API after it has answered pending requests.
    pub async fn stop(self) {
        // It may have ended by itself.
        let _ = self.stop.send(());
        if let Ok(Err(error)) = self.task.await {
            tracing::warn!("the API ended with an error: {error}");
        }
    }
}
