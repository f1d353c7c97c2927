//! Is the one-way delay growing? A least-squares line through the smoothed delay of the last groups of packets.
//!
//! A group is what leaves within [`GROUP`]; its delay is the smallest one in it, so that neither the size of a frame
//! nor jitter of single packets looks like a queue: a queue that stands delays every packet. Delays are relative to
//! the first group; the peer's clock offset cancels out.

use core::time::Duration;
use plenum_packet::Time;

/// Packets that leave within this time are one sample. Larger: slower to notice. Smaller: jitter weighs more.
pub const GROUP: Duration = Duration::from_millis(10);
/// Groups on the line. Larger: smoother and slower. Smaller: more false alarms. At 30 frames a second, 0.7 s.
pub const WINDOW: usize = 20;
/// How much of the old smoothed delay stays with each group.
const SMOOTHING: f64 = 0.9;
/// How much larger second differences of noise are than the noise: the root of 1 + 4 + 1.
pub const BEND: f64 = 2.449;

#[derive(Debug, Clone, Copy)]
struct Group {
    first_sent: Time,
    last_sent: Time,
    min_delay_us: i64,
}

/// A finished group's contribution.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Growth of the delay, milliseconds per millisecond: 0.1 means that a tenth more is sent than leaves.
    pub slope: f64,
    /// Groups seen since the last reset.
    pub count: u32,
    /// When the group left, milliseconds.
    pub sent_ms: f64,
    /// Since the group before left, milliseconds.
    pub interval_ms: f64,
}

/// Groups packets and keeps the line.
#[derive(Debug, Default)]
pub struct Trendline {
    open: Option<Group>,
    origin: Option<(Time, i64)>,
    smoothed_ms: f64,
    jitter_ms: f64,
    /// Second differences in it, up to 32.
    bends: u32,
    /// Delays of the last two groups.
    before_ms: [f64; 2],
    /// (time sent, smoothed delay), milliseconds since the origin.
    points: [(f64, f64); WINDOW],
    count: u32,
    last_ms: f64,
}

impl Trendline {
    /// Takes a packet, in the order of sending; older ones than the open group are ignored. A sample when a group
    /// ended.
    pub fn packet(&mut self, sent: Time, arrival_us: i64) -> Option<Sample> {
        let delay = arrival_us.saturating_sub((sent.nanos() / 1000) as i64);
        match &mut self.open {
            Some(group) if sent < group.first_sent => None,
            Some(group) if sent.since(group.first_sent) < GROUP => {
                group.last_sent = sent;
                group.min_delay_us = group.min_delay_us.min(delay);
                None
            }
            open => {
                let ended = open.replace(Group { first_sent: sent, last_sent: sent, min_delay_us: delay });
                ended.map(|group| self.close(group))
            }
        }
    }

    /// How noisy the path is: about the mean deviation of a group's delay from an even course, milliseconds.
    pub fn jitter_ms(&self) -> f64 {
        self.jitter_ms
    }

    /// Forgets everything but the noise of the path: the peer's clock jumped.
    pub fn reset(&mut self) {
        *self = Trendline { jitter_ms: self.jitter_ms, bends: self.bends, ..Trendline::default() };
    }

    fn close(&mut self, group: Group) -> Sample {
        let (time, delay) = *self.origin.get_or_insert((group.last_sent, group.min_delay_us));
        let sent_ms = group.last_sent.since(time).as_nanos() as f64 / 1e6;
        let delay_ms = (group.min_delay_us - delay) as f64 / 1e3;
        if self.count == 0 {
            self.smoothed_ms = delay_ms;
        }
        self.smoothed_ms = SMOOTHING * self.smoothed_ms + (1.0 - SMOOTHING) * delay_ms;
        // The second difference: a queue that grows or drains evenly is no noise.
        let [one, two] = self.before_ms;
        if self.count >= 2 {
            let bend = (delay_ms - 2.0 * one + two).abs() / BEND;
            // The first ones weigh as much as all before them.
            self.bends = (self.bends + 1).min(32);
            self.jitter_ms += (bend - self.jitter_ms) / f64::from(self.bends);
        }
        self.before_ms = [delay_ms, one];
        self.points[self.count as usize % WINDOW] = (sent_ms, self.smoothed_ms);
        self.count = self.count.saturating_add(1);
        let interval_ms = sent_ms - self.last_ms;
        self.last_ms = sent_ms;
        Sample { slope: self.slope(), count: self.count, sent_ms, interval_ms }
    }

    fn slope(&self) -> f64 {
        if (self.count as usize) < WINDOW {
            return 0.0;
        }
        let n = WINDOW as f64;
        let (sum_x, sum_y) = self.points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0, y + p.1));
        let (mean_x, mean_y) = (sum_x / n, sum_y / n);
        let (mut xy, mut xx) = (0.0, 0.0);
        for &(x, y) in &self.points {
            xy += (x - mean_x) * (y - mean_y);
            xx += (x - mean_x) * (x - mean_x);
        }
        if xx > 0.0 { xy / xx } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(line: &mut Trendline, millis: u64, delay_us: i64) -> Option<Sample> {
        line.packet(Time::from_millis(millis), millis as i64 * 1000 + delay_us)
    }

    #[test]
    fn a_growing_queue_has_a_slope_and_a_standing_one_has_none() {
        let mut line = Trendline::default();
        let mut last = None;
        for i in 0..60u64 {
            last = feed(&mut line, i * 20, 50_000 + i as i64 * 2_000).or(last);
        }
        let slope = last.unwrap().slope;
        assert!((0.08..0.12).contains(&slope), "2 ms more in every 20 ms: {slope}");
        for i in 60..200u64 {
            last = feed(&mut line, i * 20, 170_000).or(last);
        }
        assert!(last.unwrap().slope.abs() < 0.001);
    }

    #[test]
    fn one_late_packet_in_a_group_is_not_a_queue() {
        let mut line = Trendline::default();
        let mut last = None;
        for i in 0..100u64 {
            last = feed(&mut line, i * 30, 10_000).or(last);
            last = feed(&mut line, i * 30 + 1, 10_000 + (i as i64) * 3_000).or(last);
        }
        assert!(last.unwrap().slope.abs() < 0.001);
        assert!(feed(&mut line, 0, 0).is_none(), "a packet from the past changes nothing");
    }
}
