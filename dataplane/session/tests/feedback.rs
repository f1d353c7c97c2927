//! What is reported, fed back and asked for again: reports, transport-wide feedback, congestion control, NACK, newer specs.

mod common;

use common::*;
use plenum_packet::{Bitrate, DropReason};
use plenum_session::Feedback;
use plenum_wire::{Plan, rtcp, rtp};
use std::time::Duration;

#[test]
fn reports_say_what_was_sent_and_key_frame_requests_reach_their_source() {
    let mut world = World::plain();
    send(&mut world, 1, 1, &[0; 100]);
    world.run(Duration::from_millis(1500));
    let reports = |world: &World| -> Vec<(u32, u32, u32)> {
        let packets = world.peer.rtcp.iter().flat_map(|b| rtcp::parse(b).unwrap());
        let sr = packets.filter_map(|p| match p {
            rtcp::Packet::SenderReport(r) => Some((r.ssrc, r.packet_count, r.octet_count)),
            _ => None,
        });
        sr.collect()
    };
    assert!(reports(&world).contains(&(OUR_VIDEO, 1, 100)), "{:?}", reports(&world));
    let cname = world.peer.rtcp.iter().flat_map(|b| rtcp::parse(b).unwrap()).any(|p| match p {
        rtcp::Packet::Sdes(s) => s.chunks().any(|c| c.ssrc == OUR_VIDEO && c.cname() == Some(b"plenum")),
        _ => false,
    });
    assert!(cname);

    world.peer.rtcp.clear();
    world.session.request_key_frame(1, 0);
    world.session.request_key_frame(1, 0);
    world.run(Duration::from_millis(30));
    let plis = world.peer.rtcp.iter().flat_map(|b| rtcp::parse(b).unwrap());
    let plis: Vec<_> = plis.filter(|p| matches!(p, rtcp::Packet::Pli(p) if p.media_ssrc == THEIR_VIDEO)).collect();
    assert_eq!(plis.len(), 1);
}

#[test]
fn what_the_peer_says_reaches_those_whom_it_concerns() {
    let mut world = World::connected();
    let packet = audio(&mut world, 1);
    deliver(&mut world, packet).unwrap();
    let compound = world.peer.rtcp_packet(|w| {
        w.sender_report(THEIR_AUDIO, 5 << 32, 77, (1, 4), &[]).unwrap();
        w.pli(1, OUR_VIDEO).unwrap();
        w.fir(1, &[(OUR_VIDEO, 3)]).unwrap();
        w.pli(1, 0x9999).unwrap();
        w.bye(&[THEIR_AUDIO]).unwrap();
    });
    deliver(&mut world, compound).unwrap();
    assert_eq!(
        world.feedback,
        [
            Feedback::SenderReport { media: 0, encoding: 0, ntp: 5 << 32, rtp: 77 },
            Feedback::KeyFrame { media: 1 },
            Feedback::Bye { media: 0, encoding: 0 },
        ]
    );
    let mut broken = world.peer.rtcp_packet(|w| w.pli(1, OUR_VIDEO).unwrap());
    *broken.last_mut().unwrap() ^= 1;
    assert_eq!(deliver(&mut world, broken), Err(DropReason::BadTag));
}

/// Feedback for transport-wide numbers among the peer's control packets: (base, number of packets received).
fn transport_feedback(world: &World) -> Vec<(u16, usize)> {
    let packets = world.peer.rtcp.iter().flat_map(|b| rtcp::parse(b).unwrap());
    let feedback = packets.filter_map(|p| match p {
        rtcp::Packet::TransportFeedback(f) => {
            Some((f.base_sequence, f.statuses().filter(|s| s.arrival.is_some()).count()))
        }
        _ => None,
    });
    feedback.collect()
}

#[test]
fn arrivals_are_fed_back_whatever_becomes_of_the_packets() {
    let mut world = World::connected();
    for index in 0..10u64 {
        let number = (100 + index as u16).to_be_bytes();
        let extensions = [(MID_ID, &b"0"[..]), (TWCC_ID, &number[..])];
        let packet = world.peer.rtp_packet(THEIR_AUDIO, AUDIO_PT, index, 0, &extensions, b"opus");
        world.send(packet);
    }
    let number = 110u16.to_be_bytes();
    let stranger = world.peer.rtp_packet(0xdead, 99, 0, 0, &[(TWCC_ID, &number)], b"?");
    world.send(stranger);
    world.run(Duration::from_millis(200));
    assert_eq!(transport_feedback(&world), [(100, 11)]);
    assert_eq!(world.drops, [DropReason::UnknownSsrc]);
    world.run(Duration::from_millis(300));
    assert_eq!(transport_feedback(&world).len(), 1, "nothing new, no feedback");
}

#[test]
fn congestion_control_probes_and_follows_the_feedback_of_the_peer() {
    let mut world = World::connected();
    world.peer.arrivals = Some(Default::default());
    let start = world.session.target_bitrate();
    let first = plan(&mut world, 1, 0, &[1; 900]);
    for sequence in 0..600 {
        let plan = Plan { sequence, timestamp: 900 * u32::from(sequence), received: world.now, ..first };
        world.session.enqueue(world.now, plan).unwrap();
        world.run(Duration::from_millis(10));
    }
    assert!(world.session.target_bitrate().bps() > 2 * start.bps(), "{:?}", world.session.target_bitrate());
    assert!(world.peer.rtp.iter().any(|p| rtp::ssrc(p) == Ok(OUR_RTX)), "probes use the RTX SSRC");
    assert!(world.peer.opened_errors.is_empty());
    assert_eq!(world.pool.in_use(), 1);
}

