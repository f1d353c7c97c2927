//! What a peer sends: up to four encodings of one picture or sound, each with its cache, rates and clock.
//!
//! [`Track::receive`] takes a packet in and tells what subscribers need to know of it. The track owns the packet's slot
//! from then on, and gives it back to the pool when it leaves the cache; whoever drops a track calls [`Track::clear`]
//! first. It decides nothing about receivers.

use crate::cache::{Cache, CacheLimits};
use crate::info::{Arrival, Format, Kind, Layer, MAX_ENCODINGS, MAX_SPATIAL, MAX_TEMPORAL, PacketInfo};
use crate::keyframe::Throttle;
use crate::layers::LayerInfo;
use crate::rate::RateMeter;
use core::time::Duration;
use plenum_packet::{Bitrate, Buf, DropReason, Pool, Time};
use plenum_wire::seq::Extender;

/// An encoding without packets for this long is not offered to subscribers. Longer than the pause between frames of a
/// still screen (1 s); shorter than the patience of someone who looks at a frozen picture.
pub const ACTIVE_FOR: Duration = Duration::from_secs(3);

/// A sequence number farther than this from the highest one is no loss (3 s of 1000 packets/s): alone it is stray, two in
/// a row are a sender that began afresh (RFC 3550, A.1).
const MAX_JUMP: u64 = 3000;

/// One encoding.
#[derive(Debug)]
struct Encoding {
    cache: Cache,
    rate: RateMeter,
    sequence: Extender,
    epoch: u32,
    /// What follows the last stray number.
    after_stray: Option<u16>,
    ssrc: Option<u32>,
    format: Option<Format>,
    last_received: Option<Time>,
    /// Timestamp of the newest packet: another one begins a frame.
    newest_timestamp: Option<u32>,
    /// Sender's wall clock in ns and the RTP timestamp of the same moment (RFC 3550, 6.4.1).
    report: Option<(u64, u32)>,
    /// Size of each spatial layer, 0 = not known.
    dimensions: [(u16, u16); MAX_SPATIAL],
}

/// One picture or sound of a peer.
#[derive(Debug)]
pub struct Track {
    kind: Kind,
    encodings: Vec<Encoding>,
    /// Key-frame requests to this track's sender.
    pub key_frames: Throttle,
}

impl Track {
    /// A track of `encodings` simulcast encodings (1 to [`MAX_ENCODINGS`]; other numbers are clamped).
    pub fn new(kind: Kind, encodings: usize) -> Track {
        let limits = match kind {
            Kind::Audio => CacheLimits::AUDIO,
            Kind::Video => CacheLimits::VIDEO,
        };
        Track::with_limits(kind, encodings, limits)
    }

    /// As [`Track::new`] with other bounds of the cache.
    pub fn with_limits(kind: Kind, encodings: usize, limits: CacheLimits) -> Track {
        let encodings = (0..encodings.clamp(1, MAX_ENCODINGS)).map(|_| Encoding::new(limits)).collect();
        Track { kind, encodings, key_frames: Throttle::default() }
    }

    /// Sound or picture.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many encodings it has.
    pub fn encodings(&self) -> usize {
        self.encodings.len()
    }

    /// Takes a packet in. `buf` is owned by the track from now on, also when the packet is refused.
    ///
    /// # Errors
    /// [`DropReason::UnknownSsrc`] for an encoding that the track does not have, [`DropReason::Duplicate`] for a packet
    /// that is here, [`DropReason::Evicted`] for one older than the cache or with a stray number,
    /// [`DropReason::MalformedPayload`] when the payload does not lie in the packet.
    pub fn receive(&mut self, arrival: &Arrival, buf: Buf, pool: &mut Pool) -> Result<PacketInfo, DropReason> {
        self.take(arrival, None, buf, pool)
    }

    /// Takes in a packet that was made here and shows what was `captured` then, by our own clock.
    ///
    /// # Errors
    /// As [`Track::receive`].
    pub fn receive_made(
        &mut self,
        arrival: &Arrival,
        captured: Time,
        buf: Buf,
        pool: &mut Pool,
    ) -> Result<PacketInfo, DropReason> {
        self.take(arrival, Some(captured), buf, pool)
    }

    fn take(
        &mut self,
        arrival: &Arrival,
        captured: Option<Time>,
        buf: Buf,
        pool: &mut Pool,
    ) -> Result<PacketInfo, DropReason> {
        match self.describe(arrival, captured, &buf, pool) {
            Ok(info) => {
                self.encodings[usize::from(info.encoding)].cache.insert(buf, info, pool);
                if info.frame.key {
                    self.key_frames.arrived(info.encoding);
                }
                Ok(info)
            }
            Err(reason) => {
                pool.free(buf);
                Err(reason)
            }
        }
    }

