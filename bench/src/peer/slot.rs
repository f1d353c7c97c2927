//! One stream that the peer receives: numbers, frames, key-frame requests, reception reports.

use super::frames::Frames;
use super::nack::{Nack, Place};
use super::stamp::Stamp;
use super::stats::{PeerStats, SlotStats, record};
use super::{audio, video};
use plenum_contract::Kind;
use plenum_packet::Time;
use plenum_wire::payload::vp8::Descriptor;
use plenum_wire::rtcp::ReportBlock;
use std::collections::BTreeMap;
use std::time::Duration;

/// Packets arrive and no frame can be decoded for this long: a key frame is asked for. Longer than a retransmission takes.
const STUCK: Duration = Duration::from_millis(250);
/// Between two requests.
const ASK_EVERY: Duration = Duration::from_millis(400);

/// A receiving stream.
pub(crate) struct Slot {
    pub(crate) ssrc: u32,
    pub(crate) rtx_ssrc: Option<u32>,
    pub(crate) nack: Nack,
    pub(crate) stats: SlotStats,
    /// Whether missing packets are asked for from here.
    pub(crate) repairs: bool,
    /// Whether key frames are asked for without need, and how often; and when next.
    asks_key_frames: Option<Duration>,
    /// Whether payloads bear stamps.
    stamped: bool,
    /// RTP time of the newest frame without stamp.
    begun: Option<u32>,
    pub(crate) next_asked: Time,
    frames: Frames,
    decoded: Vec<Stamp>,
    /// The first packet with content since the last decoded frame.
    undecoded_since: Option<Time>,
    asked_key: Option<Time>,
    first_asked_key: Option<Time>,
    /// Newest stamp of sound.
    heard: Option<(u32, u32)>,
    average_interval: Duration,
    reported: (u64, u64),
    transit: Option<i64>,
    jitter: f64,
    pub(crate) sender_report: Option<(u32, Time)>,
}

impl Slot {
    pub(crate) fn new(
        (mid, kind, presentation, index): (&str, Kind, bool, u16),
        (ssrc, rtx_ssrc): (u32, Option<u32>),
        (asks_key_frames, stamped): (Option<Duration>, bool),
    ) -> Slot {
        let stats = SlotStats {
            mid: mid.to_owned(),
            kind,
            presentation,
            index,
            packets: 0,
            bytes: 0,
            fillers: 0,
            lost: 0,
            reordered: 0,
            duplicates: 0,
            asked: 0,
            recovered: 0,
            plis: 0,
            frames: 0,
            key_frames: 0,
            gaps: 0,
            freezes: 0,
            frozen: Duration::ZERO,
            longest_gap: Duration::ZERO,
            source: None,
            last_frame: None,
            last_packet: None,
            by_track: BTreeMap::new(),
            newest: None,
            report: None,
            cname: None,
        };
        Slot {
            ssrc,
            rtx_ssrc,
            nack: Nack::default(),
            stats,
            repairs: true,
            asks_key_frames,
            stamped,
            begun: None,
            next_asked: Time::NEVER,
            frames: Frames::default(),
            decoded: Vec::new(),
            undecoded_since: None,
            asked_key: None,
            first_asked_key: None,
            heard: None,
            average_interval: Duration::from_millis(33),
            reported: (0, 0),
            transit: None,
            jitter: 0.0,
            sender_report: None,
        }
    }

    fn is_video(&self) -> bool {
        self.stats.kind == Kind::Video
    }

    /// A packet of the stream, or a retransmission that was unwrapped.
    pub(crate) fn packet(
        &mut self,
        now: Time,
        (sequence, timestamp): (u16, u32),
        repaired: bool,
        payload: &[u8],
        peer: &mut PeerStats,
    ) {
        match self.nack.arrived(now, sequence, repaired, self.repairs && self.is_video()) {
            Place::Duplicate => return,
            Place::New => self.note_jitter(now, timestamp),
            Place::Late => {}
        }
        self.stats.recovered += u64::from(repaired);
        if payload.is_empty() {
            self.stats.fillers += 1;
            return;
        }
        self.stats.packets += 1;
        self.stats.bytes += payload.len() as u64;
        self.stats.last_packet = Some(now);
        if let (Some(every), Time::NEVER) = (self.asks_key_frames, self.next_asked) {
            self.next_asked = now + every;
        }
        if !self.stamped {
            return self.count(timestamp, payload);
        }
        match self.is_video() {
            true => self.picture(now, timestamp, payload, repaired, peer),
            false => self.sound(now, timestamp, payload, peer),
        }
    }

    /// Counts what bears no stamp: packets of sound, and pictures by their first packets.
    fn count(&mut self, timestamp: u32, payload: &[u8]) {
        if !self.is_video() {
            self.stats.frames += 1;
            return;
        }
        let Some(picture) = Descriptor::parse(payload).ok().filter(Descriptor::starts_frame) else { return };
        if self.begun.replace(timestamp) != Some(timestamp) {
            self.stats.frames += 1;
            self.stats.key_frames += u64::from(picture.is_key_frame(payload));
        }
    }

    fn sound(&mut self, now: Time, timestamp: u32, payload: &[u8], peer: &mut PeerStats) {
        let Some(stamp) = audio::stamp(payload) else { return };
        self.stats.newest = Some((timestamp, stamp.sent));
        record(&mut peer.audio_delay, now.since(stamp.sent));
        if let Some((track, frame)) = self.heard
            && track == stamp.track
        {
            // A late packet fills the gap that was counted for it.
            match stamp.frame.wrapping_sub(frame) as i32 {
                step if step > 0 => self.stats.gaps += step as u64 - 1,
                _ => self.stats.gaps = self.stats.gaps.saturating_sub(1),
            }
        }
        let newest =
            |(track, frame): (u32, u32)| if track == stamp.track { frame.max(stamp.frame) } else { stamp.frame };
        self.heard = Some((stamp.track, self.heard.map_or(stamp.frame, newest)));
        self.rendered(now, stamp);
    }

