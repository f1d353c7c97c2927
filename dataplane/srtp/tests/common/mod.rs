//! What the tests share: keys, packets, and a sender that counts its indices.

#![allow(dead_code, reason = "each test program uses a part of it")]

use plenum_packet::{HEADROOM, Pool};
use plenum_srtp::{Job, KeyId, MasterKey, Sealer, Suite};

/// A master key that `seed` makes.
pub(crate) fn master(suite: Suite, seed: u8) -> MasterKey {
    let key: Vec<u8> = (0..suite.key_len() as u8).map(|i| i.wrapping_mul(7) ^ seed).collect();
    let salt: Vec<u8> = (0..suite.salt_len() as u8).map(|i| i.wrapping_mul(11) ^ seed).collect();
    MasterKey::new(suite, &key, &salt).unwrap()
}

/// An RTP packet with a fixed header and a payload that depends on its index.
pub(crate) fn rtp(ssrc: u32, index: u64, payload: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend((index as u16).to_be_bytes());
    packet.extend((index as u32).wrapping_mul(3000).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..payload).map(|i| (i as u64).wrapping_mul(13).wrapping_add(index) as u8));
    packet
}

/// An RTCP receiver report without blocks, followed by `extra` bytes.
pub(crate) fn rtcp(ssrc: u32, extra: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..extra).map(|i| i as u8));
    packet
}

/// Seals one packet on its own.
pub(crate) fn seal(sealer: &mut Sealer, pool: &mut Pool, key: KeyId, packet: &[u8], index: u64) -> Vec<u8> {
    let buf = pool.copy_in(HEADROOM, packet).unwrap();
    let mut jobs = [Job::new(key, buf, 12, index)];
    sealer.protect(pool, &mut jobs);
    let [job] = jobs;
    assert_eq!(job.result, Ok(()));
    let sealed = pool.bytes(&job.buf).to_vec();
    pool.free(job.buf);
    sealed
}
