//! Data channels: SCTP inside DTLS, opened by either side.

mod common;

use bytes::Bytes;
use common::*;
use plenum_packet::DropReason;
use plenum_session::SessionEvent;
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier as Ppi, StreamEvent,
};
use std::sync::Arc;
use std::time::Duration;

/// The peer's SCTP.
struct Sctp {
    endpoint: Endpoint,
    handle: AssociationHandle,
    association: Association,
    received: Vec<(u16, Ppi, Vec<u8>)>,
    up: bool,
}

impl Sctp {
    fn connect() -> Sctp {
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::new()), None);
        let (handle, association) = endpoint.connect(ClientConfig::new(), addr("127.0.0.1:1")).unwrap();
        Sctp { endpoint, handle, association, received: vec![], up: false }
    }

    fn exchange(&mut self, world: &mut World, d: Duration) {
        let end = world.now + d;
        while world.now < end {
            world.step(Duration::from_millis(5));
            let now = world.env.anchor.instant(world.now);
            for packet in std::mem::take(&mut world.peer.data) {
                match self.endpoint.handle(now, addr("127.0.0.1:1"), None, None, Bytes::from(packet)) {
                    Some((handle, DatagramEvent::AssociationEvent(event))) if handle == self.handle => {
                        self.association.handle_event(event);
                    }
                    _ => {}
                }
            }
            self.association.handle_timeout(now);
            while let Some(event) = self.association.poll() {
                match event {
                    Event::Connected => self.up = true,
                    Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                    _ => {}
                }
            }
            while let Some(t) = self.association.poll_transmit(now) {
                if let Payload::RawEncode(packets) = t.payload {
                    packets.iter().for_each(|p| world.peer.dtls.send(now, p));
                }
            }
        }
    }

    fn read(&mut self, id: u16) {
        let mut stream = self.association.stream(id).unwrap();
        while let Ok(Some(chunks)) = stream.read_sctp() {
            let mut bytes = vec![0; chunks.len()];
            chunks.read(&mut bytes).unwrap();
            self.received.push((id, chunks.ppi, bytes));
        }
    }

    fn open(&mut self, id: u16, label: &str) {
        let mut message = vec![3, 0, 0, 0, 0, 0, 0, 0, 0, label.len() as u8, 0, 0];
        message.extend_from_slice(label.as_bytes());
        let mut stream = self.association.open_stream(id, Ppi::Dcep).unwrap();
        stream.write_with_ppi(&message, Ppi::Dcep).unwrap();
    }

    fn close(&mut self, id: u16) {
        self.association.stream(id).unwrap().close().unwrap();
    }

    fn send(&mut self, id: u16, ppi: Ppi, bytes: &[u8]) {
        self.association.stream(id).unwrap().write_with_ppi(bytes, ppi).unwrap();
    }
}

