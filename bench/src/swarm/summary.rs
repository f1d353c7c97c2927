//! What a swarm saw, all peers together, as text and as JSON.

use super::join::Stack;
use crate::peer::PeerStats;
use hdrhistogram::Histogram;
use plenum_contract::Kind;
use serde::Serialize;
use std::fmt::Write as _;

/// Counters of all slots of one kind.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Received {
    /// Slots that anything came to.
    pub streams: u64,
    /// Packets with content.
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
    /// Packets that were asked for again (NACK), each time.
    pub asked: u64,
    /// Packets that came by retransmission.
    pub recovered: u64,
    /// Sound: packets of a speaker that never came, wherever they were lost.
    pub gaps: u64,
    /// Decoded frames.
    pub frames: u64,
    /// Key frames among them.
    pub key_frames: u64,
    /// Key frames asked for.
    pub key_requests: u64,
    /// Pauses that a viewer notices.
    pub freezes: u64,
    /// Their sum in seconds.
    pub frozen_seconds: f64,
    /// From sending to arrival.
    pub delay: Times,
}

/// A histogram with its quantiles, in milliseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Times {
    /// How many were counted.
    pub count: u64,
    /// Half of them are below.
    pub p50: f64,
    /// 99 of 100 are below.
    pub p99: f64,
    /// 999 of 1000 are below.
    pub p999: f64,
    /// The largest.
    pub max: f64,
    /// Buckets that are not empty: the upper edge, a power of two in microseconds, and how many are in it.
    pub buckets: Vec<(f64, u64)>,
}

impl Times {
    /// Of a histogram in microseconds.
    pub fn of(histogram: &Histogram<u32>) -> Times {
        if histogram.is_empty() {
            return Times::default();
        }
        let at = |part: f64| histogram.value_at_quantile(part) as f64 / 1000.0;
        let max = histogram.max() as f64 / 1000.0;
        let buckets = (0..27).map(|power| {
            let (from, to) = (if power == 0 { 0 } else { 1u64 << (power - 1) }, (1u64 << power) - 1);
            ((1u64 << power) as f64 / 1000.0, histogram.count_between(from, to))
        });
        let buckets = buckets.filter(|(_, count)| *count > 0).collect();
        Times { count: histogram.len(), p50: at(0.5), p99: at(0.99), p999: at(0.999), max, buckets }
    }
}

/// What a swarm saw.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// What the peers stood on.
    pub stack: Option<Stack>,
    /// Peers that were asked for.
    pub peers: usize,
    /// Peers whose transport came up.
    pub connected: usize,
    /// Whose requests were refused, and how.
    pub refused: Vec<String>,
    /// Seconds of media.
    pub seconds: f64,
    /// Media packets sent.
    pub sent: u64,
    /// Retransmissions sent.
    pub resent: u64,
    /// Sounds.
    pub audio: Received,
    /// Pictures.
    pub video: Received,
    /// From asking for a key frame to having it.
    pub key_frame_latency: Times,
    /// From the offer's departure to keys on both sides.
    pub join: Times,
    /// Messages of transport-wide feedback that came back for what was sent.
    pub feedback: u64,
    /// Key frames that the server asked for.
    pub key_frames_wanted: u64,
    /// Packets that could not be opened or are nobody's.
    pub strange: u64,
    /// Packets that a stack opened and did not hand out.
    pub withheld: u64,
    /// Packets that the swarm itself was too busy to send.
    pub dropped: u64,
    /// Rules of an egress stream that were broken, as the independent guard sees it.
    pub violations: u64,
    /// The first of them in words.
    pub violation: Option<String>,
}

impl Summary {
    /// Adds up what peers saw.
    pub fn of(stats: &[PeerStats]) -> Summary {
        let mut summary = Summary {
            stack: None,
            peers: stats.len(),
            connected: 0,
            refused: Vec::new(),
            seconds: 0.0,
            sent: stats.iter().map(|s| s.sent).sum(),
            resent: stats.iter().map(|s| s.resent).sum(),
            audio: received(stats, Kind::Audio),
            video: received(stats, Kind::Video),
            key_frame_latency: Times::of(&sum(stats.iter().map(|s| &s.key_latency))),
            join: Times::default(),
            feedback: stats.iter().map(|s| s.feedback).sum(),
            key_frames_wanted: stats.iter().map(|s| s.key_requests).sum(),
            strange: stats.iter().flat_map(|s| s.refused.iter()).map(|(_, n)| n).sum(),
            withheld: stats.iter().map(|s| s.withheld).sum(),
            dropped: 0,
            violations: stats.iter().map(|s| s.violation_count).sum(),
            violation: None,
        };
        let mut said = stats.iter().flat_map(|s| &s.violations);
        summary.violation = said.next().map(|(_, mid, what)| format!("line {mid}: {what}"));
        summary
    }

