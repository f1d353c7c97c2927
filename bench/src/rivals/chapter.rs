//! The chapter: Plenum and the others in turn, and the ratios.

use super::janus::Janus;
use super::pion::{self, Pion};
use super::{Rival, join};
use crate::fanout::{Outcome, Scenario, measure, on_last_core, plenum_outcome, shared};
use crate::load::{self, Media};
use crate::network::Network;
use crate::report::{Bound, Report};
use plenum_srtp::Suite;
use std::path::PathBuf;

const GROUP: &str = "Peers in the same run, over veth, viewers reading";
const RATIO: &str = "Packets for each second of processor time, Plenum's to theirs";
/// Times that each server has its turn.
const TURNS: usize = 2;
/// What is expected of video with GCM at this stage.
const EXPECTED: f64 = 2.5;

/// A server that takes turns.
#[derive(Clone, Debug)]
enum Contestant {
    Plenum,
    Janus,
    Pion(PathBuf),
}

impl Contestant {
    fn name(&self) -> &'static str {
        match self {
            Contestant::Plenum => "Plenum",
            Contestant::Janus => "Janus videoroom",
            Contestant::Pion(_) => "Pion SFU",
        }
    }
}

/// Runs the chapter. `quick` leaves AES-CM out.
pub fn run(report: &mut Report, quick: bool) {
    if let Err(why) = Network::new() {
        return report.skip("peers over veth", why);
    }
    let mut contestants = vec![Contestant::Plenum, Contestant::Janus];
    match pion::build() {
        Ok(program) => contestants.push(Contestant::Pion(program)),
        Err(why) => report.skip("Pion", why),
    }
    for suite in [Suite::AeadAes128Gcm, Suite::AesCm128HmacSha1_80].into_iter().take(if quick { 1 } else { 2 }) {
        compare(report, &Scenario::new(Media::Video, 30, suite), &contestants);
    }
}

fn compare(report: &mut Report, scenario: &Scenario, contestants: &[Contestant]) {
    let mut outcomes: Vec<Result<Vec<Outcome>, String>> = vec![Ok(Vec::new()); contestants.len()];
    for turn in 1..=TURNS {
        for (contestant, outcomes) in contestants.iter().zip(&mut outcomes) {
            let Ok(known) = outcomes else { continue };
            eprintln!("{}, {}, turn {turn} of {TURNS}", contestant.name(), scenario.name());
            match take_turn(contestant, scenario) {
                Ok(outcome) => known.push(outcome),
                Err(why) => *outcomes = Err(why),
            }
        }
    }
    let mean = |outcomes: &[Outcome]| {
        let (packets, cpu) = outcomes.iter().fold((0, 0.0), |(p, c), o| (p + o.packets, c + o.cpu.as_secs_f64()));
        cpu * 1e6 / packets.max(1) as f64
    };
    let mut ours = None;
    for (contestant, outcomes) in contestants.iter().zip(outcomes) {
        let name = format!("{}, {}", contestant.name(), scenario.name());
        let outcomes = match outcomes {
            Ok(outcomes) => outcomes,
            Err(why) => {
                report.skip(name, why);
                continue;
            }
        };
        let micros = mean(&outcomes);
        let turns: Vec<_> = outcomes
            .iter()
            .map(|o| format!("{:.2} at {:.0} packets/s, {:.1} %", o.micros(), o.rate(), 100.0 * o.delivered.min(1.0)))
            .collect();
        report.add(GROUP, &name, micros, "us/packet").note(turns.join("; "));
        match (contestant, ours) {
            (Contestant::Plenum, _) => ours = Some(micros),
            (_, Some(ours)) => {
                let figure = report.add(RATIO, name, micros / ours, "x");
                if scenario.suite == Suite::AeadAes128Gcm {
                    figure.bound(Bound::AtLeast(EXPECTED));
                }
            }
            _ => report.skip(
                format!("ratio to {name}"),
                format!("Plenum was not measured with {}", load::suite_name(scenario.suite)),
            ),
        }
    }
}

fn take_turn(contestant: &Contestant, scenario: &Scenario) -> Result<Outcome, String> {
    match contestant {
        Contestant::Plenum => plenum_outcome(scenario, "auto"),
        Contestant::Janus => {
            let network = Network::new()?;
            let mut janus = Janus::start(&network, scenario.rooms)?;
            take(&mut janus, scenario)
        }
        Contestant::Pion(program) => {
            let network = Network::new()?;
            let mut pion = Pion::start(program, &network)?;
            take(&mut pion, scenario)
        }
    }
}

fn take(rival: &mut (dyn Rival + Send), scenario: &Scenario) -> Result<Outcome, String> {
    on_last_core(|| {
        let mut driver = scenario.sockets().map_err(|e| format!("sockets: {e}"))?;
        join(rival, scenario, &mut driver, &shared())?;
        measure(scenario, &mut driver, rival)
    })
}