#[test]
fn a_channel_opened_by_the_peer_carries_messages_both_ways() {
    let mut world = World::connected();
    let mut sctp = Sctp::connect();
    sctp.exchange(&mut world, Duration::from_millis(300));
    assert!(sctp.up);
    sctp.open(4, "chat");
    sctp.send(4, Ppi::String, b"hello");
    sctp.send(4, Ppi::Binary, &[1, 2, 3]);
    sctp.send(4, Ppi::StringEmpty, &[0]);
    sctp.exchange(&mut world, Duration::from_millis(300));
    let opened = SessionEvent::ChannelOpened { stream: 4, label: "chat".into(), protocol: String::new() };
    assert!(world.events.contains(&opened), "{:?}", world.events);
    let messages: Vec<_> = world
        .events
        .iter()
        .filter_map(|e| match e {
            SessionEvent::Message { stream, binary, payload } => Some((*stream, *binary, payload.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(messages, [(4, false, b"hello".to_vec()), (4, true, vec![1, 2, 3]), (4, false, vec![])]);
    assert!(sctp.received.contains(&(4, Ppi::Dcep, vec![2])), "the channel was acknowledged");

    let long = vec![7; 30_000];
    world.outbox(|s, now, out| s.send_message(now, 4, true, &long, out)).unwrap();
    world.outbox(|s, now, out| s.send_message(now, 4, false, b"", out)).unwrap();
    sctp.exchange(&mut world, Duration::from_millis(500));
    assert!(sctp.received.contains(&(4, Ppi::Binary, long)));
    assert!(sctp.received.contains(&(4, Ppi::StringEmpty, vec![0])));
    assert_eq!(world.pool.in_use(), 0);
}

#[test]
fn a_channel_of_ours_has_an_odd_stream_and_messages_to_unknown_channels_are_refused() {
    let mut world = World::connected();
    let no_association = world.outbox(|s, now, out| s.open_channel(now, "chat", "", out));
    assert_eq!(no_association, Err(DropReason::NoPath));
    let mut sctp = Sctp::connect();
    sctp.exchange(&mut world, Duration::from_millis(300));
    let stream = world.outbox(|s, now, out| s.open_channel(now, "chat", "v1", out)).unwrap();
    assert_eq!(stream % 2, 1);
    world.outbox(|s, now, out| s.send_message(now, stream, false, b"hi", out)).unwrap();
    sctp.exchange(&mut world, Duration::from_millis(300));
    assert_eq!(sctp.received[0].1, Ppi::Dcep);
    assert!(sctp.received[0].2.ends_with(b"chatv1"));
    assert_eq!(sctp.received[1], (stream, Ppi::String, b"hi".to_vec()));
    let unknown = world.outbox(|s, now, out| s.send_message(now, 40, false, b"hi", out));
    assert_eq!(unknown, Err(DropReason::NoPath));
    let too_long = vec![0; 65_537];
    let refused = world.outbox(|s, now, out| s.send_message(now, stream, true, &too_long, out));
    assert_eq!(refused, Err(DropReason::QueueFull));
}

#[test]
fn streams_are_used_again_after_the_peer_closed_their_channels() {
    let mut world = World::connected();
    let mut sctp = Sctp::connect();
    sctp.exchange(&mut world, Duration::from_millis(300));
    let opened = |world: &mut World| world.outbox(|s, now, out| s.open_channel(now, "chat", "", out));
    // More often than there are streams.
    for round in 0..40 {
        let stream = opened(&mut world).unwrap_or_else(|e| panic!("round {round}: {e:?}"));
        let text = format!("round {round}").into_bytes();
        world.outbox(|s, now, out| s.send_message(now, stream, false, &text, out)).unwrap();
        sctp.open(4, "theirs");
        sctp.send(4, Ppi::Binary, &text);
        sctp.exchange(&mut world, Duration::from_millis(100));
        assert!(sctp.received.contains(&(stream, Ppi::String, text.clone())), "round {round}");
        assert!(world.events.contains(&SessionEvent::Message { stream: 4, binary: true, payload: text }), "{round}");
        sctp.close(stream);
        sctp.close(4);
        world.events.clear();
        sctp.exchange(&mut world, Duration::from_millis(300));
        assert!(world.events.contains(&SessionEvent::ChannelClosed { stream }), "round {round}");
        assert!(world.events.contains(&SessionEvent::ChannelClosed { stream: 4 }), "round {round}");
    }
    let all: Vec<u16> = (0..32).map(|_| opened(&mut world).unwrap()).collect();
    assert!(all.iter().all(|stream| stream % 2 == 1));
    assert_eq!(opened(&mut world), Err(DropReason::TooManySources), "all at once are still too many");
}

#[test]
fn garbage_inside_dtls_disturbs_nobody() {
    let mut world = World::connected();
    let now = world.env.anchor.instant(world.now);
    for len in [0, 1, 11, 12, 40, 900] {
        world.peer.dtls.send(now, &vec![0xff; len]);
    }
    world.run(Duration::from_secs(1));
    assert!(world.session.is_connected());
}
