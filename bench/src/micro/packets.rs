//! The packets that micro benchmarks work on: what Chromium sends, as far as a parser can tell.

use plenum_packet::Bitrate;
use plenum_wire::ext::{ExtensionMap, Kind, Writer};
use plenum_wire::rtcp;
use plenum_wire::rtp::{self, Fields};

/// Extension ids as Chromium offers them for video.
pub(super) fn extensions() -> ExtensionMap {
    ExtensionMap::new([
        (2, Kind::AbsSendTime),
        (13, Kind::VideoOrientation),
        (3, Kind::TransportSequence),
        (9, Kind::Mid),
        (10, Kind::Rid),
    ])
}

/// A decrypted VP8 packet of `len` bytes: Chromium's extensions and a descriptor with a 15-bit picture id. The first packet of
/// frame 0 begins a key frame.
pub(super) fn vp8(map: &ExtensionMap, sequence: u16, frame: u16, part: u8, last: bool, len: usize) -> Vec<u8> {
    let mut packet = vec![0; len];
    let fields = Fields {
        marker: last,
        extension: true,
        payload_type: 96,
        sequence,
        timestamp: u32::from(frame) * 3000,
        ssrc: 0x1234_5678,
        ..Fields::default()
    };
    let at = rtp::write_header(&mut packet, &fields).expect("room for a header");
    let mut writer = Writer::new(map);
    writer.abs_send_time(77).transport_sequence(sequence).mid(b"1");
    let written = writer.write(&mut packet[at..]).expect("room for extensions");
    let payload = &mut packet[at + written.len..];
    let picture = 0x8000 | frame;
    payload[..6].copy_from_slice(&[
        0x80 | (u8::from(part == 0) << 4),
        0xe0,
        (picture >> 8) as u8,
        picture as u8,
        frame as u8,
        0x00,
    ]);
    if part == 0 {
        let delta = u8::from(frame != 0);
        payload[6..16].copy_from_slice(&[0x50 | delta, 0x12, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]);
    }
    packet
}

/// A STUN binding request that names `user`, without integrity: enough for finding its session.
pub(super) fn stun(user: &str) -> Vec<u8> {
    let padded = user.len().next_multiple_of(4);
    let mut message = vec![0, 1];
    message.extend_from_slice(&((padded + 4) as u16).to_be_bytes());
    message.extend_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
    message.extend_from_slice(&[7; 12]);
    message.extend_from_slice(&[0, 6]);
    message.extend_from_slice(&(user.len() as u16).to_be_bytes());
    message.extend_from_slice(user.as_bytes());
    message.resize(20 + 4 + padded, 0);
    message
}

/// A compound packet with a receiver report, a NACK and REMB.
pub(super) fn feedback() -> Vec<u8> {
    let mut bytes = [0; 512];
    let mut writer = rtcp::Writer::new(&mut bytes);
    writer.receiver_report(1, &[]).expect("room");
    writer.nack(1, 2, &[100, 101, 105, 300]).expect("room");
    writer.remb(1, Bitrate::kbps(2500), &[2]).expect("room");
    let len = writer.len();
    bytes[..len].to_vec()
}