    fn describe(
        &mut self,
        arrival: &Arrival,
        captured: Option<Time>,
        buf: &Buf,
        pool: &mut Pool,
    ) -> Result<PacketInfo, DropReason> {
        let encoding = self.encodings.get_mut(usize::from(arrival.encoding)).ok_or(DropReason::UnknownSsrc)?;
        let whole = pool.reference(buf);
        let part = |(start, len): (u16, u16)| {
            whole.slice(usize::from(start), usize::from(len)).ok_or(DropReason::MalformedPayload)
        };
        let payload = part(arrival.payload)?;
        let mut extensions = arrival.extensions;
        extensions.dependency_descriptor = arrival.dependency_descriptor.map(part).transpose()?;
        let sequence = encoding.follow(arrival, pool)?;
        if encoding.cache.contains(sequence) {
            return Err(DropReason::Duplicate);
        }
        if encoding.cache.is_too_old(sequence) {
            return Err(DropReason::Evicted);
        }
        encoding.measure(arrival, sequence);
        Ok(PacketInfo {
            encoding: arrival.encoding,
            epoch: encoding.epoch,
            format: arrival.format,
            sequence,
            highest: encoding.sequence.highest().unwrap_or(sequence),
            timestamp: arrival.timestamp,
            captured: captured.or_else(|| encoding.captured(arrival.timestamp, arrival.format.clock)),
            marker: arrival.marker,
            received: arrival.received,
            taken: captured.unwrap_or(arrival.received),
            payload,
            frame: arrival.frame,
            extensions,
        })
    }

    /// A sender report of `encoding`: NTP time (RFC 3550, section 4) and the RTP timestamp of the same moment.
    pub fn sender_report(&mut self, encoding: u8, ntp: u64, timestamp: u32) {
        if let Some(e) = self.encodings.get_mut(usize::from(encoding)) {
            let nanos = (ntp >> 32) * 1_000_000_000 + (((ntp & 0xffff_ffff) * 1_000_000_000) >> 32);
            e.report = Some((nanos, timestamp));
        }
    }

    /// What the cache holds of `encoding` from sequence number `from` up to and with `to`, in order: for
    /// [`crate::Subscriber::take_replay`].
    pub fn replay(&self, encoding: u8, from: u64, to: u64) -> impl Iterator<Item = &PacketInfo> {
        let cache = self.encodings.get(usize::from(encoding)).map(|e| &e.cache);
        let to = to.min(from.saturating_add(MAX_JUMP));
        (from..=to).filter_map(move |sequence| cache?.get(sequence))
    }

    /// Lets everything that is too old go. Call now and then (each 100 ms): a track that falls silent keeps no slots.
    pub fn expire(&mut self, now: Time, pool: &mut Pool) {
        for encoding in &mut self.encodings {
            encoding.cache.expire(now, pool);
        }
    }

    /// Gives every slot back. The track may be used on.
    pub fn clear(&mut self, pool: &mut Pool) {
        for encoding in &mut self.encodings {
            encoding.cache.clear(pool);
        }
    }

    /// Bytes that the cache takes beside the packets' slots.
    pub fn cache_footprint(&self) -> usize {
        self.encodings.iter().map(|e| e.cache.footprint()).sum()
    }

    /// Packets in the cache.
    pub fn cached(&self) -> usize {
        self.encodings.iter().map(|e| e.cache.len()).sum()
    }

    /// Whether any encoding brought a packet lately.
    pub fn is_active(&self, now: Time) -> bool {
        self.encodings.iter().any(|e| e.is_active(now))
    }

    /// The format that the encoding's packets have; `None` before the first.
    pub fn format(&self, encoding: u8) -> Option<Format> {
        self.encodings.get(usize::from(encoding))?.format
    }

    /// Measured rate of everything that arrives.
    pub fn bitrate(&self, now: Time) -> Bitrate {
        let all = |e: &Encoding| e.rate.bitrate(MAX_SPATIAL as u8, MAX_TEMPORAL as u8, now).bps();
        Bitrate(self.encodings.iter().map(all).sum())
    }

