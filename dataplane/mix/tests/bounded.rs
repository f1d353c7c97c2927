//! What a room keeps of a source is bounded, whatever the source sends: the bytes that are allocated stop growing.
//!
//! Only memory of ours is counted. That of the codecs' libraries is bounded by the sizes of pictures that decoders take (`plenum_engines::Limits`), and
//! does not grow with changes of size: `bounded` of plenum-engines.

use plenum_contract::{
    Codec, ConferenceKey, Feed, FeedKind, FromMix, MixOutput, MixPacket, MixSpec, ParticipantKey, ToMix,
};
use plenum_mix::room::jobs::AtOnce;
use plenum_mix::room::{Room, RoomSettings};
use plenum_mix::text::Fonts;
use plenum_packet::Time;
use plenum_wire::rtp;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts this thread's bytes.
struct Counting;

thread_local! {
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.set(BYTES.get() + layout.size() as isize);
        // SAFETY: the caller keeps `alloc`'s conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get() - layout.size() as isize);
        // SAFETY: the caller keeps `dealloc`'s conditions.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const CONFERENCE: ConferenceKey = ConferenceKey(1);
const MEMBERS: u64 = 3;
/// Packets that fill everything that is used again: a jitter buffer has 1,024 places.
const WARM: u64 = 40_000;
/// What may be added afterwards, of 55 MB that are sent.
const MOST: isize = 128 * 1024;

/// Splitmix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn spec() -> MixSpec {
    let member =
        |n| serde_json::json!({"participant": n, "name": format!("Member {n}"), "shown": "camera", "heard": true});
    let spec = serde_json::json!({
        "conference": CONFERENCE.0,
        "revision": 1,
        "scenes": [{"id": 0, "layout": "4:0", "width": 128, "height": 96}],
        "members": (1..=MEMBERS).map(member).collect::<Vec<_>>(),
    });
    serde_json::from_value(spec).expect("a spec")
}

#[test]
fn the_memory_of_a_room_stops_growing_whatever_its_sources_send() {
    let mut now = 1_000_000_000;
    let mut room = Room::new(spec(), RoomSettings::new(Fonts::none()), Time(now));
    let conference = CONFERENCE;
    for output in [
        MixOutput::Video { scene: 0, codec: Codec::Vp8, rung: 0 },
        MixOutput::Audio { codec: Codec::Opus, without: None },
    ] {
        room.handle(Time(now), ToMix::Need { conference, output, bitrate: 0, loss: 0 });
    }
    let mut state = 5;
    let mut warm = 0;
    for n in 0..2 * WARM {
        if n == WARM {
            warm = BYTES.get();
        }
        let mut dice = |sides: u64| random(&mut state) % sides;
        // Each source keeps to its codec, and its numbers jump, stand, and go on.
        let participant = ParticipantKey(1 + dice(MEMBERS));
        let sound = dice(3) == 0;
        let (codec, clock) = match (sound, participant.0) {
            (true, 1) => (Codec::Opus, 48_000),
            (true, _) => (Codec::Pcmu, 8_000),
            (false, 1) => (Codec::Vp8, 90_000),
            (false, 2) => (Codec::H264, 90_000),
            (false, _) => (Codec::Av1, 90_000),
        };
        let kind = if sound { FeedKind::Audio } else { FeedKind::Camera };
        let sequence = if dice(50) == 0 { dice(65_536) as u16 } else { (n / 4) as u16 };
        let timestamp = if dice(50) == 0 { dice(1 << 32) as u32 } else { (now / 11_111) as u32 };
        let mut bytes = vec![0; rtp::FIXED_LEN];
        let fields = rtp::Fields { sequence, timestamp, marker: dice(8) == 0, payload_type: 96, ..Default::default() };
        rtp::write_header(&mut bytes, &fields).expect("room for a header");
        // Where frames seem to begin, to go on, and anything.
        let first = [0x10, 0x90, 0x00, 0x7c, 0x65, 0x18, dice(256)][dice(7) as usize] as u8;
        bytes.push(first);
        // Mostly as long as they can be: every place is soon as large as it gets.
        let len = if dice(4) == 0 { dice(1400) } else { 1400 };
        bytes.extend((0..len).map(|at| (at * n) as u8));
        let feed = Feed { participant, kind };
        let rtp = &bytes[..];
        let packet = MixPacket { conference, feed, encoding: 0, codec, clock, arrival: now, level: None, rtp };
        room.handle(Time(now), ToMix::Packet(packet));
        if n % 20 == 0 {
            now += 10_000_000;
        }
        while room.deadline() <= Time(now) {
            room.tick(Time(now), &mut AtOnce, &mut |_: FromMix<'_>| {});
        }
    }
    let grown = BYTES.get() - warm;
    assert!(warm > 100_000, "the count counts: {warm}");
    assert!(grown < MOST, "{grown} bytes more after {WARM} packets more");
}
