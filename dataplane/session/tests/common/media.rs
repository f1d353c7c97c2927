//! Media of a [`World`]: packets that the peer sends, and plans that leave to it.

use super::*;
use plenum_wire::{Class, Patch, Plan, PlanExtensions};

pub fn audio(world: &mut World, index: u64) -> Vec<u8> {
    world.peer.rtp_packet(THEIR_AUDIO, AUDIO_PT, index, 960 * index as u32, &[(MID_ID, b"0")], b"opus")
}

pub fn deliver(world: &mut World, mut bytes: Vec<u8>) -> Result<(), DropReason> {
    world.deliver(udp4(), &mut bytes)
}

/// A payload in the pool and a plan that sends it.
pub fn plan(world: &mut World, media: u16, sequence: u16, payload: &[u8]) -> Plan {
    let buf = world.pool.copy_in(HEADROOM, payload).unwrap();
    let reference = world.pool.reference(&buf);
    // Stays in the cache as long as the test runs.
    let _cached = buf;
    Plan {
        payload: reference,
        media,
        payload_type: if media == 0 { AUDIO_PT } else { VIDEO_PT },
        marker: true,
        sequence,
        timestamp: 90 * u32::from(sequence),
        patch: Patch::None,
        extensions: PlanExtensions { audio_level: Some(12), ..Default::default() },
        received: world.now,
        captured: world.now,
        class: if media == 0 { Class::Audio } else { Class::Video },
    }
}

pub fn send(world: &mut World, media: u16, sequence: u16, payload: &[u8]) {
    let plan = plan(world, media, sequence, payload);
    world.session.enqueue(world.now, plan).unwrap();
}
