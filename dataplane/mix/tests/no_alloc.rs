//! Once sources have shown their size and outputs are made, a frame allocates nothing: neither pictures and what lies over them, nor packets and
//! their way through jitter buffers, nor 20 ms of sound.

use plenum_contract::{Codec, ParticipantKey};
use plenum_kernels::{I420Buf, Kernels};
use plenum_mix::canvas::Canvas;
use plenum_mix::fonts;
use plenum_mix::jitter::{CAPACITY, VideoBuffer, VideoPacket};
use plenum_mix::scene::{Banner, Edge, Scene, SceneSettings, Seat, SeatState};
use plenum_mix::sound::{Sound, SoundSettings};
use plenum_packet::Time;
use plenum_wire::payload::pack::{FrameTags, Packer};
use plenum_wire::{payload, rtp};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

/// Counts this thread's allocations.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller keeps `alloc`'s conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s conditions.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_frame_allocates_nothing() {
    let mut settings = SceneSettings::new("1:7".parse().expect("a layout"), 640, 360);
    settings.banner = Some(Banner { text: "Recording".into(), edge: Edge::Top });
    settings.logo = Some(Arc::new(Canvas::new(80, 40)));
    let mut scene = Scene::new(settings, &fonts::load(fonts::DIRECTORIES).fonts);
    let states = [SeatState::Shown, SeatState::Shown, SeatState::Held, SeatState::CameraOff];
    let seats: Vec<Seat<'_>> =
        (0..8).map(|n| Seat { id: n, name: "Ada 王小明", state: states[n as usize % 4], speaking: n == 0 }).collect();
    let sources = [(640, 360), (320, 240), (90, 160), (1, 1)].map(|(w, h)| I420Buf::new(w, h).expect("a size"));
    let frame = |scene: &mut Scene| {
        for seat in &seats {
            scene.picture(seat.id, &sources[seat.id as usize % 4].view());
        }
        scene.place(&seats, 30);
        scene.present(None);
        scene.render();
    };
    // The first frame seats them, the second one has their pictures.
    frame(&mut scene);
    frame(&mut scene);
    assert!(COUNT.get() > 0, "the count counts");
    let before = COUNT.get();
    for _ in 0..3 {
        frame(&mut scene);
    }
    assert_eq!(COUNT.get(), before);
}

#[test]
fn twenty_milliseconds_of_sound_allocate_nothing() {
    let mut sound = Sound::new(Kernels::best(), SoundSettings::default());
    let keys = [ParticipantKey(1), ParticipantKey(2)];
    for (codec, without) in [(Codec::Pcmu, None), (Codec::Opus, Some(keys[0])), (Codec::G722, Some(keys[1]))] {
        assert!(sound.need(codec, without, 0));
    }
    let mut packets = 0;
    let mut frame = |sound: &mut Sound, n: u32| {
        let mut bytes = [0; rtp::FIXED_LEN];
        rtp::write_header(&mut bytes, &rtp::Fields { timestamp: n * 160, ..Default::default() }).expect("room");
        let header = rtp::parse(&bytes).expect("a header");
        let now = u64::from(n) * 20_000_000;
        for key in keys {
            sound.packet(key, Codec::Pcma, 8000, &header, &[n as u8; 160], now);
            sound.set_gain(key, 0.7);
        }
        sound.mix(now, &mut |_, _, _| packets += 1);
    };
    (0..200).for_each(|n| frame(&mut sound, n));
    let before = COUNT.get();
    assert!(before > 0, "the count counts");
    (200..400).for_each(|n| frame(&mut sound, n));
    assert_eq!(COUNT.get(), before);
    assert_eq!(packets, 3 * 400);
}

#[test]
fn frames_on_their_way_through_packets_allocate_nothing() {
    for codec in [payload::Codec::Vp8, payload::Codec::Vp9, payload::Codec::H264] {
        let mut packer = Packer::new(codec, 500, 0).expect("a packer");
        let mut buffer = VideoBuffer::new(codec).expect("a buffer");
        let mut unit = vec![0x11; 3000];
        unit[..6].copy_from_slice(&[0, 0, 0, 1, 0x65, 0x88]);
        let (mut packet, mut sequence, mut frames) = (Vec::with_capacity(600), 0u16, 0);
        let mut frame = |n: u32| {
            let tags = FrameTags { key: true, size: (64, 64), ..Default::default() };
            let arrival = Time::from_millis(u64::from(n) * 33);
            let sent = packer.pack(&unit, tags, &mut |piece| {
                packet.clear();
                packet.extend_from_slice(piece.head);
                packet.extend_from_slice(piece.body);
                let (timestamp, marker, payload) = (n * 3000, piece.last, &packet[..]);
                buffer.insert(&VideoPacket { sequence, timestamp, marker, payload, arrival });
                sequence = sequence.wrapping_add(1);
            });
            assert_eq!(sent, Ok(()));
            frames += u32::from(buffer.next(arrival, |_| Time::ZERO).is_some());
        };
        // Every place for a packet has been used once.
        (0..CAPACITY as u32).for_each(&mut frame);
        let before = COUNT.get();
        (CAPACITY as u32..CAPACITY as u32 + 100).for_each(&mut frame);
        assert_eq!(COUNT.get(), before, "{codec:?}");
        assert_eq!(frames, CAPACITY as u32 + 100, "{codec:?}");
    }
}
