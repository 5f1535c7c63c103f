//! Sockets for the servers of a scenario. The player decides on the responses.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{mpsc, oneshot},
};

use super::message::{Message, TC};

/// The UDP payload size that we advertise to servers, in bytes.
const UDP_PAYLOAD: usize = 1_232;

/// A received query.
pub struct ReceivedQuery {
    pub query: Message,
    /// The server of the scenario; `None`: the recursive one.
    pub address: Option<String>,
    way: Way,
}

enum Way {
    Udp(Arc<UdpSocket>, SocketAddr),
    Tcp(oneshot::Sender<Vec<u8>>),
}

impl ReceivedQuery {
    /// Answers it.
    pub async fn answer(self, said: &Message) {
        let bytes = said.write();
        match self.way {
            Way::Udp(socket, from) => {
                let fits = bytes.len() <= UDP_PAYLOAD;
                let short = || Message {
                    sections: Default::default(),
                    flags: said.flags | TC,
                    ..said.clone()
                };
                let bytes = if fits { bytes } else { short().write() };
                // The sender may be gone.
                let _ = socket.send_to(&bytes, from).await;
            }
            Way::Tcp(way) => drop(way.send(bytes)),
        }
    }
}

/// Opens a server at a free port, over UDP and TCP.
pub async fn open(
    address: Option<String>,
    to: mpsc::UnboundedSender<ReceivedQuery>,
) -> io::Result<SocketAddr> {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        // Another program may have the port of the other protocol.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr()?).await {
            break (Arc::new(udp), tcp);
        }
    };
    let at = udp.local_addr()?;
    let (other, other_to) = (address.clone(), to.clone());
    tokio::spawn(async move {
        let mut buffer = [0; 4_096];
        while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
            let Ok(query) = Message::read(&buffer[..length]) else { continue };
            let way = Way::Udp(udp.clone(), from);
            if to.send(ReceivedQuery { query, address: address.clone(), way }).is_err() {
                break;
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = tcp.accept().await {
            tokio::spawn(converse(stream, other.clone(), other_to.clone()));
        }
    });
    Ok(at)
}

async fn converse(
    mut stream: TcpStream,
    address: Option<String>,
    to: mpsc::UnboundedSender<ReceivedQuery>,
) -> io::Result<()> {
    loop {
        let mut bytes = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut bytes).await?;
        let query = Message::read(&bytes).map_err(io::Error::other)?;
        let (sender, receiver) = oneshot::channel();
        let asked = ReceivedQuery { query, address: address.clone(), way: Way::Tcp(sender) };
        to.send(asked).map_err(io::Error::other)?;
        let reply = receiver.await.map_err(io::Error::other)?;
        stream.write_u16(reply.len() as u16).await?;
        stream.write_all(&reply).await?;
    }
}
