//! What a peer saw: counters of each slot, delays, what the guard found.

use hdrhistogram::Histogram;
use plenum_contract::Kind;
use plenum_packet::{DropCounts, Time};
use plenum_route::guard::Violation;
use std::collections::BTreeMap;
use std::time::Duration;

/// What one slot received.
#[derive(Clone, Debug)]
pub struct SlotStats {
    /// MID of its line.
    pub mid: String,
    /// Sound or picture.
    pub kind: Kind,
    /// Whether it is for presentations.
    pub presentation: bool,
    /// Position among the slots of its kind.
    pub index: u16,
    /// Packets with content, each counted once.
    pub packets: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Packets that only take a number.
    pub fillers: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that came after later ones.
    pub reordered: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Requests for missing packets.
    pub asked: u64,
    /// Packets that came by RTX.
    pub recovered: u64,
    /// Key frames asked for.
    pub plis: u64,
    /// Decoded frames; of sound, packets.
    pub frames: u64,
    /// Decoded key frames.
    pub key_frames: u64,
    /// Sound: packets of a speaker that never came, wherever they were lost.
    pub gaps: u64,
    /// Intervals between frames that a viewer notices (libwebrtc's definition).
    pub freezes: u64,
    /// Their sum.
    pub frozen: Duration,
    /// Longest interval between two decoded frames of one source.
    pub longest_gap: Duration,
    /// Track, encoding and temporal layer of the newest decoded frame.
    pub source: Option<(u32, u8, u8)>,
    /// When it was decoded.
    pub last_frame: Option<Time>,
    /// When the newest packet with content arrived.
    pub last_packet: Option<Time>,
    /// Decoded frames by track.
    pub by_track: BTreeMap<u32, u64>,
    /// RTP timestamp of the packet that came last, and when its stamp says that it was sent.
    pub newest: Option<(u32, Time)>,
    /// The last sender report: NTP time and RTP timestamp.
    pub report: Option<(u64, u32)>,
    /// The CNAME of the stream, when one was told.
    pub cname: Option<Vec<u8>>,
}

impl SlotStats {
    /// The wall time of the packet that came last, as the last sender report has it, in nanoseconds since 1900 (RFC 3550 §6.4.1), and when its
    /// stamp says that it was sent. `clock` is the stream's, in Hz.
    pub fn wall(&self, clock: u32) -> Option<(u64, Time)> {
        let ((timestamp, sent), (ntp, reported)) = (self.newest?, self.report?);
        let nanos = ((u128::from(ntp) * 1_000_000_000) >> 32) as u64;
        let ahead = i64::from(timestamp.wrapping_sub(reported) as i32) * 1_000_000_000 / i64::from(clock.max(1));
        Some((nanos.saturating_add_signed(ahead), sent))
    }
}

/// What a peer saw.
#[derive(Clone, Debug)]
pub struct PeerStats {
    /// Every slot, in the order of the lines.
    pub slots: Vec<SlotStats>,
    /// From sending to arrival, sound, in microseconds.
    pub audio_delay: Histogram<u32>,
    /// From sending to arrival, pictures, in microseconds.
    pub video_delay: Histogram<u32>,
    /// From asking for a key frame to having it, in microseconds.
    pub key_latency: Histogram<u32>,
    /// Packets that could not be opened, or are nobody's, by reason.
    pub refused: DropCounts,
    /// What the guard found first: when, on which line, what.
    pub violations: Vec<(Time, String, String)>,
    /// How many it found.
    pub violation_count: u64,
    /// Packets that the guard looked at.
    pub guarded: u64,
    /// Packets sent, without retransmissions.
    pub sent: u64,
    /// Retransmissions sent.
    pub resent: u64,
    /// Key frames that the server asked for.
    pub key_requests: u64,
    /// Rounds of transport-wide feedback received.
    pub feedback: u64,
    /// The newest REMB received, bits a second.
    pub remb: Option<u64>,
    /// RTCP BYE received.
    pub byes: u64,
    /// Packets that arrived whole and that the stack did not hand out.
    pub withheld: u64,
}

/// Violations that are kept word for word.
const KEPT: usize = 16;

impl PeerStats {
    pub(crate) fn new() -> PeerStats {
        PeerStats {
            slots: Vec::new(),
            audio_delay: histogram(),
            video_delay: histogram(),
            key_latency: histogram(),
            refused: DropCounts::default(),
            violations: Vec::new(),
            violation_count: 0,
            guarded: 0,
            sent: 0,
            resent: 0,
            key_requests: 0,
            feedback: 0,
            remb: None,
            byes: 0,
            withheld: 0,
        }
    }

    pub(crate) fn violation(&mut self, at: Time, mid: &str, what: Violation) {
        self.wrong(at, mid, format!("{what:?}"));
    }

    pub(crate) fn wrong(&mut self, at: Time, mid: &str, what: String) {
        self.violation_count += 1;
        if self.violations.len() < KEPT {
            self.violations.push((at, mid.to_owned(), what));
        }
    }
}

/// Microseconds up to a minute with two significant digits.
fn histogram() -> Histogram<u32> {
    Histogram::new_with_bounds(1, 60_000_000, 2).expect("constant bounds")
}

pub(crate) fn record(histogram: &mut Histogram<u32>, d: Duration) {
    histogram.saturating_record(d.as_micros().clamp(1, 60_000_000) as u64);
}
