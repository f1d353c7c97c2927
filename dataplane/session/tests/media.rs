//! Media both ways: what is bound, what is dropped, what is sent again.

mod common;

use common::*;
use plenum_contract::spec::Binding;
use plenum_packet::{DropReason, HEADROOM, Path};
use plenum_session::{Feedback, SessionEvent};
use plenum_wire::{Plan, rtp};
use std::time::Duration;

fn nack(world: &mut World, ssrc: u32, sequences: &[u16]) {
    let packet = world.peer.rtcp_packet(|w| {
        w.nack(1, ssrc, sequences).unwrap();
    });
    world.send(packet);
}

fn bound(world: &mut World) -> Vec<Binding> {
    world.events.extend(world.session.events());
    let bound = |e: &SessionEvent| match e {
        SessionEvent::Bound(b) => Some(b.clone()),
        _ => None,
    };
    world.events.iter().filter_map(bound).collect()
}

#[test]
fn a_packet_comes_in_decrypted_and_its_ssrc_is_bound_by_its_mid() {
    let mut world = World::connected();
    let packet = audio(&mut world, 1);
    deliver(&mut world, packet).unwrap();
    let incoming = &world.incoming[0];
    assert_eq!((incoming.media, incoming.encoding, incoming.codec_index), (0, 0, 0));
    assert_eq!((incoming.header.sequence, incoming.header.ssrc), (1, THEIR_AUDIO));
    let bytes = world.pool.bytes(&incoming.buf);
    let (start, len) = (usize::from(incoming.payload.0), usize::from(incoming.payload.1));
    assert_eq!(&bytes[start..start + len], b"opus");
    assert_eq!(incoming.values.mid.unwrap().of(bytes), b"0");
    let binding = Binding { ssrc: THEIR_AUDIO, media: 0, encoding: 0, rtx: false };
    assert_eq!(bound(&mut world), std::slice::from_ref(&binding));
    assert!(world.session.bindings().eq([binding]));
    let again = audio(&mut world, 2);
    deliver(&mut world, again).unwrap();
    assert_eq!(bound(&mut world).len(), 1, "bound once");
    world.free_incoming();
    assert_eq!(world.pool.in_use(), 0);
}

#[test]
fn a_replayed_packet_a_wrong_tag_and_a_forged_ssrc_change_nothing() {
    let mut world = World::connected();
    let packet = audio(&mut world, 1);
    let mut wrong = audio(&mut world, 2);
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(deliver(&mut world, wrong), Err(DropReason::BadTag));
    assert!(bound(&mut world).is_empty(), "nothing is bound before authentication");
    deliver(&mut world, packet.clone()).unwrap();
    assert_eq!(deliver(&mut world, packet.clone()), Err(DropReason::Replayed));
    let mut forged = packet;
    forged[8..12].copy_from_slice(&THEIR_VIDEO.to_be_bytes());
    assert_eq!(deliver(&mut world, forged), Err(DropReason::BadTag));
    assert_eq!(deliver(&mut world, vec![0x90; 20]), Err(DropReason::MalformedRtp));
    assert_eq!(bound(&mut world).len(), 1);
    world.free_incoming();
    assert_eq!(world.pool.in_use(), 0);
}

