//! For peers without transport-wide feedback: their own estimate (REMB) and the loss in their receiver reports.
//!
//! REMB is the delay-based part, made by the receiver; the loss rule is GCC's first (draft-ietf-rmcat-gcc-02, section
//! 6). A peer that never sends REMB is held to [`BLIND`], because nothing would tell of queues.

use core::time::Duration;
use plenum_packet::{Bitrate, Time};

/// Loss below this lets the rate grow, above [`HIGH`] it falls by half the loss.
const LOW: f64 = 0.02;
/// See [`LOW`].
const HIGH: f64 = 0.10;
/// Growth per second.
const GROWTH: f64 = 1.08;
/// Pause between two decreases: a report covers the time before the last decrease too.
const PAUSE: Duration = Duration::from_millis(300);
/// The most for a peer that tells only loss. Larger: fills queues unseen. Smaller: no large picture for old stacks.
const BLIND: Bitrate = Bitrate::kbps(1500);
/// A REMB older than this no longer holds: the peer stopped telling.
const STALE: Duration = Duration::from_secs(15);

/// The estimate of one peer.
#[derive(Debug)]
pub struct RembEstimator {
    by_loss: f64,
    remb: Option<(Bitrate, Time)>,
    last_report: Option<Time>,
    last_decrease: Option<Time>,
    min: f64,
    max: f64,
}

impl RembEstimator {
    /// One that begins at `start` and stays within `min` and `max`.
    pub fn new(start: Bitrate, min: Bitrate, max: Bitrate) -> RembEstimator {
        let mut this = RembEstimator {
            by_loss: start.bps() as f64,
            remb: None,
            last_report: None,
            last_decrease: None,
            min: 0.0,
            max: 0.0,
        };
        this.set_bounds(min, max);
        this
    }

    /// Changes the bounds.
    pub fn set_bounds(&mut self, min: Bitrate, max: Bitrate) {
        self.min = min.bps() as f64;
        self.max = (max.bps() as f64).max(self.min);
        self.by_loss = self.by_loss.clamp(self.min, self.max);
    }

    /// The peer's own estimate.
    pub fn on_remb(&mut self, now: Time, rate: Bitrate) {
        if self.remb.is_none() {
            // The first word from someone who measures: start there, not at a guess.
            self.by_loss = self.by_loss.max((rate.bps() as f64).min(self.max));
        }
        self.remb = Some((rate, now));
    }

    /// A report block: the fraction lost since the last one, in 1/256.
    pub fn on_loss(&mut self, now: Time, fraction_lost: u8) {
        let loss = f64::from(fraction_lost) / 256.0;
        let passed = self.last_report.map_or(0.0, |last| now.since(last).as_secs_f64().min(1.0));
        self.last_report = Some(now);
        if loss > HIGH {
            if self.last_decrease.is_none_or(|last| now.since(last) >= PAUSE) {
                self.last_decrease = Some(now);
                self.by_loss = self.target(now).bps() as f64 * (1.0 - 0.5 * loss);
            }
        } else if loss < LOW {
            self.by_loss = self.by_loss * GROWTH.powf(passed) + 1000.0 * passed;
        }
        self.by_loss = self.by_loss.clamp(self.min, self.max);
    }

    /// The rate to send at.
    pub fn target(&self, now: Time) -> Bitrate {
        let ceiling = match self.remb {
            Some((rate, at)) if now.since(at) < STALE => rate.bps() as f64,
            _ => BLIND.bps() as f64,
        };
        Bitrate(self.by_loss.min(ceiling).clamp(self.min, self.max) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimator() -> RembEstimator {
        RembEstimator::new(Bitrate::kbps(500), Bitrate::kbps(50), Bitrate::kbps(10_000))
    }

    #[test]
    fn the_peers_own_estimate_is_followed() {
        let mut remb = estimator();
        remb.on_remb(Time::from_millis(1000), Bitrate::kbps(2500));
        assert_eq!(remb.target(Time::from_millis(1000)), Bitrate::kbps(2500));
        remb.on_remb(Time::from_millis(2000), Bitrate::kbps(800));
        assert_eq!(remb.target(Time::from_millis(2000)), Bitrate::kbps(800));
        assert_eq!(remb.target(Time::from_millis(20_000)), BLIND, "who falls silent is not trusted for ever");
    }

    #[test]
    fn a_peer_that_only_reports_loss_grows_to_a_cautious_rate_and_yields_to_loss() {
        let mut remb = estimator();
        for second in 0..60 {
            remb.on_loss(Time::from_millis(second * 1000), 0);
        }
        assert_eq!(remb.target(Time::from_millis(60_000)), BLIND);
        for second in 60..70 {
            remb.on_loss(Time::from_millis(second * 1000), 77);
        }
        assert!(remb.target(Time::from_millis(70_000)) < Bitrate::kbps(1500));
        for second in 70..170 {
            remb.on_loss(Time::from_millis(second * 1000), 255);
        }
        assert_eq!(remb.target(Time::from_millis(170_000)), Bitrate::kbps(50), "and not below the least");
    }
}
