//! How [`ToMix`] and [`FromMix`] lie in the records of a ring: a type byte, then fields in little endian; what is rare and large
//! (a spec, a list of seats) is CBOR.
//!
//! Packets are many, so they are written without an allocation and read without a copy. Both sides distrust each other, because
//! the mixer runs hostile bytes through C codecs: every length is checked, nothing panics, lists are bounded. A record that is
//! not understood is an error for the reader to count; the next record is not harmed by it.

use crate::mix::{
    MAX_LOGO, MAX_MEMBERS, MAX_REASON, MAX_SCENES, MAX_STILL, MAX_STILLS, MAX_TRANSCODES, MixOutput, MixPacket,
};
use crate::{Codec, ConferenceKey, Feed, FeedKind, FromMix, MixSpec, MixerSpent, ParticipantKey, ToMix};

/// Most bytes of a record. A spec that needs more is not written.
pub const MAX_RECORD: usize = 512 << 10;
/// Most bytes of an RTP packet in a record; a longer one is not written and not taken.
pub const MAX_PACKET: usize = 2048;
/// Most participants in a list of speakers.
pub const MAX_SPEAKERS: usize = 64;
/// Most seats of a scene.
pub const MAX_SEATS: usize = 64;
/// Most bytes of a layout's name.
const MAX_LAYOUT: usize = 64;

/// A record that cannot be read, or a value that has no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed record")]
pub struct Malformed;

/// What media sends with the rings of one of its shards: the file of the ring to the mixer, that of the ring from it, and a bell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Which shard's rings these are.
    pub shard: u16,
    /// How many shards there are: as many greetings come.
    pub shards: u16,
}

/// First bytes of a greeting; the last one is the version of the records.
const MAGIC: [u8; 4] = *b"PMX\x02";

impl Greeting {
    /// Bytes of a greeting.
    pub const LEN: usize = 8;

    /// As it is sent.
    pub fn bytes(self) -> [u8; Greeting::LEN] {
        let mut out = [0; Greeting::LEN];
        out[..4].copy_from_slice(&MAGIC);
        out[4..6].copy_from_slice(&self.shard.to_le_bytes());
        out[6..].copy_from_slice(&self.shards.to_le_bytes());
        out
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`Malformed`] for another program's, another version's, or a shard that is not there.
    pub fn read(bytes: &[u8]) -> Result<Greeting, Malformed> {
        let rest = bytes.strip_prefix(&MAGIC).filter(|rest| rest.len() == 4).ok_or(Malformed)?;
        let number = |at: usize| u16::from_le_bytes([rest[at], rest[at + 1]]);
        let greeting = Greeting { shard: number(0), shards: number(2) };
        if greeting.shard < greeting.shards { Ok(greeting) } else { Err(Malformed) }
    }
}

/// Whether a record carries a packet: these may be lost where others may not.
pub fn is_packet(record: &[u8]) -> bool {
    record.first() == Some(&PACKET)
}

const SPEC: u8 = 1;
const REMOVE: u8 = 2;
const SPEAKERS: u8 = 3;
const PACKET: u8 = 4;
const REPORT: u8 = 5;
const GONE: u8 = 6;
const NEED: u8 = 7;
const UNNEEDED: u8 = 8;
const KEY_FRAME: u8 = 9;
const WANT: u8 = 10;
const UNWANT: u8 = 11;
const SEATS: u8 = 12;
const LOAD: u8 = 13;
const STILL: u8 = 14;
const UNABLE: u8 = 15;
const SHED: u8 = 16;

/// "No audio level" in a packet's record; levels are 0 to 127.
const NO_LEVEL: u8 = 0xff;
/// "Nobody" where a participant may stand.
const NOBODY: u64 = u64::MAX;

