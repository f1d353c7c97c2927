//! A whole shard without sockets: what a packet costs from the datagram to the train, with sessions, routing, pacing, sealing and
//! feedback in it; how often memory is allocated on the way; how much memory a participant holds.

use crate::allocations;
use crate::lab::{Lab, Spent};
use crate::load::{self, Media};
use crate::peer::{AudioConfig, Encoding, PeerConfig, Publish, Slots, VideoConfig};
use crate::report::{Bound, Report};
use plenum_contract::TrackKey;
use plenum_srtp::Suite;
use std::time::Duration;

/// Virtual time until estimates have risen, keys are used, and buffers have their size.
const WARM_UP: Duration = Duration::from_secs(15);
/// Virtual time that is measured.
const MEASURED: Duration = Duration::from_secs(5);
/// Participants whose memory is measured.
const CROWD: u64 = 100;

/// Runs one publisher to 30 and to 300 receivers, audio and video, GCM and CM.
pub(super) fn run(report: &mut Report) {
    for (media, receivers) in [(Media::Video, 30), (Media::Video, 300), (Media::Audio, 30), (Media::Audio, 300)] {
        for suite in [Suite::AeadAes128Gcm, Suite::AesCm128HmacSha1_80] {
            fan_out(report, media, receivers, suite);
        }
    }
    memory(report);
}

/// What a shard takes for one publisher and this many receivers.
pub(crate) fn spend(media: Media, receivers: u64, suite: Suite) -> Spent {
    let mut lab = Lab::new(16_384);
    lab.add(load::publisher(1, Lab::path(1), media, suite));
    for n in 2..receivers + 2 {
        lab.add(load::viewer(n, Lab::path(n), media, suite));
    }
    lab.connect();
    lab.peers[0].set_speaking(media == Media::Audio);
    lab.run(WARM_UP);
    lab.reset();
    lab.run(MEASURED);
    lab.spent
}

fn fan_out(report: &mut Report, media: Media, receivers: u64, suite: Suite) {
    let spent = spend(media, receivers, suite);
    let name = format!("1:{receivers} {}, {}", media.name(), load::suite_name(suite));
    let packets = spent.sent.max(1) as f64;
    let expected = spent.received * receivers;
    report.add("Whole shard, no sockets", &name, spent.time.as_nanos() as f64 / packets, "ns/packet").note(format!(
        "{} B, {:.1} packets a train, {:.1} % of what was due left",
        spent.bytes / spent.sent.max(1),
        packets / spent.trains.max(1) as f64,
        100.0 * packets / expected.max(1) as f64
    ));
    if allocations::counts() {
        let group = "Allocations after warm-up (whole shard)";
        for (part, calls) in [("taking packets", spent.taking), ("ticks", spent.ticking)] {
            let figure = report.add(group, format!("{name}: {part}"), calls as f64 / packets, "each packet");
            figure.bound(Bound::AtMost(0.0));
        }
    }
}

/// Everybody sends and receives sound and a picture.
fn memory(report: &mut Report) {
    if !allocations::counts() {
        report.skip("memory of a participant", "this program does not count allocations");
        return;
    }
    let mut lab = Lab::new(65_536);
    lab.run(Duration::from_millis(10));
    let empty = lab.spent.held;
    for n in 1..=CROWD {
        let mut config = PeerConfig::new(n, Lab::path(n));
        config.publishes = vec![
            Publish::Audio(AudioConfig { track: TrackKey(2 * n), dtx: true, levels: true }),
            Publish::Video(VideoConfig::single(TrackKey(2 * n + 1), Encoding::new("", 640, 360, 300))),
        ];
        config.slots = Slots { audio: 1, video: 1, presentation: false };
        lab.add(config);
    }
    let each = |bytes: i64| bytes as f64 / CROWD as f64 / 1024.0;
    let held = |lab: &Lab| lab.spent.held - empty;
    let group = "Memory of a participant, without the packet pool";
    report.add(group, "signalled, not connected", each(held(&lab)), "KiB");
    lab.connect();
    report.add(group, "connected", each(held(&lab)), "KiB").bound(Bound::AtMost(64.0));
    lab.run(Duration::from_secs(5));
    let resend = lab.shard.resend_footprint() as i64;
    report
        .add(group, "connected, sound and one picture each way", each(held(&lab) - resend), "KiB")
        .bound(Bound::AtMost(64.0))
        .note("without the retransmission cache");
    report
        .add(group, "beside it, the retransmission cache", each(resend), "KiB")
        .note("what is kept of each sent packet to make it again; payloads lie in the packet pool");
}
