//! Accepts connections: TLS on TCP, and the operator's Unix socket. HTTP/1 and HTTP/2, WebSocket upgrades.
//!
//! Bounds: connections in all and from one address, time for the TLS handshake, for a request's head and for taking what we
//! write, bytes of a head. At the limit of connections the next one is told so and closed. When the program ends, connections
//! stop taking requests and have [`DRAIN`] to finish what they are at. Every connection is closed as TLS wants it, and for
//! [`LINGER`] takes what its client still sends: a socket that is closed with unread bytes resets, and the answer is lost. A client
//! that vanished without a word is noticed within [`GONE`]: the kernel asks on connections that are quiet.

use super::patience::Patient;
use super::places::{Entry, Places};
use super::sending::Sending;
use super::{Peer, failed};
use crate::serve::Listener;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

/// Time for a TLS handshake, for the head of a request, and for a client to take what we write. Also ends idle connections.
const HEAD: Duration = Duration::from_secs(30);
/// Most bytes of a request's head: a browser's is some 1 KiB.
const HEAD_BYTES: usize = 64 << 10;
/// Time for telling a client that there is no place for it.
const REFUSING: Duration = Duration::from_secs(5);
/// How long, and how many bytes, a client may go on sending after we closed. A reset ends it then.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 4 << 20;
/// After so long without a sign of life from the client's machine, asked for or not, a connection is over. More than [`HEAD`]:
/// who only reads nothing is told so first.
const GONE: Duration = Duration::from_secs(60);
/// Quiet time before the kernel asks, and between its questions.
const ASK_AFTER: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_secs(10);
/// How long open requests may take when the program ends.
pub(crate) const DRAIN: Duration = Duration::from_secs(2);
/// After an accept that failed (no descriptors left): the next one waits, or the loop would burn a core.
const BREATH: Duration = Duration::from_millis(50);

/// Serves one TCP address until `ending`.
pub(crate) async fn serve_tcp(listener: Listener, router: Router, places: Places, mut ending: watch::Receiver<bool>) {
    let acceptor = listener.tls.map(TlsAcceptor::from);
    loop {
        let (stream, address) = tokio::select! {
            accepted = accept(&listener.tcp) => match accepted {
                Some(accepted) => accepted,
                None => continue,
            },
            () = ended(&mut ending) => return,
        };
        let peer = Peer { ip: address.ip().to_canonical(), local: false };
        let entry = places.enter(peer.ip);
        if let Entry::Closed = entry {
            continue;
        }
        let handshake = if let Entry::In(_) = entry { HEAD } else { REFUSING };
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%error, ip = %peer.ip, "a connection's options");
        }
        let stream = Sending(stream);
        let (router, ending, acceptor) = (router.clone(), ending.clone(), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => serve_entry(stream, entry, peer, router, ending).await,
                Some(acceptor) => match tokio::time::timeout(handshake, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => serve_entry(stream, entry, peer, router, ending).await,
                    Ok(Err(error)) => tracing::debug!(%error, ip = %peer.ip, "no TLS"),
                    Err(_) => tracing::debug!(ip = %peer.ip, "the TLS handshake took too long"),
                },
            }
        });
    }
}

/// Sends at once, and notices when the client's machine is gone (half-open connections).
fn prepare(stream: &tokio::net::TcpStream) -> std::io::Result<()> {
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    let asking = socket2::TcpKeepalive::new().with_time(ASK_AFTER).with_interval(ASK_EVERY);
    let asking = asking.with_retries((GONE - ASK_AFTER).as_secs().div_ceil(ASK_EVERY.as_secs()) as u32);
    socket.set_tcp_keepalive(&asking)?;
    // Also when there is something on its way to the client, where the kernel would go on trying for a quarter of an hour.
    socket.set_tcp_user_timeout(Some(GONE))
}

/// Serves a connection that has a place, tells another one why it has none.
async fn serve_entry<S>(stream: S, entry: Entry, peer: Peer, router: Router, ending: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match entry {
        Entry::In(place) => {
            serve_connection(stream, peer, router, ending).await;
            drop(place);
        }
        Entry::Refused(reason, place) => {
            tracing::debug!(ip = %peer.ip, reason, "a connection is refused");
            let refusal = Router::new().fallback(move || async move {
                let mut answer = failed(StatusCode::SERVICE_UNAVAILABLE, reason);
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                answer
            });
            let _ = tokio::time::timeout(REFUSING, serve_connection(stream, peer, refusal, ending)).await;
            drop(place);
        }
        Entry::Closed => {}
    }
}

async fn ended(ending: &mut watch::Receiver<bool>) {
    // The guard that comes back must not live across a wait.
    let _ = ending.wait_for(|end| *end).await;
}