impl<'a> ToMix<'a> {
    /// Appends the record to `out`.
    ///
    /// # Errors
    /// [`Malformed`] when it would be longer than [`MAX_RECORD`], or its packet than [`MAX_PACKET`]; `out` is then as before.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let start = out.len();
        let result = self.put(&mut Put(out));
        if result.is_err() || out.len() - start > MAX_RECORD {
            out.truncate(start);
            return Err(Malformed);
        }
        Ok(())
    }

    fn put(&self, out: &mut Put<'_>) -> Result<(), Malformed> {
        match self {
            ToMix::Spec(spec) => {
                out.u8(SPEC);
                ciborium::into_writer(spec, &mut *out.0).map_err(|_| Malformed)?;
            }
            ToMix::Remove(conference) => out.head(REMOVE, *conference),
            ToMix::Speakers { conference, order, loudest } => {
                out.head(SPEAKERS, *conference);
                out.people(order)?;
                out.people(loudest)?;
            }
            ToMix::Packet(packet) => {
                if packet.rtp.len() > MAX_PACKET {
                    return Err(Malformed);
                }
                out.head(PACKET, packet.conference);
                out.feed(packet.feed);
                out.u8(packet.encoding);
                out.u8(codec_byte(packet.codec));
                out.u8(packet.level.map_or(NO_LEVEL, |level| level & 0x7f));
                out.u32(packet.clock);
                out.u64(packet.arrival);
                out.0.extend_from_slice(packet.rtp);
            }
            ToMix::Report { conference, feed, encoding, ntp, rtp } => {
                out.head(REPORT, *conference);
                out.feed(*feed);
                out.u8(*encoding);
                out.u64(*ntp);
                out.u32(*rtp);
            }
            ToMix::Gone { conference, feed } => {
                out.head(GONE, *conference);
                out.feed(*feed);
            }
            ToMix::Need { conference, output, bitrate, loss } => {
                out.head(NEED, *conference);
                out.output(*output);
                out.u32(*bitrate);
                out.u8(*loss);
            }
            ToMix::Unneeded { conference, output } => {
                out.head(UNNEEDED, *conference);
                out.output(*output);
            }
            ToMix::KeyFrame { conference, output } => {
                out.head(KEY_FRAME, *conference);
                out.output(*output);
            }
        }
        Ok(())
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`Malformed`]; bytes behind the value are an error too.
    pub fn read(record: &'a [u8]) -> Result<ToMix<'a>, Malformed> {
        let mut from = Take::new(record)?;
        let kind = from.u8()?;
        if kind == SPEC {
            let spec: MixSpec = from.cbor()?;
            let fits = spec.scenes.len() <= MAX_SCENES
                && spec.members.len() <= MAX_MEMBERS
                && spec.transcodes.len() <= MAX_TRANSCODES
                && spec.stills.len() <= MAX_STILLS
                && spec.logo.as_ref().is_none_or(|logo| logo.len() <= MAX_LOGO);
            return if fits { Ok(ToMix::Spec(spec)) } else { Err(Malformed) };
        }
        let conference = ConferenceKey(from.u64()?);
        let value = match kind {
            REMOVE => ToMix::Remove(conference),
            SPEAKERS => ToMix::Speakers { conference, order: from.people()?, loudest: from.people()? },
            PACKET => ToMix::Packet(MixPacket {
                conference,
                feed: from.feed()?,
                encoding: from.u8()?,
                codec: codec(from.u8()?)?,
                level: from.level()?,
                clock: from.u32()?,
                arrival: from.u64()?,
                rtp: from.rest(MAX_PACKET)?,
            }),
            REPORT => ToMix::Report {
                conference,
                feed: from.feed()?,
                encoding: from.u8()?,
                ntp: from.u64()?,
                rtp: from.u32()?,
            },
            GONE => ToMix::Gone { conference, feed: from.feed()? },
            NEED => ToMix::Need { conference, output: from.output()?, bitrate: from.u32()?, loss: from.u8()?.min(100) },
            UNNEEDED => ToMix::Unneeded { conference, output: from.output()? },
            KEY_FRAME => ToMix::KeyFrame { conference, output: from.output()? },
            _ => return Err(Malformed),
        };
        from.end(value)
    }
}

