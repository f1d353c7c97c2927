//! Event streams at scale (P11): a whole appliance, thousands of subscribers of one conference over TLS, one that is stalled,
//! and people who join as fast as they can.
//!
//! Subscribers share the token of one hidden host: what is measured is telling everybody what happens, not telling everybody
//! who is there. Processor time is the control plane's alone; the subscribers are this process.

mod crowd;
mod server;

use crate::report::{Bound, Report};
use crowd::{Crowd, Tally};
use server::{Actor, Server};
use std::time::{Duration, Instant};

/// The chapter.
const GROUP: &str = "Event streams (P11)";
/// How long events are counted.
const MEASURED: Duration = Duration::from_secs(10);
/// How long the last events may take to arrive.
const AFTER: Duration = Duration::from_secs(5);

/// So many subscribers at so many events a second.
#[derive(Clone, Copy, Debug)]
struct Scene {
    subscribers: usize,
    rate: u32,
}

/// Runs the chapter.
pub fn run(report: &mut Report, quick: bool) {
    if let Err(error) = plenum_host::raise_open_files() {
        report.skip(GROUP, format!("open files: {error}"));
        return;
    }
    let few = Scene { subscribers: 1_000, rate: 50 };
    let many = Scene { subscribers: 10_000, rate: 5 };
    let scenes: &[Scene] = if quick { &[few] } else { &[few, many] };
    for scene in scenes {
        let name = format!("{} subscribers, {} events/s", scene.subscribers, scene.rate);
        if let Err(why) = measure(report, &name, *scene) {
            report.skip(name, why);
        }
    }
    if let Err(why) = stalled(report) {
        report.skip("a stalled subscriber", why);
    }
    if let Err(why) = joins(report) {
        report.skip("joins", why);
    }
}

fn measure(report: &mut Report, name: &str, scene: Scene) -> Result<(), String> {
    let server = Server::start()?;
    let mut actor = Actor::enter(&server)?;
    let empty = server.program.resident();
    let crowd = Crowd::gather(&server, actor.token(), scene.subscribers)?;
    let gathered = server.program.resident();
    actor.act(Duration::from_secs(2), scene.rate)?;
    crowd.reset();
    let (cpu, start) = (server.program.cpu(), Instant::now());
    let told = actor.act(MEASURED, scene.rate)?;
    let due = told * scene.subscribers as u64;
    let end = Instant::now() + AFTER;
    while crowd.tally().delivered < due && Instant::now() < end {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let spent = server.program.cpu() - cpu;
    let tally = crowd.tally();
    let lost = due.saturating_sub(tally.delivered) + tally.lost;
    let each = spent.as_secs_f64() * 1e6 / tally.delivered.max(1) as f64;
    report.add(GROUP, format!("{name}: processor time a delivery"), each, "us").bound(Bound::AtMost(10.0));
    report.add(GROUP, format!("{name}: p99"), quantile(&tally, 0.99), "ms").bound(Bound::AtMost(100.0));
    report.add(GROUP, format!("{name}: median"), quantile(&tally, 0.5), "ms");
    report.add(GROUP, format!("{name}: lost"), lost as f64, "events").bound(Bound::AtMost(0.0));
    let rate = tally.delivered as f64 / start.elapsed().as_secs_f64();
    report.add(GROUP, format!("{name}: deliveries"), rate, "1/s");
    let memory = gathered.saturating_sub(empty) as f64 / 1024.0 / scene.subscribers as f64;
    report.add(GROUP, format!("{name}: memory a subscriber"), memory, "KiB");
    Ok(())
}

/// One who reads nothing beside a few who do: more than sockets and ring hold is told to all of them.
fn stalled(report: &mut Report) -> Result<(), String> {
    let server = Server::start()?;
    let mut actor = Actor::enter(&server)?;
    let crowd = Crowd::gather(&server, actor.token(), 10)?;
    let stalled = crowd.stall(&server, actor.token())?;
    let before = server.program.resident();
    actor.act_large(Duration::from_secs(6), 200)?;
    let grown = server.program.resident().saturating_sub(before) as f64 / f64::from(1 << 20);
    report.add(GROUP, "memory for a stalled one", grown, "MiB").bound(Bound::AtMost(64.0));
    let told = crowd.runtime.block_on(stalled.reason())?;
    report.add(GROUP, "a stalled one is told why", f64::from(u8::from(told)), "").bound(Bound::AtLeast(1.0));
    report.add(GROUP, "lost to the others", crowd.tally().lost as f64, "events").bound(Bound::AtMost(0.0));
    Ok(())
}

/// Milliseconds.
fn quantile(tally: &Tally, part: f64) -> f64 {
    tally.latency.value_at_quantile(part) as f64 / 1000.0
}

/// People join by `new_session` over kept connections, for as long as events are counted.
fn joins(report: &mut Report) -> Result<(), String> {
    const CLIENTS: usize = 32;
    let server = Server::start()?;
    let (cpu, start) = (server.program.cpu(), Instant::now());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let mut client = server.client.another();
            std::thread::spawn(move || {
                let mut took = Vec::new();
                while start.elapsed() < MEASURED && took.len() < 9_000 / CLIENTS {
                    let asked = Instant::now();
                    let body = serde_json::json!({"display_name": format!("Joiner {n}")});
                    let answer = client.post(&server::path("new_session"), &[], &body).map_err(|e| e.to_string())?;
                    if answer.status != 200 {
                        return Err(format!("new_session: {} {}", answer.status, answer.body));
                    }
                    took.push(asked.elapsed());
                }
                Ok(took)
            })
        })
        .collect();
    let mut took = Vec::new();
    for client in clients {
        took.extend(client.join().map_err(|_| "a client panicked")??);
    }
    let (elapsed, spent) = (start.elapsed(), server.program.cpu() - cpu);
    took.sort_unstable();
    let joined = took.len();
    let p99 = took.get(joined * 99 / 100).copied().unwrap_or_default();
    report
        .add(GROUP, "joins by new_session", joined as f64 / elapsed.as_secs_f64(), "1/s")
        .bound(Bound::AtLeast(500.0));
    let each = spent.as_secs_f64() * 1e6 / joined.max(1) as f64;
    report.add(GROUP, "joins: processor time each", each, "us");
    report.add(GROUP, "joins: p99 of the answer", p99.as_secs_f64() * 1e3, "ms");
    Ok(())
}