    /// Writes the layers that arrive now to `out`, worst first: by size, then by frame rate. `out` is emptied first.
    pub fn layers(&self, now: Time, out: &mut Vec<LayerInfo>) {
        out.clear();
        for (index, encoding) in self.encodings.iter().enumerate().filter(|(_, e)| e.is_active(now)) {
            for spatial in 0..MAX_SPATIAL as u8 {
                if !(0..MAX_TEMPORAL as u8).any(|t| encoding.rate.has(spatial, t)) {
                    continue;
                }
                let (width, height) = self.dimensions(index, usize::from(spatial));
                for temporal in 0..MAX_TEMPORAL as u8 {
                    // The base is offered always: an encoder may mark a short window's frames otherwise.
                    if temporal > 0 && !encoding.rate.has(spatial, temporal) {
                        continue;
                    }
                    let bitrate = encoding.rate.bitrate(spatial, temporal, now);
                    if bitrate == Bitrate::ZERO {
                        continue;
                    }
                    out.push(LayerInfo {
                        layer: Layer { encoding: index as u8, spatial, temporal },
                        width,
                        height,
                        frame_rate: encoding.rate.frame_rate(temporal, now),
                        bitrate,
                    });
                }
            }
        }
        out.sort_by_key(|l| (u32::from(l.width) * u32::from(l.height), l.layer));
    }

    /// The size of a layer; where the sender never told it, each encoding and each spatial layer is taken for twice the
    /// one below, and the largest for 1280×720.
    fn dimensions(&self, encoding: usize, spatial: usize) -> (u16, u16) {
        let known = self.encodings[encoding].dimensions;
        if known[spatial].0 > 0 {
            return known[spatial];
        }
        let top = (0..MAX_SPATIAL as u8).rev().find(|&s| self.encodings[encoding].rate.has(s, 0)).unwrap_or(0);
        let halvings = (self.encodings.len() - 1 - encoding) + usize::from(top).saturating_sub(spatial);
        (1280 >> halvings, 720 >> halvings)
    }
}

impl Encoding {
    fn new(limits: CacheLimits) -> Encoding {
        Encoding {
            cache: Cache::new(limits),
            rate: RateMeter::default(),
            sequence: Extender::new(),
            epoch: 0,
            after_stray: None,
            ssrc: None,
            format: None,
            last_received: None,
            newest_timestamp: None,
            report: None,
            dimensions: [(0, 0); MAX_SPATIAL],
        }
    }

    /// The packet's number without wrapping; starts a new epoch where the numbers do not continue.
    fn follow(&mut self, arrival: &Arrival, pool: &mut Pool) -> Result<u64, DropReason> {
        let expected = self.sequence.peek(arrival.sequence);
        let jumps = self.sequence.highest().is_some_and(|highest| expected.abs_diff(highest) > MAX_JUMP);
        let other = self.ssrc.is_some_and(|ssrc| ssrc != arrival.ssrc);
        if jumps && !other && self.after_stray != Some(arrival.sequence) {
            self.after_stray = Some(arrival.sequence.wrapping_add(1));
            return Err(DropReason::Evicted);
        }
        if jumps || other {
            self.cache.clear(pool);
            self.sequence = Extender::new();
            self.epoch = self.epoch.wrapping_add(1);
            self.newest_timestamp = None;
            if other {
                self.report = None;
            }
        }
        if self.format.is_some_and(|f| f.codec != arrival.format.codec) && arrival.format.codec.kind() == Kind::Video {
            self.rate.reset();
            self.dimensions = [(0, 0); MAX_SPATIAL];
        }
        self.ssrc = Some(arrival.ssrc);
        self.format = Some(arrival.format);
        self.after_stray = None;
        Ok(self.sequence.extend(arrival.sequence))
    }

    fn measure(&mut self, arrival: &Arrival, sequence: u64) {
        let frame = &arrival.frame;
        let newest = self.sequence.highest() == Some(sequence);
        let new_frame = newest && self.newest_timestamp != Some(arrival.timestamp);
        if newest {
            self.newest_timestamp = Some(arrival.timestamp);
        }
        self.rate.add(frame.spatial, frame.temporal, usize::from(arrival.payload.1), new_frame, arrival.received);
        self.last_received = Some(self.last_received.map_or(arrival.received, |t| t.max(arrival.received)));
        if let Some(size) = frame.dimensions {
            self.dimensions[usize::from(frame.spatial).min(MAX_SPATIAL - 1)] = size;
        }
    }

    fn captured(&self, timestamp: u32, clock: u32) -> Option<Time> {
        let (nanos, reported) = self.report?;
        let ticks = i64::from(timestamp.wrapping_sub(reported) as i32);
        let offset = ticks * 1_000_000_000 / i64::from(clock.max(1));
        Some(Time(nanos.saturating_add_signed(offset)))
    }

    fn is_active(&self, now: Time) -> bool {
        self.last_received.is_some_and(|last| now.since(last) < ACTIVE_FOR)
    }
}
