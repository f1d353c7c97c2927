//! Opens the listening sockets.
//!
//! An IPv6 socket takes IPv6 alone, so that `0.0.0.0` and `[::]` can stand side by side.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Connections that may wait for `accept`: what a page of a thousand people opens at once.
const BACKLOG: i32 = 1_024;

/// Why a socket cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {address} (server.listen)")]
pub(super) struct BindError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

/// Listens at every address. `[::]` is left out with a warning on a machine without IPv6.
pub(super) fn listen(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::new();
    for &address in addresses {
        match open(address) {
            Ok(listener) => listeners.push(listener),
            Err(source) if left_out(address, &source) && addresses.len() > 1 => {
                tracing::warn!(%address, "this machine has no IPv6: not served");
            }
            Err(source) => return Err(BindError { address, source }),
        }
    }
    Ok(listeners)
}

fn left_out(address: SocketAddr, error: &io::Error) -> bool {
    let missing = matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
    address.is_ipv6() && address.ip().is_unspecified() && missing
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_port_is_named_and_the_two_families_share_a_port() {
        let first = listen(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let busy = first[0].local_addr().unwrap();
        let error = listen(&[busy]).unwrap_err();
        assert!(error.to_string().contains(&busy.to_string()));
        let port = listen(&["0.0.0.0:0".parse().unwrap()]).unwrap()[0].local_addr().unwrap().port();
        let both = [SocketAddr::from(([0, 0, 0, 0], port)), SocketAddr::from(([0; 8], port))];
        assert!(!listen(&both).unwrap().is_empty());
    }
}
