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
    /// A record did not fit that the shard would wait for in vain.
    broken: bool,
    out: Vec<u8>,
}

impl Link {
    fn new(shard: u16, passed: Vec<OwnedFd>) -> Result<Link, Box<dyn Error>> {
        let [from, to, bell] = <[OwnedFd; 3]>::try_from(passed).map_err(|_| "media's greeting lacks descriptors")?;
        let from = RingReader::new(&File::from(from))?;
        let to = RingWriter::new(&File::from(to))?;
        Ok(Link { shard, from, to, bell: Bell::from_descriptor(bell), broken: false, out: Vec::new() })
    }

    /// The next record, into `record`; false when there is none. An error when either side cannot go on with these rings.
    pub(crate) fn read(&mut self, record: &mut Vec<u8>) -> Result<bool, &'static str> {
        if self.broken {
            return Err("a ring was full: the shard misses what it must know");
        }
        self.from.read(record).map_err(|_| "media broke a ring's rules")
    }

    /// Writes a value. Packets that do not fit are lost, and so are pictures of a presentation; packets leave a quarter of the ring to what may not be
    /// lost, those pictures half of it to everything else. When even that does not fit, this mixer is of no use any more: [`Link::read`] says so.
    pub(crate) fn write(&mut self, value: &FromMix<'_>) {
        let share = match value {
            FromMix::Still { .. } => Some(2),
            FromMix::Packet { .. } => Some(4),
            _ => None,
        };
        self.out.clear();
        let spare = share.map_or(0, |share| self.to.capacity() / share);
        let refused = value.write(&mut self.out).is_ok() && self.to.write(&self.out, spare).is_err();
        self.broken |= refused && share.is_none();
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

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_contract::{Codec, ConferenceKey, Feed, FeedKind, MixOutput, ParticipantKey};
    use plenum_host::ring_file;

    #[test]
    fn packets_that_do_not_fit_are_lost_and_leave_room_for_what_may_not_be() {
        let (from, to) = (ring_file("to mixer", 4096).unwrap(), ring_file("from mixer", 4096).unwrap());
        let (_bell, theirs) = Bell::pair().unwrap();
        let theirs = theirs.descriptor().try_clone_to_owned().unwrap();
        let mut shard = RingReader::new(&to).unwrap();
        let mut link = Link::new(0, vec![from.into(), to.into(), theirs]).unwrap();
        let (conference, mut record) = (ConferenceKey(1), Vec::new());
        let output = MixOutput::Video { scene: 0, codec: Codec::Vp8, rung: 0 };
        for _ in 0..10 {
            link.write(&FromMix::Packet { conference, output, captured: 0, rtp: &[7; 1000] });
        }
        let feed = |n| Feed { participant: ParticipantKey(n), kind: FeedKind::Camera };
        let want = |n| FromMix::Want { conference, feed: feed(n), width: 320, height: 180 };
        link.write(&want(1));
        link.flush();
        assert_eq!(link.read(&mut record), Ok(false), "nothing is missing");
        let mut told = Vec::new();
        while shard.read(&mut record).unwrap() {
            told.push(matches!(FromMix::read(&record), Ok(FromMix::Want { .. })));
        }
        assert_eq!(told, [false, false, true], "two packets of ten, and what is wanted");
        // A shard that takes nothing at all would never learn what it is to do.
        (0..200).for_each(|n| link.write(&want(n)));
        assert!(link.read(&mut record).is_err());
    }
}
