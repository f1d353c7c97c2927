//! Writing one packet for one receiver: header, extensions, the payload's copy and its patch. The session does it in its egress with
//! its own slots; here are the same functions in the same order, without looking into a dependency descriptor.

use super::packets;
use crate::report::Report;
use crate::timing::{Case, in_turns};
use plenum_packet::{HEADROOM, Pool};
use plenum_wire::ext::Writer;
use plenum_wire::payload::{self, Codec};
use plenum_wire::{Patch, rtp};
use std::hint::black_box;

/// Packets in a round.
const BATCH: u16 = 2048;
const ROUNDS: usize = 400;

/// Times the writing and adds its figure.
pub(super) fn run(report: &mut Report) {
    let map = packets::extensions();
    let received = packets::vp8(&map, 0, 3, 0, true, 1200);
    let start = usize::from(rtp::parse(&received).expect("our own packet").payload_start);
    let mut pool = Pool::new(2);
    let cached = pool.copy_in(HEADROOM, &received[start..]).expect("an empty pool has room");
    let (source, out) = (pool.reference(&cached), pool.alloc().expect("a free slot"));
    let mut payload_at = 0;
    let mut case = [Case::new("VP8 packet of 1200 bytes with three extensions", || {
        for n in 0..BATCH {
            let slot = &mut pool.slot_bytes_mut(&out)[HEADROOM..];
            let fields = rtp::Fields { extension: true, payload_type: 96, sequence: n, ..rtp::Fields::default() };
            let fixed = rtp::write_header(slot, black_box(&fields)).expect("room for a header");
            let mut writer = Writer::new(&map);
            writer.mid(b"1").transport_sequence(n).abs_send_time(u32::from(n));
            let written = writer.write(&mut slot[fixed..]).expect("room for extensions");
            payload_at = HEADROOM + fixed + written.len;
            pool.copy_from(source, &out, payload_at).expect("it is there");
            let payload = &mut pool.slot_bytes_mut(&out)[payload_at..payload_at + source.len()];
            payload::patch(payload, black_box(Patch::Vp8 { picture_id: n, tl0_pic_idx: n as u8 }));
            black_box(payload);
        }
        u64::from(BATCH)
    })];
    let taken = in_turns(&mut case, ROUNDS)[0];
    report.add("Rewrite (header, extensions, copy, patch)", &case[0].name, taken.median, "ns");
    drop(case);
    let payload = &pool.slot_bytes_mut(&out)[payload_at..payload_at + source.len()];
    let info = payload::inspect(Codec::Vp8, payload, true, None).expect("it is a payload still");
    assert_eq!(info.picture_id.map(|id| id.value), Some(BATCH - 1), "it was patched");
}
