//! UDP by hickory's server with our own handler. The only module that names hickory-server's types.
//!
//! Streams are served by [`crate::server::tcp`]. hickory's loop over a TCP listener ends at the
//! first connection that is aborted before it is accepted, spins when there are no file descriptors
//! left, has no limit of connections, and buffers a thousand responses for a client that does not
//! read them; none of that can be configured.

use std::{io, net::UdpSocket, time::Duration};

use async_trait::async_trait;
use hickory_proto::op::{Header, HeaderCounts, Metadata, Query};
use hickory_server::{
    net::runtime::Time,
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo, Server},
    zone_handler::MessageResponseBuilder,
};
use tokio::sync::watch;

use crate::{
    dns::query::{Client, Transport},
    server::handle::ResponderHandle,
};

/// The delay before a server that ended by itself is restarted.
const RESTART_DELAY: Duration = Duration::from_millis(200);

struct Handler(ResponderHandle);

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response: R,
    ) -> ResponseInfo {
        let client =
            Client { address: request.src().ip().to_canonical(), transport: Transport::Udp };
        let responder = self.0.get();
        if responder.is_denied(client.address) {
            let metadata = request.metadata;
            return Header { metadata, counts: HeaderCounts::default() }.into();
        }
        let queries: Vec<Query> =
            request.queries.queries().iter().map(|query| query.original().clone()).collect();
        let message =
            responder.respond(&request.metadata, &queries, request.edns.as_ref(), client).await;
        let metadata: Metadata = message.metadata;
        let mut builder = MessageResponseBuilder::from_message_request(request);
        if let Some(edns) = &message.edns {
            builder.edns(edns);
        }
        let built = builder.build(
            metadata,
            &message.answers,
            &message.authorities,
            [],
            &message.additionals,
        );
        match response.send_response(built).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!(%error, client = %request.src(), "a response could not be sent");
                Header { metadata, counts: HeaderCounts::default() }.into()
            }
        }
    }
}

/// Serves `socket` until `stop` changes or its sender is dropped. The server is restarted on the
/// same socket if it ends by itself, so that no other program can take the port.
pub async fn udp(
    socket: UdpSocket,
    current: ResponderHandle,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    loop {
        let mut server = Server::new(Handler(current.clone()));
        server.register_socket(tokio::net::UdpSocket::from_std(socket.try_clone()?)?);
        tokio::select! {
            _ = stop.changed() => {
                // Queries in progress are dropped: a client over UDP asks again.
                let _ = server.shutdown_gracefully().await;
                return Ok(());
            }
            ended = server.block_until_done() => {
                tracing::warn!(error = ?ended.err(), "the UDP server ended by itself and is restarted");
                tokio::time::sleep(RESTART_DELAY).await;
            }
        }
    }
}
