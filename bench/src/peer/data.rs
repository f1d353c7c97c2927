//! The peer's data channels: SCTP in DTLS, channels opened by either side, messages kept for the caller.

use bytes::Bytes;
use plenum_packet::Time;
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier as Ppi, StreamEvent,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// A message that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The channel's label; empty when its opening was missed.
    pub label: String,
    /// Binary, or UTF-8 text.
    pub binary: bool,
    /// The message.
    pub payload: Vec<u8>,
}

/// The association.
pub(crate) struct Data {
    endpoint: Endpoint,
    handle: AssociationHandle,
    association: Association,
    up: bool,
    /// Stream and label.
    channels: Vec<(u16, String)>,
    next: u16,
    wanted: Vec<(String, bool, Vec<u8>)>,
    pub(crate) received: Vec<Message>,
}

fn server() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}

impl Data {
    pub(crate) fn new() -> Data {
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::new()), None);
        let (handle, association) =
            endpoint.connect(ClientConfig::new(), server()).expect("a new endpoint has room for one association");
        Data {
            endpoint,
            handle,
            association,
            up: false,
            channels: Vec::new(),
            next: 0,
            wanted: Vec::new(),
            received: Vec::new(),
        }
    }

    /// Sends a message on the channel of this label, which is opened first when it is not there.
    pub(crate) fn send(&mut self, label: &str, binary: bool, payload: &[u8]) {
        self.wanted.push((label.to_owned(), binary, payload.to_vec()));
    }

    /// Whether the association is there.
    pub(crate) fn is_up(&self) -> bool {
        self.up
    }

    pub(crate) fn handle(&mut self, now: Instant, packet: Vec<u8>) {
        if let Some((handle, DatagramEvent::AssociationEvent(event))) =
            self.endpoint.handle(now, server(), None, None, Bytes::from(packet))
            && handle == self.handle
        {
            self.association.handle_event(event);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.association.poll_timeout()
    }

    /// Does what is due; packets to send go to `out`.
    pub(crate) fn drive(&mut self, now: Instant, out: &mut Vec<Bytes>) {
        self.association.handle_timeout(now);
        while let Some(event) = self.association.poll() {
            match event {
                Event::Connected => self.up = true,
                Event::Stream(StreamEvent::Opened { id } | StreamEvent::Readable { id }) => self.read(id),
                _ => {}
            }
        }
        if self.up {
            for (label, binary, payload) in std::mem::take(&mut self.wanted) {
                self.send_now(&label, binary, &payload);
            }
        }
        while let Some(transmit) = self.association.poll_transmit(now) {
            if let Payload::RawEncode(packets) = transmit.payload {
                out.extend(packets);
            }
        }
    }

    fn send_now(&mut self, label: &str, binary: bool, payload: &[u8]) {
        let stream = match self.channels.iter().find(|c| c.1 == label) {
            Some(channel) => channel.0,
            None => {
                let stream = self.next;
                self.next += 2;
                let mut open = vec![3, 0, 0, 0, 0, 0, 0, 0];
                open.extend_from_slice(&(label.len() as u16).to_be_bytes());
                open.extend_from_slice(&[0, 0]);
                open.extend_from_slice(label.as_bytes());
                let Ok(mut opened) = self.association.open_stream(stream, Ppi::Dcep) else { return };
                let _ = opened.write_with_ppi(&open, Ppi::Dcep);
                self.channels.push((stream, label.to_owned()));
                stream
            }
        };
        let ppi = if binary { Ppi::Binary } else { Ppi::String };
        if let Ok(mut stream) = self.association.stream(stream) {
            let _ = stream.write_with_ppi(payload, ppi);
        }
    }

    fn read(&mut self, id: u16) {
        let Ok(mut stream) = self.association.stream(id) else { return };
        while let Ok(Some(chunks)) = stream.read_sctp() {
            let mut payload = vec![0; chunks.len()];
            if chunks.read(&mut payload).is_err() {
                continue;
            }
            match chunks.ppi {
                Ppi::Dcep if payload.first() == Some(&3) && payload.len() >= 12 => {
                    let len = usize::from(u16::from_be_bytes([payload[8], payload[9]]));
                    let label = payload.get(12..12 + len).unwrap_or_default();
                    self.channels.push((id, String::from_utf8_lossy(label).into_owned()));
                    let _ = stream.write_with_ppi(&[2], Ppi::Dcep);
                }
                Ppi::String | Ppi::Binary => {
                    let label = self.channels.iter().find(|c| c.0 == id).map(|c| c.1.clone()).unwrap_or_default();
                    self.received.push(Message { label, binary: chunks.ppi == Ppi::Binary, payload });
                }
                _ => {}
            }
        }
    }
}

/// Our time for the library's deadline.
pub(crate) fn time(anchor: &plenum_session::Anchor, at: Option<Instant>) -> Time {
    at.map_or(Time::NEVER, |at| anchor.time(at))
}
