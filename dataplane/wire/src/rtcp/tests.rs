//! RTCP: what is written is read back, hand-made packets of the drafts, hostile lists, arbitrary bytes.

use super::*;
use crate::NoRoom;
use plenum_packet::{Bitrate, Time};

fn written(f: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = vec![0xee; 1500];
    let mut writer = Writer::new(&mut out);
    f(&mut writer);
    let len = writer.len();
    out.truncate(len);
    out
}

fn only(bytes: &[u8]) -> Packet<'_> {
    let mut packets = parse(bytes).unwrap();
    let packet = packets.next().unwrap();
    assert!(packets.next().is_none());
    packet
}

const BLOCK: ReportBlock = ReportBlock {
    ssrc: 7,
    fraction_lost: 12,
    cumulative_lost: -3,
    highest_sequence: 0x0001_fffe,
    jitter: 90,
    last_sender_report: 0x1234_5678,
    delay_since_last: 65536,
};

#[test]
fn a_compound_of_reports_is_read_back_in_order() {
    let bytes = written(|w| {
        w.sender_report(1, 0x0102_0304_0506_0708, 9000, (10, 1000), &[BLOCK, BLOCK]).unwrap();
        w.receiver_report(2, &[BLOCK]).unwrap();
        w.sdes(&[(1, b"plenum"), (2, b""), (3, b"a")]).unwrap();
        w.bye(&[1, 2]).unwrap();
    });
    let packets: Vec<_> = parse(&bytes).unwrap().collect();
    let [Packet::SenderReport(sr), Packet::ReceiverReport(rr), Packet::Sdes(sdes), Packet::Bye(bye)] = &packets[..]
    else {
        panic!("{packets:?}");
    };
    assert_eq!((sr.ssrc, sr.ntp, sr.rtp_timestamp), (1, 0x0102_0304_0506_0708, 9000));
    assert_eq!((sr.packet_count, sr.octet_count), (10, 1000));
    assert_eq!(sr.reports().collect::<Vec<_>>(), [BLOCK, BLOCK]);
    assert_eq!((rr.ssrc, rr.reports().collect::<Vec<_>>()), (2, vec![BLOCK]));
    let names: Vec<_> = sdes.chunks().map(|c| (c.ssrc, c.cname().unwrap())).collect();
    assert_eq!(names, [(1, &b"plenum"[..]), (2, b""), (3, b"a")]);
    assert_eq!((bye.sources().collect::<Vec<_>>(), bye.reason), (vec![1, 2], None));
}

#[test]
fn a_goodbye_may_have_a_reason() {
    let bytes = [0x81, 203, 0, 2, 0, 0, 0, 9, 2, b'o', b'k', 0];
    let Packet::Bye(bye) = only(&bytes) else { panic!() };
    assert_eq!((bye.sources().collect::<Vec<_>>(), bye.reason), (vec![9], Some(&b"ok"[..])));
}

#[test]
fn feedback_may_stand_alone() {
    let bytes = written(|w| w.pli(1, 2).unwrap());
    assert!(matches!(only(&bytes), Packet::Pli(Pli { sender_ssrc: 1, media_ssrc: 2 })));
    let bytes = written(|w| w.fir(1, &[(2, 7), (3, 8)]).unwrap());
    let Packet::Fir(fir) = only(&bytes) else { panic!() };
    let entries: Vec<_> = fir.entries().map(|e| (e.ssrc, e.sequence)).collect();
    assert_eq!((fir.sender_ssrc, entries), (1, vec![(2, 7), (3, 8)]));
}

#[test]
fn missing_numbers_are_packed_across_the_wrap_and_read_back() {
    let missing = [65530, 65535, 0, 10, 11, 500, 501, 517, 518];
    let bytes = written(|w| assert_eq!(w.nack(1, 2, &missing), Ok(missing.len())));
    assert_eq!(bytes.len(), 12 + 4 * 4);
    let Packet::Nack(nack) = only(&bytes) else { panic!() };
    assert_eq!((nack.sender_ssrc, nack.media_ssrc), (1, 2));
    assert_eq!(nack.sequences().collect::<Vec<_>>(), missing);
}

