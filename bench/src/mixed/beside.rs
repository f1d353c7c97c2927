//! What mixing does to those who are forwarded to on the same machine: their packets' residence with two mixes and without, in turns.
//!
//! One media plane with the conferences of the fan-out chapter, and two rooms whose viewers get the mix, or, when it is taken away, one
//! publisher's picture: what they are sent hardly differs. Residence is the media plane's own histogram, the difference between two looks.

use super::{ENCODINGS, IO, PUBLISHERS, Room, connect, paintings, pass};
use crate::fanout::{Plenum, Scenario, Server, on_last_core, quantile, shared};
use crate::load::Media;
use crate::network::{NEAR, Network};
use crate::report::{Bound, Report};
use crate::swarm::Driver;
use plenum_contract::event::ShardMetrics;
use plenum_packet::{DropReason, Time};
use plenum_srtp::Suite;
use std::time::Duration;

const GROUP: &str =
    "Forwarding beside two mixes of 1:7 at 1280x720, over veth: residence without and with them, in turns";
/// Rooms that are mixed, and the viewers of each.
const ROOMS: usize = 2;
const VIEWERS: usize = 3;
/// Conferences that are forwarded, 1 to 30.
const FORWARDED: usize = 3;
/// After mixing begins or ends: key frames, estimates, and the media plane's count, which is told once a second.
const PAUSE: Duration = Duration::from_secs(5);
/// Drops that are ours, and not a decision or the network's.
const OURS: [DropReason; 6] = [
    DropReason::NoBuffer,
    DropReason::Evicted,
    DropReason::PacerFull,
    DropReason::QueueFull,
    DropReason::SendFailed,
    DropReason::IngestLimit,
];

/// What the windows of one kind found together.
#[derive(Clone, Debug, Default)]
struct Found {
    residence: Vec<(u64, u64)>,
    drops: u64,
    /// Packets sent, and media packets that arrived of those that were due.
    sent: u64,
    time: Duration,
    mixer: Duration,
    media: Duration,
    shed: u8,
}

pub(super) fn measure(report: &mut Report, quick: bool) -> Result<(), String> {
    eprintln!("plenum: forwarding beside mixing");
    let (turns, window) = if quick { (1, 6) } else { (2, 15) };
    let [without, with] = run(turns, Duration::from_secs(window))?;
    for (part, label) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")] {
        let [a, b] = [&without, &with].map(|found| found.micros(part));
        let (Some(a), Some(b)) = (a, b) else { continue };
        report.add(GROUP, format!("{label} without"), a, "us");
        report.add(GROUP, format!("{label} with"), b, "us");
        let figure = report.add(GROUP, format!("{label} with / without"), b / a, "x");
        if part == 0.5 {
            figure.bound(Bound::AtMost(1.5));
        }
    }
    report.add(GROUP, "drops of our own, without", without.drops as f64, "packets");
    report
        .add(GROUP, "drops of our own, with", with.drops as f64, "packets")
        .bound(Bound::AtMost(0.0))
        .note(OURS.map(DropReason::label).join(", "));
    let share = |part: Duration, of: &Found| 100.0 * part.as_secs_f64() / of.time.as_secs_f64();
    report.add(GROUP, "the mixer meanwhile", share(with.mixer, &with), "% of a core").note(format!(
        "{:.1} % without, shed level {}",
        share(without.mixer, &without),
        with.shed
    ));
    report.add(GROUP, "the media plane meanwhile", share(with.media, &with), "% of a core").note(format!(
        "{:.1} % without; {:.0} and {:.0} packets/s",
        share(without.media, &without),
        with.sent as f64 / with.time.as_secs_f64(),
        without.sent as f64 / without.time.as_secs_f64()
    ));
    Ok(())
}

