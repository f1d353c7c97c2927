//! The mixer's place: a Unix socket at which it gets a pair of rings with each shard, and a shard's end of them.
//!
//! One mixer at a time; a newer one replaces the former. The mixer is not trusted: what breaks the rules of a ring ends the link. Packets that find no
//! room in a ring are lost; what may not be lost waits beside it, up to a bound that ends the link as well. A mixer whose link ended sees that its bell
//! is dead, and begins anew. A shard never waits for it.

use crate::log::{About, Log};
use crate::shards::{Order, Shards};
use core::time::Duration;
use plenum_contract::record::Greeting;
use plenum_host::{Bell, Refused, RingReader, RingWriter, ring_file, send_descriptors};
use plenum_packet::Time;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};

/// Bytes of a ring to the mixer: two seconds of 12 Mbit/s. Packets leave a quarter of it to everything else.
const TO_MIXER: usize = 4 << 20;
/// Bytes that wait for room in that ring at most: what a mixer that comes is told of a thousand conferences with the largest logos.
const MOST_WAITING: usize = 72 << 20;
/// Bytes of a ring from the mixer.
const FROM_MIXER: usize = 2 << 20;
/// A mixer that reads nothing for so long although something waits hangs. Shorter: one that is starved on a busy machine is taken for it,
/// and again and again, because a new one has more to do at first (seen with 5 s). Longer: mixed legs look at a frozen picture.
const HANGS: Duration = Duration::from_secs(10);
/// What counts of it at most between two looks: while the machine or this shard stood still, the mixer could not read either.
const LOOK: Duration = Duration::from_millis(500);
/// Records that are taken in one turn; what is left is taken in the next, which follows at once.
const MAX_RECORDS: usize = 1024;

/// The socket, and the mixer that is there.
#[derive(Default)]
pub(crate) struct Mixers {
    listener: Option<UnixListener>,
    connection: Option<UnixStream>,
    /// Number of that mixer.
    serial: u64,
}

impl Mixers {
    pub(crate) fn new(listener: Option<UnixListener>) -> Mixers {
        Mixers { listener, connection: None, serial: 0 }
    }

    /// What is to be waited for.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> + '_ {
        let listener = self.listener.iter().map(AsRawFd::as_raw_fd);
        listener.chain(self.connection.iter().map(AsRawFd::as_raw_fd))
    }

    /// A shard cut its link to the mixer of this number: if it is still there, it is to begin anew.
    pub(crate) fn cut(&mut self, serial: u64, log: &Log) {
        if let Some(stream) = self.connection.as_ref().filter(|_| serial == self.serial) {
            log.warn(About::PROGRAM, || "a shard cut the mixer off: it hangs, or broke the rules of a ring".into());
            // Seen as the end by the mixer, and by us in the next turn.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Notices a mixer that went, and gives rings to one that came.
    pub(crate) fn turn(&mut self, shards: &Shards, count: u16, log: &Log) {
        if self.connection.as_mut().is_some_and(ended) {
            self.connection = None;
            log.warn(About::PROGRAM, || "the mixer is gone".into());
            (0..count).for_each(|shard| shards.send(shard, Order::Mixer(None)));
        }
        while let Some(Ok((stream, _))) = self.listener.as_ref().map(UnixListener::accept) {
            let own = plenum_host::effective_uid();
            match plenum_host::peer_credentials(stream.as_fd()) {
                Ok(peer) if peer.uid == own || peer.uid == 0 => {}
                other => {
                    log.warn(About::PROGRAM, || format!("a mixer is refused: {other:?}, not user {own}"));
                    continue;
                }
            }
            match greet(&stream, count, self.serial + 1) {
                Ok(links) => {
                    log.info(About::PROGRAM, || "a mixer is here".into());
                    for (shard, link) in (0..).zip(links) {
                        shards.send(shard, Order::Mixer(Some(Box::new(link))));
                    }
                    (self.connection, self.serial) = (Some(stream), self.serial + 1);
                }
                Err(e) => log.error(About::PROGRAM, || format!("a mixer got no rings: {e}")),
            }
        }
    }
}

/// Whether the other side is gone. It has nothing to say here: one that does is taken for gone as well.
fn ended(stream: &mut UnixStream) -> bool {
    !matches!(stream.read(&mut [0; 1]), Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted))
}