impl<'a> FromMix<'a> {
    /// Appends the record to `out`.
    ///
    /// # Errors
    /// As [`ToMix::write`].
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let start = out.len();
        let result = self.put(&mut Put(out));
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    fn put(&self, out: &mut Put<'_>) -> Result<(), Malformed> {
        match self {
            FromMix::Packet { conference, output, captured, rtp } => {
                if rtp.len() > MAX_PACKET {
                    return Err(Malformed);
                }
                out.head(PACKET, *conference);
                out.output(*output);
                out.u64(*captured);
                out.0.extend_from_slice(rtp);
            }
            FromMix::Want { conference, feed, width, height } => {
                out.head(WANT, *conference);
                out.feed(*feed);
                out.u16(*width);
                out.u16(*height);
            }
            FromMix::Unwant { conference, feed } => {
                out.head(UNWANT, *conference);
                out.feed(*feed);
            }
            FromMix::KeyFrame { conference, feed } => {
                out.head(KEY_FRAME, *conference);
                out.feed(*feed);
            }
            FromMix::Seats { conference, scene, layout, seats } => {
                if layout.len() > MAX_LAYOUT || seats.len() > MAX_SEATS {
                    return Err(Malformed);
                }
                out.head(SEATS, *conference);
                out.u16(*scene);
                out.u8(layout.len() as u8);
                out.0.extend_from_slice(layout.as_bytes());
                out.u8(seats.len() as u8);
                seats.iter().for_each(|seat| out.u64(seat.map_or(NOBODY, |p| p.0)));
            }
            FromMix::Still { conference, presenter, height, jpeg } => {
                if jpeg.len() > MAX_STILL {
                    return Err(Malformed);
                }
                out.head(STILL, *conference);
                out.u64(presenter.0);
                out.u16(*height);
                out.0.extend_from_slice(jpeg);
            }
            FromMix::Unable { conference, reason } => {
                if reason.len() > MAX_REASON {
                    return Err(Malformed);
                }
                out.head(UNABLE, *conference);
                out.0.extend_from_slice(reason.as_bytes());
            }
            FromMix::Shed { conference, level } => {
                out.head(SHED, *conference);
                out.u8(*level);
            }
            FromMix::Load { shed, spent } => {
                out.u8(LOAD);
                out.u8(*shed);
                for value in [spent.worker_ns, spent.jobs, spent.job_ns, spent.wait_ns] {
                    out.u64(value);
                }
            }
        }
        Ok(())
    }

    /// Reads a record.
    ///
    /// # Errors
    /// As [`ToMix::read`].
    pub fn read(record: &'a [u8]) -> Result<FromMix<'a>, Malformed> {
        let mut from = Take::new(record)?;
        let kind = from.u8()?;
        if kind == LOAD {
            let shed = from.u8()?;
            let (worker_ns, jobs, job_ns, wait_ns) = (from.u64()?, from.u64()?, from.u64()?, from.u64()?);
            return from.end(FromMix::Load { shed, spent: MixerSpent { worker_ns, jobs, job_ns, wait_ns } });
        }
        let conference = ConferenceKey(from.u64()?);
        let value = match kind {
            PACKET => FromMix::Packet {
                conference,
                output: from.output()?,
                captured: from.u64()?,
                rtp: from.rest(MAX_PACKET)?,
            },
            WANT => FromMix::Want { conference, feed: from.feed()?, width: from.u16()?, height: from.u16()? },
            UNWANT => FromMix::Unwant { conference, feed: from.feed()? },
            KEY_FRAME => FromMix::KeyFrame { conference, feed: from.feed()? },
            SEATS => {
                let scene = from.u16()?;
                let len = usize::from(from.u8()?);
                let layout = from.bytes(len.min(MAX_LAYOUT + 1))?;
                let layout = std::str::from_utf8(layout).map_err(|_| Malformed)?;
                let count = usize::from(from.u8()?);
                if len > MAX_LAYOUT || count > MAX_SEATS {
                    return Err(Malformed);
                }
                let seat = |key| Some(ParticipantKey(key)).filter(|p| p.0 != NOBODY);
                let seats = (0..count).map(|_| Ok(seat(from.u64()?))).collect::<Result<_, Malformed>>()?;
                FromMix::Seats { conference, scene, layout: layout.to_owned(), seats }
            }
            SHED => FromMix::Shed { conference, level: from.u8()? },
            UNABLE => {
                let reason = std::str::from_utf8(from.rest(MAX_REASON)?).map_err(|_| Malformed)?;
                FromMix::Unable { conference, reason: reason.to_owned() }
            }
            STILL => FromMix::Still {
                conference,
                presenter: ParticipantKey(from.u64()?),
                height: from.u16()?,
                jpeg: from.rest(MAX_STILL)?,
            },
            _ => return Err(Malformed),
        };
        from.end(value)
    }
}

/// All codecs; a codec's byte is its place.
const CODECS: [Codec; 14] = [
    Codec::Opus,
    Codec::Red,
    Codec::Pcmu,
    Codec::Pcma,
    Codec::G722,
    Codec::TelephoneEvent,
    Codec::Vp8,
    Codec::Vp9,
    Codec::H264,
    Codec::H265,
    Codec::Av1,
    Codec::G726,
    Codec::Ilbc,
    Codec::Ilbc30,
];

fn codec_byte(codec: Codec) -> u8 {
    CODECS.iter().position(|c| *c == codec).unwrap_or(CODECS.len()) as u8
}

fn codec(byte: u8) -> Result<Codec, Malformed> {
    CODECS.get(usize::from(byte)).copied().ok_or(Malformed)
}

/// Writes fields.
struct Put<'a>(&'a mut Vec<u8>);

