//! The media plane under measurement: `plenum-media` as a process, and this side of the contract in control's place.

use crate::process::{Program, words};
use plenum_contract::event::{Hello, Metrics};
use plenum_contract::frame::{self, Reader};
use plenum_contract::{Command, EventBody, LegKey, Message, VERSION};
use std::collections::HashSet;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How long the program may take to open its socket.
const PATIENCE: Duration = Duration::from_secs(20);

/// A media plane with one shard, and our connection to it.
pub struct Media {
    /// The process.
    pub program: Program,
    /// What it said of itself.
    pub hello: Hello,
    /// The newest counters.
    pub metrics: Metrics,
    /// Legs whose transport is up.
    pub connected: HashSet<LegKey>,
    /// Legs that ended, with their reason.
    pub ended: Vec<String>,
    /// Refusals.
    pub refused: Vec<String>,
    stream: UnixStream,
    reader: Reader,
    socket: PathBuf,
}

/// Beside which file programs are looked for: `plenum-media` lies next to `plenum-bench`.
pub fn program(name: &str) -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.parent().unwrap_or(Path::new(".")).join(name)
}

impl Media {
    /// Starts it with `command` (which may lead into a namespace), at `address`, on the I/O back-end `io`.
    ///
    /// # Errors
    /// When it does not start, or does not greet.
    pub fn start(command: &mut std::process::Command, address: SocketAddr, io: &str) -> io::Result<Media> {
        let socket = std::env::temp_dir().join(format!("plenum-bench-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&socket);
        command.args(["--ip", &address.ip().to_string(), "--port-base", &address.port().to_string()]);
        command.args(["--shards", "1", "--slots", "65536", "--max-sessions", "4096", "--tcp", "false", "--io", io]);
        command.arg("--socket").arg(&socket).stdin(Stdio::null()).stdout(words()).stderr(words());
        let program = Program::start(command)?;
        let end = Instant::now() + PATIENCE;
        let stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(e) if Instant::now() > end => return Err(e),
                Err(_) => std::thread::park_timeout(Duration::from_millis(20)),
            }
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut media = Media {
            program,
            hello: Hello {
                version: 0,
                boot: 0,
                fingerprints: Vec::new(),
                shards: Vec::new(),
                limits: plenum_contract::event::Limits { sessions_per_shard: 0, media_per_session: 0, max_bitrate: 0 },
            },
            metrics: Metrics::default(),
            connected: HashSet::new(),
            ended: Vec::new(),
            refused: Vec::new(),
            stream,
            reader: Reader::default(),
            socket,
        };
        media.send(&Command::Hello { version: VERSION })?;
        while media.hello.version == 0 {
            media.read()?;
        }
        media.stream.set_nonblocking(true)?;
        Ok(media)
    }

    /// Where its shard receives.
    pub fn address(&self) -> Option<SocketAddr> {
        self.hello.shards.first()?.udp.first().copied()
    }

    /// Sends a command.
    ///
    /// # Errors
    /// When the media plane is gone, or takes nothing for [`PATIENCE`].
    pub fn send(&mut self, command: &Command) -> io::Result<()> {
        let mut bytes = Vec::new();
        frame::write(command, &mut bytes).map_err(io::Error::other)?;
        let end = Instant::now() + PATIENCE;
        let mut left = &bytes[..];
        while !left.is_empty() {
            match self.stream.write(left) {
                Ok(n) => left = &left[n..],
                Err(e) if e.kind() == ErrorKind::WouldBlock && Instant::now() < end => self.listen()?,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Takes in what the media plane said meanwhile; never waits.
    ///
    /// # Errors
    /// When it is gone.
    pub fn listen(&mut self) -> io::Result<()> {
        loop {
            match self.read() {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
    }

    fn read(&mut self) -> io::Result<()> {
        let mut chunk = [0; 65_536];
        match self.stream.read(&mut chunk)? {
            0 => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the media plane is gone")),
            n => self.reader.push(&chunk[..n]),
        }
        while let Some(message) = self.reader.next::<Message>().map_err(io::Error::other)? {
            self.take(message);
        }
        Ok(())
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Hello(hello) => self.hello = hello,
            Message::Metrics(metrics) => self.metrics = metrics,
            Message::Refused { reason, .. } => self.refused.push(reason),
            Message::Event(event) => match event.body {
                EventBody::LegConnected { leg, .. } => {
                    self.connected.insert(leg);
                }
                EventBody::LegEnded { leg, reason } => self.ended.push(format!("leg {}: {}", leg.0, reason.text())),
                _ => {}
            },
            _ => {}
        }
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}