/// Without and with mixes, each `turns` times for `window`.
fn run(turns: usize, window: Duration) -> Result<[Found; 2], String> {
    let paintings = paintings(&ENCODINGS, false)?;
    let network = Network::new()?;
    let mut server = Plenum::with_mixer(&network, IO)?;
    on_last_core(|| {
        let scenario = Scenario { rooms: FORWARDED, ..Scenario::new(Media::Video, 30, Suite::AeadAes128Gcm) };
        let sockets = scenario.peers() + ROOMS * (PUBLISHERS + VIEWERS);
        let mut driver = Driver::open(&[(NEAR, sockets)]).map_err(|e| format!("sockets: {e}"))?;
        let shared = shared();
        server.join(&scenario, &mut driver, &shared)?;
        let mut rooms = Vec::new();
        for key in (scenario.rooms..).take(ROOMS) {
            let room = Room::open(&mut server, &mut driver, &shared, key as u64 + 1, &paintings)?;
            for _ in 0..VIEWERS {
                room.view(&mut server, &mut driver, &shared, None)?;
            }
            rooms.push(room);
        }
        connect(&mut driver, &mut server)?;
        rooms.iter().for_each(|room| room.speak(&mut driver));
        pass(&mut driver, &mut server, 2 * PAUSE)?;
        let mut found = [Found::default(), Found::default()];
        for turn in 0..2 * turns {
            let mixed = turn % 2 == 1;
            for room in &mut rooms {
                room.mix(&mut server, mixed)?;
            }
            pass(&mut driver, &mut server, PAUSE)?;
            let before = Look::take(&server)?;
            pass(&mut driver, &mut server, window)?;
            found[turn % 2].add(&before, &Look::take(&server)?);
        }
        Ok(found)
    })
}

/// Where everything stands at one moment.
struct Look {
    at: Time,
    shard: ShardMetrics,
    mixer: Duration,
    media: Duration,
}

impl Look {
    fn take(server: &Plenum<'_>) -> Result<Look, String> {
        let shard = server.media.metrics.shards.first().ok_or("the media plane tells no counters")?.clone();
        let mixer = server.mixer.as_ref().map_or(Duration::ZERO, |mixer| mixer.cpu());
        Ok(Look { at: Driver::now(), shard, mixer, media: server.cpu() })
    }
}

impl Found {
    fn add(&mut self, before: &Look, after: &Look) {
        let ours =
            |shard: &ShardMetrics| -> u64 { OURS.iter().filter_map(|reason| shard.drops.get(reason.label())).sum() };
        merge(&mut self.residence, &before.shard.residence, &after.shard.residence);
        self.drops += ours(&after.shard) - ours(&before.shard);
        self.sent += after.shard.tx_packets - before.shard.tx_packets;
        self.time += after.at.since(before.at);
        self.mixer += after.mixer - before.mixer;
        self.media += after.media - before.media;
        self.shed = self.shed.max(after.shard.mixer_shed);
    }

    fn micros(&self, part: f64) -> Option<f64> {
        quantile(&self.residence, self.residence.iter().map(|b| b.1).sum(), part)
    }
}

/// Adds what came between two looks at a histogram of the same bounds.
fn merge(sum: &mut Vec<(u64, u64)>, before: &[(u64, u64)], after: &[(u64, u64)]) {
    if sum.is_empty() {
        sum.extend(after.iter().map(|(bound, _)| (*bound, 0)));
    }
    for ((_, count), (bound, after)) in sum.iter_mut().zip(after) {
        let before = before.iter().find(|(b, _)| b == bound).map_or(0, |(_, count)| *count);
        *count += after.saturating_sub(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_in_the_windows_counts() {
        let mut sum = Vec::new();
        merge(&mut sum, &[(1_000, 5), (2_000, 5)], &[(1_000, 7), (2_000, 15)]);
        merge(&mut sum, &[(1_000, 7), (2_000, 100)], &[(1_000, 8), (2_000, 101)]);
        assert_eq!(sum, [(1_000, 3), (2_000, 11)]);
        let found = Found { residence: sum, ..Found::default() };
        assert!(found.micros(0.5).is_some_and(|micros| (1.0..2.0).contains(&micros)));
        assert_eq!(Found::default().micros(0.5), None);
    }
}