    /// As text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{} of {} peers connected, {:.1} s of media, {} packets sent, {} sent again, {} key frames wanted, {} times feedback",
            self.connected, self.peers, self.seconds, self.sent, self.resent, self.key_frames_wanted, self.feedback
        );
        for (name, r) in [("audio", &self.audio), ("video", &self.video)] {
            let _ = writeln!(
                out,
                "{name}: {} streams, {} packets ({:.1} Mbit/s), {} lost, {} reordered, {} duplicates, {} asked for, {} recovered",
                r.streams,
                r.packets,
                r.bytes as f64 * 8e-6 / self.seconds.max(0.001),
                r.lost,
                r.reordered,
                r.duplicates,
                r.asked,
                r.recovered
            );
            let _ = match name {
                "video" => writeln!(
                    out,
                    "       {} frames, {} key frames ({} asked for), {} freezes of {:.2} s together",
                    r.frames, r.key_frames, r.key_requests, r.freezes, r.frozen_seconds
                ),
                _ => writeln!(out, "       {} gaps", r.gaps),
            };
            let _ = writeln!(out, "       {}", times("sent to received", &r.delay));
        }
        let _ = writeln!(out, "{}", times("key frame asked for to decoded", &self.key_frame_latency));
        let _ = writeln!(out, "{}", times("offer to connected", &self.join));
        if self.strange > 0 {
            let _ = writeln!(out, "{} packets could not be opened or are nobody's", self.strange);
        }
        if self.withheld > 0 {
            let _ = writeln!(out, "{} packets arrived and were not handed out", self.withheld);
        }
        if self.dropped > 0 {
            let _ = writeln!(out, "{} packets were not sent: the swarm is too slow for this load", self.dropped);
        }
        if let Some(violation) = &self.violation {
            let _ = writeln!(out, "{} rules broken, first {violation}", self.violations);
        }
        for refusal in self.refused.iter().take(5) {
            let _ = writeln!(out, "refused: {refusal}");
        }
        out
    }
}

fn times(name: &str, q: &Times) -> String {
    if q.count == 0 {
        return format!("{name}: none");
    }
    format!("{name}: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms", q.p50, q.p99, q.p999, q.max)
}

fn received(stats: &[PeerStats], kind: Kind) -> Received {
    let mut all = Received::default();
    for slot in stats.iter().flat_map(|s| &s.slots).filter(|s| s.kind == kind) {
        all.streams += u64::from(slot.packets > 0);
        all.packets += slot.packets;
        all.bytes += slot.bytes;
        all.fillers += slot.fillers;
        all.lost += slot.lost;
        all.reordered += slot.reordered;
        all.duplicates += slot.duplicates;
        all.asked += slot.asked;
        all.recovered += slot.recovered;
        all.gaps += slot.gaps;
        all.frames += slot.frames;
        all.key_frames += slot.key_frames;
        all.key_requests += slot.plis;
        all.freezes += slot.freezes;
        all.frozen_seconds += slot.frozen.as_secs_f64();
    }
    let delays = stats.iter().map(|s| if kind == Kind::Audio { &s.audio_delay } else { &s.video_delay });
    all.delay = Times::of(&sum(delays));
    all
}

/// All of them in one, with the peers' bounds.
fn sum<'a>(parts: impl Iterator<Item = &'a Histogram<u32>>) -> Histogram<u32> {
    let mut all = Histogram::new_with_bounds(1, 60_000_000, 2).expect("constant bounds");
    for part in parts {
        // The same bounds everywhere.
        let _ = all.add(part);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_quantiles_and_buckets_that_add_up() {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000, 2).unwrap();
        for micros in [1, 3, 900, 1000, 70_000] {
            histogram.saturating_record(micros);
        }
        let times = Times::of(&histogram);
        assert_eq!((times.count, times.p50), (5, 0.903));
        assert_eq!(times.buckets, [(0.002, 1), (0.004, 1), (1.024, 2), (131.072, 1)]);
        assert_eq!(Times::of(&Histogram::new_with_bounds(1, 60_000_000, 2).unwrap()).count, 0);
    }
}
