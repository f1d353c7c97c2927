//! Reading what arrives: RTP with extensions, the payload's descriptor, RTCP, STUN.

use super::packets;
use crate::report::Report;
use crate::timing::{Case, in_turns};
use plenum_wire::payload::{self, Codec};
use plenum_wire::{ext, rtcp, rtp, stun};
use std::hint::black_box;

/// Pieces of work in a round.
const BATCH: usize = 2048;
const ROUNDS: usize = 400;

/// Times each parser and adds its figure.
pub(super) fn run(report: &mut Report) {
    let map = packets::extensions();
    let media: Vec<Vec<u8>> =
        (0..64).map(|n| packets::vp8(&map, n, n / 8, (n % 8) as u8, n % 8 == 7, 1200 - usize::from(n % 2))).collect();
    let headers: Vec<_> = media.iter().map(|p| rtp::parse(p).expect("our own packet")).collect();
    let (check, feedback) = (packets::stun("0/2a/k3Jd82hs:abcd"), packets::feedback());
    let each = |work: &dyn Fn(usize)| {
        (0..BATCH).for_each(|n| work(n % 64));
        BATCH as u64
    };
    let mut cases = [
        Case::new("RTP header", || {
            each(&|n| {
                let _ = black_box(rtp::parse(black_box(&media[n])));
            })
        }),
        Case::new("RTP header with five extensions negotiated, three there", || {
            each(&|n| {
                let packet = black_box(&media[n]);
                let header = rtp::parse(packet).expect("our own packet");
                black_box(ext::read(&map, &header, packet));
            })
        }),
        Case::new("VP8 descriptor", || {
            each(&|n| {
                let payload = &media[n][usize::from(headers[n].payload_start)..];
                let _ = black_box(payload::inspect(Codec::Vp8, black_box(payload), false, None));
            })
        }),
        Case::new("RTCP: receiver report, NACK and REMB", || {
            each(&|_| {
                let packets = rtcp::parse(black_box(&feedback)).expect("our own packet");
                for packet in packets {
                    if let rtcp::Packet::Nack(nack) = black_box(packet) {
                        black_box(nack.sequences().count());
                    }
                }
            })
        }),
        Case::new("STUN check: whose is it", || {
            each(&|_| {
                black_box(stun::username(black_box(&check)));
            })
        }),
    ];
    let times = in_turns(&mut cases, ROUNDS);
    for (case, taken) in cases.iter().zip(times) {
        report.add("Parse", &case.name, taken.median, "ns");
    }
}
