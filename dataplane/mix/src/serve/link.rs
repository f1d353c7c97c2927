//! The way to media: the greeting with the rings of every shard, and one shard's ends of them.

use plenum_contract::FromMix;
use plenum_contract::record::Greeting;
use plenum_host::{Bell, RingReader, RingWriter, receive_descriptors};
use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long media may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most shards.
const MAX_SHARDS: u16 = 1024;

/// Connects and gets the rings of every shard.
pub(crate) fn connect(socket: &Path) -> Result<(UnixStream, Vec<Link>), Box<dyn Error>> {
    let stream = UnixStream::connect(socket).map_err(|e| format!("{}: {e}", socket.display()))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut links = Vec::new();
    loop {
        let (greeting, passed) = greeting(&stream)?;
        if usize::from(greeting.shard) != links.len() || greeting.shards > MAX_SHARDS {
            return Err("media's greetings are out of order".into());
        }
        links.push(Link::new(greeting.shard, passed)?);
        if links.len() == usize::from(greeting.shards) {
            stream.set_nonblocking(true)?;
            return Ok((stream, links));
        }
    }
}

fn greeting(stream: &UnixStream) -> Result<(Greeting, Vec<OwnedFd>), Box<dyn Error>> {
    let mut bytes = [0; Greeting::LEN];
    let (mut len, mut passed) = (0, Vec::new());
    while len < bytes.len() {
        let (more, descriptors) = receive_descriptors(stream.as_fd(), &mut bytes[len..])?;
        if more == 0 {
            return Err("media does not want this mixer".into());
        }
        len += more;
        passed.extend(descriptors);
    }
    let greeting = Greeting::read(&bytes).map_err(|_| "media is of another version")?;
    Ok((greeting, passed))
}

/// Whether media closed the connection. It says nothing more on it.
pub(crate) fn ended(mut stream: &UnixStream) -> bool {
    !matches!(stream.read(&mut [0; 1]), Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted))
}

/// One shard's rings.
pub(crate) struct Link {
    pub(crate) shard: u16,
    from: RingReader,
    to: RingWriter,
    bell: Bell,
    /// Records that did not fit.
    lost: u64,
    out: Vec<u8>,
}

impl Link {
    fn new(shard: u16, passed: Vec<OwnedFd>) -> Result<Link, Box<dyn Error>> {
        let [from, to, bell] = <[OwnedFd; 3]>::try_from(passed).map_err(|_| "media's greeting lacks descriptors")?;
        let from = RingReader::new(&File::from(from))?;
        let to = RingWriter::new(&File::from(to))?;
        Ok(Link { shard, from, to, bell: Bell::from_descriptor(bell), lost: 0, out: Vec::new() })
    }

    /// The next record, into `record`; false when there is none.
    pub(crate) fn read(&mut self, record: &mut Vec<u8>) -> Result<bool, &'static str> {
        self.from.read(record).map_err(|_| "media broke a ring's rules")
    }

    /// Writes a value; what does not fit is counted. A picture of a presentation leaves half of the ring to what cannot wait.
    pub(crate) fn write(&mut self, value: &FromMix<'_>) {
        self.out.clear();
        let spare = if matches!(value, FromMix::Still { .. }) { self.to.capacity() / 2 } else { 0 };
        // What is full gets room again; a shard that breaks the rules is noticed when it is read from.
        if value.write(&mut self.out).is_ok() && self.to.write(&self.out, spare).is_err() {
            self.lost += 1;
        }
    }

    /// Shows media what was written.
    pub(crate) fn flush(&mut self) {
        if self.to.publish() {
            self.bell.ring();
        }
    }

    /// Waits until media wrote something, `other` is readable, or `limit` has passed; an error when media is gone.
    pub(crate) fn wait(&mut self, other: RawFd, limit: Duration) -> Result<(), &'static str> {
        if self.from.sleep() {
            // A whole millisecond at least: the clock of poll counts in these, and what is due sooner is waited for in one go.
            let limit = limit.max(Duration::from_millis(1));
            let _ = plenum_host::poll(&[(self.bell.as_raw_fd(), false), (other, false)], limit);
        }
        if self.bell.quiet() { Ok(()) } else { Err("the shard is gone, or does not want this mixer") }
    }
}