#[test]
fn a_list_that_does_not_fit_is_taken_in_parts() {
    let mut out = [0; 20];
    let mut w = Writer::new(&mut out);
    assert_eq!(w.nack(1, 2, &[1, 100, 200]), Ok(2));
    assert_eq!(w.nack(1, 2, &[200]), Err(NoRoom));
    assert_eq!((w.len(), w.room()), (20, 0));
    assert_eq!(w.receiver_report(1, &[]), Err(NoRoom));
    let mut out = [0; 2000];
    assert_eq!(Writer::new(&mut out).receiver_report(1, &[BLOCK; 32]), Err(NoRoom));
}

#[test]
fn an_estimate_keeps_18_significant_bits() {
    for (bps, read) in [(0, 0), (262_143, 262_143), (1_000_001, 1_000_000), (u64::MAX, 0x3_ffff << 46)] {
        let bytes = written(|w| w.remb(1, Bitrate(bps), &[5, 6]).unwrap());
        let Packet::Remb(remb) = only(&bytes) else { panic!() };
        assert_eq!((remb.bitrate, remb.ssrcs().collect::<Vec<_>>()), (Bitrate(read), vec![5, 6]));
    }
    let mut bytes = written(|w| w.remb(1, Bitrate(u64::MAX), &[5]).unwrap());
    bytes[17] = 0xff;
    let Packet::Remb(remb) = only(&bytes) else { panic!() };
    assert_eq!(remb.bitrate, Bitrate::MAX);
}

fn feedback(base: u64, arrivals: &[Arrival]) -> (Vec<u8>, usize) {
    let mut consumed = 0;
    let bytes = written(|w| consumed = w.transport_feedback(1, 2, 3, base, arrivals).unwrap());
    (bytes, consumed)
}

fn statuses(bytes: &[u8]) -> Vec<(u16, Option<i64>)> {
    let Packet::TransportFeedback(f) = only(bytes) else { panic!("{:?}", only(bytes)) };
    f.statuses().map(|s| (s.sequence, s.arrival)).collect()
}

#[test]
fn arrivals_are_reported_in_ticks_with_the_lost_between_them() {
    let at = |us: u64| Time(us * 1000);
    let base = (3 << 16) - 2;
    let arrivals =
        [(base, at(1_000_000)), (base + 1, at(1_000_300)), (base + 4, at(999_000)), (base + 5, at(1_300_000))];
    let (bytes, consumed) = feedback(base - 1, &arrivals);
    assert_eq!((consumed, bytes.len() % 4), (4, 0));
    let Packet::TransportFeedback(f) = only(&bytes) else { panic!() };
    assert_eq!((f.sender_ssrc, f.media_ssrc, f.feedback_count), (1, 2, 3));
    assert_eq!((f.base_sequence, f.status_count, f.reference_time), (65533, 7, 15));
    let expected = [(65533, None), (65534, Some(4000)), (65535, Some(4001)), (0, None), (1, None)];
    assert_eq!(statuses(&bytes)[..5], expected);
    assert_eq!(statuses(&bytes)[5..], [(2, Some(3996)), (3, Some(5200))]);
}

#[test]
fn a_feedback_ends_where_the_room_or_the_delta_does() {
    let arrivals: Vec<Arrival> = (0..2000).map(|i| (70_000 + i, Time::from_millis(i))).collect();
    let mut out = [0; 503];
    let mut w = Writer::new(&mut out);
    let consumed = w.transport_feedback(1, 2, 0, 70_000, &arrivals).unwrap();
    assert_eq!((consumed, w.len()), (478, 500));
    let len = w.len();
    assert_eq!(statuses(&out[..len]).len(), 478);

    let far = [(1, Time::from_millis(0)), (2, Time::from_millis(8191)), (3, Time::from_millis(16_400))];
    assert_eq!(feedback(1, &far).1, 2);
    assert_eq!(feedback(1, &[(1, Time::ZERO), (u64::from(MAX_STATUSES) + 1, Time::ZERO)]).1, 1);
    assert_eq!(feedback(1, &[(1, Time::ZERO), (u64::from(MAX_STATUSES), Time::ZERO)]).1, 2);
    assert_eq!(statuses(&feedback(1, &[(100_000, Time::ZERO)]).0), [(100_000u32 as u16, Some(0))]);
    assert_eq!(Writer::new(&mut [0; 20]).transport_feedback(1, 2, 0, 1, &[(1, Time::ZERO)]), Err(NoRoom));
    assert_eq!(Writer::new(&mut [0; 24]).transport_feedback(1, 2, 0, 1, &[(1, Time::ZERO)]), Ok(1));
}

