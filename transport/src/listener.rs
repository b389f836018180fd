//! Listeners: accept connections, and say of each how it is connected.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::call::Connected;
use crate::connection::{self, Open, Server, Stage};
use crate::tls::Current;

/// How long nothing is accepted after the system has refused to, as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub enum Security {
    Plaintext,
    /// In plaintext, and from this machine alone.
    Local,
    Tls(Current),
}

/// Until the server drains.
pub async fn accept_tcp(server: Arc<Server>, listener: TcpListener, security: Security) {
    let mut stage = server.stage.subscribe();
    while *stage.borrow_and_update() == Stage::Serving {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stage.changed() => continue,
        };
        match accepted {
            Ok((stream, address)) => {
                if let Some(open) = server.enter() {
                    tokio::spawn(one(server.clone(), stream, address, security.clone(), open));
                }
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

async fn one(
    server: Arc<Server>,
    stream: TcpStream,
    address: SocketAddr,
    security: Security,
    open: Open,
) {
    let _ = stream.set_nodelay(true);
    let peer = peer(address);
    match security {
        Security::Plaintext => {
            let connected = Connected::new(peer, "insecure", None);
            connection::serve(server, stream, connected).await;
        }
        Security::Local if !address.ip().to_canonical().is_loopback() => {}
        Security::Local => {
            let connected = Connected::new(peer, "local", None);
            connection::serve(server, stream, connected).await;
        }
        Security::Tls(current) => {
            let handshake = TlsAcceptor::from(current.get()).accept(stream);
            let stream = match timeout(server.limits.handshake, handshake).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return server.refuse(&peer, &error.to_string()),
                Err(_) => return server.refuse(&peer, "it took too long"),
            };
            let session = stream.get_ref().1;
            if session.alpn_protocol() != Some(b"h2") {
                return server.refuse(&peer, "the client does not offer HTTP/2 (ALPN h2)");
            }
            let own = session.peer_certificates().and_then(<[_]>::first);
            let certificate = own.map(|certificate| certificate.to_vec());
            let connected = Connected::new(peer, "ssl", certificate);
            connection::serve(server, stream, connected).await;
        }
    }
    drop(open);
}

/// A peer as gRPC names it.
fn peer(address: SocketAddr) -> String {
    let port = address.port();
    match address.ip().to_canonical() {
        std::net::IpAddr::V4(ip) => format!("ipv4:{ip}:{port}"),
        std::net::IpAddr::V6(ip) => format!("ipv6:%5B{ip}%5D:{port}"),
    }
}