/// Makes rings for every shard and passes them on.
fn greet(stream: &UnixStream, shards: u16, serial: u64) -> io::Result<Vec<MixerLink>> {
    stream.set_nonblocking(true)?;
    (0..shards)
        .map(|shard| {
            let (to, from) = (ring_file("plenum to mixer", TO_MIXER)?, ring_file("plenum from mixer", FROM_MIXER)?);
            let (bell, theirs) = Bell::pair()?;
            let bytes = Greeting { shard, shards }.bytes();
            send_descriptors(stream.as_fd(), &bytes, &[to.as_fd(), from.as_fd(), theirs.descriptor()])?;
            Ok(MixerLink::new(RingWriter::new(&to)?, RingReader::new(&from)?, bell, serial))
        })
        .collect()
}

/// A shard's end of the rings.
pub(crate) struct MixerLink {
    /// Number of the mixer at the other end.
    pub(crate) serial: u64,
    to: RingWriter,
    from: RingReader,
    bell: Bell,
    /// The record that is looked at; kept for its capacity.
    record: Vec<u8>,
    /// What did not fit and may not be lost, in order, and its bytes.
    waiting: VecDeque<Box<[u8]>>,
    waits: usize,
    lost: u64,
    broken: bool,
    /// What the mixer had read when that was last news.
    taken: u64,
    /// When that was looked at last, and how long something has been waiting without any news; `None` while nothing waits.
    looked: Time,
    idle: Option<Duration>,
}

impl MixerLink {
    pub(crate) fn new(to: RingWriter, from: RingReader, bell: Bell, serial: u64) -> MixerLink {
        MixerLink {
            serial,
            to,
            from,
            bell,
            record: Vec::new(),
            waiting: VecDeque::new(),
            waits: 0,
            lost: 0,
            broken: false,
            taken: 0,
            looked: Time::ZERO,
            idle: None,
        }
    }