#[test]
fn a_large_delta_after_a_half_full_vector_keeps_the_order() {
    // Eleven small symbols, then a large one: the vector of small ones is not full and must not be written as such.
    let mut arrivals: Vec<Arrival> = (0..10).map(|i| (1 + i, Time::ZERO)).collect();
    arrivals.extend([(12, Time::ZERO), (13, Time::from_millis(100))]);
    let got: Vec<_> = statuses(&feedback(1, &arrivals).0).into_iter().filter_map(|(s, a)| Some((s, a?))).collect();
    let want: Vec<_> = arrivals.iter().map(|&(s, t)| (s as u16, t.millis() as i64 * 4)).collect();
    assert_eq!(got, want);
}

#[test]
fn each_kind_of_chunk_is_read() {
    // Base 5, 26 packets, reference time 1: 6 × lost (run), a 14-symbol vector, a 7-symbol vector of which 6 count.
    let mut bytes = vec![0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 5, 0, 26, 0, 0, 1, 9];
    bytes.extend([0x00, 0x06]);
    bytes.extend((0x8000u16 | 0b10_0000_0000_0001).to_be_bytes());
    bytes.extend((0xc000u16 | 0b01_10_00_00_00_10_11).to_be_bytes());
    bytes.extend([4, 5, 6, 0xff, 0xfe, 0x01, 0x00]);
    bytes.extend([0, 0, 0]);
    bytes[3] = (bytes.len() / 4 - 1) as u8;
    let got: Vec<_> = statuses(&bytes).into_iter().filter_map(|(s, a)| Some((s, a?))).collect();
    assert_eq!(got, [(11, 260), (24, 265), (25, 271), (26, 269), (30, 525)]);
}

#[test]
fn a_feedback_that_lies_about_its_lists_is_broken() {
    let broken = |tail: &[u8], count: u16, error: Malformed| {
        let mut bytes = vec![0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 5];
        bytes.extend(count.to_be_bytes());
        bytes.extend([0, 0, 1, 9]);
        bytes.extend(tail);
        bytes[3] = (bytes.len() / 4 - 1) as u8;
        match only(&bytes) {
            Packet::Broken { packet_type: 205, format: 15, error: got } => assert_eq!(got, error),
            other => panic!("{other:?}"),
        }
    };
    broken(&[], 1, Malformed::Truncated);
    broken(&[0x20, 3, 0, 0], 3, Malformed::Truncated);
    broken(&[0x60, 1, 0, 0], 1, Malformed::Value);
    broken(&[0xf0, 0, 0, 0], 2, Malformed::Value);
    broken(&[0, 0, 0, 0], 1, Malformed::Truncated);
    broken(&[0x1f, 0xff, 0x1f, 0xff], MAX_STATUSES + 1, Malformed::TooLarge);
}

#[test]
fn a_broken_body_does_not_spoil_its_neighbours() {
    let mut bytes = written(|w| {
        w.pli(1, 2).unwrap();
        w.receiver_report(3, &[]).unwrap();
        w.pli(4, 5).unwrap();
    });
    bytes[12] = 0x81;
    let packets: Vec<_> = parse(&bytes).unwrap().collect();
    let broken = Packet::Broken { packet_type: 201, format: 1, error: Malformed::Truncated };
    assert!(matches!(&packets[..], [Packet::Pli(_), p, Packet::Pli(_)] if format!("{p:?}") == format!("{broken:?}")));
}

