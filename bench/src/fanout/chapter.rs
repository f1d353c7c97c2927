//! The chapter of the report: Plenum's media plane over veth and into a null device, on both back-ends, and its residence.

use super::measure::{Outcome, measure};
use super::plenum::Plenum;
use super::{Scenario, measure::Server};
use crate::load::Media;
use crate::network::Network;
use crate::peer::Shared;
use crate::report::{Bound, Report};
use crate::swarm::Driver;
use plenum_contract::event::ShardMetrics;
use plenum_session::Anchor;
use plenum_srtp::Suite;
use std::sync::Arc;
use std::time::{Duration, Instant};

const VETH: &str = "Fan-out over veth, viewers reading: processor time of the media plane";
const NULL: &str = "Fan-out into a null device (ifb, trains cut in software)";
const RESIDENCE: &str =
    "Residence over veth (kernel receive stamp to send, pacer wait apart; log2 buckets, interpolated, whole run)";
const DELAY: &str = "From publisher to viewer over veth";

/// Runs the chapter. `quick` leaves out what differs little.
pub fn run(report: &mut Report, quick: bool) {
    let network = match Network::new() {
        Ok(network) => network,
        Err(why) => return report.skip("fan-out over veth", why),
    };
    drop(network);
    let suites = [Suite::AeadAes128Gcm, Suite::AesCm128HmacSha1_80];
    for media in [Media::Video, Media::Audio] {
        for viewers in if quick { vec![30] } else { vec![30, 300] } {
            for suite in suites {
                for io in ["mmsg", "uring"] {
                    veth(report, &Scenario::new(media, viewers, suite), io);
                }
            }
        }
    }
    for suite in suites {
        for io in ["mmsg", "uring"] {
            let scenario = Scenario { swallowed: true, ..Scenario::new(Media::Video, 30, suite) };
            null(report, &scenario, io);
        }
    }
}

/// The shared part of every peer of this process.
pub(crate) fn shared() -> Arc<Shared> {
    Shared::new(Anchor::new(Instant::now(), Driver::now(), Duration::from_secs(1_700_000_000)))
}

fn veth(report: &mut Report, scenario: &Scenario, io: &str) {
    let name = format!("{}, {io}", scenario.name());
    match plenum(scenario, io) {
        Ok((outcome, residence)) => {
            let figure = report.add(VETH, &name, outcome.micros(), "us/packet");
            if (scenario.media, scenario.viewers, scenario.suite) == (Media::Video, 30, Suite::AesCm128HmacSha1_80) {
                figure.bound(Bound::AtMost(2.0));
            }
            figure.note(format!(
                "{:.0} packets/s, {:.1} % delivered",
                outcome.rate(),
                100.0 * outcome.delivered.min(1.0)
            ));
            for (part, label) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")] {
                let micros = outcome.delay.value_at_quantile(part) as f64;
                report.add(DELAY, format!("{name}: {label}"), micros, "us");
            }
            if scenario.viewers == 30 {
                add_residence(report, &name, &residence);
            }
        }
        Err(why) => report.skip(format!("{name} over veth"), why),
    }
}

fn null(report: &mut Report, scenario: &Scenario, io: &str) {
    let name = format!("{}, {io}", scenario.name());
    match plenum(scenario, io) {
        Ok((outcome, _)) => {
            let most = if scenario.suite == Suite::AesCm128HmacSha1_80 { 0.9 } else { 0.6 };
            report
                .add(NULL, name, outcome.micros(), "us/packet")
                .bound(Bound::AtMost(most))
                .note(format!("{:.0} packets/s", outcome.rate()));
        }
        Err(why) => report.skip(format!("{name} into a null device"), why),
    }
}

/// One run of a fresh media plane in a fresh network: the outcome, and the residence of the measured time.
fn plenum(scenario: &Scenario, io: &str) -> Result<(Outcome, Vec<(u64, u64)>), String> {
    eprintln!("plenum: {}, {io}{}", scenario.name(), if scenario.swallowed { ", null device" } else { "" });
    let network = Network::new()?;
    let mut server = Plenum::start(&network, io)?;
    on_last_core(|| {
        let mut driver = scenario.sockets().map_err(|e| format!("sockets: {e}"))?;
        server.join(scenario, &mut driver, &shared())?;
        let outcome = measure(scenario, &mut driver, &mut server)?;
        server.attend()?;
        Ok((outcome, residence(&server.media.metrics.shards)))
    })
}

/// As [`plenum`], without the residence.
pub(crate) fn plenum_outcome(scenario: &Scenario, io: &str) -> Result<Outcome, String> {
    plenum(scenario, io).map(|(outcome, _)| outcome)
}

/// Runs `work` on a thread that keeps to the last core; the server's shard keeps to the first.
pub(crate) fn on_last_core<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if let Some(&last) = plenum_host::usable_cores().last() {
                // Without the right to, the run goes on wherever the kernel wants.
                let _ = plenum_host::pin_to_core(last);
            }
            work()
        });
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn residence(shards: &[ShardMetrics]) -> Vec<(u64, u64)> {
    shards.first().map(|s| s.residence.clone()).unwrap_or_default()
}

fn add_residence(report: &mut Report, name: &str, buckets: &[(u64, u64)]) {
    let total: u64 = buckets.iter().map(|b| b.1).sum();
    for (part, label, most) in [(0.5, "p50", 25.0), (0.99, "p99", 100.0), (0.999, "p99.9", 500.0)] {
        if let Some(micros) = quantile(buckets, total, part) {
            report.add(RESIDENCE, format!("{name}: {label}"), micros, "us").bound(Bound::AtMost(most));
        }
    }
}

/// The quantile in microseconds, interpolated inside its bucket; `None` when nothing was counted, or it lies above all bounds.
pub(crate) fn quantile(buckets: &[(u64, u64)], total: u64, part: f64) -> Option<f64> {
    let rank = total as f64 * part;
    let (mut below, mut lower) = (0.0, 0.0);
    for &(upper, count) in buckets {
        if count > 0 && below + count as f64 >= rank {
            let inside = (rank - below) / count as f64;
            return (upper < u64::MAX).then(|| (lower + (upper as f64 - lower) * inside) / 1000.0);
        }
        below += count as f64;
        lower = upper as f64;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_inside_its_bucket() {
        let buckets = [(1_000, 0), (2_000, 50), (4_000, 50), (u64::MAX, 0)];
        assert_eq!(quantile(&buckets, 100, 0.5), Some(2.0));
        assert_eq!(quantile(&buckets, 100, 0.75), Some(3.0));
        assert_eq!(quantile(&[(1_000, 0)], 0, 0.5), None);
        assert_eq!(quantile(&[(1_000, 1), (u64::MAX, 9)], 10, 0.9), None);
    }
}