#[test]
fn a_path_is_probed_before_the_first_picture_as_soon_as_one_is_wanted() {
    let mut world = World::connected();
    world.peer.arrivals = Some(Default::default());
    let start = world.session.target_bitrate();
    world.session.set_wanted_bitrate(Bitrate::ZERO);
    let first = plan(&mut world, 0, 1, b"opus");
    for sequence in 0..200 {
        if sequence == 100 {
            assert!(world.peer.rtp.iter().all(|p| rtp::ssrc(p) == Ok(OUR_AUDIO)), "nobody needs a probe");
            world.session.set_wanted_bitrate(Bitrate::kbps(1500));
        }
        let plan = Plan { sequence, timestamp: 960 * u32::from(sequence), received: world.now, ..first };
        world.session.enqueue(world.now, plan).unwrap();
        world.run(Duration::from_millis(20));
    }
    assert!(world.session.target_bitrate().bps() > 2 * start.bps(), "{:?}", world.session.target_bitrate());
    let padding = world.peer.rtp.iter().filter(|p| rtp::ssrc(p) == Ok(OUR_RTX));
    assert!(padding.map(|p| rtp::parse(p).unwrap()).all(|h| h.padding && h.payload_type == VIDEO_RTX_PT));
    assert!(world.peer.opened_errors.is_empty());
}

fn nacked(world: &World) -> Vec<u16> {
    let packets = world.peer.rtcp.iter().flat_map(|b| rtcp::parse(b).unwrap());
    let lost = packets.filter_map(|p| match p {
        rtcp::Packet::Nack(n) if n.media_ssrc == THEIR_VIDEO => Some(n.sequences().collect::<Vec<_>>()),
        _ => None,
    });
    lost.flatten().collect()
}

#[test]
fn what_the_network_lost_is_asked_for_until_it_comes() {
    let mut world = World::connected();
    for index in [100, 101, 104] {
        let packet = world.peer.rtp_packet(THEIR_VIDEO, VIDEO_PT, index, 7, &[], b"frame");
        world.send(packet);
    }
    world.run(Duration::from_millis(60));
    assert_eq!(nacked(&world), [102, 103]);
    let rtx = world.peer.rtp_packet(THEIR_RTX, VIDEO_RTX_PT, 1, 7, &[], &[0, 102, b'f']);
    world.send(rtx);
    world.peer.rtcp.clear();
    world.run(Duration::from_millis(200));
    assert!(!nacked(&world).is_empty() && nacked(&world).iter().all(|s| *s == 103), "{:?}", nacked(&world));
    world.run(Duration::from_secs(2));
    world.peer.rtcp.clear();
    world.run(Duration::from_secs(1));
    assert!(nacked(&world).is_empty(), "given up");
    world.free_incoming();
    assert_eq!(world.pool.in_use(), 0, "giving up costs no slot");
}

#[test]
fn a_gap_that_cannot_be_repaired_asks_for_a_key_frame() {
    let mut world = World::connected();
    for index in [100, 1000] {
        let packet = world.peer.rtp_packet(THEIR_VIDEO, VIDEO_PT, index, 7, &[], b"frame");
        world.send(packet);
    }
    world.run(Duration::from_millis(60));
    let packets = world.peer.rtcp.iter().flat_map(|b| rtcp::parse(b).unwrap());
    let plis = packets.filter(|p| matches!(p, rtcp::Packet::Pli(p) if p.media_ssrc == THEIR_VIDEO));
    assert_eq!(plis.count(), 1);
    assert!(nacked(&world).is_empty());
}

#[test]
fn reports_tell_the_peer_what_was_lost_and_give_it_the_round_trip() {
    let mut world = World::connected();
    for index in (0..50u64).filter(|i| i % 5 != 4) {
        let packet =
            world.peer.rtp_packet(THEIR_AUDIO, AUDIO_PT, index, 960 * index as u32, &[(MID_ID, b"0")], b"opus");
        world.send(packet);
    }
    let report =
        world.peer.rtcp_packet(|w| w.sender_report(THEIR_AUDIO, 0x1234_5678_9abc_def0, 0, (1, 1), &[]).unwrap());
    world.send(report);
    world.run(Duration::from_millis(1300));
    let mut blocks = Vec::new();
    for packet in world.peer.rtcp.iter().flat_map(|b| rtcp::parse(b).unwrap()) {
        match packet {
            rtcp::Packet::ReceiverReport(r) => blocks.extend(r.reports()),
            rtcp::Packet::SenderReport(r) => blocks.extend(r.reports()),
            _ => {}
        }
    }
    let block = blocks.iter().find(|b| b.ssrc == THEIR_AUDIO).expect("a block");
    assert_eq!((block.highest_sequence & 0xffff, block.cumulative_lost), (48, 9));
    assert_eq!(block.last_sender_report, 0x5678_9abc);
}

#[test]
fn a_newer_spec_forgets_nothing_of_the_streams_that_stay() {
    let mut world = World::connected();
    for index in [100, 102] {
        let packet = world.peer.rtp_packet(THEIR_VIDEO, VIDEO_PT, index, 7, &[], b"frame");
        deliver(&mut world, packet).unwrap();
    }
    let mut spec = world.session.spec().clone();
    spec.revision += 1;
    spec.media[0].source = None;
    world.session.apply(&spec).unwrap();
    let rtx = world.peer.rtp_packet(THEIR_RTX, VIDEO_RTX_PT, 1, 7, &[], &[0, 102, b'f']);
    assert_eq!(deliver(&mut world, rtx), Err(DropReason::Duplicate));
    world.run(Duration::from_millis(60));
    assert_eq!(nacked(&world), [101]);
    let gone = audio(&mut world, 1);
    assert_eq!(deliver(&mut world, gone), Err(DropReason::UnknownSsrc));
}