#[test]
fn wrong_framing_spoils_the_datagram() {
    let good = written(|w| w.pli(1, 2).unwrap());
    assert_eq!(parse(&[]).err(), Some(Malformed::Truncated));
    assert_eq!(parse(&good[..11]).err(), Some(Malformed::Length));
    assert_eq!(parse(&[&good[..], &[0x80]].concat()).err(), Some(Malformed::Truncated));
    assert_eq!(parse(&[0x41, 200, 0, 0]).err(), Some(Malformed::Version));
    assert_eq!(parse(&[0xa1, 200, 0, 0]).err(), Some(Malformed::Padding));
    assert_eq!(parse(&[0xa1, 200, 0, 1, 0, 0, 0, 5]).err(), Some(Malformed::Padding));
}

#[test]
fn what_is_not_known_is_passed_over_with_its_body() {
    let bytes = [0xa3, 207, 0, 2, 1, 2, 3, 4, 0, 0, 0, 4];
    assert!(matches!(only(&bytes), Packet::Unknown { packet_type: 207, format: 3, body: [1, 2, 3, 4] }));
    let bytes = [0x8f, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, b'A', b'B', b'C', b'D'];
    assert!(matches!(only(&bytes), Packet::Unknown { packet_type: 206, format: 15, .. }));
}

/// Walks every list of a datagram; returns the number of entries, so that nothing is optimised away.
fn walk(bytes: &[u8]) -> usize {
    let Ok(packets) = parse(bytes) else { return 0 };
    packets
        .map(|packet| match packet {
            Packet::SenderReport(p) => p.reports().count(),
            Packet::ReceiverReport(p) => p.reports().count(),
            Packet::Sdes(p) => p.chunks().map(|c| c.items().count()).sum(),
            Packet::Bye(p) => p.sources().count(),
            Packet::Nack(p) => p.sequences().count(),
            Packet::Fir(p) => p.entries().count(),
            Packet::Remb(p) => p.ssrcs().count(),
            Packet::TransportFeedback(p) => {
                let n = p.statuses().count();
                assert_eq!(n, usize::from(p.status_count));
                n
            }
            Packet::Pli(_) | Packet::Unknown { .. } | Packet::Broken { .. } => 0,
        })
        .sum()
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_packets_or_an_error(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        walk(&bytes);
    }

    #[test]
    fn any_body_in_a_right_frame_gives_packets(
        packet_type in 200u8..208,
        format in 0u8..32,
        body in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
    ) {
        let mut bytes = vec![0x80 | format, packet_type, 0, (body.len() / 4) as u8];
        bytes.extend(&body[..body.len() / 4 * 4]);
        walk(&bytes);
    }

    #[test]
    fn any_arrivals_are_read_back(
        start in 65_000u64..200_000,
        steps in proptest::collection::vec((1u64..40, 0u64..100_000), 1..300),
        room in 24usize..1200,
    ) {
        let mut sequence = start;
        let arrivals: Vec<Arrival> = steps.iter().map(|&(step, us)| {
            sequence += step;
            (sequence, Time(1_000_000_000 + us * 1000))
        }).collect();
        let mut out = vec![0; room];
        let (mut rest, mut base) = (&arrivals[..], start + 1);
        while !rest.is_empty() {
            let mut w = Writer::new(&mut out);
            let Ok(consumed) = w.transport_feedback(1, 2, 0, base, rest) else {
                // A long run of lost packets may not fit: then the base moves up, and one arrival always fits.
                proptest::prop_assert!(base < rest[0].0);
                base = rest[0].0;
                continue;
            };
            let len = w.len();
            let got: Vec<_> = statuses(&out[..len]).into_iter().filter_map(|(s, a)| Some((s, a?))).collect();
            let want: Vec<_> = rest[..consumed].iter().map(|(s, t)| (*s as u16, (t.nanos() / 250_000) as i64)).collect();
            proptest::prop_assert_eq!(got, want);
            base = rest[consumed - 1].0 + 1;
            rest = &rest[consumed..];
        }
    }
}
