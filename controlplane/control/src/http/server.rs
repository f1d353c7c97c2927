//! Accepts connections: TLS on TCP, and the operator's Unix socket. HTTP/1 and HTTP/2, WebSocket upgrades.
//!
//! Bounds: connections in all, time for the TLS handshake and for a request's head. When the program ends, connections stop
//! taking requests and have [`DRAIN`] to finish what they are at.

use super::Peer;
use crate::serve::Listener;
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

/// Time for a TLS handshake, and for the head of a request. Also ends idle connections.
const HEAD: Duration = Duration::from_secs(30);
/// How long open requests may take when the program ends.
pub(crate) const DRAIN: Duration = Duration::from_secs(2);
/// After an accept that failed (no descriptors left): the next one waits, or the loop would burn a core.
const BREATH: Duration = Duration::from_millis(50);

/// Serves one TCP address until `ending`.
pub(crate) async fn serve_tcp(
    listener: Listener,
    router: Router,
    room: Arc<Semaphore>,
    mut ending: watch::Receiver<bool>,
) {
    let acceptor = listener.tls.map(TlsAcceptor::from);
    loop {
        let (stream, address, permit) = tokio::select! {
            accepted = accept(&listener.tcp, &room) => match accepted {
                Some(accepted) => accepted,
                None => continue,
            },
            () = ended(&mut ending) => return,
        };
        let _ = stream.set_nodelay(true);
        let (router, ending, acceptor) = (router.clone(), ending.clone(), acceptor.clone());
        tokio::spawn(async move {
            let peer = Peer { ip: address.ip().to_canonical(), local: false };
            match acceptor {
                None => serve_connection(stream, peer, router, ending, permit).await,
                Some(acceptor) => match tokio::time::timeout(HEAD, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => serve_connection(stream, peer, router, ending, permit).await,
                    Ok(Err(error)) => tracing::debug!(%error, ip = %peer.ip, "no TLS"),
                    Err(_) => tracing::debug!(ip = %peer.ip, "the TLS handshake took too long"),
                },
            }
        });
    }
}

async fn ended(ending: &mut watch::Receiver<bool>) {
    // The guard that comes back must not live across a wait.
    let _ = ending.wait_for(|end| *end).await;
}

/// The next connection and its place; at the limit connections wait in the kernel's queue.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, std::net::SocketAddr, OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, address)) => Some((stream, address, permit)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(BREATH).await;
            None
        }
    }
}

/// Makes the operator's socket: mode 0600, so that only who owns the data folder operates.
pub(crate) fn bind_local(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves the operator's socket until `ending`.
pub(crate) async fn serve_local(listener: UnixListener, router: Router, mut ending: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(64));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ended(&mut ending) => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let Ok(permit) = room.clone().try_acquire_owned() else { continue };
        let peer = Peer { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), local: true };
        tokio::spawn(serve_connection(stream, peer, router.clone(), ending.clone(), permit));
    }
}

async fn serve_connection<S>(
    stream: S,
    peer: Peer,
    router: Router,
    mut ending: watch::Receiver<bool>,
    permit: OwnedSemaphorePermit,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router.map_request(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request.map(Body::new)
    }));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(64)
        .keep_alive_interval(HEAD)
        .max_header_list_size(32 << 10);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = ended(&mut ending) => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(DRAIN, connection).await {
                Ok(result) => result,
                Err(_) => Ok(()),
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(error, ip = %peer.ip, "a connection ended early");
    }
    drop(permit);
}
