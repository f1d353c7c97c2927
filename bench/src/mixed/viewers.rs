//! What a mixed room costs by the number of those who see it: the mixer's processor time must not grow with them.
//!
//! One room, whose viewers become more from step to step; the processor time of the mixer and of the media plane in each step's time.

use super::{CONNECT, ENCODINGS, IO, PUBLISHERS, Room, connect, paintings, pass};
use crate::fanout::{Plenum, Server, drive, on_last_core, shared};
use crate::network::{NEAR, Network};
use crate::report::{Bound, Report};
use crate::swarm::Driver;
use plenum_contract::Kind;
use std::time::Duration;

const GROUP: &str = "A mixed 1:7 at 1280x720 by the number of its viewers, over veth: processor time of the programs";
/// How long a new step may take until only the outputs of the others' quality are made.
const SETTLE: Duration = Duration::from_secs(40);

/// What a step found.
#[derive(Clone, Copy, Debug)]
struct Step {
    viewers: usize,
    /// Percent of a core.
    mixer: f64,
    media: f64,
    /// Encodings and mixes that were made.
    outputs: u64,
    shed: u8,
    /// Packets a second that each viewer was sent.
    packets: f64,
}

pub(super) fn measure(report: &mut Report, quick: bool) -> Result<(), String> {
    eprintln!("plenum: viewers of a mixed room");
    let counts: &[usize] = if quick { &[1, 30] } else { &[1, 10, 30, 100] };
    let steps = run(counts, Duration::from_secs(if quick { 6 } else { 12 }))?;
    for step in &steps {
        let name = if step.viewers == 1 { "1 viewer".into() } else { format!("{} viewers", step.viewers) };
        report
            .add(GROUP, format!("{name}: mixer"), step.mixer, "% of a core")
            .note(format!("{} outputs, shed level {}, {:.0} packets/s to each", step.outputs, step.shed, step.packets));
        report.add(GROUP, format!("{name}: media plane"), step.media, "% of a core");
    }
    let (Some(few), Some(many)) = (steps.first(), steps.last()) else { return Ok(()) };
    report
        .add(GROUP, format!("mixer with {} / with {}", many.viewers, few.viewers), many.mixer / few.mixer, "x")
        .bound(Bound::AtMost(1.15));
    Ok(())
}

fn run(counts: &[usize], time: Duration) -> Result<Vec<Step>, String> {
    let paintings = paintings(&ENCODINGS, false)?;
    let network = Network::new()?;
    let mut server = Plenum::with_mixer(&network, IO)?;
    on_last_core(|| {
        let most = counts.iter().copied().max().unwrap_or(0);
        let mut driver = Driver::open(&[(NEAR, PUBLISHERS + most)]).map_err(|e| format!("sockets: {e}"))?;
        let shared = shared();
        let mut room = Room::open(&mut server, &mut driver, &shared, 1, &paintings)?;
        room.mix(&mut server, true)?;
        let mut steps = Vec::new();
        for &viewers in counts {
            while driver.peers().len() < PUBLISHERS + viewers {
                room.view(&mut server, &mut driver, &shared, None)?;
            }
            connect(&mut driver, &mut server)?;
            room.speak(&mut driver);
            drive(&mut driver, &mut server, CONNECT, |driver| driver.peers()[PUBLISHERS..].iter().all(|p| sees(p)))?;
            settle(&mut driver, &mut server)?;
            steps.push(step(&mut driver, &mut server, viewers, time)?);
        }
        Ok(steps)
    })
}

/// Whether a viewer is sent a picture.
fn sees(peer: &crate::peer::Peer) -> bool {
    peer.slot(Kind::Video, false, 0).is_some_and(|slot| slot.frames > 0)
}

/// One picture and one sound: whoever is new begins with a smaller picture, until the estimate carries the large one.
fn settle(driver: &mut Driver, server: &mut Plenum<'_>) -> Result<(), String> {
    let end = Driver::now() + SETTLE;
    while Driver::now() < end {
        pass(driver, server, Duration::from_secs(2))?;
        // The sound for all, that without the one who speaks is nobody's here, and one picture.
        if server.media.metrics.shards.first().is_some_and(|shard| shard.mixer_outputs <= 2) {
            return Ok(());
        }
    }
    Ok(())
}

fn step(driver: &mut Driver, server: &mut Plenum<'_>, viewers: usize, time: Duration) -> Result<Step, String> {
    let taken = |server: &Plenum<'_>| (server.mixer.as_ref().map_or(Duration::ZERO, |m| m.cpu()), server.cpu());
    let (before, from, received) = (taken(server), Driver::now(), driver.media_received());
    pass(driver, server, time)?;
    let (after, wall) = (taken(server), Driver::now().since(from).as_secs_f64());
    let percent = |before: Duration, after: Duration| 100.0 * (after - before).as_secs_f64() / wall;
    let shard = server.media.metrics.shards.first();
    Ok(Step {
        viewers,
        mixer: percent(before.0, after.0),
        media: percent(before.1, after.1),
        outputs: shard.map_or(0, |shard| shard.mixer_outputs),
        shed: shard.map_or(0, |shard| shard.mixer_shed),
        packets: (driver.media_received() - received) as f64 / wall / viewers as f64,
    })
}
