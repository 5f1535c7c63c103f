//! The control API of a resolver with a remote node.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use namechain_node::api::{AdminSocket, Listeners};
use resolver::{
    chain::Remote,
    config::{AdminPath, DEFAULT_CONTROL_API},
    control::{Control, Ready, serve_without_node},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// A running control API.
pub struct ControlApi {
    address: Option<SocketAddr>,
    admin: Option<PathBuf>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl ControlApi {
    /// Starts the API at the configured address and on the configured socket, or at the default
    /// ones. If a default one is in use, DNS is served without it, with a warning.
    pub async fn start(
        (address, admin): (Option<SocketAddr>, Option<&AdminPath>),
        control: Control,
        remote: Arc<Remote>,
    ) -> anyhow::Result<ControlApi> {
        let listeners = Listeners { http: listen(address).await?, admin: open(admin).await? };
        let address = listeners.http.as_ref().map(TcpListener::local_addr).transpose();
        let address = address.context("the API has no address")?;
        let admin = listeners.admin.as_ref().map(|socket| socket.path().to_owned());
        let (stop, stopped) = oneshot::channel();
        // An error means that nobody can stop it any more: a reason to stop as well.
        let shutdown = async move { drop(stopped.await) };
        let served = serve_without_node(listeners, control, ready(remote), shutdown);
        let task = tokio::spawn(served);
        Ok(ControlApi { address, admin, stop, task })
    }

    /// The address of the API.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The admin socket.
    pub fn admin(&self) -> Option<&Path> {
        self.admin.as_deref()
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

async fn listen(configured: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    let at = configured
        .map_or_else(|| DEFAULT_CONTROL_API.parse().context("the default address"), Ok)?;
    match TcpListener::bind(at).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if configured.is_none() => {
            tracing::warn!("no API at {at}: {error}; set an address with --api IP:PORT");
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| {
            format!("the API can't listen on {at}; choose another address with --api IP:PORT")
        }),
    }
}

async fn open(configured: Option<&AdminPath>) -> anyhow::Result<Option<AdminSocket>> {
    let Some(AdminPath { path, requested }) = configured else {
        tracing::warn!("no admin socket: there is no home directory; set --admin-socket PATH");
        return Ok(None);
    };
    match AdminSocket::bind(path).await {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if !requested => {
            tracing::warn!("no admin socket: {error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the remote node serves names.
fn ready(remote: Arc<Remote>) -> Ready {
    Arc::new(move || {
        let remote = remote.clone();
        Box::pin(async move {
            match remote.status().await {
                Ok(status) if status.synced => Ok(()),
                Ok(status) => {
                    Err(format!("the node is not synced: it is at height {}", status.height))
                }
                Err(error) => Err(error.to_string()),
            }
        })
    })
}
