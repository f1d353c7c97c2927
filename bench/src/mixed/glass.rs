//! Glass to glass: one viewer of a mixed room reads from the decoded mix how old each frame of each publisher is.
//!
//! It counts from a frame's way into its sender's pacer to its pixels in the viewer's decoded picture. What a real camera, its encoder, and
//! the viewer's own jitter buffer and screen add is not in it: none of them is ours.

use super::eye::{Eye, Seen};
use super::{CONNECT, ENCODINGS, IO, PUBLISHERS, Room, connect, paintings, pass};
use crate::fanout::{Plenum, drive, on_last_core, shared};
use crate::mixing::one_to_seven;
use crate::network::{NEAR, Network};
use crate::report::{Bound, Report};
use crate::swarm::Driver;
use hdrhistogram::Histogram;
use plenum_kernels::Rect;
use plenum_mix::layout::Layout;
use std::time::Duration;

const GROUP: &str =
    "Glass to glass of a mixed 1:7 at 1280x720, 30 frames/s, over veth, nothing lost (sender's pacer to decoded mix)";

pub(super) fn measure(report: &mut Report, quick: bool) -> Result<(), String> {
    let time = Duration::from_secs(if quick { 8 } else { 30 });
    eprintln!("plenum: glass to glass");
    let (seen, shed) = look(time)?;
    let mut missed = Vec::new();
    for (name, of) in [("a speaker in the large tile", &seen.large), ("the others in small tiles", &seen.small)] {
        if of.is_empty() {
            missed.push(name);
            continue;
        }
        for (part, label, most) in [(0.5, "p50", Some(150.0)), (0.95, "p95", Some(250.0)), (0.99, "p99", None)] {
            let figure = report.add(GROUP, format!("{name}: {label}"), ms(of, part), "ms");
            if let Some(most) = most {
                figure.bound(Bound::AtMost(most));
            }
        }
    }
    let seconds = time.as_secs_f64();
    let decoding = seen.decoding as f64 / seen.pictures.max(1) as f64 / 1000.0;
    report.add(GROUP, "of it decoding at the viewer", decoding, "ms");
    report
        .add(GROUP, "mixed pictures", seen.pictures as f64 / seconds, "1/s")
        .note(format!("{}x{}, {} tiles not read, shed level {shed}", seen.size.0, seen.size.1, seen.unread));
    // A mixer that has no time makes pictures so small that the marks of small tiles cannot be read.
    if missed.is_empty() {
        Ok(())
    } else {
        Err(format!("shed level {shed}; no frame was read of {}", missed.join(", ")))
    }
}

fn ms(of: &Histogram<u32>, part: f64) -> f64 {
    of.value_at_quantile(part) as f64 / 1000.0
}

/// Runs a room; what its viewer saw in `time`, and what the mixer left out at the end.
fn look(time: Duration) -> Result<(Seen, u8), String> {
    let paintings = paintings(&ENCODINGS, true)?;
    let network = Network::new()?;
    let mut server = Plenum::with_mixer(&network, IO)?;
    on_last_core(|| {
        let mut driver = Driver::open(&[(NEAR, PUBLISHERS + 1)]).map_err(|e| format!("sockets: {e}"))?;
        let shared = shared();
        let mut room = Room::open(&mut server, &mut driver, &shared, 1, &paintings)?;
        room.mix(&mut server, true)?;
        let scene = one_to_seven();
        let size = (usize::from(scene.width), usize::from(scene.height));
        let eye = Eye::new(&paintings, tiles(&scene.layout, size)?, size, || Driver::now().nanos())?;
        let seen = eye.seen();
        room.view(&mut server, &mut driver, &shared, Some(eye.watch()))?;
        connect(&mut driver, &mut server)?;
        room.speak(&mut driver);
        // Until the estimate carries the whole picture.
        let whole = |_: &mut Driver| seen.lock().is_ok_and(|seen| seen.size == size && seen.small.len() > 100);
        drive(&mut driver, &mut server, CONNECT, whole)?;
        pass(&mut driver, &mut server, Duration::from_secs(3))?;
        if let Ok(mut seen) = seen.lock() {
            *seen = Seen::default();
        }
        pass(&mut driver, &mut server, time)?;
        let shed = server.media.metrics.shards.first().map_or(0, |shard| shard.mixer_shed);
        let seen = seen.lock().map_err(|e| e.to_string())?.clone();
        Ok((seen, shed))
    })
}

/// Where the tiles of a layout stand in a picture of `size`.
fn tiles(layout: &str, (width, height): (usize, usize)) -> Result<Vec<Rect>, String> {
    let layout: Layout = layout.parse().map_err(|_| format!("{layout} is no layout"))?;
    Ok((0..layout.tiles()).filter_map(|n| layout.tile(n, width, height)).collect())
}