#[test]
fn nothing_is_opened_before_there_are_keys() {
    let mut world = World::new();
    let mut rtp = vec![0x80; 60];
    rtp[1] = AUDIO_PT;
    assert_eq!(deliver(&mut world, rtp), Err(DropReason::NoKeys));
    let rtcp = vec![0x80, 201, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(deliver(&mut world, rtcp), Err(DropReason::NoKeys));
}

#[test]
fn signalled_ssrcs_need_no_mid_and_unique_payload_types_bind_what_says_nothing_else() {
    let mut world = World::connected();
    let video = world.peer.rtp_packet(THEIR_VIDEO, VIDEO_PT, 5, 0, &[], b"frame");
    deliver(&mut world, video).unwrap();
    let audio = world.peer.rtp_packet(0xbeef, AUDIO_PT, 5, 0, &[], b"opus");
    deliver(&mut world, audio).unwrap();
    let at: Vec<_> = world.incoming.iter().map(|i| i.media).collect();
    assert_eq!(at, [1, 0]);
    let stranger = world.peer.rtp_packet(0xdead, 99, 5, 0, &[], b"?");
    assert_eq!(deliver(&mut world, stranger), Err(DropReason::UnknownSsrc));
    let elsewhere = world.peer.rtp_packet(0xdeae, AUDIO_PT, 5, 0, &[(MID_ID, b"7")], b"?");
    assert_eq!(deliver(&mut world, elsewhere), Err(DropReason::UnknownSsrc));
    let other_payload = world.peer.rtp_packet(THEIR_VIDEO, 99, 6, 0, &[], b"?");
    assert_eq!(deliver(&mut world, other_payload), Err(DropReason::UnknownPayloadType));
}

#[test]
fn simulcast_encodings_are_bound_by_rid_and_their_repairs_by_rrid() {
    let mut world = World::with(udp4(), |spec| {
        let source = spec.media[1].source.as_mut().unwrap();
        source.ssrcs.clear();
        source.rids = vec!["lo".into(), "hi".into()];
    });
    world.connect();
    for (ssrc, rid) in [(1, b"hi"), (2, b"lo")] {
        let packet = world.peer.rtp_packet(ssrc, VIDEO_PT, 9, 0, &[(MID_ID, b"1"), (RID_ID, rid)], b"frame");
        deliver(&mut world, packet).unwrap();
    }
    let osn_and_frame = [0, 10, b'f'];
    let repair = [(MID_ID, &b"1"[..]), (RRID_ID, b"hi")];
    let packet = world.peer.rtp_packet(3, VIDEO_RTX_PT, 70, 0, &repair, &osn_and_frame);
    deliver(&mut world, packet).unwrap();
    let seen: Vec<_> = world.incoming.iter().map(|i| (i.encoding, i.header.ssrc, i.retransmitted)).collect();
    assert_eq!(seen, [(1, 1, false), (0, 2, false), (1, 1, true)]);
    let no_rid = world.peer.rtp_packet(4, VIDEO_PT, 9, 0, &[(MID_ID, b"1")], b"frame");
    assert_eq!(deliver(&mut world, no_rid), Err(DropReason::UnknownSsrc));
    let bad_rid = world.peer.rtp_packet(5, VIDEO_PT, 9, 0, &[(MID_ID, b"1"), (RID_ID, b"xx")], b"frame");
    assert_eq!(deliver(&mut world, bad_rid), Err(DropReason::UnknownSsrc));
    assert_eq!(
        bound(&mut world).iter().map(|b| (b.ssrc, b.rtx)).collect::<Vec<_>>(),
        [(1, false), (2, false), (3, true)]
    );
}

#[test]
fn a_retransmission_comes_in_as_the_packet_that_was_lost() {
    let mut world = World::connected();
    for index in [100, 102] {
        let packet = world.peer.rtp_packet(THEIR_VIDEO, VIDEO_PT, index, 7, &[], b"frame");
        deliver(&mut world, packet).unwrap();
    }
    let mut lost = 101u16.to_be_bytes().to_vec();
    lost.extend_from_slice(b"lost!");
    let rtx = world.peer.rtp_packet(THEIR_RTX, VIDEO_RTX_PT, 1, 7, &[], &lost);
    deliver(&mut world, rtx).unwrap();
    let incoming = world.incoming.last().unwrap();
    assert_eq!((incoming.header.sequence, incoming.header.ssrc), (101, THEIR_VIDEO));
    assert_eq!((incoming.header.payload_type, incoming.retransmitted), (VIDEO_PT, true));
    let (start, len) = (usize::from(incoming.payload.0), usize::from(incoming.payload.1));
    assert_eq!(&world.pool.bytes(&incoming.buf)[start..start + len], b"lost!");

    let late = world.peer.rtp_packet(THEIR_VIDEO, VIDEO_PT, 101, 7, &[], b"lost!");
    assert_eq!(deliver(&mut world, late), Err(DropReason::Duplicate));
    let again = world.peer.rtp_packet(THEIR_RTX, VIDEO_RTX_PT, 2, 7, &[], &lost);
    assert_eq!(deliver(&mut world, again), Err(DropReason::Duplicate));
    let probe = world.peer.rtp_packet(THEIR_RTX, VIDEO_RTX_PT, 3, 7, &[], &[]);
    assert_eq!(deliver(&mut world, probe), Err(DropReason::Padding));
    let stub = world.peer.rtp_packet(THEIR_RTX, VIDEO_RTX_PT, 4, 7, &[], &[1]);
    assert_eq!(deliver(&mut world, stub), Err(DropReason::MalformedRtp));
}

#[test]
fn padding_is_no_media() {
    let mut world = World::connected();
    let mut packet = vec![0; 12 + 100];
    let fields =
        rtp::Fields { payload_type: VIDEO_PT, sequence: 9, ssrc: THEIR_VIDEO, padding: true, ..Default::default() };
    rtp::write_header(&mut packet, &fields).unwrap();
    packet[111] = 100;
    let sealed = world.peer.seal(&packet, 9);
    deliver(&mut world, sealed).unwrap();
    let empty = world.incoming.pop().unwrap();
    assert_eq!((empty.header.sequence, empty.payload.1), (9, 0), "its number closes a gap");
    world.pool.free(empty.buf);
    packet[8..12].copy_from_slice(&THEIR_RTX.to_be_bytes());
    packet[1] = VIDEO_RTX_PT;
    let sealed = world.peer.seal(&packet, 9);
    assert_eq!(deliver(&mut world, sealed), Err(DropReason::Padding), "a probe stands for no packet");
    packet[8..12].copy_from_slice(&THEIR_VIDEO.to_be_bytes());
    packet[1] = VIDEO_PT;
    packet[3] = 10;
    packet[12..17].copy_from_slice(b"frame");
    packet[111] = 95;
    let sealed = world.peer.seal(&packet, 10);
    deliver(&mut world, sealed).unwrap();
    assert_eq!(world.incoming[0].payload.1, 5);
    packet[3] = 11;
    packet[111] = 101;
    let sealed = world.peer.seal(&packet, 11);
    assert_eq!(deliver(&mut world, sealed), Err(DropReason::MalformedRtp));
}

#[test]
fn plans_leave_as_packets_of_the_slot() {
    let mut world = World::connected();
    send(&mut world, 0, 65_535, b"first");
    send(&mut world, 0, 0, b"second");
    send(&mut world, 1, 40, b"frame");
    world.run(Duration::from_millis(100));
    // Probes follow on the RTX SSRC.
    world.peer.rtp.retain(|p| rtp::ssrc(p) != Ok(OUR_RTX));
    let got: Vec<_> = world.peer.rtp.iter().map(|p| rtp::parse(p).unwrap()).collect();
    let seen: Vec<_> = got.iter().map(|h| (h.ssrc, h.payload_type, h.sequence, h.marker)).collect();
    assert_eq!(
        seen,
        [(OUR_AUDIO, AUDIO_PT, 65_535, true), (OUR_AUDIO, AUDIO_PT, 0, true), (OUR_VIDEO, VIDEO_PT, 40, true)]
    );
    assert!(world.peer.rtp[2].ends_with(b"frame"));
    let map = plenum_wire::ext::ExtensionMap::new([
        (MID_ID, plenum_wire::ext::Kind::Mid),
        (TWCC_ID, plenum_wire::ext::Kind::TransportSequence),
    ]);
    let values: Vec<_> = world.peer.rtp.iter().zip(&got).map(|(p, h)| plenum_wire::ext::read(&map, h, p)).collect();
    assert_eq!(values[0].mid.unwrap().of(&world.peer.rtp[0]), b"0");
    let numbers: Vec<_> = values.iter().map(|v| v.transport_sequence.unwrap()).collect();
    assert_eq!(numbers[1], numbers[0].wrapping_add(1));
    assert_eq!(numbers[2], numbers[0].wrapping_add(2));
    assert!(world.peer.opened_errors.is_empty());
}

#[test]
fn mgmt_32_without_smoothing_a_large_frame_leaves_at_once_and_with_it_in_its_time() {
    let sent_at_once = |smoothing: bool| {
        let mut world = World::connected();
        world.session.set_smoothing(smoothing);
        world.run(Duration::from_millis(100));
        world.peer.rtp.clear();
        for sequence in 0..100 {
            send(&mut world, 1, sequence, &[7; 1100]);
        }
        world.run(Duration::from_millis(20));
        world.peer.rtp.iter().filter(|p| rtp::ssrc(p) == Ok(OUR_VIDEO)).count()
    };
    assert_eq!(sent_at_once(false), 100);
    assert!(sent_at_once(true) < 50, "100 packets are more than 60 ms of the estimate");
}

#[test]
fn plans_that_cannot_leave_are_refused_with_a_reason() {
    let mut world = World::new();
    let early = plan(&mut world, 0, 1, b"x");
    assert_eq!(world.session.enqueue(world.now, early), Err(DropReason::NoPath));
    world.connect();
    let elsewhere = Plan { media: 2, ..early };
    assert_eq!(world.session.enqueue(world.now, elsewhere), Err(DropReason::UnknownSsrc));
    let codec = Plan { payload_type: 99, ..early };
    assert_eq!(world.session.enqueue(world.now, codec), Err(DropReason::UnknownPayloadType));
    send(&mut world, 0, 7, b"once");
    send(&mut world, 0, 7, b"twice");
    world.run(Duration::from_millis(50));
    assert_eq!(world.peer.rtp.len(), 1, "an index is sealed once");
    assert_eq!(world.released.drops.get(DropReason::Duplicate), 1);
}

#[test]
fn a_lost_packet_is_sent_again_on_the_rtx_ssrc_and_not_twice_in_a_round_trip() {
    let mut world = World::plain();
    for sequence in 10..15 {
        send(&mut world, 1, sequence, &[sequence as u8; 20]);
    }
    world.run(Duration::from_millis(100));
    assert_eq!(world.peer.rtp.len(), 5);
    nack(&mut world, OUR_VIDEO, &[11, 13]);
    nack(&mut world, OUR_VIDEO, &[11]);
    nack(&mut world, OUR_VIDEO, &[9, 15]);
    nack(&mut world, 0x9999, &[11]);
    world.run(Duration::from_millis(60));
    let again: Vec<_> = world.peer.rtp[5..].to_vec();
    let headers: Vec<_> = again.iter().map(|p| rtp::parse(p).unwrap()).collect();
    assert_eq!(headers.iter().map(|h| (h.ssrc, h.payload_type)).collect::<Vec<_>>(), [(OUR_RTX, VIDEO_RTX_PT); 2]);
    assert_eq!(headers[1].sequence, headers[0].sequence.wrapping_add(1));
    for (packet, header, original) in [(&again[0], headers[0], 11u8), (&again[1], headers[1], 13)] {
        let payload = &packet[usize::from(header.payload_start)..];
        assert_eq!(payload[..2], [0, original]);
        assert_eq!(payload[2..], [original; 20]);
        assert_eq!(header.timestamp, 90 * u32::from(original));
    }
    world.run(Duration::from_millis(300));
    nack(&mut world, OUR_VIDEO, &[11]);
    world.run(Duration::from_millis(60));
    assert_eq!(world.peer.rtp.len(), 8, "asked for again after a round trip: sent again");
}

#[test]
fn a_peer_without_rtx_gets_the_same_sealed_bytes_again() {
    let mut world = World::with(udp4(), |spec| {
        spec.media[1].codecs[0].rtx = None;
        spec.media[1].slot.as_mut().unwrap().rtx_ssrc = None;
    });
    world.connect();
    let mut n = 0;
    let lost = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let kept = lost.clone();
    world.lose = Box::new(move |to_session, _: &Path, bytes: &[u8]| {
        let video = !to_session && bytes.len() > 12 && bytes[8..12] == OUR_VIDEO.to_be_bytes();
        n += usize::from(video);
        if video && n == 2 {
            *kept.borrow_mut() = bytes.to_vec();
        }
        video && n == 2
    });
    for sequence in 10..13 {
        send(&mut world, 1, sequence, &[sequence as u8; 20]);
    }
    world.run(Duration::from_millis(100));
    assert_eq!(world.peer.rtp.len(), 2);
    let sealed = lost.clone();
    world.lose = Box::new(move |to_session, _, bytes| {
        if !to_session && bytes.len() > 12 && bytes[8..12] == OUR_VIDEO.to_be_bytes() {
            assert_eq!(bytes, &sealed.borrow()[..], "byte for byte");
        }
        false
    });
    nack(&mut world, OUR_VIDEO, &[11]);
    world.run(Duration::from_millis(60));
    assert_eq!(world.peer.rtp.len(), 3);
    assert!(world.peer.rtp[2].ends_with(&[11; 20]));
    assert!(world.peer.opened_errors.is_empty());
}

#[test]
fn a_lost_picture_that_is_gone_for_good_asks_for_a_key_frame() {
    let mut world = World::plain();
    let buf = world.pool.copy_in(HEADROOM, b"frame").unwrap();
    let payload = world.pool.reference(&buf);
    let first = Plan { payload, ..plan(&mut world, 1, 20, b"x") };
    world.session.enqueue(world.now, first).unwrap();
    send(&mut world, 1, 22, b"later");
    world.run(Duration::from_millis(50));
    nack(&mut world, OUR_VIDEO, &[20, 23]);
    world.run(Duration::from_millis(50));
    assert!(world.feedback.is_empty(), "it can be sent again");
    world.pool.free(buf);
    world.run(Duration::from_millis(300));
    nack(&mut world, OUR_VIDEO, &[20]);
    world.run(Duration::from_millis(50));
    assert_eq!(world.feedback, [Feedback::KeyFrame { media: 1 }]);
    world.feedback.clear();
    nack(&mut world, OUR_VIDEO, &[21]);
    world.run(Duration::from_millis(50));
    assert!(world.feedback.is_empty(), "it never left, and may still come");
}

#[test]
fn an_evicted_payload_is_not_sent() {
    let mut world = World::plain();
    let buf = world.pool.copy_in(HEADROOM, b"gone").unwrap();
    let reference = world.pool.reference(&buf);
    world.pool.free(buf);
    let gone = Plan { payload: reference, ..plan(&mut world, 0, 5, b"x") };
    world.session.enqueue(world.now, gone).unwrap();
    world.run(Duration::from_millis(50));
    assert!(world.peer.rtp.is_empty());
    assert_eq!(world.released.drops.get(DropReason::Evicted), 1);
}

#[test]
fn a_slot_that_is_switched_off_and_on_goes_on_counting() {
    let mut world = World::plain();
    send(&mut world, 1, 500, b"frame");
    world.run(Duration::from_millis(50));
    let mut spec = world.session.spec().clone();
    let slot = spec.media[1].slot.take();
    spec.revision += 1;
    world.session.apply(&spec).unwrap();
    spec.media[1].slot = slot;
    spec.revision += 1;
    world.session.apply(&spec).unwrap();
    send(&mut world, 1, 500, b"again");
    send(&mut world, 1, 501, b"next");
    world.run(Duration::from_millis(50));
    assert_eq!(world.peer.rtp.len(), 2);
    assert_eq!(world.released.drops.get(DropReason::Duplicate), 1);
}