    fn picture(&mut self, now: Time, timestamp: u32, payload: &[u8], repaired: bool, peer: &mut PeerStats) {
        let Some(stamp) = Stamp::in_vp8(payload) else {
            peer.wrong(now, &self.stats.mid, "a payload without stamp".into());
            return;
        };
        if !repaired {
            self.stats.newest = Some((timestamp, stamp.sent));
            record(&mut peer.video_delay, now.since(stamp.sent));
        }
        let mut decoded = std::mem::take(&mut self.decoded);
        self.frames.packet(now, (stamp, timestamp), video::tl0(payload), &mut decoded);
        for wrong in self.frames.wrong.drain(..) {
            let (found, expected, stamp) = (wrong.found, wrong.expected, wrong.stamp);
            peer.wrong(now, &self.stats.mid, format!("TL0PICIDX {found} instead of {expected} in {stamp:?}"));
        }
        match decoded.is_empty() {
            true => {
                self.undecoded_since.get_or_insert(now);
            }
            false => self.undecoded_since = (self.frames.waiting() > 0).then_some(now),
        }
        for stamp in decoded.drain(..) {
            if stamp.is_key() {
                self.stats.key_frames += 1;
                if let Some(asked) = self.first_asked_key.take() {
                    record(&mut peer.key_latency, now.since(asked));
                    self.nack.forget_holes();
                }
            }
            self.rendered(now, stamp);
        }
        self.decoded = decoded;
    }

    /// A frame is shown, or a packet of sound played.
    fn rendered(&mut self, now: Time, stamp: Stamp) {
        let same = self.stats.source.is_some_and(|s| s.0 == stamp.track);
        if let Some(last) = self.stats.last_frame.filter(|_| same) {
            let gap = now.since(last);
            let noticed = (self.average_interval * 3).max(self.average_interval + Duration::from_millis(150));
            if gap > noticed && self.is_video() {
                self.stats.freezes += 1;
                self.stats.frozen += gap;
            } else {
                self.average_interval = self.average_interval * 29 / 30 + gap / 30;
            }
            self.stats.longest_gap = self.stats.longest_gap.max(gap);
        }
        self.stats.frames += 1;
        *self.stats.by_track.entry(stamp.track).or_default() += 1;
        self.stats.source = Some((stamp.track, stamp.encoding, stamp.temporal));
        self.stats.last_frame = Some(now);
    }

    /// When [`Slot::needs_key_frame`] may turn true.
    pub(crate) fn key_frame_deadline(&self) -> Time {
        if !self.is_video() {
            return Time::NEVER;
        }
        let stuck = self.undecoded_since.map_or(Time::NEVER, |since| since + STUCK);
        stuck.min(self.next_asked).max(self.asked_key.map_or(Time::ZERO, |at| at + ASK_EVERY))
    }

    /// Whether a key frame is to be asked for now.
    pub(crate) fn needs_key_frame(&mut self, now: Time) -> bool {
        if self.key_frame_deadline() > now {
            return false;
        }
        self.next_asked = Time::NEVER;
        if self.stats.last_packet.is_some_and(|at| now.since(at) > STUCK * 2) {
            // Nothing comes at all: the slot is empty, and a request would wake nobody.
            self.undecoded_since = None;
            return false;
        }
        if let Some(every) = self.asks_key_frames {
            self.next_asked = now + every;
        }
        self.asked_key = Some(now);
        self.first_asked_key.get_or_insert(now);
        self.stats.plis += 1;
        true
    }

    /// RFC 3550 appendix A.8.
    fn note_jitter(&mut self, now: Time, timestamp: u32) {
        let clock = if self.is_video() { 90_000 } else { 48_000 };
        let arrival = (u128::from(now.nanos()) * clock / 1_000_000_000) as i64;
        let transit = arrival.wrapping_sub(i64::from(timestamp)) & 0xffff_ffff;
        if let Some(last) = self.transit.replace(transit) {
            let d = ((transit - last) as i32).unsigned_abs();
            self.jitter += (f64::from(d) - self.jitter) / 16.0;
        }
    }

    /// What the next receiver report says of this stream; `None` before its first packet.
    pub(crate) fn report(&mut self, now: Time) -> Option<ReportBlock> {
        let (expected, received) = self.nack.expected_and_received();
        let highest = self.nack.highest()?;
        let (e, r) = (expected - self.reported.0.min(expected), received - self.reported.1.min(received));
        self.reported = (expected, received);
        let lost = e.saturating_sub(r);
        let (last_sender_report, delay) = match self.sender_report {
            Some((ntp, at)) => (ntp, (now.since(at).as_micros() * 65_536 / 1_000_000) as u32),
            None => (0, 0),
        };
        Some(ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: (lost * 256).checked_div(e).unwrap_or(0).min(255) as u8,
            cumulative_lost: (expected as i64 - received as i64).clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_sequence: (highest - (1 << 16)) as u32,
            jitter: self.jitter as u32,
            last_sender_report,
            delay_since_last: delay,
        })
    }

    /// The counters with what [`Nack`] knows.
    pub(crate) fn stats(&self) -> SlotStats {
        let (expected, received) = self.nack.expected_and_received();
        let (reordered, duplicates, asked) = self.nack.counts();
        SlotStats { lost: expected.saturating_sub(received), reordered, duplicates, asked, ..self.stats.clone() }
    }
}
