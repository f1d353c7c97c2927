//! Header extensions: both forms written and read back, the standard's corner cases, and arbitrary bytes.

use super::*;
use crate::{NoRoom, rtp};
use plenum_packet::Time;

fn map() -> ExtensionMap {
    ExtensionMap::new((1..).zip(Kind::ALL))
}

/// A packet with the block that `writer` writes, and where things stand in the packet.
fn packet(writer: &Writer<'_>) -> (Vec<u8>, Written) {
    let mut out = vec![0xaa; 600];
    let fields = rtp::Fields { extension: !writer.is_empty(), payload_type: 96, ..Default::default() };
    let start = rtp::write_header(&mut out, &fields).unwrap();
    let written = writer.write(&mut out[start..]).unwrap();
    out.truncate(start + written.len);
    out.extend_from_slice(b"payload");
    (out, written)
}

#[test]
fn every_kind_is_read_back_in_the_one_byte_form() {
    let map = map();
    let mut writer = Writer::new(&map);
    writer
        .mid(b"0")
        .rid(b"hi")
        .repaired_rid(b"hi")
        .audio_level(0x80 | 30)
        .transport_sequence(7)
        .abs_send_time(0x01_0203);
    writer.abs_capture_time(1 << 40).playout_delay([1, 2, 3]).video_orientation(3).dependency_descriptor(&[9; 16]);
    let (bytes, _) = packet(&writer);
    let header = rtp::parse(&bytes).unwrap();
    assert_eq!(header.extension.unwrap().profile, 0xbede);
    assert_eq!(&bytes[usize::from(header.payload_start)..], b"payload");
    let values = read(&map, &header, &bytes);
    assert_eq!(values.mid.unwrap().of(&bytes), b"0");
    assert_eq!(values.rid.unwrap().of(&bytes), b"hi");
    assert_eq!(values.repaired_rid.unwrap().of(&bytes), b"hi");
    assert_eq!((values.audio_level, values.transport_sequence), (Some(0x80 | 30), Some(7)));
    assert_eq!((values.abs_send_time, values.abs_capture_time), (Some(0x01_0203), Some(1 << 40)));
    assert_eq!((values.playout_delay, values.video_orientation), (Some([1, 2, 3]), Some(3)));
    assert_eq!(values.dependency_descriptor.unwrap().of(&bytes), &[9; 16]);
}

#[test]
fn a_long_value_or_a_high_id_takes_the_two_byte_form() {
    let map = map();
    let long = [9; 17];
    let mut writer = Writer::new(&map);
    writer.mid(b"0").dependency_descriptor(&long);
    let (bytes, _) = packet(&writer);
    let header = rtp::parse(&bytes).unwrap();
    assert_eq!(header.extension.unwrap().profile, 0x1000);
    let values = read(&map, &header, &bytes);
    assert_eq!(values.mid.unwrap().of(&bytes), b"0");
    assert_eq!(values.dependency_descriptor.unwrap().of(&bytes), &long);

    let high = ExtensionMap::new([(16, Kind::AudioLevel), (255, Kind::TransportSequence)]);
    let mut writer = Writer::new(&high);
    writer.audio_level(5).transport_sequence(0xabcd);
    let (bytes, _) = packet(&writer);
    let values = read(&high, &rtp::parse(&bytes).unwrap(), &bytes);
    assert_eq!((values.audio_level, values.transport_sequence), (Some(5), Some(0xabcd)));
}

#[test]
fn sequence_and_send_time_are_stamped_in_later() {
    let map = map();
    for long in [&b"m"[..], &[b'm'; 20]] {
        let mut writer = Writer::new(&map);
        writer.mid(long).transport_sequence(0).abs_send_time(0);
        let (mut bytes, written) = packet(&writer);
        stamp_transport_sequence(&mut bytes, 12 + written.transport_sequence.unwrap(), 0xbeef);
        stamp_abs_send_time(&mut bytes, 12 + written.abs_send_time.unwrap(), 0x12_3456);
        let values = read(&map, &rtp::parse(&bytes).unwrap(), &bytes);
        assert_eq!((values.transport_sequence, values.abs_send_time), (Some(0xbeef), Some(0x12_3456)));
        stamp_transport_sequence(&mut bytes, usize::MAX, 1);
        stamp_abs_send_time(&mut bytes, usize::MAX, 1);
    }
}