impl Put<'_> {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn head(&mut self, kind: u8, conference: ConferenceKey) {
        self.u8(kind);
        self.u64(conference.0);
    }

    fn feed(&mut self, feed: Feed) {
        self.u64(feed.participant.0);
        self.u8(match feed.kind {
            FeedKind::Audio => 0,
            FeedKind::Camera => 1,
            FeedKind::Presentation => 2,
            FeedKind::PresentationAudio => 3,
        });
    }

    fn output(&mut self, output: MixOutput) {
        match output {
            MixOutput::Video { scene, codec, rung } => {
                self.u8(0);
                self.u16(scene);
                self.u8(codec_byte(codec));
                self.u8(rung);
            }
            MixOutput::Audio { codec, without } => {
                self.u8(1);
                self.u8(codec_byte(codec));
                self.u64(without.map_or(NOBODY, |p| p.0));
            }
            MixOutput::Track { feed, codec, rung } => {
                self.u8(2);
                self.feed(feed);
                self.u8(codec_byte(codec));
                self.u8(rung);
            }
        }
    }

    fn people(&mut self, people: &[ParticipantKey]) -> Result<(), Malformed> {
        if people.len() > MAX_SPEAKERS {
            return Err(Malformed);
        }
        self.u8(people.len() as u8);
        people.iter().for_each(|p| self.u64(p.0));
        Ok(())
    }
}

/// Takes fields off the front.
struct Take<'a>(&'a [u8]);

impl<'a> Take<'a> {
    fn new(record: &'a [u8]) -> Result<Take<'a>, Malformed> {
        if record.len() > MAX_RECORD { Err(Malformed) } else { Ok(Take(record)) }
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn level(&mut self) -> Result<Option<u8>, Malformed> {
        match self.u8()? {
            level @ 0..=127 => Ok(Some(level)),
            NO_LEVEL => Ok(None),
            _ => Err(Malformed),
        }
    }

    fn feed(&mut self) -> Result<Feed, Malformed> {
        let participant = ParticipantKey(self.u64()?);
        let kind = match self.u8()? {
            0 => FeedKind::Audio,
            1 => FeedKind::Camera,
            2 => FeedKind::Presentation,
            3 => FeedKind::PresentationAudio,
            _ => return Err(Malformed),
        };
        Ok(Feed { participant, kind })
    }

    fn output(&mut self) -> Result<MixOutput, Malformed> {
        match self.u8()? {
            0 => Ok(MixOutput::Video { scene: self.u16()?, codec: codec(self.u8()?)?, rung: self.u8()? }),
            1 => {
                let codec = codec(self.u8()?)?;
                let without = Some(ParticipantKey(self.u64()?)).filter(|p| p.0 != NOBODY);
                Ok(MixOutput::Audio { codec, without })
            }
            2 => Ok(MixOutput::Track { feed: self.feed()?, codec: codec(self.u8()?)?, rung: self.u8()? }),
            _ => Err(Malformed),
        }
    }

    fn people(&mut self) -> Result<Vec<ParticipantKey>, Malformed> {
        let count = usize::from(self.u8()?);
        if count > MAX_SPEAKERS {
            return Err(Malformed);
        }
        (0..count).map(|_| Ok(ParticipantKey(self.u64()?))).collect()
    }

    fn cbor<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Malformed> {
        let value = ciborium::de::from_reader_with_recursion_limit(&mut self.0, 32).map_err(|_| Malformed)?;
        if self.0.is_empty() { Ok(value) } else { Err(Malformed) }
    }

    fn rest(&mut self, most: usize) -> Result<&'a [u8], Malformed> {
        let rest = std::mem::take(&mut self.0);
        if rest.len() > most { Err(Malformed) } else { Ok(rest) }
    }

    fn end<T>(&self, value: T) -> Result<T, Malformed> {
        if self.0.is_empty() { Ok(value) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests;