    /// What becomes readable when the mixer wrote, or ended.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.bell.as_raw_fd()
    }

    /// Packets that did not fit.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Says that the shard is about to wait; false when there is something to read already.
    pub(crate) fn sleep(&mut self) -> bool {
        self.from.sleep()
    }

    /// Takes what the mixer wrote; false when the link is of no use any more.
    pub(crate) fn hear(&mut self, early: bool, take: &mut dyn FnMut(&[u8])) -> bool {
        if (early || self.from.was_woken()) && !self.bell.quiet() {
            return false;
        }
        for _ in 0..MAX_RECORDS {
            match self.from.read(&mut self.record) {
                Ok(true) => take(&self.record),
                Ok(false) => return true,
                Err(_) => return false,
            }
        }
        true
    }

    /// Puts a record into the ring, for [`MixerLink::flush`] to show.
    pub(crate) fn write(&mut self, record: &[u8], packet: bool) {
        let spare = if packet { self.to.capacity() / 4 } else { 0 };
        let written = if self.waiting.is_empty() { self.to.write(record, spare) } else { Err(Refused::Full) };
        match written {
            Ok(()) => {}
            Err(Refused::Full) if packet => self.lost += 1,
            Err(Refused::Full) if self.waits + record.len() <= MOST_WAITING => {
                self.waits += record.len();
                self.waiting.push_back(record.into());
            }
            Err(_) => self.broken = true,
        }
    }

    /// Shows the mixer what was written, and what waited for room; false when the link is of no use any more.
    pub(crate) fn flush(&mut self, now: Time) -> bool {
        while let Some(record) = self.waiting.pop_front_if(|record| self.to.write(record, 0).is_ok()) {
            self.waits -= record.len();
        }
        if self.to.publish() {
            self.bell.ring();
        }
        let Ok((taken, waiting)) = self.to.taken() else { return false };
        let before = self.idle.filter(|_| taken == self.taken).map(|idle| idle + now.since(self.looked).min(LOOK));
        self.idle = (waiting > 0).then(|| before.unwrap_or_default());
        (self.taken, self.looked) = (taken, now);
        !self.broken && self.idle.is_none_or(|idle| idle < HANGS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_host::receive_descriptors;
    use std::fs::File;

    /// A link and the mixer's ends of it.
    fn link(to_size: usize) -> (MixerLink, RingReader, RingWriter, Bell) {
        let (to, from) = (ring_file("to", to_size).unwrap(), ring_file("from", 8192).unwrap());
        let (ours, theirs) = Bell::pair().unwrap();
        let link = MixerLink::new(RingWriter::new(&to).unwrap(), RingReader::new(&from).unwrap(), ours, 1);
        (link, RingReader::new(&to).unwrap(), RingWriter::new(&from).unwrap(), theirs)
    }

    #[test]
    fn records_go_both_ways() {
        let (mut link, mut reader, mut writer, bell) = link(8192);
        link.write(b"hello", false);
        assert!(link.flush(Time::from_millis(1)));
        let mut record = Vec::new();
        assert!(reader.read(&mut record).unwrap());
        assert_eq!(record, b"hello");
        assert!(link.sleep());
        writer.write(b"and back", 0).unwrap();
        assert!(writer.publish());
        bell.ring();
        plenum_host::poll(&[(link.descriptor(), false)], core::time::Duration::from_secs(3600)).unwrap();
        let mut heard = Vec::new();
        assert!(link.hear(true, &mut |record| heard.push(record.to_vec())));
        assert_eq!(heard, [b"and back"]);
    }

    #[test]
    fn a_full_ring_loses_packets_and_what_may_not_be_lost_follows_in_order_when_there_is_room() {
        let (mut link, mut reader, _writer, _bell) = link(4096);
        for _ in 0..10 {
            link.write(&[7; 1000], true);
        }
        assert_eq!(link.lost(), 7);
        assert!(link.flush(Time::from_millis(1)), "packets may be lost");
        (0..100).for_each(|number| link.write(&[number; 500], false));
        link.write(&[7; 8], true);
        assert!(link.flush(Time::from_millis(1)), "as when a mixer comes to many conferences");
        assert_eq!(link.lost(), 8, "no packet overtakes what waits");
        let (mut record, mut heard) = (Vec::new(), Vec::new());
        while heard.len() < 103 {
            assert!(reader.read(&mut record).unwrap());
            heard.push(record[0]);
            assert!(link.flush(Time::from_millis(1)));
        }
        assert!(heard.into_iter().eq([7; 3].into_iter().chain(0..100)));
        link.write(&[7; 8], true);
        assert_eq!((link.lost(), link.waits), (8, 0));
    }

    #[test]
    fn a_mixer_for_which_too_much_waits_is_cut_off() {
        let (mut link, _reader, _writer, _bell) = link(4096);
        let record = vec![7; 1 << 20];
        (0..MOST_WAITING >> 20).for_each(|_| link.write(&record, false));
        assert!(link.flush(Time::from_millis(1)));
        link.write(&[7], false);
        assert!(!link.flush(Time::from_millis(1)));
    }

    #[test]
    fn a_mixer_that_ends_or_breaks_the_rules_ends_the_link() {
        let (mut gone, _reader, _writer, bell) = link(4096);
        assert!(gone.hear(true, &mut |_| {}));
        drop(bell);
        assert!(!gone.hear(true, &mut |_| {}));
    }

    #[test]
    fn a_mixer_that_reads_nothing_for_ten_seconds_is_cut_off() {
        let (mut link, mut reader, _writer, _bell) = link(8192);
        let mut record = Vec::new();
        for second in 1..60 {
            link.write(b"news", false);
            assert!(link.flush(Time::from_millis(1000 * second)), "it reads");
            assert!(reader.read(&mut record).unwrap());
        }
        assert!(link.flush(Time::from_millis(600_000)), "nothing waits for it");
        link.write(b"news", false);
        for ms in (600_100..=610_000).step_by(100) {
            assert!(link.flush(Time::from_millis(ms)), "{ms}");
        }
        assert!(!link.flush(Time::from_millis(610_100)));
    }

    #[test]
    fn while_the_shard_itself_stood_still_nobody_is_blamed_for_not_reading() {
        let (mut link, mut reader, _writer, _bell) = link(8192);
        link.write(b"news", false);
        for second in 1..=15 {
            assert!(
                link.flush(Time::from_millis(60_000 * second)),
                "a minute without a look is no minute without reading"
            );
        }
        assert!(reader.read(&mut Vec::new()).unwrap());
        assert!(link.flush(Time::from_millis(60_000 * 16)));
    }

    #[test]
    fn a_greeting_brings_the_rings_of_every_shard() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let links = greet(&ours, 3, 1).unwrap();
        assert_eq!(links.len(), 3);
        for (shard, mut link) in (0..).zip(links) {
            let mut bytes = [0; Greeting::LEN];
            let (len, passed) = receive_descriptors(theirs.as_fd(), &mut bytes).unwrap();
            assert_eq!(Greeting::read(&bytes[..len]), Ok(Greeting { shard, shards: 3 }));
            let [to, from, bell] = passed.try_into().unwrap();
            let mut reader = RingReader::new(&File::from(to)).unwrap();
            link.write(&[shard as u8], false);
            assert!(link.flush(Time::from_millis(1)));
            let mut record = Vec::new();
            assert!(reader.read(&mut record).unwrap());
            assert_eq!(record, [shard as u8]);
            let mut writer = RingWriter::new(&File::from(from)).unwrap();
            writer.write(b"x", 0).unwrap();
            writer.publish();
            Bell::from_descriptor(bell).ring();
            let mut heard = 0;
            assert!(link.hear(true, &mut |_| heard += 1));
            assert_eq!(heard, 1);
        }
    }
}