/// The next connection.
async fn accept(listener: &TcpListener) -> Option<(tokio::net::TcpStream, std::net::SocketAddr)> {
    match listener.accept().await {
        Ok(accepted) => Some(accepted),
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
        let (router, ending) = (router.clone(), ending.clone());
        tokio::spawn(async move {
            serve_connection(stream, peer, router, ending).await;
            drop(permit);
        });
    }
}

async fn serve_connection<S>(stream: S, peer: Peer, router: Router, mut ending: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router.map_request(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request.map(Body::new)
    }));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(64)
        .keep_alive_interval(HEAD)
        .max_header_list_size(32 << 10);
    let stream = Arc::new(Mutex::new(stream));
    let result = {
        let io = TokioIo::new(Patient::new(stream.clone(), HEAD));
        let connection = builder.serve_connection_with_upgrades(io, service);
        tokio::pin!(connection);
        tokio::select! {
            result = connection.as_mut() => result,
            () = ended(&mut ending) => {
                connection.as_mut().graceful_shutdown();
                match tokio::time::timeout(DRAIN, connection.as_mut()).await {
                    Ok(result) => result,
                    Err(_) => Ok(()),
                }
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(error, ip = %peer.ip, "a connection ended early");
    }
    // Who was upgraded has the stream now.
    if let Some(stream) = Arc::into_inner(stream) {
        let stream = stream.into_inner().unwrap_or_else(PoisonError::into_inner);
        tokio::select! {
            _ = tokio::time::timeout(LINGER, linger(stream)) => {}
            () = ended(&mut ending) => {}
        }
    }
}

/// Closes our side, then takes and forgets what still comes, until the client closes its side.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> std::io::Result<()> {
    stream.shutdown().await?;
    let mut scrap = [0; 4_096];
    let mut bytes = 0;
    while bytes < LINGER_BYTES {
        match stream.read(&mut scrap).await? {
            0 => break,
            n => bytes += n,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::Instant;

    /// A client's end of a connection with room for `room` bytes on their way.
    fn connect(room: usize) -> (DuplexStream, watch::Sender<bool>) {
        let (ours, theirs) = tokio::io::duplex(room);
        let router = Router::new().route("/", get(|| async { "x".repeat(100_000) }));
        let router = router.layer(axum::middleware::from_fn(super::super::leftover::take));
        let (end, ending) = watch::channel(false);
        tokio::spawn(serve_connection(ours, Peer::default(), router, ending));
        (theirs, end)
    }

    /// What the server said until it closed, and after how long it did.
    async fn rest(client: &mut DuplexStream) -> (String, Duration) {
        let begin = Instant::now();
        let mut said = Vec::new();
        let _ = client.read_to_end(&mut said).await;
        (String::from_utf8(said).unwrap(), begin.elapsed())
    }

    #[tokio::test]
    async fn a_client_that_vanished_is_asked_for_and_given_up_within_a_minute() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        prepare(&stream).unwrap();
        let socket = socket2::SockRef::from(&stream);
        assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(GONE));
        let (after, every) = (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_interval().unwrap());
        assert_eq!(after + every * socket.tcp_keepalive_retries().unwrap(), GONE);
        assert!(GONE > HEAD, "who only reads nothing is told so first");
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_or_dawdles_with_the_head_is_closed_in_time() {
        for beginning in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\nSM", b"GET / HTTP/1.1\r\nhost: x\r\n"] {
            let (mut client, _end) = connect(4_096);
            client.write_all(beginning).await.unwrap();
            let (_, after) = rest(&mut client).await;
            let about = HEAD..=HEAD + Duration::from_secs(1);
            assert!(about.contains(&after), "{after:?} for {:?}", String::from_utf8_lossy(beginning));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_comes_byte_by_byte_has_the_same_time() {
        let (mut client, _end) = connect(4_096);
        let begin = Instant::now();
        client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        while client.write_all(b"a: b\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert!(begin.elapsed() < 2 * HEAD, "still open");
        }
        assert!(begin.elapsed() >= HEAD);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_take_the_answer_is_closed_in_time_and_a_slow_reader_is_not() {
        let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let (mut deaf, _end) = connect(1_024);
        deaf.write_all(request).await.unwrap();
        tokio::time::sleep(2 * HEAD).await;
        assert!(rest(&mut deaf).await.0.len() < 2_048, "the rest never came");

        let (mut slow, _end) = connect(1_024);
        slow.write_all(request).await.unwrap();
        let mut got = Vec::new();
        let mut chunk = [0; 8_192];
        while let Ok(n @ 1..) = slow.read(&mut chunk).await {
            got.extend_from_slice(&chunk[..n]);
            tokio::time::sleep(HEAD / 4).await;
        }
        assert!(got.len() > 100_000, "{} bytes", got.len());
    }

    #[tokio::test]
    async fn a_huge_head_is_refused_before_it_is_whole() {
        let (mut client, _end) = connect(1 << 20);
        let huge = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}", "y".repeat(200_000));
        let _ = client.write_all(huge.as_bytes()).await;
        assert!(rest(&mut client).await.0.starts_with("HTTP/1.1 431 "));
        let (mut client, _end) = connect(1 << 20);
        let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(1_000));
        let _ = client.write_all(many.as_bytes()).await;
        assert!(rest(&mut client).await.0.starts_with("HTTP/1.1 431 "));
    }

    /// Reads until `text` came.
    async fn until(client: &mut (impl AsyncRead + Unpin), text: &str) -> String {
        let mut said = Vec::new();
        let mut byte = [0];
        while !said.ends_with(text.as_bytes()) {
            assert_eq!(client.read(&mut byte).await.unwrap(), 1, "{}", String::from_utf8_lossy(&said));
            said.push(byte[0]);
        }
        String::from_utf8(said).unwrap()
    }

    /// Time for the server to do all that it can.
    async fn breathe() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_refused_by_the_head_is_answered_after_the_body_and_keeps_the_connection() {
        let (mut client, _end) = connect(1 << 20);
        for chunked in [false, true] {
            let how = if chunked { "transfer-encoding: chunked" } else { "content-length: 100000" };
            client.write_all(format!("PATCH / HTTP/1.1\r\nhost: x\r\n{how}\r\n\r\n").as_bytes()).await.unwrap();
            breathe().await;
            if chunked {
                client.write_all(b"5\r\nhello\r\n").await.unwrap();
                breathe().await;
                client.write_all(b"0\r\n\r\n").await.unwrap();
            } else {
                client.write_all(&[b'x'; 50_000]).await.unwrap();
                breathe().await;
                client.write_all(&[b'x'; 50_000]).await.unwrap();
            }
            let said = until(&mut client, "\r\n\r\n").await;
            assert!(said.starts_with("HTTP/1.1 405 ") && !said.contains("connection: close"), "{said}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_announces_too_much_or_never_sends_it_is_answered_and_told_that_the_connection_closes() {
        for (more, sent, seconds) in [
            ("content-length: 3000000", 3_000_000, 0),
            ("content-length: 100000\r\nexpect: 100-continue", 0, 0),
            ("content-length: 100000", 10, 15),
        ] {
            let (mut client, _end) = connect(1_024);
            let begin = Instant::now();
            client.write_all(format!("PATCH / HTTP/1.1\r\nhost: x\r\n{more}\r\n\r\n").as_bytes()).await.unwrap();
            // It sends all before it reads anything, as many clients do.
            client.write_all(&vec![b'x'; sent]).await.unwrap();
            let said = until(&mut client, "\r\n\r\n").await;
            assert!(said.starts_with("HTTP/1.1 405 ") && said.contains("connection: close"), "{said}");
            assert_eq!(begin.elapsed().as_secs(), seconds, "{more}");
            assert_eq!(rest(&mut client).await.0, "");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_for_ever_is_cut_off() {
        let (mut client, _end) = connect(1_024);
        client.write_all(b"PATCH / HTTP/1.1\r\nhost: x\r\ncontent-length: 99000000\r\n\r\n").await.unwrap();
        let mut taken = 0;
        while client.write_all(&[0; 1_024]).await.is_ok() {
            taken += 1_024;
        }
        assert!((LINGER_BYTES..2 * LINGER_BYTES).contains(&taken), "{taken}");

        let (mut client, _end) = connect(1_024);
        client.write_all(b"PATCH / HTTP/1.1\r\nhost: x\r\ncontent-length: 99000000\r\n\r\n").await.unwrap();
        let begin = Instant::now();
        while client.write_all(b"x").await.is_ok() {
            breathe().await;
        }
        assert!(begin.elapsed() <= LINGER + Duration::from_secs(2), "{:?}", begin.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_ends_early_is_closed_as_tls_wants_it() {
        crate::tls::install_provider();
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let server = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let mut trusted = rustls::RootCertStore::empty();
        trusted.add(made.cert.der().clone()).unwrap();
        let client = rustls::ClientConfig::builder().with_root_certificates(trusted).with_no_client_auth();
        let (_end, ending) = watch::channel(false);
        for beginning in ["", "GET / HTTP/1.1\r\nhost: x\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n garbage", "\0\r\n\r\n"]
        {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let (server, ending) = (Arc::new(server.clone()), ending.clone());
            tokio::spawn(async move {
                let stream = TlsAcceptor::from(server).accept(ours).await.unwrap();
                serve_connection(stream, Peer::default(), Router::new(), ending).await;
            });
            let name = "a.example".try_into().unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::new(client.clone()));
            let mut client = connector.connect(name, theirs).await.unwrap();
            client.write_all(beginning.as_bytes()).await.unwrap();
            client.flush().await.unwrap();
            let mut said = Vec::new();
            let end = client.read_to_end(&mut said).await;
            assert!(end.is_ok(), "{end:?} after {beginning:?}");
        }
    }
}
