//! The subscribers: thousands of TLS connections on one runtime, half server-sent events, half WebSockets, that look for marks.
//!
//! A mark `<sequence,microseconds>` stands in whatever an event carries; its time is that of this process. What surrounds marks
//! is not read: both kinds of streams carry them as they are.

use super::server::{Server, path};
use crate::http::trusting;
use hdrhistogram::Histogram;
use rustls::pki_types::ServerName;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// When this process began to count.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// Handshakes at once.
const AT_ONCE: usize = 64;
/// Bytes that are kept until the rest of a mark comes.
const TAIL: usize = 48;
/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The mark of event `sequence`, made now.
pub(super) fn mark(sequence: u64) -> String {
    format!("<{sequence},{}>", ORIGIN.elapsed().as_micros())
}

/// What all subscribers found since the last [`Crowd::reset`].
pub(super) struct Tally {
    pub(super) delivered: u64,
    /// Events that came out of order, or after others that never came.
    pub(super) lost: u64,
    /// Microseconds.
    pub(super) latency: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Tally {
        let latency = Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds in order");
        Tally { delivered: 0, lost: 0, latency }
    }
}

type Shared = Arc<Mutex<Tally>>;
type Stream = TlsStream<TcpStream>;

/// The subscribers.
pub(super) struct Crowd {
    pub(super) runtime: Runtime,
    tally: Shared,
}

impl Crowd {
    /// Opens `count` streams with `token`, and returns when all of them are there.
    pub(super) fn gather(server: &Server, token: &str, count: usize) -> Result<Crowd, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|e| e.to_string())?;
        let tally = Shared::default();
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let tls = TlsConnector::from(trusting());
        let opening: Vec<_> = (0..count)
            .map(|n| {
                let (turns, tls, tally, port) = (turns.clone(), tls.clone(), tally.clone(), server.port);
                let request = request(token, n % 2 == 1);
                runtime.spawn(async move {
                    let _turn = turns.acquire().await.map_err(|e| e.to_string())?;
                    let stream = tokio::time::timeout(PATIENCE, open(&tls, port, &request, None)).await;
                    let stream = stream.map_err(|_| "a subscriber is not there in time")??;
                    tokio::spawn(follow(stream, tally));
                    Ok::<(), String>(())
                })
            })
            .collect();
        runtime.block_on(async {
            for one in opening {
                one.await.map_err(|e| e.to_string())??;
            }
            Ok::<(), String>(())
        })?;
        Ok(Crowd { runtime, tally })
    }

    /// Opens a stream that nobody reads.
    pub(super) fn stall(&self, server: &Server, token: &str) -> Result<Stalled, String> {
        let tls = TlsConnector::from(trusting());
        // The smallest window that the kernel gives: what is not read stays with the server.
        let request = request(token, false);
        Ok(Stalled(self.runtime.block_on(open(&tls, server.port, &request, Some(2_048)))?))
    }

    /// Forgets what was found.
    pub(super) fn reset(&self) {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner) = Tally::default();
    }

    /// What was found.
    pub(super) fn tally(&self) -> Tally {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        Tally { delivered: tally.delivered, lost: tally.lost, latency: tally.latency.clone() }
    }
}

/// A subscriber that reads nothing until it is asked what it was told.
pub(super) struct Stalled(Stream);

impl Stalled {
    /// Reads to the end; whether the last words say that it was too slow.
    pub(super) async fn reason(mut self) -> Result<bool, String> {
        let mut text = Vec::new();
        let mut chunk = vec![0; 16_384];
        let reading = async {
            while let Ok(n @ 1..) = self.0.read(&mut chunk).await {
                text.extend_from_slice(&chunk[..n]);
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.map_err(|_| "a stalled subscriber is never cut off")?;
        Ok(String::from_utf8_lossy(&text).contains("too slow"))
    }
}

fn request(token: &str, websocket: bool) -> String {
    if !websocket {
        let path = path("events");
        return format!("GET {path}?token={token} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n");
    }
    format!(
        "GET /wapi/services/1061/wsevents?token={token} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
}

/// Connects, and reads until the first picture is told.
async fn open(tls: &TlsConnector, port: u16, request: &str, window: Option<u32>) -> Result<Stream, String> {
    let why = |e: std::io::Error| format!("a subscriber: {e}");
    let socket = TcpSocket::new_v4().map_err(why)?;
    if let Some(bytes) = window {
        socket.set_recv_buffer_size(bytes).map_err(why)?;
    }
    let tcp = socket.connect(([127, 0, 0, 1], port).into()).await.map_err(why)?;
    let name = ServerName::try_from("127.0.0.1").map_err(|e| e.to_string())?;
    let mut stream = tls.connect(name, tcp).await.map_err(why)?;
    stream.write_all(request.as_bytes()).await.map_err(why)?;
    let mut head = Vec::new();
    let mut chunk = [0; 2_048];
    while !contains(&head, b"stage") {
        let n = stream.read(&mut chunk).await.map_err(why)?;
        if n == 0 || head.len() > 64 << 10 {
            return Err(format!("a subscriber was refused: {}", String::from_utf8_lossy(&head)));
        }
        head.extend_from_slice(&chunk[..n]);
    }
    Ok(stream)
}

async fn follow(mut stream: Stream, tally: Shared) {
    let mut bytes = Vec::with_capacity(2_048);
    let mut last = 0;
    while let Ok(1..) = stream.read_buf(&mut bytes).await {
        let now = ORIGIN.elapsed().as_micros() as u64;
        let mut marks = Marks { bytes: &bytes, at: 0 };
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        for (sequence, made) in &mut marks {
            tally.delivered += 1;
            tally.lost += u64::from(last != 0 && sequence != last + 1);
            last = sequence;
            let _ = tally.latency.record(now.saturating_sub(made).max(1));
        }
        drop(tally);
        let rest = marks.at.max(bytes.len().saturating_sub(TAIL));
        bytes.drain(..rest);
    }
}

/// The marks in some bytes, and where the last whole one ends.
struct Marks<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Iterator for Marks<'_> {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        let mut from = self.at;
        loop {
            let begin = from + self.bytes[from..].iter().position(|byte| *byte == b'<')? + 1;
            from = begin;
            let length = self.bytes[begin..].iter().position(|byte| *byte == b'>')?;
            let words = std::str::from_utf8(&self.bytes[begin..begin + length]).unwrap_or_default();
            let Some((sequence, made)) = words.split_once(',') else { continue };
            if let (Ok(sequence), Ok(made)) = (sequence.parse(), made.parse()) {
                self.at = begin + length + 1;
                return Some((sequence, made));
            }
        }
    }
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_whatever_surrounds_them() {
        let text = b"data: {\"payload\":\"<7,1000>xx\",\"a\":\"<b>\"}\n\n\x81\x7e<8,2000> <9,30";
        let mut marks = Marks { bytes: text, at: 0 };
        assert_eq!(marks.by_ref().collect::<Vec<_>>(), [(7, 1000), (8, 2000)]);
        assert_eq!(&text[marks.at..], b" <9,30");
        let written = mark(3);
        assert_eq!(Marks { bytes: written.as_bytes(), at: 0 }.next().map(|found| found.0), Some(3));
    }
}