#[test]
fn what_was_not_negotiated_is_not_written() {
    let map = ExtensionMap::new([(3, Kind::Mid)]);
    let mut writer = Writer::new(&map);
    writer.audio_level(1).transport_sequence(1);
    assert!(writer.is_empty());
    assert_eq!(writer.write(&mut []), Ok(Written::default()));
    writer.mid(b"");
    assert!(writer.is_empty());
    writer.mid(b"1");
    assert_eq!(writer.write(&mut [0; 7]), Err(NoRoom));
    assert_eq!(writer.write(&mut [0; 8]).unwrap().len, 8);
}

#[test]
fn a_map_takes_each_id_and_kind_once() {
    let map =
        ExtensionMap::new([(1, Kind::Mid), (1, Kind::Rid), (2, Kind::Mid), (0, Kind::Rid), (15, Kind::AudioLevel)]);
    assert_eq!((map.id_of(Kind::Mid), map.kind_of(1)), (Some(1), Some(Kind::Mid)));
    assert_eq!((map.id_of(Kind::Rid), map.kind_of(2), map.kind_of(0)), (None, None, None));
    assert_eq!((map.id_of(Kind::AudioLevel), map.kind_of(15), map.kind_of(200)), (None, None, None));
}

fn block(profile: u16, elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
    bytes.extend_from_slice(&profile.to_be_bytes());
    bytes.extend_from_slice(&((elements.len() / 4) as u16).to_be_bytes());
    bytes.extend_from_slice(elements);
    bytes
}

fn ids(profile: u16, bytes: &[u8]) -> Vec<(u8, u16)> {
    let packet = block(profile, bytes);
    let header = rtp::parse(&packet).unwrap();
    super::elements(header.extension.unwrap(), &packet).map(|(id, span)| (id, span.len)).collect()
}

#[test]
fn padding_is_skipped_and_id_15_ends_the_one_byte_form() {
    assert_eq!(ids(0xbede, &[0, 0x10, 7, 0, 0, 0x21, 1, 2]), [(1, 1), (2, 2)]);
    assert_eq!(ids(0xbede, &[0x10, 7, 0xf0, 0, 0x20, 7, 0, 0]), [(1, 1)]);
    assert_eq!(ids(0x1003, &[0, 5, 0, 15, 1, 9, 0, 0]), [(5, 0), (15, 1)]);
    assert_eq!(ids(0x4444, &[0x10, 7, 0, 0]), []);
}

#[test]
fn an_element_that_reaches_beyond_the_block_ends_the_reading() {
    assert_eq!(ids(0xbede, &[0x10, 7, 0x2f, 0]), [(1, 1)]);
    assert_eq!(ids(0x1000, &[1, 1, 7, 2]), [(1, 1)]);
    assert_eq!(ids(0x1000, &[1, 0, 2, 1]), [(1, 0)]);
}

#[test]
fn values_of_a_wrong_length_are_left_out() {
    let map = ExtensionMap::new([(1, Kind::TransportSequence), (2, Kind::AbsSendTime), (3, Kind::Mid)]);
    let packet = block(0x1000, &[1, 1, 7, 2, 2, 7, 7, 3, 0, 0, 0, 0]);
    assert_eq!(read(&map, &rtp::parse(&packet).unwrap(), &packet), Values::default());
}

#[test]
fn send_time_is_seconds_in_6_18_fixed_point() {
    assert_eq!(abs_send_time(Time::from_millis(1000)), 1 << 18);
    assert_eq!(abs_send_time(Time::from_millis(64_500)), 1 << 17);
    assert_eq!(abs_send_time(Time(63_999_999_999)), 0xff_ffff);
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_values_inside_the_packet(
        two_byte in proptest::bool::ANY,
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..120),
    ) {
        let whole = &bytes[..bytes.len() / 4 * 4];
        let packet = block(if two_byte { 0x1000 } else { 0xbede }, whole);
        let header = rtp::parse(&packet).unwrap();
        let values = read(&map(), &header, &packet);
        for span in [values.mid, values.rid, values.repaired_rid, values.dependency_descriptor].into_iter().flatten() {
            proptest::prop_assert!(span.of(&packet).len() == span.len() && !span.is_empty());
        }
    }
}
