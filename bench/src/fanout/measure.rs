//! One measurement: wait until all that is due flows, then count for a while.

use super::Scenario;
use crate::load::Media;
use crate::swarm::Driver;
use hdrhistogram::Histogram;
use plenum_packet::Time;
use std::io;
use std::time::Duration;

/// Longest wait for connections.
const CONNECT: Duration = Duration::from_secs(60);
/// Longest wait until estimates let everything through.
const SETTLE: Duration = Duration::from_secs(30);
/// Share of what is due that must flow before it is measured.
const FLOWS: f64 = 0.97;
/// How long is measured.
const WINDOW: Duration = Duration::from_secs(8);

/// What a server did in the window.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Media packets that viewers received; into a null device, packets that the server counted.
    pub packets: u64,
    /// Processor time of the server.
    pub cpu: Duration,
    /// Length of the window.
    pub wall: Duration,
    /// Share of what was due that arrived.
    pub delivered: f64,
    /// From the publisher's pacer to the viewer's socket, in microseconds.
    pub delay: Histogram<u32>,
}

impl Outcome {
    /// Microseconds of processor time for each packet.
    pub fn micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.packets.max(1) as f64
    }

    /// Packets a second.
    pub fn rate(&self) -> f64 {
        self.packets as f64 / self.wall.as_secs_f64()
    }
}

/// A server, as far as measuring must know it.
pub trait Server {
    /// Its processor time so far.
    fn cpu(&self) -> Duration;
    /// Lets it speak: called in every turn of the driver.
    ///
    /// # Errors
    /// Why it is of no use any more.
    fn attend(&mut self) -> Result<(), String>;
    /// Packets sent by its own count, and the processor time when it told that, where it counts.
    fn counted(&mut self) -> Option<(u64, Duration)> {
        None
    }
    /// From now on viewers are swallowed.
    ///
    /// # Errors
    /// When that is not possible here.
    fn swallow(&mut self) -> Result<(), String> {
        Err("this server cannot be measured into a null device".into())
    }
}

/// Measures `server` under the peers of `driver`, which are those of `scenario`.
///
/// # Errors
/// Why there is nothing to report: peers that do not connect, media that does not flow, a server that is gone.
pub fn measure(scenario: &Scenario, driver: &mut Driver, server: &mut dyn Server) -> Result<Outcome, String> {
    let everybody = scenario.peers();
    let up = |driver: &mut Driver| driver.up() == everybody;
    drive(driver, server, CONNECT, up)?;
    if driver.up() < everybody {
        return Err(format!("{} of {everybody} peers connected in {} s", driver.up(), CONNECT.as_secs()));
    }
    for publisher in &mut driver.peers()[..scenario.rooms] {
        publisher.set_speaking(scenario.media == Media::Audio);
    }
    settle(scenario, driver, server)?;
    if scenario.swallowed {
        return into_nothing(driver, server);
    }
    let from = Mark::take(scenario, driver, server);
    drive(driver, server, WINDOW, |_| false)?;
    let to = Mark::take(scenario, driver, server);
    let mut delay = to.delay;
    delay.subtract(&from.delay).map_err(|e| format!("delays: {e:?}"))?;
    let due = (to.sent - from.sent) * scenario.viewers as u64;
    let packets = to.received - from.received;
    let (cpu, wall) = (to.cpu - from.cpu, to.at.since(from.at));
    Ok(Outcome { packets, cpu, wall, delivered: packets as f64 / due.max(1) as f64, delay })
}

/// Waits until nearly all that is due arrives.
fn settle(scenario: &Scenario, driver: &mut Driver, server: &mut dyn Server) -> Result<(), String> {
    let end = Driver::now() + SETTLE;
    let mut share = 0.0;
    while Driver::now() < end {
        let (sent, received) = (sent(scenario, driver), driver.media_received());
        drive(driver, server, Duration::from_secs(2), |_| false)?;
        let due = (self::sent(scenario, driver) - sent) * scenario.viewers as u64;
        share = (driver.media_received() - received) as f64 / due.max(1) as f64;
        if share >= FLOWS && due > 0 {
            return Ok(());
        }
    }
    Err(format!("only {:.0} % of what is due flows after {} s", share * 100.0, SETTLE.as_secs()))
}

/// Counts by the server's own word while viewers are swallowed.
fn into_nothing(driver: &mut Driver, server: &mut dyn Server) -> Result<Outcome, String> {
    server.swallow()?;
    let pause = Duration::from_millis(1500);
    drive(driver, server, pause, |_| false)?;
    let told = |server: &mut dyn Server| server.counted().ok_or("this server does not count what it sends");
    let ((packets, cpu), at) = (told(server)?, Driver::now());
    drive(driver, server, WINDOW, |_| false)?;
    let (later, later_cpu) = told(server)?;
    Ok(Outcome {
        packets: later - packets,
        cpu: later_cpu - cpu,
        wall: Driver::now().since(at),
        delivered: 0.0,
        delay: new_delay(),
    })
}

/// Where everything stands at one moment.
struct Mark {
    at: Time,
    cpu: Duration,
    sent: u64,
    received: u64,
    delay: Histogram<u32>,
}

impl Mark {
    fn take(scenario: &Scenario, driver: &mut Driver, server: &dyn Server) -> Mark {
        let (at, cpu) = (Driver::now(), server.cpu());
        let (sent, received) = (sent(scenario, driver), driver.media_received());
        let mut delay = new_delay();
        for viewer in &driver.peers()[scenario.rooms..] {
            let stats = viewer.stats();
            let of = if scenario.media == Media::Audio { &stats.audio_delay } else { &stats.video_delay };
            // Both have the same bounds.
            let _ = delay.add(of);
        }
        Mark { at, cpu, sent, received, delay }
    }
}

/// Microseconds up to a minute with two significant digits, as the peers' own.
fn new_delay() -> Histogram<u32> {
    Histogram::new_with_bounds(1, 60_000_000, 2).expect("constant bounds")
}

/// Media packets that all publishers sent so far.
fn sent(scenario: &Scenario, driver: &mut Driver) -> u64 {
    driver.peers()[..scenario.rooms].iter().map(|p| p.media_sent()).sum()
}

/// Runs for `time` or until `done`, and lets the server speak meanwhile.
///
/// # Errors
/// Sockets that are of no use any more, or what the server says.
pub(crate) fn drive(
    driver: &mut Driver,
    server: &mut dyn Server,
    time: Duration,
    mut done: impl FnMut(&mut Driver) -> bool,
) -> Result<(), String> {
    let end = Driver::now() + time;
    let mut next = Time::ZERO;
    let mut failed = Ok(());
    let looked: io::Result<()> = driver.run(end, |driver| {
        let now = Driver::now();
        if now < next {
            return false;
        }
        next = now + Duration::from_millis(20);
        failed = server.attend();
        failed.is_err() || done(driver)
    });
    looked.map_err(|e| format!("sockets: {e}"))?;
    failed
}
