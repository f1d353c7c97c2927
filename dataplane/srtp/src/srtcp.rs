//! The SRTCP packet (RFC 3711 section 3.4, RFC 7714 section 9): the E flag, the 31-bit index, and where the tag stands.
//!
//! AES-CM puts the tag behind the index word, GCM in front of it. What we send is always encrypted; a packet without the E
//! flag is authenticated and taken, as the RFCs demand. Replay windows are the opener's.

use crate::suite::MAX_TAG;
use crate::transform::{CM_TAG, Transform};
use plenum_packet::{DropReason, SLOT_SIZE};

/// Bytes of an RTCP header with its SSRC: never encrypted.
pub(crate) const HEADER: usize = 8;
/// Bytes of the index word.
const WORD: usize = 4;
/// The E flag.
const ENCRYPTED: u32 = 1 << 31;
/// The first index that is too large.
pub(crate) const INDEX_END: u32 = 1 << 31;
/// Most bytes that sealing adds.
pub(crate) const MAX_OVERHEAD: usize = WORD + MAX_TAG;

/// What the clear parts of an SRTCP packet say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) ssrc: u32,
    pub(crate) index: u32,
    encrypted: bool,
    /// Bytes of the RTCP packet itself.
    pub(crate) len: usize,
}

/// Reads SSRC and index.
///
/// # Errors
/// [`DropReason::MalformedRtcp`] when the packet is too short, or longer than a slot.
pub(crate) fn trailer(transform: &Transform, packet: &[u8]) -> Result<Trailer, DropReason> {
    let overhead = WORD + transform.tag_len();
    if packet.len() < HEADER + overhead || packet.len() > SLOT_SIZE {
        return Err(DropReason::MalformedRtcp);
    }
    let len = packet.len() - overhead;
    let word_at = match transform {
        Transform::Gcm(_) => packet.len() - WORD,
        Transform::Cm(_) => len,
    };
    let word = read_u32(packet, word_at);
    Ok(Trailer { ssrc: read_u32(packet, 4), index: word & !ENCRYPTED, encrypted: word & ENCRYPTED != 0, len })
}

/// Authenticates and decrypts in place; `false` when the tag is wrong.
pub(crate) fn open(transform: &Transform, trailer: Trailer, packet: &mut [u8]) -> bool {
    let Trailer { ssrc, index, encrypted, len } = trailer;
    let index = u64::from(index);
    match transform {
        Transform::Gcm(gcm) => {
            let (packet, rest) = packet.split_at_mut(len);
            let (tag, word) = rest.split_at(rest.len() - WORD);
            if encrypted {
                let (header, payload) = packet.split_at_mut(HEADER);
                gcm.open(ssrc, index, &associated(header, word), payload, tag)
            } else {
                let mut all = [0; SLOT_SIZE];
                all[..len].copy_from_slice(packet);
                all[len..len + WORD].copy_from_slice(word);
                gcm.open(ssrc, index, &all[..len + WORD], &mut [], tag)
            }
        }
        Transform::Cm(cm) => {
            let (signed, tag) = packet.split_at_mut(len + WORD);
            if !cm.verify(signed, &[], tag) {
                return false;
            }
            if encrypted {
                cm.crypt(ssrc, index, &mut signed[HEADER..len]);
            }
            true
        }
    }
}

/// Encrypts the RTCP packet in `space[..len]` and appends index and tag; the length it has then. The caller has checked
/// that it has a header and that [`MAX_OVERHEAD`] more bytes fit.
pub(crate) fn seal(transform: &Transform, index: u32, space: &mut [u8], len: usize) -> usize {
    let ssrc = read_u32(space, 4);
    let word = (index | ENCRYPTED).to_be_bytes();
    match transform {
        Transform::Gcm(gcm) => {
            let (header, payload) = space[..len].split_at_mut(HEADER);
            let tag = gcm.seal(ssrc, u64::from(index), &associated(header, &word), payload);
            space[len..len + tag.len()].copy_from_slice(&tag);
            let end = len + tag.len() + WORD;
            space[end - WORD..end].copy_from_slice(&word);
            end
        }
        Transform::Cm(cm) => {
            cm.crypt(ssrc, u64::from(index), &mut space[HEADER..len]);
            space[len..len + WORD].copy_from_slice(&word);
            let tag = cm.mac.tag(&space[..len + WORD], &[]);
            let end = len + WORD + CM_TAG;
            space[len + WORD..end].copy_from_slice(&tag[..CM_TAG]);
            end
        }
    }
}

/// The associated data of an encrypted packet: its first eight bytes and the index word (RFC 7714 section 9.2).
fn associated(header: &[u8], word: &[u8]) -> [u8; HEADER + WORD] {
    let mut aad = [0; HEADER + WORD];
    aad[..HEADER].copy_from_slice(header);
    aad[HEADER..].copy_from_slice(word);
    aad
}

pub(crate) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
